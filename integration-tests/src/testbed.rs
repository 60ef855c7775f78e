//! A deployed OutLayer: the contract, a registered worker's account, a dApp, and what a test does with them.

use std::{
    collections::HashSet,
    task::Poll,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use near_workspaces::{
    Account, AccountId, Contract, Worker,
    network::Sandbox,
    operations::TransactionStatus,
    result::{ExecutionFinalResult, ExecutionOutcome, ExecutionResult},
    types::{Gas, NearToken},
};
use outlayer_executor::{
    ENGINE_VERSION, Executor, ExecutorConfig, Job, NEAR_CONFIG_VERSION, Snapshot, SnapshotError,
};
use outlayer_protocol::{
    Bytes, Config, ExecutionRequest, ExecutionResponse, Hash32, RequestId, Settlement,
    events::Event,
    views::{CostView, FundsView, PendingView, RequestView},
};
use outlayer_worker::{Worker as Server, WorkerConfig};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{artifacts, node};

/// The most gas that a transaction may carry on a node of protocol version 83 or newer.
pub const MAX_GAS: Gas = Gas::from_tgas(1_000);
/// The most gas that older tools attach; enough for any of a dApp's requests.
pub const DAPP_GAS: Gas = Gas::from_tgas(300);

/// How long to wait for something that takes a few blocks, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A node with OutLayer on it.
pub struct Testbed {
    /// The node.
    pub node: Worker<Sandbox>,
    /// The OutLayer contract; its account is also its owner's.
    pub contract: Contract,
    /// The fixture dApp.
    pub dapp: Contract,
    /// The registered worker's account.
    pub worker: Account,
}

/// A worker that serves in the background until it is dropped or stopped.
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
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
    /// Starts a node, deploys the contract and the fixture dApp, and registers a worker.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start() -> Result<Self> {
        let node = node::start().await?;
        let contract = node
            .dev_deploy(&artifacts::wasm("outlayer_contract")?)
            .await?;
        let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
        let init = contract
            .call("new")
            .args_json(json!({ "owner_id": contract.id(), "config": config }));
        init.max_gas()
            .transact()
            .await?
            .into_result()
            .context("new")?;

        let dapp = node.dev_deploy(&artifacts::wasm("fixture_dapp")?).await?;
        dapp.call("new")
            .args_json(json!({ "outlayer": contract.id() }))
            .transact()
            .await?
            .into_result()?;

        let worker = node.dev_create_account().await?;
        let testbed = Self {
            node,
            contract,
            dapp,
            worker,
        };
        testbed.register_worker(testbed.worker.id()).await?;
        Ok(testbed)
    }

    /// Registers another worker.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn register_worker(&self, worker_id: &AccountId) -> Result<()> {
        let call = self
            .contract
            .call("register_worker")
            .args_json(json!({ "worker_id": worker_id, "metadata": null }));
        call.max_gas()
            .transact()
            .await?
            .into_result()
            .context("register_worker")?;
        Ok(())
    }

    /// Publishes a module in the contract, in chunks; gives its hash.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn publish(&self, code: &[u8]) -> Result<Hash32> {
        const CHUNK: usize = 300_000;
        let hash = Hash32::of(code);
        let total = u32::try_from(code.len())?;
        for (index, chunk) in code.chunks(CHUNK).enumerate() {
            let offset = u32::try_from(index * CHUNK)?;
            let deposit = NearToken::from_millinear(u128::try_from(chunk.len())? / 90 + 100);
            let call = self
                .contract
                .as_account()
                .call(self.contract.id(), "publish_code");
            let call = call
                .args_borsh((hash, total, offset, chunk.to_vec()))
                .deposit(deposit);
            call.max_gas()
                .transact()
                .await?
                .into_result()
                .context("publish_code")?;
        }
        Ok(hash)
    }

    /// Publishes one of the guests of `wasi-examples/`.
    ///
    /// # Errors
    /// When it cannot be built or published.
    pub async fn publish_guest(&self, name: &str) -> Result<Hash32> {
        self.publish(&artifacts::wasm(name)?).await
    }

    /// What the contract asks for `request`.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn estimate(&self, request: &ExecutionRequest) -> Result<CostView> {
        Ok(self
            .contract
            .view("estimate_cost")
            .args_json(json!({ "request": request }))
            .await?
            .json()?)
    }

    /// Sends `request` through the dApp, with the deposit that the contract asks for, without waiting for its end.
    ///
    /// # Errors
    /// When the estimate or the sending fails.
    pub async fn ask(
        &self,
        asker: &Account,
        request: &ExecutionRequest,
    ) -> Result<TransactionStatus> {
        let deposit = self.estimate(request).await?.total;
        self.ask_with(
            asker,
            request,
            NearToken::from_yoctonear(deposit.as_yoctonear()),
        )
        .await
    }

    /// Sends `request` through the dApp with a deposit of the test's choice.
    ///
    /// # Errors
    /// When the sending fails.
    pub async fn ask_with(
        &self,
        asker: &Account,
        request: &ExecutionRequest,
        deposit: NearToken,
    ) -> Result<TransactionStatus> {
        let call = asker
            .call(self.dapp.id(), "ask")
            .args_json(json!({ "request": request }))
            .deposit(deposit);
        Ok(call.gas(DAPP_GAS).transact_async().await?)
    }

    /// The final result of a transaction sent with [`Testbed::ask`], with the outcomes of all its receipts, those of
    /// detached transfers and gas refunds too.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn finished(&self, transaction: TransactionStatus) -> Result<ExecutionFinalResult> {
        let begun = Instant::now();
        loop {
            match transaction.status().await {
                Ok(Poll::Ready(result)) if is_complete(&result) => return Ok(result),
                Ok(_) => {}
                Err(error) if begun.elapsed() > PATIENCE => {
                    return Err(error).context("the transaction's status");
                }
                Err(_) => {}
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the transaction {:?} did not end in {PATIENCE:?}",
                transaction.hash()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The settlement that the dApp's callback received, from the final result of an `ask`.
    ///
    /// # Errors
    /// When the transaction failed, or the callback received none.
    pub async fn settlement(&self, transaction: TransactionStatus) -> Result<Settlement> {
        settlement(self.finished(transaction).await?)
    }

    /// All live requests.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn pending(&self) -> Result<Vec<PendingView>> {
        let view = self
            .contract
            .view("list_pending")
            .args_json(json!({ "from_index": 0, "limit": 100 }));
        Ok(view.await?.json()?)
    }

    /// A live request, `None` when it is settled or never was.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn live(&self, request_id: RequestId) -> Result<Option<RequestView>> {
        Ok(self
            .contract
            .view("get_request")
            .args_json(json!({ "request_id": request_id }))
            .await?
            .json()?)
    }

    /// Waits until `count` requests are live.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn wait_for_pending(&self, count: usize) -> Result<Vec<PendingView>> {
        let begun = Instant::now();
        loop {
            let pending = self.pending().await?;
            if pending.len() == count {
                return Ok(pending);
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{} requests are live, expected {count}",
                pending.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The contract's money by purpose.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn funds(&self) -> Result<FundsView> {
        Ok(self.contract.view("get_funds").await?.json()?)
    }

    /// An account's balance, yoctoNEAR.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn balance(&self, account: &AccountId) -> Result<u128> {
        Ok(self
            .node
            .view_account(account)
            .await?
            .balance
            .as_yoctonear())
    }

    /// The chain's height.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn height(&self) -> Result<u64> {
        Ok(self.node.view_block().await?.height())
    }

    /// Height of the block in which a request was settled, from its transaction's result.
    ///
    /// # Errors
    /// When no receipt of it emitted a second event, or the block is not to be had.
    pub async fn settled_at(&self, result: &ExecutionFinalResult) -> Result<u64> {
        let emits = |outcome: &&ExecutionOutcome| {
            outcome
                .logs
                .iter()
                .any(|line| Event::from_log(line).is_some())
        };
        let receipts = result.receipt_outcomes();
        let settling = receipts
            .iter()
            .filter(emits)
            .nth(1)
            .context("no receipt settled the request")?;
        Ok(self
            .node
            .view_block()
            .block_hash(settling.block_hash)
            .await?
            .height())
    }

    /// Moves the chain to `height` or a little beyond it.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn advance_to(&self, height: u64) -> Result<()> {
        let now = self.height().await?;
        if let Some(blocks) = height.checked_sub(now).filter(|blocks| *blocks > 1) {
            self.node.fast_forward(blocks - 1).await?;
        }
        let begun = Instant::now();
        while self.height().await? < height {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the chain did not reach block {height}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The worker's configuration for this testbed.
    ///
    /// # Errors
    /// When a key or a folder is not to be had.
    pub fn worker_config(&self, account: &Account) -> Result<WorkerConfig> {
        let key = account
            .secret_key()
            .to_string()
            .parse()
            .context("the worker's key")?;
        let (contract_id, account_id) = (self.contract.id().clone(), account.id().clone());
        let mut config = WorkerConfig::new(self.node.rpc_addr(), contract_id, account_id, key);
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
    pub fn serve_with(&self, config: WorkerConfig) -> Result<Serving> {
        let server = Server::new(config)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let asked_to_stop = async {
                let _ = stopped.await;
            };
            server.run(asked_to_stop).await;
        });
        Ok(Serving {
            stop: Some(stop),
            task,
        })
    }

    /// What an honest worker would submit for a live request that reads nothing from storage, or reads it
    /// as it is now.
    ///
    /// # Errors
    /// When the request is not live or the engine has no verdict.
    pub async fn execute(&self, request_id: RequestId) -> Result<ExecutionResponse> {
        let live = self
            .live(request_id)
            .await?
            .with_context(|| format!("request {request_id} is not live"))?;
        let code: Option<Bytes> = self
            .contract
            .view("get_code")
            .args_json(json!({ "hash": live.request.code.hash, "offset": 0, "limit": u32::MAX }))
            .await?
            .json()?;
        let code = code.context("the code is not published")?;
        let handle = tokio::runtime::Handle::current();
        let (contract, namespace) = (self.contract.clone(), live.request.namespace().clone());
        let execution = tokio::task::spawn_blocking(move || {
            let executor = Executor::new(ExecutorConfig::default())?;
            let request = &live.request;
            let job = Job {
                code: &code,
                kind: request.kind,
                args: &request.args,
                env: &request.env,
                input: &live.input,
                limits: &request.limits,
                context: &request.context,
            };
            let mut snapshot = ViewSnapshot {
                handle,
                contract,
                namespace,
            };
            anyhow::Ok(executor.execute(&job, &mut snapshot)?)
        });
        Ok(execution.await??.into_response(request_id))
    }

    /// Submits `response` from `account`.
    ///
    /// # Errors
    /// When the transaction cannot be sent; a refusal is in the result.
    pub async fn resolve(
        &self,
        account: &Account,
        response: &ExecutionResponse,
    ) -> Result<ExecutionFinalResult> {
        let call = account
            .call(self.contract.id(), "resolve_execution")
            .args_borsh(response);
        Ok(call.gas(DAPP_GAS).transact().await?)
    }
}

/// Current storage, read by views.
struct ViewSnapshot {
    handle: tokio::runtime::Handle,
    contract: Contract,
    namespace: AccountId,
}

impl Snapshot for ViewSnapshot {
    fn read(&mut self, key: &[u8]) -> std::result::Result<Option<Vec<u8>>, SnapshotError> {
        let args = json!({ "account_id": self.namespace, "key": Bytes::from(key) });
        let value: Result<Option<Bytes>> = self.handle.block_on(async {
            Ok(self
                .contract
                .view("storage_get")
                .args_json(args)
                .await?
                .json()?)
        });
        value
            .map(|value| value.map(|bytes| bytes.0))
            .map_err(|error| SnapshotError(error.to_string()))
    }
}

/// The settlement in the final result of the fixture dApp's `ask`.
///
/// # Errors
/// When the transaction failed, or the callback received none.
pub fn settlement(result: ExecutionFinalResult) -> Result<Settlement> {
    let answer: serde_json::Value = result
        .into_result()
        .context("the dApp's transaction")?
        .json()?;
    if let Some(error) = answer.get("error") {
        bail!("the dApp's callback received no settlement: {error}");
    }
    serde_json::from_value(answer["settlement"].clone())
        .with_context(|| format!("no settlement in {answer}"))
}

/// Whether every receipt that an outcome names has an outcome itself.
fn is_complete(result: &ExecutionFinalResult) -> bool {
    let outcomes = result.outcomes();
    let executed: HashSet<_> = outcomes
        .iter()
        .map(|outcome| outcome.transaction_hash)
        .collect();
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.receipt_ids)
        .all(|id| executed.contains(id))
}

/// The contract's events in a result's logs.
pub fn events(result: &ExecutionFinalResult) -> Vec<Event> {
    result
        .logs()
        .into_iter()
        .filter_map(Event::from_log)
        .collect()
}

/// Tokens burnt by a transaction and all its receipts, yoctoNEAR.
pub fn burnt<T>(result: &ExecutionResult<T>) -> u128 {
    result
        .outcomes()
        .iter()
        .map(|outcome| outcome.tokens_burnt.as_yoctonear())
        .sum()
}
