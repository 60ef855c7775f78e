//! Where a guest trapped is said for people, and is no part of what an execution yields.

use outlayer_executor::{Execution, Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Status};

use crate::common::{Run, components, trapped};

/// Calls three functions deep, and traps in the innermost one.
const NAMED: &str = r#"(module
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (func $innermost (unreachable))
    (func $between (drop (call $yield)) (call $innermost))
    (func $start (export "_start") (call $between)))"#;

/// The same bytes with a section that names functions to nobody.
fn unnamed() -> Run {
    let mut run = Run::wat(NAMED);
    let place = run.code.windows(5).position(|bytes| bytes == b"\x04name").unwrap();
    run.code[place..place + 5].copy_from_slice(b"\x04none");
    run
}

fn gas(run: Run) -> Run {
    run.limits(|limits| limits.compute = Compute::Gas(1 << 40))
}

fn frames(execution: &Execution) -> Vec<&str> {
    execution.backtrace.frames().iter().map(String::as_str).collect()
}

#[test]
fn a_trap_says_the_functions_by_name_and_without_names_by_number() {
    for meter in [|run| run, gas] {
        let named = meter(Run::wat(NAMED)).run();
        assert_eq!(frames(&named), ["innermost", "between", "start"]);
        let unnamed = meter(unnamed()).run();
        assert_eq!(frames(&unnamed), ["function 1", "function 2", "function 3"]);
        // Nothing of the names is in what is answered.
        assert_eq!(named.status, trapped("unreachable"));
        assert_eq!(named.into_response(7), unnamed.into_response(7));
    }
}

#[test]
fn what_metering_adds_does_not_appear() {
    // The growth of the memory is a function of metering's, and the trap comes right after it.
    let grows = |body: &str| {
        let text = format!(
            r#"(module (memory (export "memory") 1 3) (table 1 funcref)
                (func $grows (param i32) {body})
                (func $main (export "_start") (call $grows (i32.const 1))))"#
        );
        Run::wat(&text)
    };
    for body in [
        "(drop (memory.grow (local.get 0))) (unreachable)",
        "(memory.fill (i32.const 65500) (i32.const 0) (i32.const 100))",
        "(call_indirect (i32.const 0))",
        "(drop (i32.div_u (local.get 0) (i32.const 0)))",
    ] {
        for meter in [|run| run, gas] {
            let execution = meter(grows(body)).run();
            assert!(matches!(execution.status, Status::Trapped { .. }), "{execution:?}");
            assert_eq!(frames(&execution), ["grows", "main"], "{body}");
        }
    }
}

#[test]
fn a_trap_of_a_host_function_says_who_called_it() {
    let run = Run::wat(
        r#"(module
            (import "outlayer" "storage_read" (func $read (param i32 i32 i32 i32) (result i64)))
            (memory (export "memory") 1)
            (func $asks (drop
                (call $read (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 9))))
            (func $main (export "_start") (call $asks)))"#,
    );
    for run in [run.clone(), gas(run)] {
        let execution = run.clone().run();
        assert!(matches!(execution.status, Status::Trapped { .. }), "{execution:?}");
        assert_eq!(frames(&execution), ["asks", "main"]);
    }
}

#[test]
fn the_start_function_traps_by_its_name() {
    let run = Run::wat(
        r#"(module (memory (export "memory") 1) (func $begins (unreachable)) (start $begins)
            (func (export "_start")))"#,
    );
    assert_eq!(frames(&run.clone().run()), ["begins"]);
    assert_eq!(frames(&gas(run).run()), ["begins"]);
}

#[test]
fn a_stack_that_ends_says_what_called_itself_and_the_list_is_cut() {
    let run = Run::wat(
        r#"(module (memory (export "memory") 1) (func $again (call $again))
            (func (export "_start") (call $again)))"#,
    );
    for run in [run.clone().fuel(1 << 30), gas(run)] {
        let execution = run.clone().run();
        assert_eq!(execution.status, Status::StackOverflow);
        let (last, others) = execution.backtrace.frames().split_last().unwrap();
        assert_eq!((others.len(), last.as_str()), (32, "…"));
        assert!(others.iter().all(|name| name == "again"), "{others:?}");
    }
}

#[test]
fn what_ends_otherwise_says_nothing() {
    for run in [
        Run::start(""),
        Run::start("(loop $l (br $l))").fuel(100_000),
        Run::start("(call $proc_exit (i32.const 3))"),
        Run::start("(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (loop $l (br $l))")
            .fuel(100_000),
    ] {
        let execution = run.clone().run();
        assert!(!matches!(execution.status, Status::Trapped { .. }), "{execution:?}");
        assert!(execution.backtrace.is_empty(), "{execution:?}");
    }
}

#[test]
fn names_are_shown_so_that_a_terminal_does_nothing() {
    let mut code = wat::parse_str(
        r#"(module (memory (export "memory") 1) (func (export "_start") (unreachable)))"#,
    )
    .unwrap();
    // A name section of one function, which is called ESC [ 2 J BEL.
    code.extend(b"\0\x0f\x04name\x01\x08\x01\0\x05\x1b[2J\x07");
    assert_eq!(frames(&Run::bytes(code).run()), [r"\u{1b}[2J\u{7}"]);
}

#[test]
fn a_module_that_was_kept_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let executor = || {
        let cache_dir = Some(folder.path().join("cache"));
        Executor::new(ExecutorConfig { cache_dir, ..ExecutorConfig::default() }).unwrap()
    };
    let component = components::wasi("(unreachable)");
    for run in [Run::wat(NAMED), gas(Run::wat(NAMED)), component] {
        let compiled = run.clone().on(&executor()).unwrap();
        assert!(!compiled.backtrace.is_empty());
        let again = executor();
        assert_eq!(run.clone().on(&again).unwrap(), compiled);
        assert_eq!(again.cache_counts().compiled, 0);
    }
}

#[test]
fn a_component_says_the_functions_of_its_modules() {
    let text = r#"(module (memory (export "memory") 1) (func $deep (unreachable))
        (func $start (export "_start") (call $deep)))"#;
    let execution = components::from_text(text).run();
    assert_eq!(execution.status, trapped("unreachable"));
    // The last one is of the module that makes a command of `_start`.
    assert_eq!(frames(&execution), ["deep", "start", "wasi:cli/run@0.2.12#run"]);
    let unnamed = text.replace("$deep", "").replace("call ", "call 0").replace("$start", "");
    let execution = components::from_text(&unnamed).run();
    let found = frames(&execution);
    assert!(found[0].starts_with("function ") && found[0].ends_with(" of module 0"), "{found:?}");
}
