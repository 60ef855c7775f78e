//! Every limit, exceeded by a guest that wants more.

use std::time::Duration;

use outlayer_executor::{
    ENGINE_VERSION, Executor, ExecutorConfig, Fault, NEAR_CONFIG_VERSION, fuel,
    prepare::MAX_MODULE_BYTES, prepare::meter::STACK_BYTES,
};
use outlayer_protocol::{Compute, Config, GuestKind, Limit, Status, config::RequestBounds};

use crate::common::{Run, invalid, trapped};

fn exceeded(which: Limit, limit: u64) -> Status {
    Status::LimitExceeded { which, limit }
}

#[test]
fn an_endless_loop_runs_out_of_fuel_and_has_used_the_limit() {
    let execution = Run::start("(loop $l (br $l))").fuel(1_000_000).run();
    assert_eq!((execution.status, execution.used), (Status::OutOfFuel, Compute::Fuel(1_000_000)));
}

#[test]
fn what_a_guest_uses_is_just_enough() {
    let bodies = [
        "",
        "(drop (i32.add (i32.const 1) (i32.const 2)))",
        "(call $errno (i32.const 1))",
        "(local.set $i (i32.const 5000))
            (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 3000))",
        "(call $proc_exit (i32.const 0))",
    ];
    for body in bodies {
        let execution = Run::start(body).run();
        let Compute::Fuel(used) = execution.used else { panic!() };
        assert_eq!(execution.status, Status::Completed, "{body}");
        let enough = Run::start(body).fuel(used).run();
        assert_eq!(
            (enough.status, enough.used),
            (Status::Completed, Compute::Fuel(used)),
            "{body}"
        );
        let short = Run::start(body).fuel(used - 1).run();
        assert_eq!(
            (short.status, short.used),
            (Status::OutOfFuel, Compute::Fuel(used - 1)),
            "{body}"
        );
    }
}

#[test]
fn the_smallest_and_the_largest_limit_work() {
    assert_eq!(Run::start("").fuel(0).status(), Status::OutOfFuel);
    assert_eq!(Run::start("").fuel(u64::MAX).status(), Status::Completed);
    assert_eq!(
        Run::start("(call $errno (i32.const 0))").fuel(u64::MAX).status(),
        Status::Completed
    );
}

#[test]
fn operators_calls_and_bulk_operators_cost_what_is_documented() {
    let used = |items: &str| {
        let execution =
            Run::wat(&format!(r#"(module (memory (export "memory") 1 100) {items})"#)).run();
        assert_eq!(execution.status, Status::Completed);
        execution.used.amount()
    };
    let empty = used(r#"(func (export "_start"))"#);
    assert_eq!(empty, fuel::ENTRY);
    let leaf = |body: &str| used(&format!(r#"(func (export "_start") {body})"#)) - empty;
    assert_eq!(leaf("nop (block) (loop)"), 0);
    assert_eq!(leaf("(drop (i32.add (i32.const 1) (i32.const 2)))"), 3);
    assert_eq!(
        leaf("(memory.fill (i32.const 0) (i32.const 0) (i32.const 1000))"),
        3 + fuel::BULK + 1_000
    );
    assert_eq!(
        leaf("(memory.copy (i32.const 0) (i32.const 9) (i32.const 1000))"),
        3 + fuel::BULK + 1_000
    );
    let grow = fuel::MEMORY_GROW + 3 * fuel::MEMORY_GROW_PAGE;
    assert_eq!(leaf("(drop (memory.grow (i32.const 3)))"), 1 + grow);
    let calls = used(r#"(func $f) (func (export "_start") (call $f))"#);
    assert_eq!(calls, fuel::ENTRY + 1 + empty);
    // Of the two arms of a branch only the one that is taken is paid for.
    let arms = |condition: u32| {
        leaf(&format!(
            "(if (i32.const {condition}) (then {}) (else (drop (i32.const 1))))",
            "(drop (i32.const 1))".repeat(50)
        ))
    };
    assert_eq!((arms(1), arms(0)), (2 + 50, 2 + 1));
}

#[test]
fn the_hosts_work_is_paid_for_by_the_byte() {
    let used = |body: &str| {
        Run::start(body).limits(|limits| limits.log_bytes = 1 << 20).run().used.amount()
    };
    let log = |bytes: u32| used(&format!("(call $log (i32.const 0) (i32.const {bytes}))"));
    assert_eq!(log(30_000) - log(0), 30_000);
    let random =
        |bytes: u32| used(&format!("(call $random_fill (i32.const 0) (i32.const {bytes}))"));
    assert_eq!(random(30_000) - random(0), 30_000);
    // What cannot be paid for is not done.
    let execution = Run::start("(call $log (i32.const 0) (i32.const 30000))").fuel(10_000).run();
    assert_eq!((execution.status, execution.logs.len()), (Status::OutOfFuel, 0));
}

#[test]
fn initial_memory_beyond_the_limit() {
    let run = |pages: u32, limit: u64| {
        Run::wat(&format!(
            r#"(module (memory (export "memory") {pages}) (func (export "_start")))"#
        ))
        .limits(|limits| limits.memory_bytes = limit)
        .status()
    };
    assert_eq!(run(2, 2 << 16), Status::Completed);
    assert_eq!(run(3, 2 << 16), exceeded(Limit::MemoryBytes, 2 << 16));
    assert_eq!(run(65_536, 64 << 20), exceeded(Limit::MemoryBytes, 64 << 20));
}

#[test]
fn growth_beyond_the_limit_is_refused_and_the_guest_goes_on() {
    let fails = |pages: i32, limit: u64| {
        Run::start(&format!(
            "(if (i32.ne (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))"
        ))
        .limits(|limits| limits.memory_bytes = limit)
        .status()
    };
    assert_eq!(fails(1_024, 64 << 20), Status::Completed);
    assert_eq!(fails(60_000, 1 << 30), Status::Completed);
    assert_eq!(fails(-1, 64 << 20), Status::Completed);
    // All that the limit allows is there.
    let all = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (if (i32.ne (memory.size) (i32.const 1024)) (then unreachable))";
    assert_eq!(Run::start(all).status(), Status::Completed);
    let empty = r#"(module (memory (export "memory") 0) (func (export "_start")
        (if (i32.ne (memory.grow (i32.const 1025)) (i32.const -1)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1024)) (i32.const 0)) (then unreachable))))"#;
    assert_eq!(Run::wat(empty).status(), Status::Completed);
}

#[test]
fn growth_beyond_the_modules_own_maximum_fails_as_specified() {
    let text = r#"(module (memory (export "memory") 1 2)
        (func (export "_start")
            (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))))"#;
    assert_eq!(Run::wat(text).status(), Status::Completed);
}

#[test]
fn tables_count_in_all() {
    let run = |tables: &str, body: &str, limit: u32| {
        Run::wat(&format!(
            r#"(module (memory (export "memory") 1) {tables} (func (export "_start") {body}))"#
        ))
        .limits(|limits| limits.table_elements = limit)
        .status()
    };
    assert_eq!(run("(table 60 funcref) (table 40 funcref)", "", 100), Status::Completed);
    assert_eq!(
        run("(table 60 funcref) (table 41 funcref)", "", 100),
        exceeded(Limit::TableElements, 100)
    );
    let grow = "(drop (table.grow 0 (ref.null func) (i32.const 40)))";
    assert_eq!(run("(table 60 funcref)", grow, 100), Status::Completed);
    let refused = "(if (i32.ne (table.grow 0 (ref.null func) (i32.const 40)) (i32.const -1))
            (then unreachable))
        (if (i32.ne (table.grow 0 (ref.null func) (i32.const 39)) (i32.const 61))
            (then unreachable))";
    assert_eq!(run("(table 61 funcref)", refused, 100), Status::Completed);
    let own = "(if (i32.ne (table.grow 0 (ref.null func) (i32.const 40)) (i32.const -1))
            (then unreachable))";
    assert_eq!(run("(table 60 70 funcref)", own, 100), Status::Completed);
}

#[test]
fn an_execution_without_instances_runs_nothing() {
    let mut run = Run::start("").limits(|limits| limits.instances = 0);
    assert_eq!(run.status(), exceeded(Limit::Instances, 0));
}

#[test]
fn output_beyond_the_limit() {
    let write =
        |bytes: u32| Run::start(&format!("(call $print (i32.const 0) (i32.const {bytes}))"));
    assert_eq!(write(4_096).run().output.len(), 4_096);
    let execution = write(4_097).run();
    assert_eq!(
        (execution.status, execution.output.len()),
        (exceeded(Limit::OutputBytes, 4_096), 0)
    );
}

#[test]
fn logs_beyond_the_limit_keep_what_fits() {
    let mut run = Run::start(
        "(call $log (i32.const 0) (i32.const 9)) (call $log (i32.const 0) (i32.const 9))",
    )
    .limits(|limits| limits.log_bytes = 15);
    let execution = run.run();
    assert_eq!((execution.status, execution.logs.len()), (exceeded(Limit::LogBytes, 15), 15));
    let errors = "(call $write (i32.const 2) (i32.const 0) (i32.const 16))";
    let mut run = Run::start(errors).limits(|limits| limits.log_bytes = 15);
    assert_eq!(run.status(), exceeded(Limit::LogBytes, 15));
}

#[test]
fn host_calls_are_counted() {
    let run = |calls: usize| {
        Run::start(&"(drop (call $sched_yield))".repeat(calls))
            .limits(|limits| limits.host_calls = 5)
            .status()
    };
    assert_eq!(run(5), Status::Completed);
    assert_eq!(run(6), exceeded(Limit::HostCalls, 5));
}

#[test]
fn endless_recursion_is_a_stack_overflow() {
    for items in [
        r#"(func $f (call $f)) (func (export "_start") (call $f))"#,
        r#"(func $f (export "_start") (call $f))"#,
        r#"(func $f (param i64 i64) (result i64 i64) (call $f (local.get 1) (local.get 0)))
            (func (export "_start") (drop (drop (call $f (i64.const 0) (i64.const 1)))))"#,
        r#"(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f)
            (func $f (call_indirect (type $t) (i32.const 0))) (func (export "_start") (call $f))"#,
    ] {
        assert_eq!(
            Run::module(items).fuel(1_000_000_000).status(),
            Status::StackOverflow,
            "{items}"
        );
    }
}

#[test]
fn a_start_function_overflows_like_any_other() {
    let items = r#"(func $f (call $f)) (start $f) (func (export "_start"))"#;
    assert_eq!(Run::module(items).status(), Status::StackOverflow);
}

#[test]
fn the_depth_reached_depends_on_stack_metering_alone() {
    // Each frame needs 64 bytes, 4 for its parameter, and room for the most operands at one place.
    let deep = |depth: u32| {
        let items = format!(
            r#"(func $f (param i32) (if (local.get 0)
                    (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
               (func (export "_start") (call $f (i32.const {depth})))"#
        );
        Run::module(&items).status()
    };
    // `_start` has one operand; `$f` at most two.
    let depth = (STACK_BYTES - 68) / (64 + 4 + 8) - 1;
    assert_eq!(deep(depth), Status::Completed);
    assert_eq!(deep(depth + 1), Status::StackOverflow);
}

/// Frames as large as a compiler can be made to make them: it keeps values over a call because the
/// code computes them again.
#[test]
fn the_bound_is_met_before_the_native_stack_ends() {
    type Kind = fn(usize) -> String;
    let kinds: [Kind; 5] = [
        |i| {
            format!(
                "(i64.store offset={} (i32.const 0) (i64.mul (local.get 1) (i64.const {})))",
                i * 8 % 60_000,
                i * 7_919 + 13
            )
        },
        |i| {
            format!(
                "(f64.store offset={} (i32.const 0) (f64.mul (local.get 2) (f64.const {})))",
                i * 8 % 60_000,
                i * 7_919 + 13
            )
        },
        |i| {
            format!(
                "(v128.store offset={} (i32.const 0)
                        (i64x2.mul (i64x2.splat (local.get 1)) (i64x2.splat (i64.const {}))))",
                i * 16 % 60_000,
                i * 7_919 + 13
            )
        },
        |i| {
            format!(
                "(i32.store (i32.xor (local.get 3) (i32.const {})) (i32.const 1))",
                i * 4 % 60_000
            )
        },
        |i| format!("(call $g (i64.mul (local.get 1) (i64.const {})))", i * 7_919 + 13),
    ];
    for kind in kinds {
        for count in [100, 600, 3_000] {
            let body: String = (0..count).map(kind).collect();
            let text = format!(
                r#"(module (memory (export "memory") 1) (func $g (param i64))
                    (func $f (param i32 i64 f64 i32) {body}
                        (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3)) {body})
                    (func (export "_start") (call $f (i32.const 0) (i64.const 3) (f64.const 1.5)
                        (i32.const 5))))"#
            );
            let status = Run::wat(&text).fuel(1_000_000_000).status();
            assert_eq!(status, Status::StackOverflow, "{} {count}", kind(0));
        }
    }
}

#[test]
fn a_guests_own_unreachable_is_no_stack_overflow() {
    assert_eq!(Run::start("unreachable").status(), trapped("unreachable"));
}

#[test]
fn returning_gives_the_stack_back() {
    let items = r#"
        (func $leave (param i32) (result i32)
            (block $out
                (br_if $out (local.get 0))
                (call $nothing)
                (return (i32.const 1)))
            (if (i32.eq (local.get 0) (i32.const 1)) (then (br 1 (i32.const 2))))
            (loop (result i32) (block) (return (i32.const 3))))
        (func $pair (result i32 i64) (call $nothing) (block (return (i32.const 5) (i64.const 6)))
            (i32.const 0) (i64.const 0))
        (func $nothing)
        (func (export "_start") (local $i i32)
            (loop $l
                (if (i32.ne (call $leave (i32.const 0)) (i32.const 1)) (then unreachable))
                (if (i32.ne (call $leave (i32.const 1)) (i32.const 2)) (then unreachable))
                (if (i64.ne (call $pair) (i64.const 6)) (then unreachable))
                (if (i32.ne (i32.const 5)) (then unreachable))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                    (i32.const 100000)))))"#;
    assert_eq!(Run::module(items).status(), Status::Completed);
}

#[test]
fn a_module_of_more_bytes_than_declared_is_not_even_parsed() {
    let status = |bytes: u32, declared: u32| {
        let bytes = vec![0; bytes as usize];
        Run::bytes(bytes).limits(|limits| limits.max_module_bytes = declared).status()
    };
    let above = |limit: u32| exceeded(Limit::ModuleBytes, limit.into());
    for declared in [1, 1_000, MAX_MODULE_BYTES] {
        assert_eq!(status(declared + 1, declared), above(declared));
        assert!(matches!(status(declared, declared), Status::InvalidModule { .. }));
    }
    // The engine has a bound of its own, which a declaration does not raise.
    assert_eq!(status(MAX_MODULE_BYTES + 1, u32::MAX), above(MAX_MODULE_BYTES));
    assert_eq!(RequestBounds::default().limits.max_module_bytes, MAX_MODULE_BYTES);
}

#[test]
fn the_hosts_deadline_is_later_than_any_accepted_execution_ends() {
    let longest = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION).execution_nanos();
    assert!(ExecutorConfig::default().deadline.as_nanos() > longest.into());
}

#[test]
fn the_declared_bytes_bound_every_kind_of_guest_under_either_meter() {
    let no_op = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let core = wat::parse_str(no_op).unwrap();
    let component = outlayer_componentize::componentize(&core).unwrap();
    let contract = wat::parse_str(
        r#"(module (import "env" "block_index" (func (result i64))) (memory 1)
            (func (export "run")))"#,
    )
    .unwrap();
    for (kind, code) in
        [(GuestKind::WasiP1, core), (GuestKind::WasiP2, component), (GuestKind::Near, contract)]
    {
        let bytes = u32::try_from(code.len()).unwrap();
        for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000)] {
            let run = |declared| {
                let mut run = Run::bytes(code.clone()).limits(|limits| {
                    (limits.compute, limits.max_module_bytes) = (compute, declared);
                    limits.memory_bytes = 128 << 20;
                });
                (run.kind, run.args) = (Some(kind), vec!["run".to_owned()]);
                run.run()
            };
            let refused = run(bytes - 1);
            assert_eq!(refused.status, exceeded(Limit::ModuleBytes, (bytes - 1).into()), "{kind}");
            assert_eq!(refused.used, Compute::new(compute.meter(), 0), "{kind}");
            let limit = |status: &Status| {
                matches!(status, Status::LimitExceeded { which: Limit::ModuleBytes, .. })
            };
            assert!(!limit(&run(bytes).status), "{kind}");
        }
    }
}

const NO_START: &str = "there is no export _start: a guest exports a function _start, without \
    parameters and results, and its memory as memory";
const NO_RUN: &str = "there is no export wasi:cli/run@0.2: a guest exports this interface, with \
    its function run: func() -> result";

#[test]
fn modules_that_cannot_be_run_say_why() {
    let memory = r#"(memory (export "memory") 1)"#;
    let start = r#"(func (export "_start"))"#;
    for (text, reason) in [
        (format!("(module {memory})"), NO_START),
        (
            format!(r#"(module (import "wasi_unstable" "sock_accept" (func)) {memory} {start})"#),
            "import wasi_unstable.sock_accept: the host has no such function",
        ),
        (
            format!(r#"(module {memory} (func (export "_start") (param i32)))"#),
            "the export _start must be a function without parameters and results",
        ),
        (
            format!(r#"(module {memory} (global (export "_start") i32 (i32.const 0)))"#),
            "the export _start must be a function without parameters and results",
        ),
        (
            format!(r#"(module (func (export "memory")) {start})"#),
            "the export memory must be a memory",
        ),
        (
            format!(r#"(module (import "env" "f" (func)) {memory} {start})"#),
            "import env.f: the host has no such function",
        ),
        (
            format!(
                r#"(module (import "wasi_snapshot_preview1" "path_opem" (func)) {memory} {start})"#
            ),
            "import wasi_snapshot_preview1.path_opem: the host has no such function",
        ),
        (
            format!(r#"(module (import "outlayer" "log" (func (param i64))) {memory} {start})"#),
            "incompatible import type for `outlayer::log`",
        ),
        (
            format!(r#"(module (import "outlayer" "log" (global i32)) {memory} {start})"#),
            "incompatible import type for `outlayer::log`",
        ),
        (
            format!(r#"(module {memory} {start} (func (export "outlayer:stack")))"#),
            "the export \"outlayer:stack\" is reserved",
        ),
        (
            format!("(module {memory} {start} (func (result i32) (i64.const 0)))"),
            "type mismatch: expected i32, found i64",
        ),
        (
            "(module (memory i64 1))".to_owned(),
            "memory64 must be enabled for 64-bit memories: guests may not use 64-bit memories and \
             tables; build for wasm32",
        ),
    ] {
        assert_eq!(Run::wat(&text).status(), invalid(reason), "{text}");
    }
    for (bytes, reason) in [
        (b"".to_vec(), "these bytes are no WebAssembly module or component"),
        (b"(module)".to_vec(), "these bytes are no WebAssembly module or component"),
        (b"\0asm\x01\0\0\0\x01\xff".to_vec(), "unexpected end-of-file"),
    ] {
        assert_eq!(Run::bytes(bytes).status(), invalid(reason));
    }
}

#[test]
fn nondeterministic_proposals_are_not_accepted() {
    for items in [
        "(memory 1 1 shared)",
        "(memory i64 1)",
        "(func (param externref))",
        "(type (struct))",
        "(tag)",
    ] {
        let status = Run::wat(&format!("(module {items})")).status();
        assert!(matches!(status, Status::InvalidModule { .. }), "{items}: {status:?}");
    }
}

#[test]
fn a_required_kind_that_is_not_found_is_a_verdict() {
    let mut run = Run::start("");
    run.kind = Some(GuestKind::WasiP1);
    assert_eq!(run.status(), Status::Completed);
    run.kind = Some(GuestKind::WasiP2);
    assert_eq!(
        run.status(),
        invalid("the request requires a wasi-p2 guest, this is a wasi-p1 guest")
    );
    assert_eq!(Run::wat("(component)").status(), invalid(NO_RUN));
}

#[test]
fn a_job_that_no_request_can_be_is_a_fault() {
    for (name, value) in [("TZ", "x"), ("OUTLAYER_X", "x"), ("A=B", "x"), ("", "x"), ("A", "x\0y")]
    {
        let mut run = Run::start("");
        run.env = vec![(name.to_owned(), value.to_owned())];
        assert!(matches!(run.try_run(), Err(Fault::Job(_))), "{name}");
    }
    let mut run = Run::start("");
    run.args = vec!["a\0b".to_owned()];
    assert!(matches!(run.try_run(), Err(Fault::Job(_))));
}

#[test]
fn the_hosts_deadline_is_no_verdict() {
    let deadline = Duration::from_millis(50);
    let executor = Executor::new(ExecutorConfig { deadline, ..ExecutorConfig::default() }).unwrap();
    let mut run = Run::start("(loop $l (br $l))").fuel(u64::MAX);
    assert_eq!(run.on(&executor), Err(Fault::Deadline(deadline)));
    assert_eq!(Run::start("").on(&executor).unwrap().status, Status::Completed);
}

#[test]
fn no_character_of_the_log_is_cut() {
    let text = "aжжжж";
    let run = |limit: u32| {
        let items = format!(
            r#"(data (i32.const 0) "{text}")
                (func (export "_start") (call $log (i32.const 0) (i32.const {})))"#,
            text.len()
        );
        Run::module(&items).limits(|limits| limits.log_bytes = limit).run()
    };
    for limit in 0..text.len() {
        let execution = run(u32::try_from(limit).unwrap());
        assert_eq!(execution.status, exceeded(Limit::LogBytes, limit as u64));
        let kept = String::from_utf8(execution.logs).unwrap();
        assert!(text.starts_with(&kept) && kept.len() + 2 > limit, "{limit}: {kept}");
    }
}

#[test]
fn every_trap_has_its_reason() {
    for (body, reason) in [
        ("unreachable", "unreachable"),
        ("(drop (i32.load (i32.const 65533)))", "memory out of bounds"),
        ("(i64.store (i32.const -8) (i64.const 1))", "memory out of bounds"),
        ("(memory.fill (i32.const 65000) (i32.const 0) (i32.const 1000))", "memory out of bounds"),
        ("(drop (i32.div_s (i32.const 1) (local.get $i)))", "integer division by zero"),
        ("(drop (i64.rem_u (i64.const 1) (local.get $x)))", "integer division by zero"),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1))))",
            "integer overflow",
        ),
        ("(drop (i32.trunc_f64_s (f64.const nan)))", "invalid conversion to integer"),
        ("(drop (i32.trunc_f64_s (f64.const 1e30)))", "integer overflow"),
        ("(call_indirect (type $none) (i32.const 9))", "table out of bounds"),
        ("(call_indirect (type $none) (i32.const 1))", "indirect call to null"),
        ("(call_indirect (type $none) (i32.const 0))", "indirect call type mismatch"),
        ("(drop (table.get 0 (i32.const 9)))", "table out of bounds"),
        ("(table.fill 0 (i32.const 1) (ref.null func) (i32.const 9))", "table out of bounds"),
    ] {
        let items = format!(
            r#"(type $none (func)) (table 2 funcref) (elem (i32.const 0) $other)
                (func $other (param i32))
               (func (export "_start") (local $i i32) (local $x i64) {body})"#
        );
        assert_eq!(Run::module(&items).status(), trapped(reason), "{body}");
    }
}

#[test]
fn segments_that_do_not_fit_trap_at_instantiation() {
    let text = r#"(module (memory (export "memory") 1) (data (i32.const 65535) "ab")
            (func (export "_start")))"#;
    assert_eq!(Run::wat(text).status(), trapped("memory out of bounds"));
    let text = r#"(module (memory (export "memory") 1) (table 1 funcref) (func $f (export "_start"))
            (elem (i32.const 1) $f))"#;
    assert_eq!(Run::wat(text).status(), trapped("table out of bounds"));
}

/// The compute ends in a function that does not look, and many others wait for their calls to
/// return. They go on for a few calls at most: to their ends, it would take seconds or minutes.
#[test]
fn an_execution_whose_compute_has_ended_is_over() {
    let guest = |depth: u32, calls: usize, operators: usize| {
        let calls = "(call $leaf)".repeat(calls);
        let roots = "(f64.sqrt)".repeat(operators);
        Run::wat(&format!(
            r#"(module (memory (export "memory") 1024 2048) (global $x (mut f64) (f64.const 3))
                (func $leaf (global.get $x) {roots} (global.set $x))
                (func $deep (param i32)
                    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                    {calls})
                (func $straight {calls})
                (func (export "_start") (call $deep (i32.const {depth})) (call $straight)))"#
        ))
        .limits(|limits| limits.memory_bytes = 128 << 20)
    };
    let deadline = Duration::from_secs(2);
    let executor = Executor::new(ExecutorConfig { deadline, ..ExecutorConfig::default() }).unwrap();
    // Small functions that do not look, and many frames that call them.
    for fuel in [230_000, 250_000] {
        let execution = guest(13_000, 254, 180).fuel(fuel).on(&executor).unwrap();
        assert_eq!(
            (execution.status, execution.used),
            (Status::OutOfFuel, Compute::Fuel(fuel)),
            "{fuel}"
        );
    }
    for more in [700_000_000, 1_000_000_000] {
        let run = guest(50, 5_000, 100_000);
        // Loading a module costs this much.
        let gas = 35_445_963 + 1_089_295 * run.code.len() as u64 + more;
        let mut run = run.limits(|limits| limits.compute = Compute::Gas(gas));
        let execution = run.on(&executor).unwrap();
        assert_eq!((execution.status, execution.used), (Status::OutOfGas, Compute::Gas(gas)));
    }
}
