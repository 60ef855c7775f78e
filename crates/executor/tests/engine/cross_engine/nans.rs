//! The NaNs of a guest are those that wasmtime makes where it canonicalises the result of each
//! operator.

mod expressions;

use outlayer_protocol::{Compute, Status};
use wasmtime::{Caller, Config, Engine, Linker, Module, Store};

pub(super) use expressions::guest;

const SEEDS: u64 = 120;

/// wasmtime without anything but its own canonical NaNs, or without them.
pub(crate) fn engine(canonical: bool) -> Engine {
    let mut config = Config::new();
    config.cranelift_nan_canonicalization(canonical);
    Engine::new(&config).unwrap()
}

/// What a module prints.
pub(crate) fn printed(engine: &Engine, code: &[u8]) -> Vec<u8> {
    let module = Module::new(engine, code).unwrap();
    let mut linker = Linker::new(engine);
    let fd_write = |mut call: Caller<'_, Vec<u8>>, _: u32, list: u32, count: u32, _: u32| {
        let memory = call.get_export("memory").unwrap().into_memory().unwrap();
        let (bytes, output) = memory.data_and_store_mut(&mut call);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(count, 1);
        let (at, length) = (word(list as usize), word(list as usize + 4));
        output.extend(&bytes[at..at + length]);
        0u32
    };
    linker.func_wrap("wasi_snapshot_preview1", "fd_write", fd_write).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let mut store = Store::new(engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap();
    store.into_data()
}

#[test]
fn they_are_those_that_wasmtime_makes_canonical() {
    let (canonical, loose) = (engine(true), engine(false));
    let mut different = 0;
    for seed in 0..SEEDS {
        let simd = seed % 2 == 0;
        let run = guest(seed, simd);
        let expected = printed(&canonical, &run.code);
        let gas = (!simd).then_some(Compute::Gas(1_000_000_000_000_000));
        for compute in [Compute::Fuel(u64::MAX)].into_iter().chain(gas) {
            let execution = run.clone().limits(|limits| limits.compute = compute).run();
            if execution.status == Status::OutOfGas {
                continue;
            }
            assert_eq!(execution.status, Status::Completed, "seed {seed}, {}", compute.meter());
            assert_eq!(execution.output, expected, "seed {seed}, {}", compute.meter());
        }
        different += u32::from(printed(&loose, &run.code) != expected);
    }
    println!("{SEEDS} guests, {different} of which print other NaNs where none is made canonical");
    assert!(u64::from(different) > SEEDS / 2);
}
