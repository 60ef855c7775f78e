//! What metering costs: each kernel of `outlayer-calibrate` that does something, under each meter,
//! against the same bytes on a wasmtime that counts nothing.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use criterion::Criterion;
use outlayer_calibrate::corpus;
use outlayer_executor::{Executor, ExecutorConfig};
use wasmtime::{Config, Engine, InstancePre, Linker, Module, Store};

use crate::guests::Guest;

/// wasmtime with the executor's settings for the compiler, but without a meter, limits, or stack
/// metering.
fn unmetered(code: &[u8]) -> (Engine, InstancePre<()>) {
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, code).unwrap();
    let pre = Linker::new(&engine).instantiate_pre(&module).unwrap();
    (engine, pre)
}

pub(crate) fn benches(c: &mut Criterion) {
    let executor = Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() });
    let executor = executor.unwrap();
    let mut rows = Vec::new();
    let kernels = corpus().unwrap().into_iter().filter(|kernel| kernel.name != "empty");
    for kernel in kernels {
        let (name, code) = (kernel.name, kernel.wasm);
        let mut group = c.benchmark_group(format!("kernel {name}"));
        group.sample_size(10).measurement_time(Duration::from_secs(2));
        group.warm_up_time(Duration::from_millis(300));
        // The least time of all, because anything else that the machine does only adds to it.
        let least: RefCell<[Duration; 3]> = RefCell::new([Duration::MAX; 3]);
        let mut bench = |index: usize, what: &str, run: &dyn Fn()| {
            group.bench_function(what, |b| {
                b.iter_custom(|runs| {
                    let mut total = Duration::ZERO;
                    for _ in 0..runs {
                        let began = Instant::now();
                        run();
                        let took = began.elapsed();
                        total += took;
                        let least = &mut least.borrow_mut()[index];
                        *least = took.min(*least);
                    }
                    total
                });
            });
        };
        let (engine, pre) = unmetered(&code);
        bench(0, "unmetered", &|| {
            let mut store = Store::new(&engine, ());
            let instance = pre.instantiate(&mut store).unwrap();
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
            start.call(&mut store, ()).unwrap();
        });
        let (fuel, gas) = (Guest::fuel(&code), Guest::gas(&code));
        bench(1, "fuel", &|| drop(fuel.run(&executor)));
        bench(2, "gas", &|| drop(gas.run(&executor)));
        group.finish();
        rows.push((name, least.into_inner()));
    }
    report(&rows);
}

/// Prints the ratios of the kernels that were not filtered out.
fn report(rows: &[(&str, [Duration; 3])]) {
    let mut logarithms = [0.0; 2];
    let mut count = 0.0;
    for (name, [unmetered, fuel, gas]) in rows {
        if [unmetered, fuel, gas].contains(&&Duration::MAX) {
            continue;
        }
        let ratios = [fuel, gas].map(|time| time.as_secs_f64() / unmetered.as_secs_f64());
        println!(
            "{name}: unmetered {unmetered:.2?}, fuel {:.2} x, gas {:.2} x (least times)",
            ratios[0], ratios[1]
        );
        for (sum, ratio) in logarithms.iter_mut().zip(ratios) {
            *sum += f64::ln(ratio);
        }
        count += 1.0;
    }
    if count > 0.0 {
        let [fuel, gas] = logarithms.map(|sum| f64::exp(sum / count));
        println!("geometric mean of {count} kernels: fuel {fuel:.2} x, gas {gas:.2} x");
    }
}
