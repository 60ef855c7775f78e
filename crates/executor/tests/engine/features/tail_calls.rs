//! Tail calls take no stack, cost what calls cost, and end as calls do.

use outlayer_executor::fuel;
use outlayer_protocol::Status;

use super::{ends_by_its_fuel, is_invalid_under_gas, used};
use crate::common::{Run, trapped};

/// Counts down by tail calls, directly and through a table, with a call before each.
const TURNS: &str = "(type $turn (func (param i64)))
    (table 1 funcref) (elem (i32.const 0) func $indirect)
    (func $id (param i64) (result i64) (local.get 0))
    (func $direct (type $turn) (if (i64.ne (call $id (local.get 0)) (i64.const 0))
        (then (return_call $indirect (i64.sub (local.get 0) (i64.const 1))))))
    (func $indirect (type $turn) (local i64 i64 i64)
        (if (i64.eqz (call $id (local.get 0))) (then (return)))
        (return_call_indirect (type $turn) (i64.sub (local.get 0) (i64.const 1)) (i32.const 0)))";

fn turns(items: &str, turns: u64) -> Run {
    Run::module(&format!(
        r#"{items} (func (export "_start") (call $direct (i64.const {turns}))
            (call $emit (i64.const 1)))"#
    ))
}

#[test]
fn a_million_of_them_fit_into_any_stack() {
    let mut run = turns(TURNS, 1_000_000).fuel(super::PLENTY);
    assert_eq!(run.words(), [1]);
    is_invalid_under_gas(&run);
    // Calls in their place do not.
    let calls = TURNS.replace("return_call", "call");
    assert_eq!(turns(&calls, 1_000_000).fuel(super::PLENTY).status(), Status::StackOverflow);
}

#[test]
fn the_stack_is_given_back_to_the_byte() {
    // How deep calls go is the same after a million tail calls.
    let deep = |before: u64| {
        let items = format!(
            r#"{TURNS} (global $depth (mut i64) (i64.const 0))
            (func $deeper (global.set $depth (i64.add (global.get $depth) (i64.const 1)))
                (call $deeper))
            (func (export "_start") (call $direct (i64.const {before})) (call $deeper))"#
        );
        let execution = Run::module(&items).fuel(super::PLENTY).run();
        assert_eq!(execution.status, Status::StackOverflow);
        execution.used.amount()
    };
    let per_turn = deep(2) - deep(1);
    assert_eq!(deep(100_000) - deep(1_000), 99_000 * per_turn);
}

#[test]
fn they_cost_as_calls_do() {
    let cost = |items: &str| used(&turns(items, 3_000)) - used(&turns(items, 1_000));
    let calls = TURNS.replace("return_call", "call");
    assert_eq!(cost(TURNS), cost(&calls));
    assert!(cost(TURNS) > 2_000 * fuel::ENTRY * 2);
}

#[test]
fn without_end_they_end_by_their_fuel() {
    for body in [
        "(return_call $f)",
        "(return_call_indirect (i32.const 0))",
        "(call $g) (return_call $f)",
        "(loop (br_if 0 (i32.const 0))) (return_call $g)",
    ] {
        let items = format!(
            r#"(table 1 funcref) (elem (i32.const 0) func $f)
            (func $g (return_call $h)) (func $h) (func $f {body} )
            (func (export "_start") (loop (call $f) (br 0)))"#
        );
        ends_by_its_fuel(Run::module(&items));
    }
    // The start function, before anything else.
    ends_by_its_fuel(Run::module(
        r#"(func $s (return_call $s)) (start $s) (func (export "_start"))"#,
    ));
}

#[test]
fn they_pass_and_return_many_values() {
    let types = "i64 ".repeat(40);
    let gets: String = (0..40).map(|at| format!("(local.get {at})")).collect();
    let sum = "(i64.add)".repeat(39);
    let constants: String = (0..40).map(|at| format!("(i64.const {at})")).collect();
    let words = Run::module(&format!(
        r#"(func $few (param i64) (result {types}) (return_call $many {constants}))
        (func $many (param {types}) (result {types}) {gets})
        (func (export "_start") (call $few (i64.const 1)) {sum} (call $emit))"#
    ))
    .words();
    assert_eq!(words, [(0..40).sum::<u64>()]);
}

/// What is passed lies on the stack, where a caller with less has made less room for it.
#[test]
fn many_of_them_pass_many_values_and_few_in_turn() {
    let types = "i64 ".repeat(60);
    let constants = "(i64.const 1)".repeat(60);
    let last = "(local.get 59)";
    let mut run = Run::module(&format!(
        r#"(global $turns (mut i64) (i64.const 500000))
        (func $few (param i64) (result i64)
            (global.set $turns (i64.sub (global.get $turns) (local.get 0)))
            (if (i64.eqz (global.get $turns)) (then (return (i64.const 7))))
            (return_call $many {constants}))
        (func $many (param {types}) (result i64) (return_call $few {last}))
        (func (export "_start") (call $emit (call $few (i64.const 1))))"#
    ))
    .fuel(super::PLENTY);
    assert_eq!(run.words(), [7]);
}

#[test]
fn numbers_that_they_pass_are_canonical() {
    let words = Run::module(
        r#"(func $bits (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
        (func $sum (param f64) (result i64)
            (return_call $bits (f64.add (local.get 0) (f64.const -nan:0x8000000000001))))
        (func (export "_start") (call $emit (call $sum (f64.const 1))))"#,
    )
    .words();
    assert_eq!(words, [0x7ff8_0000_0000_0000]);
}

#[test]
fn a_function_of_the_host_may_be_called_so() {
    let items = |how: &str| {
        format!(
            r#"(func $put (param i32 i32 i32 i32) (result i32)
                ({how} $fd_write (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
            (data (i32.const 8) "\00\00\00\00\04\00\00\00out!")
            (func $exit ({how} $proc_exit (i32.const 3)))
            (func (export "_start")
                (i32.store (i32.const 8) (i32.const 16))
                (drop (call $put (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 0)))
                (call $exit))"#
        )
    };
    let execution = Run::module(&items("return_call")).run();
    assert_eq!(execution.status, Status::Exited { code: 3 });
    assert_eq!(execution.logs, b"out!");
    assert_eq!(execution.used, Run::module(&items("call")).run().used);
    // Its fuel ends there too.
    let items = r#"(func $f (drop (call $close)) (return_call $f))
        (func $close (result i32) (return_call $fd_close (i32.const 9)))
        (func (export "_start") (call $f))"#;
    ends_by_its_fuel(Run::module(items).limits(|limits| limits.host_calls = u64::MAX));
}

#[test]
fn they_trap_as_calls_do() {
    let status = |index: i32, ty: &str| {
        Run::module(&format!(
            r#"(table 3 funcref) (elem (i32.const 0) func $f) (func $f (param i32))
            (type $none (func)) (type $one (func (param i32)))
            (func $go {ty} (i32.const {index})))
            (func (export "_start") (call $go))"#
        ))
        .status()
    };
    let (none, one) =
        ("(return_call_indirect (type $none)", "(return_call_indirect (type $one) (i32.const 1)");
    assert_eq!(status(0, one), Status::Completed);
    assert_eq!(status(0, none), trapped("indirect call type mismatch"));
    assert_eq!(status(1, one), trapped("indirect call to null"));
    assert_eq!(status(3, one), trapped("table out of bounds"));
}

/// Two modules that call each other, of one component or of two.
fn modules(turns: u32) -> Run {
    Run::wat(&format!(
        r#"(component
            (core module $table (table (export "t") 1 funcref))
            (core instance $table (instantiate $table))
            (core module $m (import "t" "t" (table 1 funcref)) (type $turn (func (param i32)))
                (func (export "down") (param i32) (if (local.get 0) (then
                    (return_call_indirect (type $turn) (i32.sub (local.get 0) (i32.const 1))
                        (i32.const 0))))))
            (core instance $m (instantiate $m (with "t" (instance $table))))
            (core module $n (import "t" "t" (table 1 funcref)) (import "m" "down"
                (func $down (param i32))) (func $f (param i32) (return_call $down (local.get 0)))
                (elem (i32.const 0) func $f)
                (func (export "run") (result i32) (call $down (i32.const {turns})) (i32.const 0)))
            (core instance $n (instantiate $n
                (with "t" (instance $table)) (with "m" (instance $m))))
            (func $run (result (result)) (canon lift (core func $n "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    ))
}

#[test]
fn modules_of_a_component_call_each_other_so() {
    let cost = |turns: u32| used(&modules(turns));
    assert_eq!(cost(500_000) - cost(400_000), 10 * (cost(20_000) - cost(10_000)));
    ends_by_its_fuel(modules(u32::MAX));
}

/// Where the engine counts.
#[test]
fn a_composition_ends_by_its_fuel_too() {
    let run = Run::wat(
        r#"(component
            (component $inner
                (core module $m (func $f (return_call $g)) (func $g (return_call $f))
                    (func (export "run") (result i32) (call $f) (i32.const 0)))
                (core instance $m (instantiate $m))
                (func (export "run") (result (result)) (canon lift (core func $m "run"))))
            (instance $inner (instantiate $inner))
            (instance $command (export "run" (func $inner "run")))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#,
    );
    ends_by_its_fuel(run);
}
