//! Execution of a request on a bounded pool of threads.

mod snapshot;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use outlayer_executor::{Execution, ExecutorConfig};
use outlayer_executor::{Executor, Fault, Job};
use outlayer_protocol::{EngineVersion, Hash32, machine::LiveRequest, views::RequestView};
use tokio::sync::Semaphore;

use crate::chain::{At, Contract};
use snapshot::ChainSnapshot;

/// The version of this build's engine, and NEAR's protocol version whose fees its gas meter uses.
pub fn served() -> (EngineVersion, u32) {
    (outlayer_executor::ENGINE_VERSION, outlayer_executor::NEAR_CONFIG_VERSION)
}

/// Where in a cache folder the engine keeps what it compiles, beside the code.
pub fn compiled_dir(cache_dir: &Path) -> PathBuf {
    cache_dir.join("compiled")
}

/// An execution without a verdict. It says something about this machine or its node, never about the guest.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine cannot be started.
    #[error("the engine cannot be started: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// The request needs another engine.
    #[error(
        "the request needs {needed} with NEAR's config {needed_config}, this is {served} with {served_config}"
    )]
    Version {
        /// The engine needed.
        needed: EngineVersion,
        /// NEAR's protocol version needed.
        needed_config: u32,
        /// This build's.
        served: EngineVersion,
        /// This build's.
        served_config: u32,
    },
    /// What the node says about the request contradicts itself.
    #[error(
        "the node's view of the request contradicts itself: its {what} is {found}, expected {expected}"
    )]
    View {
        /// Which part.
        what: &'static str,
        /// What was found.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// The engine gave no verdict.
    #[error("no verdict: {reason}")]
    Fault {
        /// Why.
        reason: String,
    },
}

/// The engine with its pool. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    executor: Arc<Executor>,
    permits: Arc<Semaphore>,
}

impl Engine {
    /// An engine that runs at most `concurrency` executions at once (at least one).
    ///
    /// # Errors
    /// [`EngineError::Start`].
    pub fn new(config: ExecutorConfig, concurrency: usize) -> Result<Self, EngineError> {
        let executor = Executor::new(config)
            .map_err(|error| EngineError::Start { reason: error.to_string() })?;
        let permits = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self { executor: Arc::new(executor), permits: Arc::new(Semaphore::new(permits)) })
    }

    /// Executes the request of `view` with `code`, which the caller has verified, over the requester's namespace as
    /// it stood after the block `at`.
    ///
    /// # Errors
    /// [`EngineError`]: there is no verdict.
    pub async fn execute(
        &self,
        contract: &Contract,
        view: &RequestView,
        code: Arc<Vec<u8>>,
        at: At,
    ) -> Result<Execution, EngineError> {
        check(contract, view)?;
        let fault = |reason: String| EngineError::Fault { reason };
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| fault(error.to_string()))?;
        let (executor, view) = (Arc::clone(&self.executor), view.clone());
        let mut snapshot =
            ChainSnapshot::new(contract.clone(), view.request.namespace().clone(), at);
        let run = move || -> Result<Execution, Fault> {
            let _permit = permit;
            let job = Job::of_live(&code, &view.request, &view.input);
            executor.execute(&job, &mut snapshot)
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(executed) => executed.map_err(|error| fault(error.to_string())),
            // A panic of the engine takes down this execution only.
            Err(error) => Err(fault(format!("the engine panicked: {error}"))),
        }
    }
}

/// Whether this build's engine is the one that the request pins.
///
/// # Errors
/// [`EngineError::Version`].
pub fn check_version(request: &LiveRequest) -> Result<(), EngineError> {
    let (served, served_config) = served();
    let (needed, needed_config) = (request.terms.engine_version, request.terms.near_config_version);
    if (needed, needed_config) == (served, served_config) {
        return Ok(());
    }
    Err(EngineError::Version { needed, needed_config, served, served_config })
}

/// What can be checked of a view without trusting the node.
fn check(contract: &Contract, view: &RequestView) -> Result<(), EngineError> {
    check_version(&view.request)?;
    let request = &view.request;
    let pairs = [
        ("contract", request.context.contract_id.to_string(), contract.id().to_string()),
        ("input's hash", Hash32::of(&view.input).to_string(), request.input_hash.to_string()),
        (
            "hash of arguments and environment",
            Hash32::of_borsh(&(&request.args, &request.env)).to_string(),
            request.args_env_hash.to_string(),
        ),
    ];
    match pairs.into_iter().find(|(_, found, expected)| found != expected) {
        Some((what, found, expected)) => Err(EngineError::View { what, found, expected }),
        None => Ok(()),
    }
}
