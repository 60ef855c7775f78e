//! The executor: one engine for each meter, and which of them runs a job.

mod component;
mod config;
mod core;

use std::{path::PathBuf, sync::Arc, time::Duration};

use outlayer_protocol::{GuestKind, Limit, Meter, Status};

use crate::{
    Execution, Job, Snapshot,
    cache::{self, CacheCounts, Counters, Disk},
    fault::{EngineError, Fault},
    near::Near,
    prepare::{self, Refusal},
    run,
    verdict::invalid_module,
};

pub(crate) use self::{
    component::{CompiledComponent, ComponentEngine},
    core::{CompiledModule, CoreEngine},
};

/// How an executor uses its host. Nothing here changes a verdict, an output or an amount of fuel.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// A guest that runs longer than this is given up without a verdict. It is a safety net: the meter's limit
    /// should always be reached first. A `near` guest has only its gas.
    pub deadline: Duration,
    /// Compiled modules are kept in memory up to this many bytes of their source, components and core modules under each of the two
    /// meters; NEAR contracts up to as many of their compiled form.
    pub cache_bytes: usize,
    /// The folder in which compiled modules are kept between runs; several processes may share it. It is made when it is
    /// missing, for this process's user alone. When others can write in it, or it cannot be used for another reason, a warning
    /// says so and nothing is kept. None keeps them in memory only.
    pub cache_dir: Option<PathBuf>,
    /// What the folder holds at most, bytes; what was used longest ago goes first.
    pub cache_dir_bytes: u64,
    /// With a number, instances, memories and stacks come from pools with this many places under each meter, made when the
    /// executor is; more executions than that at once are faults. Without, each execution allocates its own. A place
    /// reserves some 5 TiB of address space, which is not memory. Where the host refuses that, which has 128 TiB on x86-64, there are no
    /// pools. NEAR contracts have pools of their own, see [`near`](crate::near).
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
            cache_dir: None,
            cache_dir_bytes: 1 << 30,
            pool: None,
            optimize: true,
            parallel_compilation: true,
        }
    }
}

/// Runs guests. One is enough for a process; any number of threads may share it.
pub struct Executor {
    fuel: CoreEngine,
    gas: CoreEngine,
    components: ComponentEngine,
    near: Near,
    deadline: Duration,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Executor {
    /// Sets the engines up.
    ///
    /// # Errors
    /// [`EngineError`] when this machine cannot run it.
    pub fn new(config: ExecutorConfig) -> Result<Self, EngineError> {
        let resources = cache::CacheResources {
            disk: disk(&config),
            counters: Arc::default(),
            memory_bytes: config.cache_bytes,
        };
        let fuel = CoreEngine::new(&config, Meter::Fuel, &resources)?;
        Ok(Self {
            components: ComponentEngine::new(&fuel.engine, &resources)?,
            fuel,
            gas: CoreEngine::new(&config, Meter::Gas, &resources)?,
            near: Near::new(&resources),
            deadline: config.deadline,
            counters: resources.counters,
        })
    }

    /// How many modules were compiled, and how many loaded from the folder instead.
    pub fn cache_counts(&self) -> CacheCounts {
        self.counters.so_far()
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
        if job.limits.instances == 0 {
            let status = Status::LimitExceeded { which: Limit::Instances, limit: 0 };
            return Ok(Execution::without_running(job, status));
        }
        match (kind, job.limits.compute.meter()) {
            (GuestKind::WasiP1, Meter::Fuel) => self.execute_core(&self.fuel, job, snapshot),
            (GuestKind::WasiP1, Meter::Gas) => self.execute_core(&self.gas, job, snapshot),
            (GuestKind::Near, _) => self.near.execute(job, snapshot),
            (GuestKind::WasiP2, _) => self.execute_component(job, snapshot),
        }
    }

    fn execute_component(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        if job.limits.compute.meter() == Meter::Gas {
            let reason = "a component is metered in fuel, the request states its limit in gas";
            return Ok(Execution::without_running(job, invalid_module(reason)));
        }
        match self.components.component(job.code) {
            Ok(component) => {
                let engine = &self.components.engine;
                run::run_component(engine, &component, job, snapshot, self.deadline)
            }
            Err(refusal) => refused(job, refusal),
        }
    }

    fn execute_core(
        &self,
        engine: &CoreEngine,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        match engine.module(job.code) {
            Ok(module) => {
                engine.tick()?;
                run::run(&engine.engine, &module, job, snapshot, self.deadline)
            }
            Err(refusal) => refused(job, refusal),
        }
    }
}

/// The folder for compiled modules. It only saves time, so an executor does without one that cannot be trusted or used.
fn disk(config: &ExecutorConfig) -> Option<Arc<Disk>> {
    let dir = config.cache_dir.as_ref()?;
    match Disk::open(dir, config.cache_dir_bytes) {
        Ok(disk) => Some(Arc::new(disk)),
        Err(error) => {
            tracing::warn!(%error, "compiled modules are not kept between runs");
            None
        }
    }
}

fn refused(job: &Job<'_>, refusal: Refusal) -> Result<Execution, Fault> {
    match refusal {
        Refusal::Verdict(status) => Ok(Execution::without_running(job, status)),
        Refusal::Fault(fault) => Err(fault),
    }
}
