//! A module may have several memories, which share the request's limit.

use outlayer_executor::{Executor, ExecutorConfig, fuel};
use outlayer_protocol::{Limit, Status};
use wasmtime::Engine;

use super::{is_invalid_under_gas, used};
use crate::{
    common::{PRELUDE, Run, invalid},
    cross_engine::{nans::printed, same_fuel},
};

const PAGE: u64 = 64 << 10;

/// A guest with three memories, one of them with a maximum, that may have eight pages in all.
fn of(body: &str) -> Run {
    Run::wat(&format!(
        r#"(module {PRELUDE} (memory $second 2) (memory $third 0 3)
            (data (memory $second) (i32.const 65536) "second")
            (func (export "_start") (local $i i32) {body}))"#
    ))
    .limits(|limits| limits.memory_bytes = 8 * PAGE)
}

fn grow(memory: &str, pages: i32) -> String {
    format!("(call $emit (i64.extend_i32_s (memory.grow {memory} (i32.const {pages}))))")
}

/// Uses them in all ways: copies, fills, grows, loads, stores.
pub(crate) fn guest() -> Run {
    let copies = "(memory.copy 0 $second (i32.const 100) (i32.const 65536) (i32.const 6))
        (call $print (i32.const 100) (i32.const 6))
        (memory.fill $second (i32.const 0) (i32.const 0x41) (i32.const 300))
        (memory.copy 0 $second (i32.const 200) (i32.const 0) (i32.const 300))
        (call $print (i32.const 200) (i32.const 300))
        (i64.store $second (i32.const 8) (i64.const 77))
        (call $emit (i64.load $second (i32.const 8))) (call $emit (i64.load (i32.const 8)))";
    let growth = [
        grow("$third", 1),
        grow("$third", 3),
        grow("$third", -1),
        grow("0", 2),
        grow("$second", 3),
        grow("$second", 2),
        grow("0", 1),
        grow("$third", 0),
    ];
    of(&[copies, &growth.concat()].concat())
}

#[test]
fn they_grow_within_one_limit() {
    let output = guest().output();
    let words: Vec<i64> = output[output.len() - 64..]
        .chunks(8)
        .map(|word| i64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(words, [0, -1, -1, 1, -1, 2, -1, 1]);
    is_invalid_under_gas(&guest());
    let run = of("").limits(|limits| limits.memory_bytes = 2 * PAGE);
    let limit = Status::LimitExceeded { which: Limit::MemoryBytes, limit: 2 * PAGE };
    assert_eq!(run.clone().status(), limit);
}

#[test]
fn they_hold_what_they_hold_elsewhere() {
    // Alone, nothing limits its growth but the machine, so it does not grow here.
    let copies = of("(memory.copy $third $second (i32.const 0) (i32.const 65530) (i32.const 0))
        (drop (memory.grow $third (i32.const 1)))
        (memory.copy $third $second (i32.const 0) (i32.const 65530) (i32.const 20))
        (memory.copy 0 $third (i32.const 500) (i32.const 0) (i32.const 20))
        (call $print (i32.const 500) (i32.const 20))");
    assert_eq!(copies.clone().output(), printed(&Engine::default(), &copies.code));
    same_fuel("several memories", &copies);
}

#[test]
fn each_is_paid_for_as_a_single_one() {
    let cost = |body: &str| used(&of(body)) - used(&of(""));
    let grow = |memory: &str, pages: i32| {
        cost(&format!("(drop (memory.grow {memory} (i32.const {pages})))"))
    };
    for memory in ["0", "$second", "$third"] {
        assert_eq!(grow(memory, 2) - grow(memory, 1), fuel::MEMORY_GROW_PAGE);
        assert_eq!(grow(memory, -1), 1 + fuel::MEMORY_GROW, "{memory}");
    }
    let copy = |bytes: u32| {
        cost(&format!(
            "(local.set $i (i32.const {bytes}))
            (memory.copy $second 0 (i32.const 0) (i32.const 0) (local.get $i))"
        ))
    };
    assert_eq!(copy(60_000) - copy(10), 59_990);
}

#[test]
fn a_place_of_the_pools_has_room_for_all_of_them() {
    let pooled = Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() });
    let pooled = pooled.unwrap();
    let all = format!(
        r#"{} (func (export "_start") (i32.store $last (i32.const 8) (i32.const 7))
            (call $emit (i64.load $last (i32.const 8))))"#,
        "(memory 1)".repeat(6) + "(memory $last 1)"
    );
    for mut run in [guest(), Run::module(&all)] {
        let execution = run.run();
        assert_eq!(execution.status, Status::Completed);
        for _ in 0..3 {
            assert_eq!(run.on(&pooled).unwrap(), execution);
        }
    }
}

#[test]
fn where_they_may_not_be_is_said() {
    let many = format!("(module {PRELUDE} {} )", "(memory 0)".repeat(8));
    assert_eq!(Run::wat(&many).status(), invalid("9 memories, at most 8 are allowed"));
    let status = Run::wat("(component (core module (memory 1) (memory 1)))").status();
    let Status::InvalidModule { reason } = status else { panic!("{status:?}") };
    assert!(reason.contains("several memories in a component"), "{reason}");
    for text in ["(memory i64 1)", "(table i64 1 funcref)"] {
        let status = Run::wat(&format!("(module {PRELUDE} {text})")).status();
        let Status::InvalidModule { reason } = status else { panic!("{status:?}") };
        assert!(reason.contains("build for wasm32"), "{reason}");
    }
}
