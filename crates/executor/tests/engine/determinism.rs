//! The same job gives the same execution: when repeated, on another thread, with an executor that
//! is configured differently, and beside other executions.

use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Hash32, Status};

use crate::common::{self, Run, corpus};

/// Guests that try every way to see a difference; `corpus` says which.
fn prying() -> Vec<(&'static str, Run)> {
    let guests =
        [("curious", corpus::curious()), ("deep", corpus::deep()), ("nans", corpus::nans())];
    let by = |run: &Run, compute| run.clone().limits(|limits| limits.compute = compute);
    guests
        .into_iter()
        .flat_map(|(name, run)| {
            [Compute::Fuel(1_000_000_000), Compute::Gas(300_000_000_000_000)]
                .map(|compute| (name, by(&run, compute)))
        })
        .collect()
}

#[test]
fn a_hundred_replays_are_identical() {
    let first = corpus::curious().run();
    assert_eq!(first.status, Status::Completed);
    assert!(
        !first.output.is_empty()
            && !first.journal.is_empty()
            && !first.reads.is_empty()
            && !first.logs.is_empty()
    );
    for (name, mut run) in prying() {
        let first = run.run();
        for _ in 0..100 {
            assert_eq!(run.run(), first, "{name}");
        }
    }
}

/// A guest can tell executions apart only by what it is told. Another seed, block, caller or input
/// shows in its output, which proves that the guest does look.
#[test]
fn the_curious_guest_sees_whatever_differs() {
    let first = corpus::curious().run();
    let differs = |change: fn(&mut Run)| {
        let mut run = corpus::curious();
        change(&mut run);
        run.run() != first
    };
    assert!(differs(|run| run.context.random_seed = Hash32([1; 32])));
    assert!(differs(|run| run.context.block_timestamp += 1));
    assert!(differs(|run| run.context.block_height += 1));
    assert!(differs(|run| run.context.predecessor_id = "other.near".parse().unwrap()));
    assert!(differs(|run| run.args.reverse()));
    assert!(differs(|run| run.env.reverse()));
    assert!(differs(|run| run.input.push(0)));
    assert!(differs(|run| run.storage.values.clear()));
}

#[test]
fn neither_optimisation_nor_pools_nor_the_cache_change_anything() {
    for (name, mut run) in prying() {
        let first = run.run();
        for optimize in [true, false] {
            for pool in [None, Some(4)] {
                let config =
                    ExecutorConfig { optimize, pool, cache_bytes: 0, ..ExecutorConfig::default() };
                let executor = Executor::new(config).unwrap();
                for _ in 0..3 {
                    assert_eq!(
                        run.on(&executor).unwrap(),
                        first,
                        "{name}, optimize {optimize}, pool {pool:?}"
                    );
                }
            }
        }
    }
}

/// A place of the pools must not be smaller than what a guest may have without pools.
#[test]
fn every_bound_is_the_same_with_pools() {
    let pooled =
        Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() }).unwrap();
    let alone = Executor::new(ExecutorConfig::default()).unwrap();
    let grow_table = |table: &str, elements: u32| {
        Run::module(&format!(
            r#"(table $t {table} funcref) (func (export "_start")
                (call $emit (i64.extend_i32_s
                    (table.grow $t (ref.null func) (i32.const {elements})))))"#
        ))
        .limits(|limits| limits.table_elements = 1_000_000)
    };
    let deep = "(func $f (param i64) (call $f (i64.add (local.get 0) (i64.const 1)))
            (drop (local.get 0)))";
    let mut guests = vec![
        grow_table("1", 999_999),
        grow_table("1", 1_000_000),
        grow_table("1", 200_000_000),
        grow_table("1", u32::MAX),
        grow_table("1 3000000", 2_500_000),
        grow_table("1 3000000", 3_500_000),
        grow_table("1 200000000", 150_000_000),
        Run::module(&format!(r#"{} (func (export "_start"))"#, "(table 3 funcref)".repeat(90))),
        Run::start("(call $emit (i64.extend_i32_s (memory.grow (i32.const 100000))))"),
        Run::start("(call $emit (i64.extend_i32_s (memory.grow (i32.const 2000))))"),
        Run::module(&format!(r#"{deep} (func (export "_start") (call $f (i64.const 0)))"#)),
        common::components::wasi("(call $emit (i64.extend_i32_s (memory.grow (i32.const 2000))))"),
    ];
    guests.push(common::components::wasi(
        "(loop $l (call $emit (i64.extend_i32_s (memory.grow (i32.const 1)))) (br $l))",
    ));
    for (index, guest) in guests.iter_mut().enumerate() {
        let expected = guest.on(&alone).unwrap();
        for _ in 0..2 {
            assert_eq!(guest.on(&pooled).unwrap(), expected, "guest {index}");
        }
    }
}
