//! Workers that serve in the background, and answers that a test makes itself.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use near_workspaces::{Account, AccountId, Contract};
use outlayer::SANDBOX_CHILD;
use outlayer_guest::{Code, Engine, Job, SnapshotError};
use outlayer_protocol::{Bytes, ExecutionResponse, RequestId, methods};
use outlayer_sandbox::{Sandbox, SandboxConfig};
use outlayer_worker::{Worker as Server, WorkerConfig};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use super::Testbed;
use crate::{node::testbed_binary, pace::Listening};

/// A worker that serves in the background until it is dropped or stopped.
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    _listening: Option<Listening>,
}

impl Serving {
    /// Asks the worker to stop, and waits until it has.
    ///
    /// # Errors
    /// When the worker panicked.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        (&mut self.task).await.context("the worker's task")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Testbed {
    /// The configuration of a worker that serves this testbed's contract as `account`.
    ///
    /// # Errors
    /// When the account's key cannot be converted.
    pub fn worker_config(&self, account: &Account) -> Result<WorkerConfig> {
        let key = account.secret_key().to_string().parse().context("the worker's key")?;
        let (contract_id, account_id) = (self.contract.id().clone(), account.id().clone());
        let (node, engine) = (self.node.rpc_addr(), sandbox()?);
        let mut config = WorkerConfig::new(node, contract_id, account_id, key, engine);
        config.poll_interval = Duration::from_millis(200);
        Ok(config)
    }

    /// Starts the registered worker in this process.
    ///
    /// # Errors
    /// When it does not start.
    pub fn serve(&self) -> Result<Serving> {
        self.serve_with(self.worker_config(&self.worker)?)
    }

    /// Starts a worker with a configuration of the test's choice.
    ///
    /// # Errors
    /// When it does not start.
    pub fn serve_with(&self, mut config: WorkerConfig) -> Result<Serving> {
        let listening = self.pace.as_ref().map(|pace| {
            let (observer, listening) = pace.listen(config.observer.take());
            config.observer = Some(observer);
            listening
        });
        let server = Server::new(config)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let asked_to_stop = async {
                let _ = stopped.await;
            };
            server.run(asked_to_stop).await;
        });
        Ok(Serving { stop: Some(stop), task, _listening: listening })
    }

    /// Executes a live request over the storage as it is now. Returns what an honest worker would
    /// submit.
    ///
    /// # Errors
    /// When the request is not live, or the engine comes to no verdict.
    pub async fn execute(&self, request_id: RequestId) -> Result<ExecutionResponse> {
        let _held = self.pace.as_ref().map(|pace| pace.hold(request_id));
        let live = self
            .live(request_id)
            .await?
            .with_context(|| format!("request {request_id} is not live"))?;
        let code: Option<Bytes> = self
            .contract
            .view(methods::GET_CODE)
            .args_json(json!({ "hash": live.request.code.hash, "offset": 0, "limit": u32::MAX }))
            .await?
            .json()?;
        let code = code.context("the code is not published")?;
        let handle = tokio::runtime::Handle::current();
        let engine = sandbox()?;
        let (contract, namespace) = (self.contract.clone(), live.request.namespace().clone());
        let execution = tokio::task::spawn_blocking(move || {
            let job = Job::of_live(Code::of(&code), &live.request, &live.input);
            let mut storage = |key: &[u8]| {
                let value = handle.block_on(stored(&contract, &namespace, key));
                value.map_err(|error| SnapshotError(error.to_string()))
            };
            anyhow::Ok(engine.execute(&job, &mut storage)?)
        });
        Ok(execution.await??.into_response(request_id))
    }
}

/// The engine of all workers in this process: child processes, as an operator has them.
///
/// # Errors
/// When no child starts.
fn sandbox() -> Result<Arc<dyn Engine>> {
    static SANDBOX: OnceLock<std::result::Result<Arc<Sandbox>, String>> = OnceLock::new();
    let started = SANDBOX.get_or_init(|| {
        let program = testbed_binary().map_err(|error| format!("{error:#}"))?;
        let mut config = SandboxConfig::new(program, [SANDBOX_CHILD.into()]);
        config.processes = 4;
        Sandbox::start(config).map(Arc::new).map_err(|error| error.to_string())
    });
    match started {
        Ok(sandbox) => Ok(Arc::clone(sandbox) as Arc<dyn Engine>),
        Err(error) => bail!("{error}"),
    }
}

/// A value of a namespace as it is now.
async fn stored(contract: &Contract, namespace: &AccountId, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let args = json!({ "account_id": namespace, "key": Bytes::from(key) });
    let value: Option<Bytes> = contract.view(methods::STORAGE_GET).args_json(args).await?.json()?;
    Ok(value.map(|bytes| bytes.0))
}
