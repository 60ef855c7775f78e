//! The module looks at its gas less often than a node does, and nobody can tell: whatever the limit
//! is, an execution ends as on a node, with the same amount.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Run, node};
use near_vm_runner::logic::errors::{FunctionCallError, HostError};
use outlayer_executor::{Execution, Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Status};

/// What NEAR charges for an operator.
const OPERATOR: u64 = 822_756;

fn run(code: &[u8], gas: u64) -> Execution {
    let mut run = Run::bytes(code.to_vec()).limits(|limits| {
        limits.compute = Compute::Gas(gas);
        limits.memory_bytes = 128 << 20;
    });
    run.run()
}

/// The status that a node's answer stands for.
fn like(status: &Status, aborted: Option<&FunctionCallError>) -> bool {
    use HostError::{GasExceeded, GasLimitExceeded, IntegerOverflow, MemoryAccessViolation};
    match status {
        Status::Completed => aborted.is_none(),
        Status::Trapped { .. } => matches!(aborted, Some(FunctionCallError::WasmTrap(_))),
        Status::StackOverflow => {
            matches!(aborted, Some(FunctionCallError::HostError(MemoryAccessViolation)))
        }
        Status::OutOfGas => matches!(
            aborted,
            Some(FunctionCallError::HostError(GasExceeded | GasLimitExceeded | IntegerOverflow))
        ),
        _ => false,
    }
}

fn loading(code: &[u8]) -> u64 {
    35_445_963 + 1_089_295 * code.len() as u64
}

/// Compares with a node for every number of operators that the limit may pay for, and for one unit
/// of gas less.
#[track_caller]
fn ends_alike_wherever_it_ends(body: &str) {
    let text = format!(r#"(module (memory (export "memory") 1024 2048) {body})"#);
    let code = wat::parse_str(text).unwrap();
    let whole = run(&code, 1 << 46);
    let operators = (whole.used.amount() - loading(&code)) / OPERATOR;
    assert!((10..2_000).contains(&operators), "{operators}: {whole:?}");
    let mut seen = Vec::new();
    for paid in 0..=operators + 2 {
        for short in [0, 1] {
            let gas = loading(&code) + paid * OPERATOR - short;
            let execution = run(&code, gas);
            let outcome = node::call(&code, "_start", b"", gas);
            let context =
                format!("{paid} operators less {short}: {execution:?}, {:?}", outcome.aborted);
            assert!(like(&execution.status, outcome.aborted.as_ref()), "{context}");
            assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()), "{context}");
            if !seen.contains(&execution.status) {
                seen.push(execution.status);
            }
        }
    }
    assert_eq!(seen, [Status::OutOfGas, whole.status]);
}

#[test]
fn a_trap_ends_an_execution_only_if_its_gas_reached_so_far() {
    // The last operators come after the one that traps.
    for trap in [
        "(drop (i32.load (i32.const -1)))",
        "(i64.store (i32.const -5) (i64.const 1))",
        "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))",
        "(drop (i32.rem_s (i32.load (i32.const 0)) (i32.load (i32.const 8))))",
        "(drop (i32.trunc_f64_s (f64.const 1e300)))",
        "unreachable",
        "(call_indirect (type $t) (i32.load (i32.const 16)))",
        "(memory.fill (i32.const -1) (i32.const 0) (i32.const 7))",
        "(i32.store (i32.const -8) (i32.add (i32.load (i32.const -8)) (i32.const 1)))",
    ] {
        ends_alike_wherever_it_ends(&format!(
            r#"(type $t (func)) (table 2 funcref)
            (func (export "_start") (local $n i32)
                (local.set $n (i32.add (i32.const 1) (i32.load (i32.const 4))))
                (i32.store (i32.const 64) (i32.mul (local.get $n) (i32.const 3)))
                {trap}
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (i32.store (i32.const 64) (i32.mul (local.get $n) (i32.const 3))))"#
        ));
    }
}

#[test]
fn loops_branches_and_calls_end_alike() {
    for body in [
        r#"(func (export "_start") (local $n i32)
            (loop $l (br_if $l (i32.lt_u
                (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9)))))"#,
        r#"(func $even (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (call $odd (i32.sub (local.get 0) (i32.const 1))))
                    (else (i32.const 1))))
            (func $odd (param i32) (result i32)
                (if (local.get 0)
                    (then (return (call $even (i32.sub (local.get 0) (i32.const 1))))))
                (i32.const 0))
            (func (export "_start") (drop (call $even (i32.const 11))))"#,
        r#"(func $leaf (param i32) (result i32)
                (block $b (block $a (br_table $a $b (local.get 0))) (return (i32.const 5)))
                (i32.load offset=8 (local.get 0)))
            (func (export "_start") (local $n i32)
                (loop $l
                    (drop (call $leaf (local.get $n)))
                    (br_if $l (i32.lt_u
                        (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 5)))))"#,
        r#"(func $s (i32.store (i32.const 0) (i32.const 1))) (start $s)
            (func (export "_start") (drop (i32.load (i32.const 0)))
                (memory.copy (i32.const 0) (i32.const 16) (i32.const 3))
                (drop (memory.grow (i32.const 2))) (drop (i32.const 1)))"#,
    ] {
        ends_alike_wherever_it_ends(body);
    }
}

/// The counter of a module is signed, and an amount of gas is not. No node takes a limit beyond a
/// quadrillion, so one that needs 64 bits counts as the highest that does not.
#[test]
fn limits_beyond_63_bits_count_as_63_bits() {
    const MOST: u64 = (1 << 63) - 1;
    // Each growth fails, and costs 3.5e15: the highest limit is reached after 2,609 of them.
    let code = wat::parse_str(
        r#"(module (memory (export "memory") 1024 2048)
            (func (export "_start") (loop $l (drop (memory.grow (i32.const -1))) (br $l))))"#,
    )
    .unwrap();
    for gas in [u64::MAX, 1 << 63, MOST, MOST - 1, 1 << 62] {
        let execution = run(&code, gas);
        let outcome = node::call(&code, "_start", b"", gas.min(MOST));
        assert_eq!(execution.status, Status::OutOfGas);
        assert_eq!(execution.used, Compute::Gas(gas.min(MOST)));
        assert_eq!(outcome.burnt_gas.as_gas(), gas.min(MOST));
    }
    let text = r#"(module (memory (export "memory") 1024 2048) (global $n (mut i32) (i32.const 0))
        (func (export "_start") (loop $l (drop (memory.grow (i32.const -1)))
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $l (i32.lt_u (global.get $n) (i32.const 2600))))))"#;
    let code = wat::parse_str(text).unwrap();
    let execution = run(&code, u64::MAX);
    let outcome = node::call(&code, "_start", b"", MOST);
    assert_eq!((execution.status, outcome.aborted), (Status::Completed, None));
    assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()));
    assert!(execution.used.amount() > MOST / 100 * 99);
}

/// The stack ends where it does on a node, in functions that call others and in those that do not.
#[test]
fn the_stack_ends_alike() {
    for (locals, operands) in [(0, 1), (1, 1), (7, 3), (40, 1), (60, 20)] {
        let locals = "i64 ".repeat(locals);
        let (push, drops) = ("(i64.const 1)".repeat(operands), "drop ".repeat(operands));
        let text = format!(
            r#"(module (memory (export "memory") 1024 2048)
                (func $leaf (local {locals}) {push} {drops})
                (func $f (param i32)
                    (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))
                    (call $leaf))
                (func (export "_start") (call $f (i32.load (i32.const 4)))
                    (i32.store (i32.const 4) (i32.const 100000))
                    (call $f (i32.load (i32.const 4)))))"#
        );
        let code = wat::parse_str(text).unwrap();
        let execution = run(&code, 1 << 46);
        let outcome = node::call(&code, "_start", b"", 1 << 46);
        assert_eq!(execution.status, Status::StackOverflow);
        assert!(like(&execution.status, outcome.aborted.as_ref()), "{:?}", outcome.aborted);
        assert_eq!(execution.used, Compute::Gas(outcome.burnt_gas.as_gas()));
    }
}

/// Nothing that a host function does for a guest whose gas has ended may be seen.
#[test]
fn a_host_function_does_nothing_for_gas_that_is_not_there() {
    let code = wat::parse_str(
        r#"(module (import "outlayer" "log" (func $log (param i32 i32)))
            (memory (export "memory") 1) (data (i32.const 0) "one two ")
            (func (export "_start")
                (call $log (i32.const 0) (i32.const 3))
                (call $log (i32.const 4) (i32.const 3))
                (drop (i32.load (i32.const 0)))))"#,
    )
    .unwrap();
    let whole = run(&code, 1 << 46);
    assert_eq!((&whole.status, whole.logs.as_slice()), (&Status::Completed, &b"one\ntwo\n"[..]));
    let executor = Executor::new(ExecutorConfig::default()).unwrap();
    let mut logs = Vec::new();
    for gas in (loading(&code)..whole.used.amount()).step_by(usize::try_from(OPERATOR).unwrap()) {
        let mut run = Run::bytes(code.clone()).limits(|limits| limits.compute = Compute::Gas(gas));
        let execution = run.on(&executor).unwrap();
        assert_eq!((execution.status, execution.used), (Status::OutOfGas, Compute::Gas(gas)));
        if logs.last() != Some(&execution.logs) {
            logs.push(execution.logs);
        }
    }
    let logs: Vec<_> = logs.iter().map(|log| String::from_utf8_lossy(log)).collect();
    assert_eq!(logs, ["", "one\n", "one\ntwo\n"]);
}
