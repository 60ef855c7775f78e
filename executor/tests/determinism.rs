//! The same job gives the same execution: again, on another thread, on an engine set up otherwise, beside others.
#![allow(clippy::unwrap_used)]

mod common;

use std::thread;

use common::{Run, corpus, executor};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Hash32, Status};

/// Those that try every route to a difference: what they could see is in `corpus`.
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

/// What a guest is told is all that it can tell apart: another seed, block, caller or input shows, so the guest does look.
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

#[test]
fn tenants_side_by_side_see_nothing_of_each_other() {
    // Each leaves its mark in memory, storage and output, and shows what it found there before.
    let tenant = |name: u8| {
        let body = format!(
            "(call $print (i32.const 5000) (i32.const 16))
             (memory.fill (i32.const 5000) (i32.const {name}) (i32.const 16))
             (call $emit (call $storage_read (i32.const 5000) (i32.const 4) (i32.const 100) (i32.const 8)))
             (call $storage_write (i32.const 5000) (i32.const 4) (i32.const 5000) (i32.const 4))
             (call $random_fill (i32.const 0) (i32.const 8)) (call $print (i32.const 0) (i32.const 8))"
        );
        let mut run = Run::start(&body);
        run.context.random_seed = Hash32([name; 32]);
        run
    };
    let alone = [tenant(1).run(), tenant(2).run()];
    assert_ne!(alone[0].output, alone[1].output);
    assert!(alone.iter().all(|execution| execution.output[..16] == [0; 16]));
    let pooled =
        Executor::new(ExecutorConfig { pool: Some(8), ..ExecutorConfig::default() }).unwrap();
    for executor in [executor(), &pooled] {
        thread::scope(|scope| {
            for thread in 0..4u8 {
                let (alone, tenant) = (&alone, &tenant);
                scope.spawn(move || {
                    for turn in 0..50u8 {
                        let name = (thread + turn) % 2;
                        let execution = tenant(name + 1).on(executor).unwrap();
                        assert_eq!(execution, alone[usize::from(name)]);
                    }
                });
            }
        });
    }
}
