//! Components over WASI preview 2.

use outlayer_executor::{Executor, ExecutorConfig, prepare::meter::STACK_BYTES};
use outlayer_protocol::{Compute, GuestKind, Limit, Status};

use crate::common::{
    self, Run,
    components::{self, wasi as start},
    invalid, trapped,
};

#[test]
fn a_component_reads_its_input_and_writes_output_and_log() {
    let body = r#"
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $print (i32.const 100) (i32.load (i32.const 8)))
        (call $write (i32.const 2) (i32.const 100) (i32.const 3))"#;
    let execution = start(body).input("input").run();
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!((execution.output, execution.logs), (b"input".to_vec(), b"inp".to_vec()));
    assert_eq!(start(body).output(), b"");
}

/// Clocks, arguments, environment, randomness and polling answer the same as in preview 1.
#[test]
fn a_component_sees_the_same_world_as_a_module() {
    let body = r#"
        (call $errno (call $random_get (i32.const 0) (i32.const 32)))
        (call $print (i32.const 0) (i32.const 32))
        (call $errno (call $args_sizes_get (i32.const 0) (i32.const 4)))
        (call $print (i32.const 0) (i32.const 8))
        (call $errno (call $args_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))
        (call $errno (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $print (i32.const 0) (i32.const 8))
        (call $errno (call $environ_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))
        (call $errno (call $clock_res_get (i32.const 1) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))"#;
    let guest = |mut run: Run| {
        run.args = vec!["one".to_owned(), "two".to_owned()];
        run.env = vec![("NAME".to_owned(), "value".to_owned())];
        run.output()
    };
    let core = guest(Run::start(body));
    // The adapter draws from the random stream before the guest does, for the seed of a hash map.
    let component = guest(start(body));
    assert_eq!(component[33..], core[33..]);
    assert_eq!(component[0], 0);
}

/// Names and values of the variables that the guest made by `guest` of a body has on an executor.
fn variables(guest: fn(&str) -> Run, executor: &Executor) -> String {
    let body = r#"
        (call $errno (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $errno (call $environ_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))"#;
    let mut run = guest(body);
    run.env = vec![("B".to_owned(), "2=2".to_owned()), ("A".to_owned(), String::new())];
    let output = run.on(executor).unwrap().output;
    assert_eq!(output[..2], [0, 0]);
    String::from_utf8(output[2..].to_vec()).unwrap()
}

#[test]
fn without_the_variables_of_the_context_a_guest_has_its_own_and_no_others() {
    let bare = Executor::new(ExecutorConfig::default()).unwrap().without_context_variables();
    for guest in [Run::start, start] {
        assert_eq!(variables(guest, &bare), "B=2=2\0A=\0");
        let usual = variables(guest, common::executor());
        assert!(usual.contains("TZ=UTC\0") && usual.ends_with("\0B=2=2\0A=\0"), "{usual}");
    }
}

#[test]
fn the_clock_is_virtual_and_sleeping_returns_at_once() {
    let body = r#"
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (local.set $x (i64.load (i32.const 0)))
        (i64.store (i32.const 100) (i64.const 77)) (i32.store8 (i32.const 108) (i32.const 0))
        (i32.store (i32.const 116) (i32.const 1))
        (i64.store (i32.const 124) (i64.const 31536000000000000))
        (call $errno (call $poll_oneoff (i32.const 100) (i32.const 200) (i32.const 1)
            (i32.const 300)))
        (call $emit (i64.load (i32.const 200)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (call $emit (i64.sub (i64.load (i32.const 0)) (local.get $x)))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)))
        (call $emit (i64.load (i32.const 0)))"#;
    let output = start(body).output();
    let word = |at: usize| u64::from_le_bytes(output[at..at + 8].try_into().unwrap());
    assert_eq!((output[0], word(1)), (0, 77));
    let slept = word(9);
    assert!((31_536_000_000_000_000..31_536_000_001_000_000).contains(&slept), "{slept}");
    assert!(word(17) > common::context().block_timestamp + slept);
}

#[test]
fn how_a_command_ends_is_its_status() {
    assert_eq!(start("").status(), Status::Completed);
    assert_eq!(start("(call $proc_exit (i32.const 0))").status(), Status::Completed);
    assert_eq!(start("(call $proc_exit (i32.const 1))").status(), Status::Exited { code: 1 });
    assert_eq!(start("unreachable").status(), trapped("unreachable"));
    assert_eq!(
        start("(drop (i32.div_u (i32.const 1) (local.get $i)))").status(),
        trapped("integer division by zero")
    );
}

#[test]
fn what_a_component_uses_is_just_enough() {
    let body = "(call $errno (i32.const 1))";
    let execution = start(body).run();
    let used = execution.used.amount();
    assert_eq!(start(body).fuel(used).run(), execution);
    for short in [used - 1, used / 2, 10, 0] {
        let execution = start(body).fuel(short).run();
        assert_eq!((execution.status, execution.used), (Status::OutOfFuel, Compute::Fuel(short)));
    }
    let endless = start("(loop $l (br $l))").fuel(10_000_000).run();
    assert_eq!((endless.status, endless.used), (Status::OutOfFuel, Compute::Fuel(10_000_000)));
}

#[test]
fn a_stack_overflow_inside_of_a_component_is_told_from_an_unreachable() {
    let prelude = "(memory (export \"memory\") 1)";
    let text = format!(
        "(module {prelude} (func $f (param i32)
                (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))) \
         (func (export \"_start\") (call $f (i32.const DEPTH))))"
    );
    let run = |depth: u32| {
        let text = text.replace("DEPTH", &depth.to_string());
        components::from_text(&text).status()
    };
    assert_eq!(run(10_000), Status::Completed);
    assert_eq!(run(STACK_BYTES / 64), Status::StackOverflow);
    assert_eq!(run(100_000_000), Status::StackOverflow);
}

#[test]
fn limits_hold_inside_of_a_component() {
    let exceeded = |which, limit| Status::LimitExceeded { which, limit };
    let refused = "(if (i32.ne (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))";
    assert_eq!(start(refused).status(), Status::Completed);
    assert_eq!(
        start("(loop $l (call $print (i32.const 0) (i32.const 1000)) (br $l))").status(),
        exceeded(Limit::OutputBytes, 4_096)
    );
    assert_eq!(
        start("").limits(|limits| limits.instances = 2).status(),
        exceeded(Limit::Instances, 2)
    );
    assert_eq!(
        start("(loop $l (drop (call $sched_yield)) (call $errno (i32.const 0)) (br $l))")
            .limits(|limits| {
                limits.host_calls = 9;
                limits.output_bytes = 100;
            })
            .status(),
        exceeded(Limit::HostCalls, 9)
    );
    assert_eq!(
        start("").limits(|limits| limits.table_elements = 0).status(),
        exceeded(Limit::TableElements, 0)
    );
}

#[test]
fn what_is_no_command_or_wants_more_is_rejected() {
    assert_eq!(
        Run::wat("(component)").status(),
        invalid(
            "there is no export wasi:cli/run@0.2: a guest exports this interface, with its \
             function run: func() -> result"
        )
    );
    assert_eq!(
        start("").limits(|limits| limits.compute = Compute::Gas(1_000_000_000_000)).status(),
        invalid("a component is metered in fuel, the request states its limit in gas")
    );
    let mut run = start("");
    run.kind = Some(GuestKind::WasiP1);
    assert_eq!(
        run.status(),
        invalid("the request requires a wasi-p1 guest, this is a wasi-p2 guest")
    );
    let unknown = r#"(component
        (import "wasi:keyvalue/store@0.2.0" (instance $store (export "open" (func))))
        (core func $lowered (canon lower (func $store "open")))
        (core module $m (import "n" "f" (func)) (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m (with "n" (instance (export "f" (func $lowered))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $r (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    let Status::InvalidModule { reason } = Run::wat(unknown).status() else { panic!() };
    assert!(reason.contains("wasi:keyvalue/store"), "{reason}");
    // An interface that is there, but a function that is not, or another version.
    for (name, function) in [
        ("wasi:sockets/instance-network@0.2.0", "outstance-network"),
        ("wasi:http/types@0.3.0", "open"),
    ] {
        let unknown = unknown.replace("wasi:keyvalue/store@0.2.0", name).replace("open", function);
        let Status::InvalidModule { reason } = Run::wat(&unknown).status() else { panic!() };
        assert!(reason.contains(name), "{reason}");
    }
    let reexport = r#"(component (import "f" (func $f)) (instance $r (export "run" (func $f)))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    assert!(matches!(Run::wat(reexport).status(), Status::InvalidModule { .. }));
}

/// A component that exports versions of `wasi:cli/run`, each with its function's type and result.
fn commands(versions: &[(&str, &str)]) -> Run {
    let exports: String = versions
        .iter()
        .enumerate()
        .map(|(n, (version, ty))| {
            let params = if ty.contains("param") { "(param i32)" } else { "" };
            format!(
                r#"(core module $m{n}
                    (func (export "run") {params} (result i32) (i32.const 0)))
                (core instance $i{n} (instantiate $m{n}))
                (func $f{n} {ty} (canon lift (core func $i{n} "run")))
                (instance $e{n} (export "run" (func $f{n})))
                (export "wasi:cli/run@{version}" (instance $e{n}))"#
            )
        })
        .collect();
    Run::wat(&format!("(component {exports})"))
}

#[test]
fn a_run_of_another_type_is_a_verdict_and_hides_no_other() {
    let wrong = || invalid("wasi:cli/run has no function run: func() -> result");
    for ty in ["(result u32)", r#"(param "x" u32) (result (result))"#, "(result bool)"] {
        assert_eq!(commands(&[("0.2.0", ty)]).status(), wrong(), "{ty}");
    }
    let no_function = r#"(component
        (component $c) (instance $run (instantiate $c)) (instance $e (export "run" (instance $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#;
    assert_eq!(Run::wat(no_function).status(), wrong());
    let empty = r#"(component
        (component $c) (instance $e (instantiate $c))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#;
    assert_eq!(Run::wat(empty).status(), wrong());
    let both = [("0.2.0-rc-2023-11-10", "(result u32)"), ("0.2.3", "(result (result))")];
    assert_eq!(commands(&both).status(), Status::Completed);
}

#[test]
fn executions_are_identical_however_the_executor_is_configured() {
    let guest = || {
        start(
            "(drop (call $random_get (i32.const 0) (i32.const 32)))
                (call $print (i32.const 0) (i32.const 32))",
        )
    };
    let first = guest().run();
    assert_eq!(first.status, Status::Completed);
    for (optimize, pool) in [(true, Some(2)), (false, None)] {
        let executor = Executor::new(ExecutorConfig {
            optimize,
            pool,
            cache_bytes: 0,
            ..ExecutorConfig::default()
        })
        .unwrap();
        for _ in 0..3 {
            assert_eq!(guest().on(&executor).unwrap(), first, "optimize {optimize}, pool {pool:?}");
        }
    }
    for _ in 0..50 {
        assert_eq!(guest().run(), first);
    }
}

/// `count` modules that call each other in a ring through one table, with `depth` calls in all.
fn ring(count: usize, depth: u32) -> String {
    let modules: String = (0..count)
        .map(|index| {
            let next = (index + 1) % count;
            format!(
                r#"(core module $m{index} (import "t" "t" (table {count} funcref))
                        (type $f (func (param i32)))
                    (func $f (param i32) (if (local.get 0) (then
                        (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1))
                            (i32.const {next})))))
                    (elem (i32.const {index}) $f)
                    (func (export "run") (result i32) (call $f (i32.const {depth})) (i32.const 0)))
                  (core instance $i{index} (instantiate $m{index} (with "t" (instance $t))))"#
            )
        })
        .collect();
    format!(
        r#"(component
            (core module $table (table (export "t") {count} funcref))
            (core instance $t (instantiate $table)) {modules}
            (func $run (result (result)) (canon lift (core func $i0 "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    )
}

#[test]
fn modules_that_call_each_other_share_the_stack() {
    let run = |count: usize, depth: u32| {
        Run::wat(&ring(count, depth)).limits(|limits| limits.instances = 1_000).status()
    };
    for count in [2, 30, 99] {
        assert_eq!(run(count, 1_000), Status::Completed, "{count}");
        assert_eq!(run(count, 1_000_000), Status::StackOverflow, "{count}");
        assert_eq!(run(count, 100_000_000), Status::StackOverflow, "{count}");
    }
}

/// One component calls another with a list, which wasmtime copies from memory to memory.
#[test]
fn components_inside_of_a_component_exchange_values() {
    let text = r#"(component
        (component $adder
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "sum") (param $at i32) (param $length i32) (result i32)
                    (local $sum i32)
                    (loop $next
                        (if (local.get $length) (then
                            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                            (local.set $sum (i32.add (local.get $sum)
                                (i32.load8_u (i32.add (local.get $at) (local.get $length)))))
                            (br $next))))
                    (local.get $sum)))
            (core instance $i (instantiate $m))
            (func (export "sum") (param "bytes" (list u8)) (result u32)
                (canon lift (core func $i "sum") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc")))))
        (instance $adder (instantiate $adder))
        (component $caller
            (import "sum" (func $adder (param "bytes" (list u8)) (result u32)))
            (core module $memory (memory (export "memory") 1) (data (i32.const 0) "\01\02\27"))
            (core instance $memory (instantiate $memory))
            (core func $sum (canon lower (func $adder) (memory (core memory $memory "memory"))))
            (core module $m (import "adder" "sum" (func $sum (param i32 i32) (result i32)))
                (func (export "run") (result i32)
                    (i32.ne (call $sum (i32.const 0) (i32.const 3)) (i32.const EXPECTED))))
            (core instance $i (instantiate $m (with "adder" (instance (export "sum" (func $sum))))))
            (func (export "run") (result (result)) (canon lift (core func $i "run"))))
        (instance $caller (instantiate $caller (with "sum" (func $adder "sum"))))
        (instance $r (export "run" (func $caller "run")))
        (export "wasi:cli/run@0.2.0" (instance $r)))"#;
    let run = |expected: &str| Run::wat(&text.replace("EXPECTED", expected)).status();
    assert_eq!(run("42"), Status::Completed);
    assert_eq!(run("41"), Status::Exited { code: 1 });
    let outside = text.replace("(i32.const 0) (i32.const 3)", "(i32.const 65534) (i32.const 3)");
    assert_eq!(
        Run::wat(&outside.replace("EXPECTED", "0")).status(),
        trapped("memory out of bounds")
    );
}

/// Waits for this many handles, none of which exists.
fn polls(handles: u32) -> Status {
    let text = r#"(component
        (import "wasi:io/poll@0.2.0" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
        (core module $libc
            (memory (export "memory") 64)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $libc (instantiate $libc))
        (core func $poll (canon lower (func $poll "poll")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $main
            (import "poll" "poll" (func $poll (param i32 i32 i32)))
            (func (export "run") (result i32)
                (call $poll (i32.const 0) (i32.const HANDLES) (i32.const 8)) (i32.const 0)))
        (core instance $main (instantiate $main
            (with "poll" (instance (export "poll" (func $poll))))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $cli (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $cli)))"#;
    Run::wat(&text.replace("HANDLES", &handles.to_string()))
        .limits(|limits| limits.memory_bytes = 4 << 20)
        .status()
}

#[test]
fn what_one_call_makes_of_the_hosts_memory_is_bounded_by_the_guests() {
    assert_eq!(polls(10), trapped("a value that the component model does not allow"));
    assert_eq!(polls(1 << 20), trapped("more is handed to the host at once than it takes"));
}
