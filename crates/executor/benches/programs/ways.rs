//! The ways to run a program. Each but the executor's own is wasmtime with the settings that the
//! executor gives it, but for what is switched on or off.

use std::time::Duration;

use outlayer_executor::{
    Executor, ExecutorConfig, gas,
    prepare::{self, meter::FUEL_EXPORT},
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, InstancePre, Module, OptLevel,
    PoolingAllocationConfig, Store, Val, WasmFeatures,
};

use crate::{
    guests::Guest,
    host::{Files, linker},
    programs::Program,
};

/// The ways that are compared with the plain one.
pub(crate) const NAMES: [&str; 9] = [
    "wasmtime's NaNs",
    "wasmtime's fuel",
    "fuel, plain host",
    "fuel",
    "interruptible fuel",
    "gas's stack",
    "gas's charges",
    "gas, plain host",
    "gas",
];

/// A way to run a program.
pub(crate) struct Way<'a> {
    pub(crate) name: &'static str,
    run: Box<dyn Fn() + 'a>,
}

impl Way<'_> {
    /// How long the thread takes, without the time in which it does not run.
    pub(crate) fn run(&self) -> Duration {
        let began = on_the_processor();
        (self.run)();
        on_the_processor() - began
    }
}

/// The time that this thread has been running.
fn on_the_processor() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the function writes to `time` alone.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// What a wasmtime of our own does beside running the code.
#[derive(Clone, Copy, Default)]
struct Switches {
    nans: bool,
    fuel: bool,
    gas: bool,
    own_fuel: bool,
}

impl Switches {
    fn engine(self) -> Engine {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(1)
            .total_memories(1)
            .total_tables(4)
            .max_memory_size(4 << 30)
            .table_elements(1 << 20)
            .linear_memory_keep_resident(64 << 10)
            .table_keep_resident(64 << 10);
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .cranelift_nan_canonicalization(self.nans)
            .consume_fuel(self.fuel)
            .native_unwind_info(false)
            .generate_address_map(false)
            .max_wasm_stack(4 << 20)
            .async_stack_size(5 << 20)
            .wasm_backtrace_max_frames(None)
            .wasm_features(WasmFeatures::WIDE_ARITHMETIC, true)
            .wasm_branch_hinting(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        Engine::new(&config).unwrap()
    }

    /// Runs `code` with the supply that its meter wants, which is more than it uses.
    fn way<'a>(self, name: &'static str, code: &[u8], input: &'a [u8]) -> Way<'a> {
        let engine = self.engine();
        let module = Module::new(&engine, code).unwrap();
        let pre = linker(&engine, &module).instantiate_pre(&module).unwrap();
        Way { name, run: Box::new(move || self.run(&engine, &pre, input)) }
    }

    fn run(self, engine: &Engine, pre: &InstancePre<Files>, input: &[u8]) {
        let mut store = Store::new(engine, Files::new(input));
        if self.fuel {
            store.set_fuel(u64::MAX).unwrap();
        }
        let instance = pre.instantiate(&mut store).unwrap();
        if self.own_fuel {
            let left = instance.get_global(&mut store, FUEL_EXPORT).unwrap();
            left.set(&mut store, Val::I64(i64::MAX)).unwrap();
        }
        if self.gas {
            let left = instance.get_global(&mut store, "remaining_gas").unwrap();
            left.set(&mut store, Val::I64(i64::MAX)).unwrap();
        }
        let entry = if self.gas { "\0_start" } else { "_start" };
        let start = instance.get_typed_func::<(), ()>(&mut store, entry).unwrap();
        if let Err(error) = start.call(&mut store, ()) {
            assert_eq!(error.root_cause().to_string(), "exit 0");
        }
        assert!(!store.data().output.is_empty());
    }
}

/// The executors that programs run on.
pub(crate) struct Executors {
    /// As in a process of the sandbox, which its parent ends at the deadline.
    child: Executor,
    /// As in a process that ends its guests itself.
    in_process: Executor,
}

impl Executors {
    pub(crate) fn new() -> Self {
        let executor = |interruptible| {
            let config = ExecutorConfig { pool: Some(1), interruptible, ..Default::default() };
            Executor::new(config).unwrap()
        };
        Self { child: executor(false), in_process: executor(true) }
    }
}

/// All ways in which `program` runs. The first is the plain one.
pub(crate) fn ways<'a>(program: &'a Program, executors: &'a Executors) -> Vec<Way<'a>> {
    let (code, input) = (&program.code[..], &program.input[..]);
    let plain = Switches::default();
    let mut ways = vec![
        plain.way("plain", code, input),
        Switches { nans: true, ..plain }.way(NAMES[0], code, input),
        Switches { fuel: true, ..plain }.way(NAMES[1], code, input),
        Switches { own_fuel: true, ..plain }.way(
            NAMES[2],
            &prepare::core_module(code).unwrap(),
            input,
        ),
    ];
    let on_executor = |name, executor: &'a Executor, guest: Guest| {
        guest.run(executor);
        Way { name, run: Box::new(move || drop(guest.run(executor))) }
    };
    ways.push(on_executor(NAMES[3], &executors.child, Guest::fuel(code).reading(input)));
    ways.push(on_executor(NAMES[4], &executors.in_process, Guest::fuel(code).reading(input)));
    for (name, gas, stack) in
        [(NAMES[5], false, true), (NAMES[6], true, false), (NAMES[7], true, true)]
    {
        match gas::instrumented(code, gas::Counts { gas, stack }).unwrap() {
            Ok(metered) => {
                ways.push(Switches { gas: true, ..plain }.way(name, &metered, input));
            }
            Err(status) => {
                println!("{}: not under gas: {status:?}", program.name);
                return ways;
            }
        }
    }
    ways.push(on_executor(NAMES[8], &executors.child, Guest::gas(code).reading(input)));
    ways
}
