//! WASI preview 2 as components see it without an adapter: every version links, waiting is virtual,
//! and what is not permitted says so.

use outlayer_executor::{Execution, fuel};
use outlayer_protocol::{Compute, Status};

use crate::common::{Run, components::preview2, context, trapped};

const NEWEST: &str = "0.2.12";

fn words(body: &str) -> Vec<u64> {
    preview2(NEWEST, body).words()
}

fn used(execution: &Execution) -> u64 {
    match execution.used {
        Compute::Fuel(used) | Compute::Gas(used) => used,
    }
}

#[test]
fn every_version_of_preview_2_links() {
    for minor in 0..=12 {
        let body = "(call $emit (i64.const 7))";
        assert_eq!(preview2(&format!("0.2.{minor}"), body).words(), [7], "0.2.{minor}");
    }
}

#[test]
fn a_resource_that_an_interface_uses_may_be_imported_as_its_own() {
    for (interface, resource, function) in [
        ("sockets/instance-network", "network", "instance-network"),
        ("cli/stdin", "input-stream", "get-stdin"),
        ("cli/stdout", "output-stream", "get-stdout"),
        ("cli/stderr", "output-stream", "get-stderr"),
    ] {
        let text = format!(
            r#"(component
                (import "wasi:{interface}@0.2.0" (instance $i
                    (export "{resource}" (type $r (sub resource)))
                    (export "{function}" (func (result (own $r))))))
                (alias export $i "{resource}" (type $r))
                (core func $get (canon lower (func $i "{function}")))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "get" (func $get (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "run") (result i32) (call $drop (call $get)) (i32.const 0)))
                (core instance $m (instantiate $m
                    (with "" (instance (export "get" (func $get)) (export "drop" (func $drop))))))
                (func $run (result (result)) (canon lift (core func $m "run")))
                (component $command
                    (import "f" (func $f (result (result)))) (export "run" (func $f)))
                (instance $command (instantiate $command (with "f" (func $run))))
                (export "wasi:cli/run@0.2.0" (instance $command)))"#
        );
        assert_eq!(Run::wat(&text).status(), Status::Completed, "{interface}");
    }
}

#[test]
fn a_poll_moves_the_clock_to_the_earliest_deadline() {
    // Three deadlines, the earliest twice: at 5 s, 2 s and 2 s.
    let body = "
        (i32.store (i32.const 100) (call $until (i64.const 5000000000)))
        (i32.store (i32.const 104) (call $until (i64.const 2000000000)))
        (i32.store (i32.const 108) (call $after (i64.const 2000000000)))
        (call $emit (i64.extend_i32_u (call $ready (i32.load (i32.const 104)))))
        (call $poll (i32.const 100) (i32.const 3) (i32.const 200))
        (call $emit (i64.load32_u (i32.const 204)))
        (call $emit (i64.load (i32.load (i32.const 200))))
        (call $emit (call $now))
        (call $emit (i64.extend_i32_u (call $ready (i32.load (i32.const 104)))))
        (call $emit (i64.extend_i32_u (call $ready (i32.load (i32.const 100)))))
        (call $block (i32.load (i32.const 100)))
        (call $emit (call $now))";
    let two = 2_000_000_000;
    assert_eq!(words(body), [0, 2, 1 | 2 << 32, two, 1, 0, 5_000_000_000]);
}

#[test]
fn what_is_ready_at_once_moves_no_clock() {
    let body = "
        (i32.store (i32.const 100) (call $until (i64.const 5000000000)))
        (i32.store (i32.const 104) (call $subscribe_input (call $stdin)))
        (i32.store (i32.const 108) (call $after (i64.const 0)))
        (call $poll (i32.const 100) (i32.const 3) (i32.const 200))
        (call $emit (i64.load32_u (i32.const 204)))
        (call $emit (i64.load (i32.load (i32.const 200))))
        (call $emit (call $now))";
    assert_eq!(words(body), [2, 1 | 2 << 32, 0]);
}

/// The order of an answer is that of the question, however old the pollables are.
#[test]
fn ready_pollables_are_listed_in_the_order_of_the_question() {
    let body = "
        (i32.store (i32.const 104) (call $after (i64.const 0)))
        (i32.store (i32.const 100) (call $after (i64.const 0)))
        (i32.store (i32.const 108) (i32.load (i32.const 104)))
        (call $poll (i32.const 100) (i32.const 3) (i32.const 200))
        (call $emit (i64.load32_u (i32.const 204)))
        (call $emit (i64.load (i32.load (i32.const 200))))
        (call $emit (i64.load32_u offset=8 (i32.load (i32.const 200))))";
    assert_eq!(words(body), [3, 1 << 32, 2]);
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let body = "(call $block (call $until (i64.const -1))) (call $emit (call $now))";
    assert_eq!(words(body), [u64::MAX]);
    let body = "(call $block (call $after (i64.const -1))) (call $emit (call $now))";
    assert_eq!(words(body), [u64::MAX]);
}

#[test]
fn a_poll_of_nothing_traps() {
    let body = "(call $poll (i32.const 100) (i32.const 0) (i32.const 200))";
    assert_eq!(preview2(NEWEST, body).status(), trapped("poll of an empty list"));
}

#[test]
fn resources_that_are_kept_are_bounded() {
    let make = |count: u32, make: &str| {
        let body = format!(
            "(loop $l (drop {make})
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const {count}))))"
        );
        preview2(NEWEST, &body)
            .fuel(10_000_000_000)
            .limits(|limits| limits.host_calls = 3_000_000)
            .status()
    };
    for what in [
        "(call $after (i64.const 1))",
        "(call $subscribe_input (call $stdin))",
        "(call $stdout)",
        "(call $network)",
        "(call $fields)",
        "(call $request (call $fields))",
    ] {
        let kept = if what.contains("stdin") { 6_000 } else { 10_000 };
        assert_eq!(make(kept, what), Status::Completed, "{what}");
        assert_eq!(make(1_000_000, what), trapped("too many resources at once"), "{what}");
    }
}

#[test]
fn resources_that_are_dropped_cost_fuel_and_leave_nothing() {
    let body = "
        (loop $l (call $drop_pollable (call $after (i64.const 1)))
            (call $drop_input (call $stdin))
            (call $drop_fields (call $fields))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 50000))))";
    let execution = preview2(NEWEST, body).fuel(1_000_000_000).run();
    assert_eq!(execution.status, Status::Completed);
    assert!(used(&execution) > 50_000 * 3 * fuel::HOST_CALL);
    let short = preview2(NEWEST, body).fuel(1_000_000).run();
    assert_eq!((short.status, short.used), (Status::OutOfFuel, Compute::Fuel(1_000_000)));
}

#[test]
fn each_pollable_of_a_poll_is_paid_for() {
    let poll = |count: u32| {
        let body = format!(
            "(local.set $j (call $after (i64.const 0)))
            (loop $l (i32.store (i32.add (i32.const 100000) (i32.shl (local.get $i) (i32.const 2)))
                    (local.get $j))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))
            (call $poll (i32.const 100000) (i32.const {count}) (i32.const 200))"
        );
        used(&preview2(NEWEST, &body).run())
    };
    assert!(poll(1_000) - poll(1) >= 999 * (fuel::HOST_CALL + 8 * fuel::HOST_BYTE));
}

#[test]
fn what_a_call_costs_is_taken_before_it_works() {
    for body in [
        "(call $random (i64.const 100000) (i32.const 200))",
        "(call $resolve (call $network) (i32.const 0) (i32.const 100000) (i32.const 200))",
        "(drop (call $authority (call $request (call $fields)) (i32.const 1) (i32.const 1000)
            (i32.const 100000)))",
        "(call $environment (i32.const 200))",
    ] {
        let execution = preview2(NEWEST, body).run();
        assert_eq!(execution.status, Status::Completed, "{body}");
        let enough = used(&execution);
        assert_eq!(preview2(NEWEST, body).fuel(enough).run(), execution, "{body}");
        for fuel in [enough - 1, enough - 50, enough / 2] {
            let short = preview2(NEWEST, body).fuel(fuel).run();
            assert_eq!(
                (short.status, short.used),
                (Status::OutOfFuel, Compute::Fuel(fuel)),
                "{body}"
            );
        }
    }
}

/// All three interfaces draw from the one stream, which the seed determines.
#[test]
fn randomness_is_the_seeds() {
    let body = "
        (call $emit (call $random_word)) (call $emit (call $insecure_word))
        (call $seed (i32.const 200))
        (call $emit (i64.load (i32.const 200))) (call $emit (i64.load (i32.const 208)))
        (call $random (i64.const 8) (i32.const 200))
        (call $emit (i64.load (i32.load (i32.const 200))))";
    let mut stream = outlayer_guest::host::RandomStream::new(context().random_seed);
    let drawn: Vec<u64> = (0..5)
        .map(|_| {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        })
        .collect();
    assert_eq!(words(body), drawn);
}

const ACCESS_DENIED: u64 = 1;

#[test]
fn sockets_and_names_are_not_permitted() {
    // The tag of a result, and what its error is.
    let body = "
        (call $tcp (i32.const 0) (i32.const 200)) (call $byte (i32.const 200))
        (call $byte (i32.const 204))
        (call $tcp (i32.const 1) (i32.const 200)) (call $byte (i32.const 204))
        (call $udp (i32.const 0) (i32.const 200)) (call $byte (i32.const 200))
        (call $byte (i32.const 204))
        (call $resolve (call $network) (i32.const 0) (i32.const 11) (i32.const 200))
        (call $byte (i32.const 200)) (call $byte (i32.const 204))";
    let (error, denied) = (1, ACCESS_DENIED);
    assert_eq!(words(body), [error, denied, denied, error, denied, error, denied]);
    // No socket can be made up.
    let body = "(call $bound (i32.const 1) (i32.const 200))";
    assert_eq!(
        preview2(NEWEST, body).status(),
        trapped("a value that the component model does not allow")
    );
}

#[test]
fn no_directory_is_open() {
    let body = "(call $directories (i32.const 200)) (call $emit (i64.load32_u (i32.const 204)))";
    assert_eq!(words(body), [0]);
    let body = "(drop (call $same (i32.const 1) (i32.const 1)))";
    assert_eq!(
        preview2(NEWEST, body).status(),
        trapped("a value that the component model does not allow")
    );
}

/// A request can be built as with any host. It is denied when it is sent.
#[test]
fn an_http_request_is_denied() {
    let request = "
        (call $fields_of (i32.const 0) (i32.const 0) (i32.const 200)) (call $byte (i32.const 200))
        (call $emit (i64.extend_i32_u (call $has (call $fields) (i32.const 0) (i32.const 7))))
        (local.set $i (call $request (i32.load (i32.const 204))))
        (call $emit (i64.extend_i32_u (call $authority (local.get $i) (i32.const 1) (i32.const 0)
            (i32.const 11))))
        (call $body (local.get $i) (i32.const 200)) (call $byte (i32.const 200))
        (call $body_stream (i32.load (i32.const 204)) (i32.const 200)) (call $byte (i32.const 200))
        (call $check_write (i32.load (i32.const 204)) (i32.const 208)) (call $byte (i32.const 208))
        (call $emit (i64.load (i32.const 216)))";
    let built = [0, 0, 0, 0, 0, 0, 64 << 10];
    let sent = "(call $byte (i32.const 200)) (call $byte (i32.const 208))";
    let denied = [1, 15];
    for options in ["(i32.const 0) (i32.const 0)", "(i32.const 1) (call $options)"] {
        let body =
            format!("{request} (call $handle (local.get $i) {options} (i32.const 200)) {sent}");
        for version in ["0.2.0", "0.2.3", NEWEST] {
            assert_eq!(
                preview2(version, &body).words(),
                [&built[..], &denied].concat(),
                "{version}"
            );
        }
    }
    // The request was given away.
    let body = "(local.set $i (call $request (call $fields)))
        (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const 200))
        (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const 200))";
    assert_eq!(
        preview2(NEWEST, body).status(),
        trapped("a value that the component model does not allow")
    );
}

#[test]
fn streams_are_the_input_the_output_and_the_log() {
    let body = "
        (call $splice (call $stdout) (call $stdin) (i64.const 5) (i32.const 200))
        (call $splice (call $stderr) (call $stdin) (i64.const 99) (i32.const 200))
        (call $read (call $stdin) (i64.const 1) (i32.const 200))
        (if (i32.ne (i32.load8_u (i32.const 204)) (i32.const 1)) (then unreachable))";
    let execution = preview2(NEWEST, body).input("hello, log").run();
    assert_eq!(execution.status, Status::Completed);
    assert_eq!((&execution.output[..], &execution.logs[..]), (&b"hello"[..], &b", log"[..]));
    let body = "(call $terminal (i32.const 200)) (call $byte (i32.const 200))";
    assert_eq!(words(body), [0]);
    let body = "(call $exit (i32.const 1))";
    assert_eq!(preview2(NEWEST, body).status(), Status::Exited { code: 1 });
}
