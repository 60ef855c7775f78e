//! All cores at once, on one executor.

use std::{thread, time::Instant};

use criterion::{Criterion, Throughput};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_kernels::corpus;

use crate::guests::{Guest, no_op, no_op_contract};

pub(crate) fn benches(c: &mut Criterion) {
    let cores = thread::available_parallelism().unwrap().get();
    let config = ExecutorConfig { pool: u32::try_from(cores).ok(), ..ExecutorConfig::default() };
    let executor = &Executor::new(config).unwrap();
    let mut group = c.benchmark_group(format!("{cores} cores"));
    group.throughput(Throughput::Elements(1));
    let kernel = corpus().unwrap().into_iter().find(|kernel| kernel.name == "sieve").unwrap();
    for (what, guest) in [
        ("no-op, core".to_owned(), Guest::fuel(&no_op())),
        ("no-op, component".to_owned(), Guest::component(&no_op())),
        ("no-op, near".to_owned(), Guest::near(&no_op_contract())),
        ("kernel sieve".to_owned(), Guest::fuel(&kernel.wasm)),
    ] {
        group.bench_function(what, |b| {
            b.iter_custom(|executions| {
                let began = Instant::now();
                thread::scope(|scope| {
                    for thread in 0..cores as u64 {
                        let guest = &guest;
                        scope.spawn(move || {
                            for _ in (thread..executions).step_by(cores) {
                                guest.run(executor);
                            }
                        });
                    }
                });
                began.elapsed()
            });
        });
    }
    group.finish();
}
