//! What all parts of a worker use: its configuration, the chain, the code, the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlayer_client::{At, ChainError, Contract, Node, SigningAccount};
use outlayer_modules::CodeStore;

use super::{Stage, WorkerConfig, WorkerError, set_aside::SetAside};
use crate::pool::ExecutionPool;

pub(super) struct Services {
    pub(super) config: WorkerConfig,
    pub(super) contract: Contract,
    pub(super) account: SigningAccount,
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
        let codes = CodeStore::new(config.code.clone())?;
        let pool = ExecutionPool::new(Arc::clone(&config.engine), config.concurrency);
        let set_aside = SetAside::open(&config).map_err(|source| WorkerError::State {
            folder: config.state_dir.clone().unwrap_or_default(),
            source,
        })?;
        let set_aside = Mutex::new(set_aside);
        Ok(Self { config, contract, account, codes, pool, set_aside })
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

    /// The height of the newest block.
    pub(super) async fn height(&self) -> Result<u64, ChainError> {
        Ok(self.contract.node().block(At::Optimistic).await?.height)
    }
}
