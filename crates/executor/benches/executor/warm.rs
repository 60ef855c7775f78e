//! A guest that does nothing and is already compiled: what an execution costs by itself.

use criterion::Criterion;
use outlayer_executor::{Executor, ExecutorConfig};

use crate::guests::{Guest, no_op, no_op_contract};

pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("warm no-op");
    let guests = [
        ("core, fuel", Guest::fuel(&no_op())),
        ("core, gas", Guest::gas(&no_op())),
        ("component", Guest::component(&no_op())),
        ("near", Guest::near(&no_op_contract())),
    ];
    for (pools, pool) in [("pools", Some(1)), ("no pools", None)] {
        let executor = Executor::new(ExecutorConfig { pool, ..ExecutorConfig::default() }).unwrap();
        for (kind, guest) in &guests {
            // Contracts have pools of their own.
            if *kind != "near" || pool.is_some() {
                group.bench_function(format!("{kind}, {pools}"), |b| {
                    b.iter(|| guest.run(&executor))
                });
            }
        }
    }
    group.finish();
}
