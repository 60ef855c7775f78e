//! The executor: which backend runs a job.

use std::sync::{Arc, OnceLock};

use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot, prepare, verdict::invalid_module};
use outlayer_protocol::{GuestKind, Limit, Meter, Status};

use crate::{
    backend::{ComponentBackend, CoreBackend},
    cache::{self, CacheCounts, Disk},
    config::ExecutorConfig,
    error::{EngineError, Rejection},
    meter::Counting,
    near::Near,
    profile::{self, NoProfile, Profile},
    run::{self, Conditions},
};

/// Runs guests. One is enough for a process; any number of threads may share it.
pub struct Executor {
    fuel: CoreBackend,
    gas: CoreBackend,
    components: ComponentBackend,
    /// Set up when the first composition comes: few are ever brought.
    compositions: OnceLock<Result<ComponentBackend, EngineError>>,
    config: ExecutorConfig,
    has_context_variables: bool,
    resources: cache::CacheResources,
    near: Near,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Executor {
    /// Sets up the backends and the caches.
    ///
    /// # Errors
    /// [`EngineError`] when this machine cannot run them.
    pub fn new(config: ExecutorConfig) -> Result<Self, EngineError> {
        let resources = cache::CacheResources {
            disk: disk(&config),
            counters: Arc::default(),
            memory_bytes: config.cache_bytes,
            scratch_dir: config.scratch_dir.clone(),
        };
        Ok(Self {
            compositions: OnceLock::new(),
            fuel: CoreBackend::new(&config, Meter::Fuel, &resources)?,
            gas: CoreBackend::new(&config, Meter::Gas, &resources)?,
            components: ComponentBackend::components(&config, &resources)?,
            near: Near::new(&resources),
            config,
            has_context_variables: true,
            resources,
        })
    }

    /// Gives guests the environment variables of their job and no others, as test suites expect it
    /// that were written for any host. What a request of a contract comes to has those of its
    /// context as well, so whoever answers or replays one does not call this.
    #[must_use]
    pub fn without_context_variables(mut self) -> Self {
        self.has_context_variables = false;
        self
    }

    fn conditions(&self) -> Conditions {
        Conditions {
            deadline: self.config.deadline,
            has_context_variables: self.has_context_variables,
        }
    }

    /// How many modules have been compiled, and how many loaded from the folder instead.
    pub fn cache_counts(&self) -> CacheCounts {
        self.resources.counters.so_far()
    }

    /// Executes a job over a snapshot. Blocks until the guest has ended.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict.
    pub fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let kind = match admitted(job)? {
            Ok(kind) => kind,
            Err(status) => return Ok(Execution::without_running(job, status)),
        };
        match (kind, job.limits.compute.meter()) {
            (GuestKind::WasiP1, Meter::Fuel) => self.execute_core(&self.fuel, job, snapshot),
            (GuestKind::WasiP1, Meter::Gas) => self.execute_core(&self.gas, job, snapshot),
            (GuestKind::Near, _) => self.near.execute(job, snapshot),
            (GuestKind::WasiP2, _) => self.execute_component(job, snapshot),
        }
    }

    /// Executes a job as [`Executor::execute`] does, and says what each function of the guest paid.
    /// The guest is compiled for this alone. The inner error says why this guest has no profile.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict.
    pub fn profile(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Result<(Execution, Profile), NoProfile>, Fault> {
        let kind = match admitted(job)? {
            Ok(kind) => kind,
            Err(status) => return Ok(Err(NoProfile::Rejected(status))),
        };
        if (kind, job.limits.compute.meter()) != (GuestKind::WasiP1, Meter::Fuel) {
            return Ok(Err(NoProfile::Kind(kind, job.limits.compute.meter())));
        }
        let (module, functions) = match self.fuel.profiled(job.code.bytes()) {
            Ok(profiled) => profiled,
            Err(rejection) => return rejection.into_verdict().map(|s| Err(NoProfile::Rejected(s))),
        };
        let mut paid = Vec::new();
        let engine = &self.fuel.engine;
        let seen = |store: &mut _, instance| paid = profile::paid(store, instance, functions);
        let execution = run::run_module(engine, &module, job, snapshot, self.conditions(), seen)?;
        let functions = paid;
        let in_functions: u64 = functions.iter().map(|function| function.fuel).sum();
        let host = execution.used.amount().saturating_sub(in_functions);
        Ok(Ok((execution, Profile { functions, host })))
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
        let limit = job.limits.compute;
        let (backend, counting) = if prepare::is_composition(job.code.bytes()) {
            (self.compositions()?, Counting::composition(limit))
        } else {
            (&self.components, Counting::component(limit))
        };
        let conditions = self.conditions();
        match backend.component(job.code) {
            Ok(component) => {
                run::run_component(backend, &component, counting, job, snapshot, conditions)
            }
            Err(rejection) => rejected(job, rejection),
        }
    }

    /// The backend for compositions.
    fn compositions(&self) -> Result<&ComponentBackend, Fault> {
        let set_up = || ComponentBackend::compositions(&self.config, &self.resources);
        self.compositions.get_or_init(set_up).as_ref().map_err(|error| Fault::engine(error.clone()))
    }

    fn execute_core(
        &self,
        backend: &CoreBackend,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        match backend.module(job.code) {
            Ok(module) => run::run_module(
                &backend.engine,
                &module,
                job,
                snapshot,
                self.conditions(),
                |_, _| {},
            ),
            Err(rejection) => rejected(job, rejection),
        }
    }
}

impl Engine for Executor {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        Self::execute(self, job, snapshot)
    }
}

/// The kind of a job's guest, or the verdict on one that is not run.
fn admitted(job: &Job<'_>) -> Result<Result<GuestKind, Status>, Fault> {
    job.check()?;
    let kind = prepare::kind(job.code.bytes(), job.kind, job.limits.max_module_bytes);
    if kind.is_ok() && job.limits.instances == 0 {
        return Ok(Err(Status::LimitExceeded { which: Limit::Instances, limit: 0 }));
    }
    Ok(kind)
}

/// The folder for compiled modules. It only saves time, so an executor does without one that cannot
/// be trusted or used.
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

/// What comes of a job whose guest is not run.
fn rejected(job: &Job<'_>, rejection: Rejection) -> Result<Execution, Fault> {
    rejection.into_verdict().map(|status| Execution::without_running(job, status))
}
