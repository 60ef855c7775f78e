//! The modules of a component share what counts their fuel and their stack.

use outlayer_executor::{fuel, prepare::meter::STACK_BYTES};
use outlayer_protocol::{Compute, Limit, Status};

use crate::common::{Run, components, trapped};

/// More than any of these guests uses, but for those without end.
const PLENTY: u64 = 10_000_000;

/// A component that makes these modules and instances, the last of which is `$i` and exports
/// `run`.
fn component(inside: &str) -> Run {
    Run::wat(&format!(
        r#"(component {inside}
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    ))
    .fuel(PLENTY)
}

/// So many turns of a loop that counts in `$i`.
fn after(times: u32) -> String {
    format!(
        "(local.set $i (i32.const {times}))
        (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    )
}

/// A body with so many turns of a loop.
fn turns(times: u32) -> String {
    format!("(local $i i32) {}", after(times))
}

fn used(mut run: Run) -> u64 {
    let execution = run.run();
    assert_eq!(execution.status, Status::Completed);
    execution.used.amount()
}

/// A module that starts with this, and runs nothing.
fn starting(start: &str) -> String {
    format!(
        r#"(core module $m (func $s {start}) (start $s)
            (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))"#
    )
}

/// A module whose `run` does this.
fn running(run: &str) -> String {
    format!(
        r#"(core module $m (func $s {run}) (func (export "run") (result i32)
            (call $s) (i32.const 0)))
        (core instance $i (instantiate $m))"#
    )
}

#[test]
fn what_start_functions_use_costs_what_it_costs_elsewhere() {
    let cost = |body: &dyn Fn(&str) -> String| {
        let [few, many] = [10, 1_000].map(|times| used(component(&body(&turns(times)))));
        many - few
    };
    assert_eq!(cost(&starting), cost(&running));
    // One instance after another.
    let instances = |count: usize| {
        let more = "(core instance (instantiate $m))".repeat(count - 1);
        used(component(&format!("{} {more}", starting(&turns(1_000)))))
    };
    assert_eq!(instances(3) - instances(2), instances(2) - instances(1));
    assert!(instances(2) > 2 * cost(&starting));
}

/// Work of all kinds that a module pays for: loops, calls, growth, bulk operators.
fn work(times: u32) -> String {
    format!(
        "(local $n i32) (local.set $n (i32.const {times}))
        (loop $l
            (drop (memory.grow (i32.rem_u (local.get $n) (i32.const 2))))
            (memory.fill (i32.const 0) (local.get $n) (local.get $n))
            (call $g (local.get $n))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    )
}

#[test]
fn code_costs_inside_of_a_component_what_it_costs_in_a_module() {
    const ITEMS: &str = r#"(memory (export "memory") 1) (global $own (mut i32) (i32.const 7))
        (table 3 funcref) (elem (i32.const 0) $f)
        (func $f (param i32) (global.set $own (i32.add (global.get $own) (local.get 0))))
        (func $g (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0)))"#;
    let module = |times| {
        let text = format!(r#"(module {ITEMS} (func (export "_start") {}))"#, work(times));
        used(Run::wat(&text).fuel(PLENTY))
    };
    let inside = |times| {
        used(component(&format!(
            r#"(core module $m {ITEMS} (func $start {}) (func (export "run") (result i32)
                (call $start) (i32.const 0))) (core instance $i (instantiate $m))"#,
            work(times)
        )))
    };
    for times in [2, 3, 10, 100] {
        assert_eq!(inside(times) - inside(1), module(times) - module(1), "{times}");
    }
    assert!(inside(1) - module(1) < 2 * fuel::ENTRY + 10);
}

#[test]
fn globals_keep_their_meaning() {
    let outcome = |expected: i32| {
        let mut run = component(&format!(
            r#"(core module $a
                (global (export "one") (mut i32) (i32.const 1))
                (global (export "two") i32 (i32.const 2))
                (global $own (mut i64) (i64.const 3))
                (func (export "add") (global.set $own (i64.add (global.get $own) (i64.const 1)))
                    (global.set 0 (i32.wrap_i64 (global.get $own)))))
            (core instance $a (instantiate $a))
            (core module $b
                (import "a" "one" (global $one (mut i32))) (import "a" "two" (global $two i32))
                (import "a" "add" (func $add))
                (global $three (export "three") (mut i32) (global.get $two))
                (global $four (mut i32) (i32.const 40))
                (func (export "run") (result i32)
                    (call $add) (call $add)
                    (global.set $four (i32.add (global.get $four) (global.get $three)))
                    (i32.ne (i32.const {expected}) (i32.add (global.get $one)
                        (i32.add (global.get $four) (global.get $two))))))
            (core instance $i (instantiate $b (with "a" (instance $a))))"#
        ));
        run.status()
    };
    assert_eq!(outcome(5 + 42 + 2), Status::Completed);
    assert_eq!(outcome(0), Status::Exited { code: 1 });
}

#[test]
fn modules_and_host_functions_use_the_same_fuel() {
    // Each turn has both: a line that is written, and a loop.
    let body = format!(
        "(local.set $j (i32.const 9)) (loop $m (call $print (i32.const 0) (i32.const 40))
            {} (br_if $m (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))",
        after(30)
    );
    let whole = components::wasi(&body).run();
    let (status, used) = (&whole.status, whole.used.amount());
    assert_eq!(*status, Status::Completed);
    assert_eq!(components::wasi(&body).fuel(used).run(), whole);
    for short in (0..used).step_by(97).chain([used - 1]) {
        let execution = components::wasi(&body).fuel(short).run();
        assert_eq!((execution.status, execution.used), (Status::OutOfFuel, Compute::Fuel(short)));
    }
    // Whichever of the two does not end.
    for endless in
        ["(loop $l (br $l))", "(loop $l (call $print (i32.const 0) (i32.const 1)) br $l)"]
    {
        let execution = components::wasi(&format!("{body} {endless}")).fuel(used + 1_000).run();
        assert_eq!(
            (execution.status, execution.used),
            (Status::OutOfFuel, Compute::Fuel(used + 1_000))
        );
    }
}

#[test]
fn a_component_that_calls_itself_through_its_own_interface_traps() {
    let mut run = component(
        r#"(core module $f (func (export "f")))
            (core instance $f (instantiate $f))
            (func $lifted (canon lift (core func $f "f")))
            (core func $lowered (canon lower (func $lifted)))
            (core module $m (import "f" "f" (func $f))
                (func (export "run") (result i32) (call $f) (i32.const 0)))
            (core instance $i (instantiate $m
                (with "f" (instance (export "f" (func $lowered))))))"#,
    );
    assert_eq!(run.status(), trapped("a component was entered again before it had returned"));
}

#[test]
fn what_start_functions_use_is_just_enough() {
    let run = || component(&starting(&turns(1_000)));
    let used = used(run());
    for enough in [used, used + 1, 1 << 40, u64::MAX] {
        let execution = run().fuel(enough).run();
        assert_eq!((execution.status, execution.used), (Status::Completed, Compute::Fuel(used)));
    }
    for short in [used - 1, used / 2, 63, 1, 0] {
        let execution = run().fuel(short).run();
        assert_eq!((execution.status, execution.used), (Status::OutOfFuel, Compute::Fuel(short)));
    }
}

#[test]
fn a_start_function_that_does_not_end_uses_what_there_is() {
    for fuel in [1_000, 1_000_003, PLENTY] {
        let execution = component(&starting("(loop $l (br $l))")).fuel(fuel).run();
        assert_eq!((execution.status, execution.used), (Status::OutOfFuel, Compute::Fuel(fuel)));
    }
}

#[test]
fn what_ends_in_a_start_function_is_billed() {
    let whole = used(component(&starting(&turns(1_000))));
    let billed = |inside: &str, status: &dyn Fn(&Status) -> bool| {
        let execution = component(inside).run();
        assert!(status(&execution.status), "{:?}", execution.status);
        execution.used.amount()
    };
    let trapped = |status: &Status| matches!(status, Status::Trapped { .. });
    for last in ["unreachable", "(drop (i32.div_u (i32.const 1) (local.get $i)))"] {
        let billed = billed(&starting(&format!("{} {last}", turns(1_000))), &trapped);
        assert!((whole - 100..whole + 100).contains(&billed), "{last}: {billed} of {whole}");
    }
    // The next instance is one too many.
    let mut one_too_many = component(&format!(
        "{} (core instance (instantiate $m)) (core instance (instantiate $m))",
        starting(&turns(1_000))
    ));
    one_too_many = one_too_many.limits(|limits| limits.instances = 2);
    let execution = one_too_many.run();
    assert_eq!(execution.status, Status::LimitExceeded { which: Limit::Instances, limit: 2 });
    assert!(execution.used.amount() > 2 * (whole - 100), "{:?}", execution.used);
}

#[test]
fn modules_that_call_each_other_share_one_stack() {
    // Two modules, whose functions call each other through a table.
    let depth = |depth: u32| {
        let mut run = component(&format!(
            r#"(core module $t (table (export "t") 2 funcref))
            (core instance $t (instantiate $t))
            (core module $f (type $ty (func (param i32))) (import "t" "t" (table 2 funcref))
                (func $f (param i32) (if (local.get 0) (then
                    (call_indirect (type $ty)
                        (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))))
                (elem (i32.const 0) $f))
            (core instance (instantiate $f (with "t" (instance $t))))
            (core module $g (type $ty (func (param i32))) (import "t" "t" (table 2 funcref))
                (global $own (mut i32) (i32.const {depth}))
                (func $g (param i32) (if (local.get 0) (then
                    (call_indirect (type $ty)
                        (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
                (elem (i32.const 1) $g)
                (func (export "run") (result i32)
                    (call_indirect (type $ty) (global.get $own) (i32.const 0)) (i32.const 0)))
            (core instance $i (instantiate $g (with "t" (instance $t))))"#
        ));
        run.status()
    };
    assert_eq!(depth(10_000), Status::Completed);
    assert_eq!(depth(STACK_BYTES / 64), Status::StackOverflow);
    assert_eq!(depth(STACK_BYTES), Status::StackOverflow);
}

#[test]
fn a_module_cannot_have_the_tables_of_the_meter() {
    for maximum in [0x5ac_0f10, 0x5ac_0f11] {
        let mut execution = component(&format!(
            r#"(core module $m (table 0 {maximum} funcref)
                (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))"#
        ));
        let Status::InvalidModule { reason } = execution.status() else { panic!("accepted") };
        assert_eq!(reason, format!("a table with a maximum of {maximum} elements is reserved"));
    }
}
