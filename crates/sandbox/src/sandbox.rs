//! The parent's side: children, and which of them executes what.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use outlayer_guest::{
    Engine, EngineId, Execution, Fault, Fetch, FetchError, Fetched, Job, Outgoing, Snapshot,
    SnapshotError,
};

use crate::{
    budget::{Budget, Reserved},
    config::SandboxConfig,
    confine::Confinement,
    memory,
    process::Process,
    progress::Progress,
    scratch,
};

/// A sandbox that cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guests cannot be run in a child process: {0}")]
pub struct SandboxError(String);

/// Runs guests in child processes. Any number of threads may share it.
pub struct Sandbox {
    config: SandboxConfig,
    /// The engine of the first child, which all others must have.
    engine: EngineId,
    budget: Arc<Budget>,
    /// Children that have nothing to do; the one used last is at the end.
    idle: Mutex<Vec<Process>>,
    /// How many children are not among the idle ones.
    busy: AtomicUsize,
    confined: Confinement,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts the first child, to see that it can be done. Others are started when they are needed.
    ///
    /// # Errors
    /// [`SandboxError`] when there is no child.
    pub fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let budget = Budget::new(config.processes.max(1), config.memory_bytes);
        Self::within(config, Arc::new(budget))
    }

    /// Starts the first child of another sandbox, for the engine of another program. What both of
    /// them execute shares the processes and the memory of this one, whatever `config` says.
    ///
    /// # Errors
    /// [`SandboxError`] when there is no child.
    pub fn beside(&self, config: SandboxConfig) -> Result<Self, SandboxError> {
        Self::within(config, Arc::clone(&self.budget))
    }

    fn within(config: SandboxConfig, budget: Arc<Budget>) -> Result<Self, SandboxError> {
        scratch::sweep();
        let first = Process::start(&config).map_err(SandboxError)?;
        let confined = first.confined();
        if !confined.is_full() {
            tracing::warn!(
                files = confined.files,
                system_calls = confined.syscalls,
                "this system does not confine the processes of guests in every way"
            );
        }
        Ok(Self {
            config,
            engine: first.engine(),
            budget,
            idle: Mutex::new(vec![first]),
            busy: AtomicUsize::new(0),
            confined,
        })
    }

    /// The engine of the children.
    pub fn engine(&self) -> EngineId {
        self.engine
    }

    /// Which of the kernel's means hold for children.
    pub fn confined(&self) -> Confinement {
        self.confined
    }

    /// How many children there are now: those that have nothing to do, and those that execute.
    pub fn children(&self) -> usize {
        self.idle().len() + self.busy.load(Ordering::Relaxed)
    }

    /// The child to use for a job: one that knows its code, or else the one used last, or a new
    /// one.
    fn child(&self, job: &Job<'_>) -> Result<Process, Fault> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|child| child.knows(job));
        let found = match place {
            Some(place) => Some(idle.remove(place)),
            None => idle.pop(),
        };
        drop(idle);
        found.map_or_else(|| self.another(), Ok)
    }

    /// A new child. The program may have been replaced since the first one was started.
    fn another(&self) -> Result<Process, Fault> {
        let child = Process::start(&self.config).map_err(Fault::engine)?;
        if child.engine() == self.engine {
            return Ok(child);
        }
        Err(Fault::engine(format!(
            "{} has {} now, and had {} before",
            self.config.program.display(),
            child.engine(),
            self.engine
        )))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a child may keep silent.
    fn patience(&self) -> Duration {
        self.config.engine.deadline().saturating_add(self.config.patience)
    }
}

impl Engine for Sandbox {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        self.run(job, snapshot, None)
    }

    fn execute_until(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Execution, Fault> {
        self.run(job, snapshot, Some(is_over))
    }
}

impl Sandbox {
    /// Executes a job in a child, which is ended soon after `is_over` says so.
    fn run(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        is_over: Option<&dyn Fn() -> bool>,
    ) -> Result<Execution, Fault> {
        let began = Instant::now();
        job.check()?;
        let is_known = self.idle().iter().any(|child| child.knows(job));
        let mut memory_bytes = memory::needed(job, !is_known);
        let mut reserved = self.budget.reserve(memory_bytes).map_err(Fault::host_memory)?;
        let mut child = self.child(job)?;
        if is_known && !child.knows(job) {
            // Somebody else has the one that knew it.
            memory_bytes = memory::needed(job, true);
            drop(reserved);
            reserved = self.budget.reserve(memory_bytes).map_err(Fault::host_memory)?;
        }
        let busy = Busy::count(&self.busy);
        let progress = Progress::new(job);
        let told = || {
            progress.tell();
            is_over.is_some_and(|is_over| is_over())
        };
        let is_over = if progress.is_large { Some(&told as &dyn Fn() -> bool) } else { is_over };
        let limits = (self.patience(), is_over);
        let mut outside = Outside { snapshot, reserved: &reserved };
        let executed = child.execute(job, &mut outside, memory_bytes, limits);
        let execution = executed.map_err(|fault| {
            let ended = is_over.is_some_and(|is_over| is_over());
            if ended { Fault::Deadline(began.elapsed()) } else { fault }
        })?;
        drop(busy);
        // What a child has been told stays in its memory, and the next guest may break out of its
        // own.
        if job.secrets.is_empty() && child.is_lean() {
            self.idle().push(child);
        }
        drop(reserved);
        Ok(execution)
    }
}

/// The storage and the network of an execution, which lends its place to others while it waits for
/// a server.
struct Outside<'a> {
    snapshot: &'a mut dyn Snapshot,
    reserved: &'a Reserved<'a>,
}

impl Snapshot for Outside<'_> {
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.snapshot.read(key)
    }

    fn network(&mut self) -> Option<&mut dyn Fetch> {
        self.snapshot.network().is_some().then_some(self as &mut dyn Fetch)
    }
}

impl Fetch for Outside<'_> {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let _lent = self.reserved.lend();
        self.snapshot.network().ok_or(FetchError::None)?.fetch(outgoing)
    }
}

/// Counts a child that executes, until this is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn count(busy: &'a AtomicUsize) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
