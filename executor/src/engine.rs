//! wasmtime's configuration, and the executor that holds it.

use std::time::Duration;

use outlayer_protocol::{Compute, GuestKind, Hash32, Limit, Meter, Status};
use wasmtime::{
    Config, Engine, ExternType, InstanceAllocationStrategy, InstancePre, Linker, Module,
    OperatorCost, OptLevel, PoolingAllocationConfig, Strategy, UnknownImportError, WasmFeatures,
};

use crate::{
    Execution, Job, Snapshot,
    cache::ModuleCache,
    fault::{EngineError, Fault},
    host::State,
    outlayer_abi,
    prepare::{self, Refusal, stack::NATIVE_STACK_BYTES},
    run,
    verdict::invalid_module,
    wasi_p1,
};

/// What the host's own functions may use of the native stack, beyond the guest's share.
const HOST_STACK_BYTES: usize = 1 << 20;

/// How an executor uses its host. Nothing here changes a verdict, an output or an amount of fuel.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// A guest that runs longer than this is given up without a verdict. It is a safety net: the meter's limit
    /// should always be reached first.
    pub deadline: Duration,
    /// Compiled modules are kept in memory up to this many bytes of their source.
    pub cache_bytes: usize,
    /// With a number, instances, memories and stacks come from pools with this many places, made when the executor is; more
    /// executions than that at once are faults. Without, each execution allocates its own. A place reserves
    /// 4 GiB of address space.
    pub pool: Option<u32>,
    /// Whether the compiler optimises. Unoptimised code compiles faster and runs slower.
    pub optimize: bool,
    /// Whether one module is compiled on all cores.
    pub parallel_compilation: bool,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            cache_bytes: 64 << 20,
            pool: None,
            optimize: true,
            parallel_compilation: true,
        }
    }
}

/// Runs guests. One is enough for a process; any number of threads may share it.
pub struct Executor {
    engine: Engine,
    linker: Linker<State>,
    modules: ModuleCache<CompiledModule>,
    deadline: Duration,
}

/// A `wasi-p1` module, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct CompiledModule {
    pub(crate) pre: InstancePre<State>,
    /// Whether there is a start function to be run before `_start`.
    pub(crate) has_start: bool,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Executor {
    /// Sets the engine up.
    ///
    /// # Errors
    /// [`EngineError`] when this machine cannot run it.
    pub fn new(config: ExecutorConfig) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let engine = Engine::new(&wasmtime_config(&config)).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasi_p1::add_to_linker(&mut linker).map_err(failed)?;
        outlayer_abi::add_to_linker(&mut linker).map_err(failed)?;
        let modules = ModuleCache::new(config.cache_bytes);
        Ok(Self {
            engine,
            linker,
            modules,
            deadline: config.deadline,
        })
    }

    /// Executes a job over a snapshot. Blocks until the guest has ended.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict.
    pub fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        job.check()?;
        let kind = match prepare::kind(job.code, job.kind) {
            Ok(kind) => kind,
            Err(refusal) => return refused(job, refusal),
        };
        match (kind, job.limits.compute.meter()) {
            (GuestKind::WasiP1, Meter::Fuel) => self.execute_wasi_p1(job, snapshot),
            (GuestKind::WasiP1, meter) => Err(Fault::UnsupportedMeter { meter, kind }),
            (GuestKind::WasiP2 | GuestKind::Near, _) => Err(Fault::UnsupportedKind(kind)),
        }
    }

    fn execute_wasi_p1(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        if job.limits.instances == 0 {
            let status = Status::LimitExceeded {
                which: Limit::Instances,
                limit: 0,
            };
            return Ok(without_running(job, status));
        }
        match self.module(job.code) {
            Ok(module) => run::run(&self.engine, &module, job, snapshot, self.deadline),
            Err(refusal) => refused(job, refusal),
        }
    }

    /// The compiled module of `code`, from the cache where it is there.
    fn module(&self, code: &[u8]) -> Result<CompiledModule, Refusal> {
        let hash = Hash32::of(code);
        if let Some(module) = self.modules.get(&hash) {
            return Ok(module);
        }
        let instrumented = prepare::core_module(code)?;
        let engine = |error: wasmtime::Error| Fault::Engine(format!("{error:#}"));
        let module = Module::from_binary(&self.engine, &instrumented).map_err(engine)?;
        check_exports(&module)?;
        let has_start = module.get_export(prepare::stack::START_EXPORT).is_some();
        let pre = self
            .linker
            .instantiate_pre(&module)
            .map_err(|error| unlinked(&error))?;
        let compiled = CompiledModule { pre, has_start };
        tracing::debug!(%hash, bytes = code.len(), "compiled a module");
        self.modules.insert(hash, compiled.clone(), code.len());
        Ok(compiled)
    }
}

fn wasmtime_config(config: &ExecutorConfig) -> Config {
    let mut cost = OperatorCost::new();
    cost.variable.memory_grow_per_page = 1;
    let mut wasmtime = Config::new();
    wasmtime
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(if config.optimize {
            OptLevel::Speed
        } else {
            OptLevel::None
        })
        .cranelift_nan_canonicalization(true)
        .parallel_compilation(config.parallel_compilation)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(prepare::FEATURES, true)
        .consume_fuel(true)
        .operator_cost(cost)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .generate_address_map(false);
    if let Some(places) = config.pool {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(places)
            .total_memories(places)
            .total_stacks(places)
            .total_tables(places.saturating_mul(4))
            .max_memory_size(4 << 30)
            .table_elements(1_000_000)
            .max_tables_per_module(4)
            .max_core_instance_size(4 << 20);
        wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    wasmtime
}

/// Every import must be a function of the host, with its signature.
fn unlinked(error: &wasmtime::Error) -> Status {
    match error.downcast_ref::<UnknownImportError>() {
        Some(unknown) => invalid_module(format!(
            "import {}.{}: the host has no such function",
            unknown.module(),
            unknown.name()
        )),
        None => invalid_module(error.to_string()),
    }
}

/// A command exports its memory and `_start`, without parameters and results.
fn check_exports(module: &Module) -> Result<(), Status> {
    match module.get_export("_start") {
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => {}
        Some(_) => {
            return Err(invalid_module(
                "the export _start must be a function without parameters and results",
            ));
        }
        None => return Err(invalid_module("there is no export _start")),
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(_)) => Ok(()),
        Some(_) => Err(invalid_module("the export memory must be a memory")),
        None => Err(invalid_module("there is no export memory")),
    }
}

fn refused(job: &Job<'_>, refusal: Refusal) -> Result<Execution, Fault> {
    match refusal {
        Refusal::Verdict(status) => Ok(without_running(job, status)),
        Refusal::Fault(fault) => Err(fault),
    }
}

/// The execution of code that was never run: nothing was used.
fn without_running(job: &Job<'_>, status: Status) -> Execution {
    Execution {
        status,
        output: Vec::new(),
        used: Compute::new(job.limits.compute.meter(), 0),
        reads: Vec::new(),
        journal: Vec::new(),
        logs: Vec::new(),
    }
}
