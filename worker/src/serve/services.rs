//! What all parts of a worker use: its configuration, the chain, the code, the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlayer_client::{At, CallOutcome, ChainError, Contract, Node, SendError, SigningAccount};
use outlayer_modules::CodeStore;
use outlayer_protocol::{NearToken, RequestId, methods};
use serde_json::json;

use super::{Stage, WorkerConfig, WorkerError, salt::Salts, set_aside::SetAside};
use crate::pool::ExecutionPool;

pub(super) struct Services {
    pub(super) config: WorkerConfig,
    pub(super) contract: Contract,
    pub(super) account: SigningAccount,
    pub(super) salts: Salts,
    pub(super) codes: CodeStore,
    pub(super) pool: ExecutionPool,
    set_aside: Mutex<SetAside>,
}

impl Services {
    /// Sets everything up. Nothing is asked or sent yet.
    pub(super) fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        let node = Node::new(&config.node)?;
        let contract = Contract::new(node.clone(), config.contract_id.clone());
        let account =
            SigningAccount::new(node, config.account_id.clone(), config.secret_key.clone());
        let salts = Salts::new(&config.secret_key, config.contract_id.clone());
        let codes = CodeStore::new(config.code.clone())?;
        let pool = ExecutionPool::new(Arc::clone(&config.engine), config.concurrency);
        let set_aside = SetAside::open(&config).map_err(|source| WorkerError::State {
            folder: config.state_dir.clone().unwrap_or_default(),
            source,
        })?;
        let set_aside = Mutex::new(set_aside);
        Ok(Self { config, contract, account, salts, codes, pool, set_aside })
    }

    /// The requests whose last attempt failed.
    pub(super) fn set_aside(&self) -> MutexGuard<'_, SetAside> {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the observer, if there is one.
    pub(super) fn tell(&self, stage: Stage) {
        if let Some(observer) = &self.config.observer {
            observer(&stage);
        }
    }

    /// Calls a method of the contract as this worker, and attaches nothing but gas.
    pub(super) async fn call(&self, method: &str, args: Vec<u8>) -> Result<CallOutcome, SendError> {
        let nothing = NearToken::from_yoctonear(0);
        self.account.call(self.contract.id(), method, args, self.config.gas, nothing).await
    }

    /// Closes a request on which no agreement is possible, or the open shares of a settled one.
    pub(super) async fn close(&self, request_id: RequestId) -> Result<CallOutcome, SendError> {
        let args = json!({ "request_id": request_id }).to_string().into_bytes();
        self.call(methods::CLOSE, args).await
    }

    /// The height of the newest block.
    pub(super) async fn height(&self) -> Result<u64, ChainError> {
        Ok(self.contract.node().block(At::Optimistic).await?.height)
    }
}
