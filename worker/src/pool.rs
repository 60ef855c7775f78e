//! Executes requests on a bounded number of threads.

use std::sync::Arc;

use outlayer_client::{At, Contract, NamespaceReader};
use outlayer_guest::{
    Code, Engine, Execution, Fault, Job, SnapshotError, UnsupportedVersion, check_version,
};
use outlayer_protocol::views::{RequestView, ViewError};
use tokio::{
    sync::{AcquireError, Semaphore},
    task::JoinError,
};

/// An execution without a verdict. It says something about this machine or its node, and nothing
/// about the guest.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The request pins another engine.
    #[error(transparent)]
    Version(#[from] UnsupportedVersion),
    /// The node's view of the request contradicts itself.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The engine came to no verdict.
    #[error("no verdict: {0}")]
    Fault(#[from] Fault),
    /// The engine panicked, which is a defect of this program.
    #[error("no verdict: the engine panicked: {0}")]
    Panic(#[from] JoinError),
    /// The pool takes no more executions.
    #[error("the execution pool is closed")]
    Closed(#[from] AcquireError),
}

/// Executes at most so many requests at once; others wait. Clones are cheap and share the bound.
#[derive(Clone)]
pub(crate) struct ExecutionPool {
    engine: Arc<dyn Engine>,
    permits: Arc<Semaphore>,
}

impl ExecutionPool {
    /// A pool that executes at most `concurrency` requests at once, and at least one.
    pub(crate) fn new(engine: Arc<dyn Engine>, concurrency: usize) -> Self {
        let permits = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self { engine, permits: Arc::new(Semaphore::new(permits)) }
    }

    /// Executes the request of `view` with `code`, whose hash the caller has checked. The guest
    /// sees the requester's namespace as it stood after the block `at`.
    ///
    /// # Errors
    /// [`ExecutionError`] when there is no verdict.
    pub(crate) async fn execute(
        &self,
        contract: &Contract,
        view: &RequestView,
        code: Arc<Vec<u8>>,
        at: At,
    ) -> Result<Execution, ExecutionError> {
        check_version(&view.request)?;
        view.check(contract.id())?;
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let (engine, view) = (Arc::clone(&self.engine), view.clone());
        let storage = NamespaceReader::new(contract.clone(), view.request.namespace().clone(), at);
        let run = move || -> Result<Execution, Fault> {
            let _permit = permit;
            let job = Job::of_live(
                Code::hashed(view.request.code.hash, &code),
                &view.request,
                &view.input,
            );
            let mut storage =
                |key: &[u8]| storage.read(key).map_err(|error| SnapshotError(error.to_string()));
            engine.execute(&job, &mut storage)
        };
        // A panic of the engine ends this execution only.
        Ok(tokio::task::spawn_blocking(run).await??)
    }
}
