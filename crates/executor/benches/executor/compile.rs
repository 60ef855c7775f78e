//! Code that is not compiled yet, or that an earlier process has compiled.

use criterion::{BatchSize, Criterion, Throughput};
use outlayer_executor::{CacheCounts, Executor, ExecutorConfig};

use crate::guests::{Guest, large, large_contract};

fn guests(bytes: usize) -> [(&'static str, Guest); 4] {
    let (module, contract) = (large(bytes), large_contract(bytes));
    [
        ("core, fuel", Guest::fuel(&module)),
        ("core, gas", Guest::gas(&module)),
        ("component", Guest::component(&module)),
        ("near", Guest::near(&contract)),
    ]
}

pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("cold, 100 KB");
    group.sample_size(10);
    // Nothing is kept, so each execution compiles.
    let executor =
        Executor::new(ExecutorConfig { cache_bytes: 0, ..ExecutorConfig::default() }).unwrap();
    for (kind, guest) in guests(100 << 10) {
        group.throughput(Throughput::Bytes(guest.bytes()));
        group.bench_function(kind, |b| b.iter(|| guest.run(&executor)));
    }
    group.finish();

    let mut group = c.benchmark_group("after a restart, 1 MB");
    group.sample_size(20);
    let folder = tempfile::tempdir().unwrap();
    let config = ExecutorConfig {
        cache_dir: Some(folder.path().to_owned()),
        pool: Some(1),
        ..ExecutorConfig::default()
    };
    for (kind, guest) in guests(1 << 20) {
        guest.run(&Executor::new(config.clone()).unwrap());
        group.throughput(Throughput::Bytes(guest.bytes()));
        group.bench_function(kind, |b| {
            b.iter_batched_ref(
                || Executor::new(config.clone()).unwrap(),
                |executor| {
                    guest.run(executor);
                    assert_eq!(
                        executor.cache_counts(),
                        CacheCounts { loaded: 1, ..CacheCounts::default() }
                    );
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    c.bench_function("an executor is set up", |b| {
        b.iter_with_large_drop(|| Executor::new(config.clone()).unwrap());
    });
}
