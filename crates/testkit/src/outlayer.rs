//! OutLayer on a node: set up, accounts, code, storage, money and prices.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use near_workspaces::{
    Account, AccountId, Contract, Worker,
    network::Sandbox,
    operations::CallTransaction,
    types::{Gas, NearToken},
};
use outlayer_client::{ChainError, CodeCall, ContractCaller, NodeConfig, publish_code};
use outlayer_protocol::{
    Bytes, Config, EngineVersion, ExecutionRequest, Hash32, methods,
    views::{ConfigView, CostView, FundsView, StorageBalance, WorkerView},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    Behaviour, Error, Program, Result, TestWorker,
    call::Call,
    error::Asked as _,
    node,
    process::{Process, locked},
    wasm,
    worker::GuestLogs,
};

/// The most gas that a transaction may carry on a node of protocol version 83 or newer.
pub const MAX_GAS: Gas = Gas::from_tgas(1_000);
/// The most gas that older tools attach. It is enough for every request of a dApp.
pub const DAPP_GAS: Gas = Gas::from_tgas(300);

/// What is deployed: the contract's Wasm, and the engine whose answers it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// The Wasm of the OutLayer contract.
    pub wasm: &'a [u8],
    /// The version of the deterministic engine.
    pub engine_version: EngineVersion,
    /// The NEAR protocol version whose fees the engine's gas meter uses.
    pub near_config_version: u32,
}

/// How a test's OutLayer is started.
#[derive(Clone, Debug)]
pub struct Setup {
    workers: Vec<Behaviour>,
    block_time: Option<Duration>,
    program: Option<Program>,
    wasm: Option<Vec<u8>>,
}

impl Setup {
    /// Has one worker for each of these, in place of one that is honest. `[]` has none, so that
    /// every request times out.
    pub fn workers(mut self, workers: impl IntoIterator<Item = Behaviour>) -> Self {
        self.workers = workers.into_iter().collect();
        self
    }

    /// Has the node make a block each time that this has passed. By default it makes one as soon
    /// as there is work, and with several workers every 100 ms, because they must agree within a
    /// number of blocks. A node that `NEAR_SANDBOX_BIN_PATH` names has its own time.
    pub fn block_time(mut self, block_time: Duration) -> Self {
        self.block_time = Some(block_time);
        self
    }

    /// Takes this command, in place of the one that [`Program::find`] finds.
    pub fn program(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// Deploys this contract, in place of the one that comes with this crate.
    pub fn contract(mut self, wasm: Vec<u8>) -> Self {
        self.wasm = Some(wasm);
        self
    }

    /// Starts a node, deploys OutLayer, registers the workers, and has them serve.
    ///
    /// # Errors
    /// When the command is not found or built, or any of these fails.
    pub async fn start(self) -> Result<Outlayer> {
        let program = match self.program {
            Some(program) => program,
            None => {
                let found = tokio::task::spawn_blocking(Program::find).await;
                found.map_err(|error| Error::Program(error.to_string()))??
            }
        };
        let several = (self.workers.len() > 1).then_some(Duration::from_millis(100));
        let (node, process) = node::start(&program, self.block_time.or(several)).await?;
        let about = program.about();
        let deployment = Deployment {
            wasm: match &self.wasm {
                Some(wasm) => wasm,
                None => wasm::contract()?,
            },
            engine_version: about.engine_version,
            near_config_version: about.near_config_version,
        };
        let mut outlayer = Outlayer::on(node, deployment).await?;
        outlayer.program = Some(program);
        outlayer.process = process;
        for behaviour in self.workers {
            let worker = outlayer.new_worker().await?;
            let serving = outlayer.serve(worker, behaviour)?;
            locked(&outlayer.serving).push(serving);
        }
        Ok(outlayer)
    }
}

/// A node with OutLayer on it, and the workers that serve.
///
/// The node and the workers end when this is dropped, and when the test's process ends.
pub struct Outlayer {
    /// The node, as near-workspaces knows it.
    pub node: Worker<Sandbox>,
    /// The OutLayer contract. It is its own owner.
    pub contract: Contract,
    pub(crate) program: Option<Program>,
    pub(crate) guest_logs: Arc<Mutex<GuestLogs>>,
    // The workers end before their node does.
    pub(crate) serving: Mutex<Vec<TestWorker>>,
    process: Option<Process>,
}

impl Outlayer {
    /// Starts a node with OutLayer on it and one honest worker.
    ///
    /// # Errors
    /// As for [`Setup::start`].
    pub async fn start() -> Result<Self> {
        Self::setup().start().await
    }

    /// A node with other workers.
    pub fn setup() -> Setup {
        Setup { workers: vec![Behaviour::Honest], block_time: None, program: None, wasm: None }
    }

    /// Deploys OutLayer on a node that the caller has started. It has no workers.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn on(node: Worker<Sandbox>, deployment: Deployment<'_>) -> Result<Self> {
        let contract = node.dev_deploy(deployment.wasm).await.asked("deploying OutLayer")?;
        let config = Config::new(deployment.engine_version, deployment.near_config_version);
        let new = contract
            .call(methods::NEW)
            .args_json(json!({ "owner_id": contract.id(), "config": config }));
        done(methods::NEW, new.max_gas()).await?;
        Ok(Self {
            node,
            contract,
            program: None,
            guest_logs: Arc::default(),
            serving: Mutex::default(),
            process: None,
        })
    }

    /// Has workers run by this command. [`Setup::start`] does that.
    pub fn set_program(&mut self, program: Program) {
        self.program = Some(program);
    }

    /// The same node and contract, for a worker to act on.
    pub(crate) fn shared(&self) -> Self {
        Self {
            node: self.node.clone(),
            contract: self.contract.clone(),
            program: self.program.clone(),
            guest_logs: Arc::clone(&self.guest_logs),
            serving: Mutex::default(),
            process: None,
        }
    }

    /// The account of the OutLayer contract.
    pub fn id(&self) -> &AccountId {
        self.contract.id()
    }

    /// A new account with 100 NEAR.
    ///
    /// # Errors
    /// When the node does not create it.
    pub async fn account(&self) -> Result<Account> {
        self.node.dev_create_account().await.asked("creating an account")
    }

    /// Deploys a contract to a new account, and calls its method `new` with these arguments.
    ///
    /// # Errors
    /// When the node refuses, or the method fails.
    pub async fn deploy(&self, wasm: &[u8], new: impl Serialize) -> Result<Contract> {
        let contract = self.node.dev_deploy(wasm).await.asked("deploying a contract")?;
        done("new", contract.call("new").args_json(new).max_gas()).await?;
        Ok(contract)
    }

    /// Publishes code in the contract, in parts, unless it is there already. Returns its hash.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn publish(&self, code: &[u8]) -> Result<Hash32> {
        let unreachable = |error: ChainError| Error::answer("the node", error);
        let node = NodeConfig::new(self.node.rpc_addr());
        let node = outlayer_client::Node::new(&node).map_err(unreachable)?;
        let contract = outlayer_client::Contract::new(node, self.id().clone());
        let mut publisher = Publisher { contract: &self.contract };
        match publish_code(&contract, self.id(), code, &mut publisher).await {
            Ok(publication) => Ok(publication.hash),
            Err(error) => Err(match error.into_callers() {
                Ok((error, _)) => error,
                Err(error) => Error::call(methods::PUBLISH_CODE, error),
            }),
        }
    }

    /// A call of a contract by an account, with [`DAPP_GAS`] and no deposit unless it is told
    /// otherwise. Await it for the outcome, or see [`Call`].
    pub fn call<'a>(
        &'a self,
        by: &'a Account,
        contract: &'a AccountId,
        method: &'a str,
        args: impl Serialize,
    ) -> Call<'a> {
        Call::new(self, by, contract, method, &args)
    }

    /// A request that an account makes itself, not through a dApp. The call attaches what the
    /// contract asks for.
    ///
    /// # Errors
    /// When the price cannot be asked for.
    pub async fn request<'a>(
        &'a self,
        by: &'a Account,
        request: &ExecutionRequest,
    ) -> Result<Call<'a>> {
        let deposit = self.estimate(request).await?.total;
        let args = json!({ "request": request });
        Ok(self.call(by, self.id(), methods::REQUEST_EXECUTION, args).deposit(deposit))
    }

    /// What a call with `request` must attach, as the contract estimates it. The request is an
    /// [`ExecutionRequest`], or its JSON.
    ///
    /// # Errors
    /// When the request is malformed, or names code that is not there.
    pub async fn estimate(&self, request: impl Serialize) -> Result<CostView> {
        self.view(methods::ESTIMATE_COST, json!({ "request": request })).await
    }

    /// What a call of `contract` must attach for the request that its view `method` describes.
    ///
    /// # Errors
    /// When the view fails, or does not give a request.
    pub async fn estimate_of(
        &self,
        contract: &Contract,
        method: &str,
        args: impl Serialize,
    ) -> Result<CostView> {
        let request = contract.view(method).args_json(args).await.asked(method)?;
        let request: ExecutionRequest = request.json().asked(method)?;
        self.estimate(&request).await
    }

    /// What a view of the contract says.
    pub(crate) async fn view<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        args: impl Serialize,
    ) -> Result<T> {
        let view = self.contract.view(method).args_json(args).await.asked(method)?;
        view.json().asked(method)
    }

    /// Calls the contract as its owner, with one yoctoNEAR.
    async fn govern(&self, method: &str, args: impl Serialize) -> Result<()> {
        let call = self.contract.call(method).args_json(args);
        done(method, call.deposit(NearToken::from_yoctonear(1)).max_gas()).await
    }

    /// The configuration: prices and bounds of new requests.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn config(&self) -> Result<Config> {
        let view: ConfigView = self.view(methods::GET_CONFIG, json!({})).await?;
        Ok(view.config)
    }

    /// Changes the configuration, such as prices. It holds for requests that are made later.
    ///
    /// # Errors
    /// When the contract refuses, because a number is out of bounds.
    pub async fn configure(&self, change: impl FnOnce(&mut Config)) -> Result<()> {
        let mut config = self.config().await?;
        change(&mut config);
        self.govern(methods::SET_CONFIG, json!({ "config": config })).await
    }

    /// Has the contract take no new requests.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn pause(&self) -> Result<()> {
        self.govern(methods::PAUSE, json!({})).await
    }

    /// Has the contract take requests again.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn unpause(&self) -> Result<()> {
        self.govern(methods::UNPAUSE, json!({})).await
    }

    /// Registers the account as a worker.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn register_worker(&self, worker_id: &AccountId) -> Result<()> {
        let args = json!({ "worker_id": worker_id, "metadata": null });
        self.govern(methods::REGISTER_WORKER, args).await
    }

    /// Creates an account and registers it as a worker.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn new_worker(&self) -> Result<Account> {
        let worker = self.account().await?;
        self.register_worker(worker.id()).await?;
        Ok(worker)
    }

    /// A registered worker, as the contract shows it.
    ///
    /// # Errors
    /// When the view fails, or the account is not registered.
    pub async fn worker_view(&self, worker_id: &AccountId) -> Result<WorkerView> {
        let args = json!({ "worker_id": worker_id });
        let view: Option<WorkerView> = self.view(methods::GET_WORKER, args).await?;
        view.ok_or_else(|| Error::answer(methods::GET_WORKER, format!("{worker_id} is unknown")))
    }

    /// Pays for what an account's guests store.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn storage_deposit(&self, owner: &AccountId, amount: NearToken) -> Result<()> {
        // Neither OutLayer nor an account that the test watches pays.
        let payer = self.node.root_account().asked("the node's own account")?;
        let call = payer.call(self.id(), methods::STORAGE_DEPOSIT);
        let call = call.args_json(json!({ "account_id": owner })).deposit(amount);
        done(methods::STORAGE_DEPOSIT, call.max_gas()).await
    }

    /// What an account has deposited for its storage; `None` when it has no storage.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn storage_balance(&self, owner: &AccountId) -> Result<Option<StorageBalance>> {
        self.view(methods::STORAGE_BALANCE_OF, json!({ "account_id": owner })).await
    }

    /// Sets a key of an account's storage, as that account. A contract is an account
    /// ([`Contract::as_account`]), and its guests read what it has set.
    ///
    /// # Errors
    /// When the contract refuses, because the bytes are not paid for.
    pub async fn storage_set(
        &self,
        owner: &Account,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<()> {
        let (key, value): (Bytes, Bytes) = (key.into(), value.into());
        let call = owner.call(self.id(), methods::STORAGE_SET);
        let call = call.args_json(json!({ "key": key, "value": value }));
        done(methods::STORAGE_SET, call.deposit(NearToken::from_yoctonear(1)).max_gas()).await
    }

    /// The value of a key of an account's storage.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn storage_get(
        &self,
        owner: &AccountId,
        key: impl Into<Bytes>,
    ) -> Result<Option<Vec<u8>>> {
        let args = json!({ "account_id": owner, "key": key.into() });
        let value: Option<Bytes> = self.view(methods::STORAGE_GET, args).await?;
        Ok(value.map(|bytes| bytes.0))
    }

    /// The money that the contract holds, by purpose.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn funds(&self) -> Result<FundsView> {
        self.view(methods::GET_FUNDS, json!({})).await
    }

    /// An account's balance, yoctoNEAR.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn balance(&self, account: &AccountId) -> Result<u128> {
        let account = self.node.view_account(account).await.asked("an account's balance")?;
        Ok(account.balance.as_yoctonear())
    }

    /// Has the account, which is registered, serve as a worker.
    ///
    /// # Errors
    /// When its process does not start.
    pub fn serve(&self, account: Account, behaviour: Behaviour) -> Result<TestWorker> {
        TestWorker::start(self, account, behaviour)
    }

    /// Ends the workers that the set-up has started. From then on requests time out.
    pub fn stop_workers(&self) {
        locked(&self.serving).clear();
    }

    /// Fails when a worker that the set-up has started has ended.
    pub(crate) fn check_workers(&self) -> Result<()> {
        locked(&self.serving).iter_mut().try_for_each(TestWorker::check)
    }
}

/// The contract's own account, which publishes code.
struct Publisher<'a> {
    contract: &'a Contract,
}

impl ContractCaller for Publisher<'_> {
    type Error = Error;

    async fn call(&mut self, call: &CodeCall) -> Result<Option<Vec<u8>>> {
        let CodeCall { method, args, gas, deposit, .. } = call;
        let called = self.contract.call(method).args(args.clone()).deposit(*deposit);
        let called = called.gas(Gas::from_gas(*gas)).transact().await.asked(method)?;
        let returned = called.into_result().map_err(|failure| Error::call(method, failure))?;
        returned.raw_bytes().asked(method).map(Some)
    }
}

/// Makes a call that must succeed.
async fn done(what: &str, call: CallTransaction) -> Result<()> {
    let result = call.transact().await.asked(what)?;
    result.into_result().map_err(|failure| Error::call(what, failure))?;
    Ok(())
}
