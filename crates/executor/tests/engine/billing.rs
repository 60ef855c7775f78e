//! Work is billed however an execution ends: by a trap, by a limit, or by growth that fails.

use outlayer_executor::{Execution, fuel};
use outlayer_protocol::{Compute, Status};

use crate::common::{Run, components};

const INTERVAL: u64 = fuel::ACCOUNTING_INTERVAL;
/// The operators of one turn of the loop, and of what ends it. What is left is only written down
/// where a loop turns.
const STRETCH: u64 = 200;

fn used(execution: &Execution) -> u64 {
    let Compute::Fuel(used) = execution.used else { panic!("{:?}", execution.used) };
    used
}

/// `times` turns of a loop, then `last`.
fn after(times: u32, last: &str) -> String {
    format!(
        "(local.set $i (i32.const {times}))
        (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) {last}"
    )
}

/// Ways to end between two counts, with a variable so that nobody sees it coming.
const SUDDEN: [&str; 5] = [
    "(drop (i32.div_u (i32.const 1) (local.get $i)))",
    "(drop (i32.div_s (i32.sub (i32.const -2147483648) (local.get $i)) (i32.const -1)))",
    "(drop (i32.trunc_f32_s (f32.div (f32.const 1) (f32.convert_i32_u (local.get $i)))))",
    "(drop (i32.load offset=4294967295 (local.get $i)))",
    "(memory.fill (i32.const -8) (i32.const 0) (i32.add (local.get $i) (i32.const 16)))",
];

#[test]
fn what_ends_in_the_middle_of_code_is_billed_for_all_but_a_stretch_of_it() {
    for last in SUDDEN {
        for times in [1, 10, 1_000, 1_999, 2_000, 2_001, 5_000, 100_000] {
            let whole = used(&Run::start(&after(times, "")).run());
            let execution = Run::start(&after(times, last)).run();
            assert!(
                matches!(execution.status, Status::Trapped { .. } | Status::LimitExceeded { .. }),
                "{last}: {:?}",
                execution.status
            );
            let billed = used(&execution);
            let bounds = whole.saturating_sub(STRETCH)..=whole + STRETCH;
            assert!(bounds.contains(&billed), "{last} after {times}: {billed} of {whole}");
        }
    }
}

#[test]
fn inside_of_a_component_too() {
    for last in SUDDEN {
        let whole = used(&components::wasi(&after(3_000, "")).run());
        let billed = used(&components::wasi(&after(3_000, last)).run());
        let bounds = whole.saturating_sub(STRETCH)..=whole + STRETCH;
        assert!(bounds.contains(&billed), "{last}: {billed} of {whole}");
    }
}

#[test]
fn inside_of_a_composition_it_is_billed_for_all_of_it_and_an_interval_at_most() {
    let composition = |last: &str| {
        let run = after(3_000, last);
        Run::wat(&format!(
            r#"(component (component (core module))
                (core module $m (memory (export "memory") 1)
                    (func (export "run") (result i32) (local $i i32) {run} (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $command (export "run" (func $run)))
                (export "wasi:cli/run@0.2.0" (instance $command)))"#
        ))
    };
    for last in SUDDEN {
        let whole = used(&composition("").run());
        let billed = used(&composition(last).run());
        let bounds = whole.saturating_sub(STRETCH)..=whole + INTERVAL + STRETCH;
        assert!(bounds.contains(&billed), "{last}: {billed} of {whole}");
    }
}

#[test]
fn what_ends_at_a_count_is_billed_exactly() {
    let whole = used(&Run::start(&after(1_000, "")).run());
    for last in ["unreachable", "(call $proc_exit (i32.const 3))"] {
        let billed = used(&Run::start(&after(1_000, last)).run());
        let bounds = whole..=whole + fuel::HOST_CALL + 10;
        assert!(bounds.contains(&billed), "{last}: {billed} of {whole}");
    }
}

#[test]
fn a_trap_takes_no_more_than_the_limit_and_stays_a_trap() {
    let execution = Run::start("unreachable").fuel(100).run();
    assert!(used(&execution) < 100);
    for run in [Run::start(SUDDEN[0]), components::wasi(SUDDEN[0])] {
        let execution = run.fuel(10_000).run();
        assert!(used(&execution) <= 10_000);
        assert!(matches!(execution.status, Status::Trapped { .. }), "{:?}", execution.status);
    }
}

#[test]
fn growth_costs_what_it_adds_and_failing_costs_a_constant() {
    let cost = |memory: &str, pages: &str| {
        let text = format!(
            r#"(module (memory (export "memory") {memory}) (func (export "_start")
                (drop (memory.grow (i32.const {pages})))))"#
        );
        let execution = Run::wat(&text).run();
        assert_eq!(execution.status, Status::Completed);
        used(&execution)
    };
    let nothing = cost("1", "0");
    assert!(nothing > fuel::MEMORY_GROW);
    for pages in [1, 7, 600] {
        assert_eq!(cost("1", &pages.to_string()), nothing + pages * fuel::MEMORY_GROW_PAGE);
    }
    for pages in ["2", "1000", "60000", "-1"] {
        assert_eq!(cost("1 2", pages), nothing, "{pages}");
    }
    // Beyond the request's limit.
    for pages in ["1024", "60000", "-1"] {
        assert_eq!(cost("1", pages), nothing, "{pages}");
    }
}

#[test]
fn pages_that_cannot_be_paid_for_end_the_execution() {
    let grow = |fuel: u64, after: &str| {
        Run::start(&format!("(drop (memory.grow (i32.const 5))) {after}")).fuel(fuel).run()
    };
    let price = 5 * fuel::MEMORY_GROW_PAGE;
    let whole = used(&grow(100_000, ""));
    assert!((price..price + 200).contains(&whole), "{whole}");
    assert_eq!(grow(whole, "").status, Status::Completed);
    for (fuel, after) in [
        (whole - 1, ""),
        (price / 2, "unreachable"),
        (price, "(call $log (i32.const 0) (i32.const 3))"),
    ] {
        let execution = grow(fuel, after);
        assert_eq!((&execution.status, used(&execution)), (&Status::OutOfFuel, fuel));
        assert!(execution.logs.is_empty());
    }
}
