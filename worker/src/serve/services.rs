//! What all parts of a worker use: its configuration, the chain, the code, the engine.

use outlayer_client::{At, ChainError, Contract, Node, SigningAccount};
use outlayer_modules::CodeStore;

use super::{Stage, WorkerConfig, WorkerError};
use crate::pool::ExecutionPool;

pub(super) struct Services {
    pub(super) config: WorkerConfig,
    pub(super) contract: Contract,
    pub(super) account: SigningAccount,
    pub(super) codes: CodeStore,
    pub(super) pool: ExecutionPool,
}

impl Services {
    /// Sets everything up. Nothing is asked or sent yet.
    pub(super) fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        let node = Node::new(&config.node)?;
        let contract = Contract::new(node.clone(), config.contract_id.clone());
        let account =
            SigningAccount::new(node, config.account_id.clone(), config.secret_key.clone());
        let codes = CodeStore::new(config.code.clone())?;
        let pool = ExecutionPool::new(config.executor.clone(), config.concurrency)?;
        Ok(Self { config, contract, account, codes, pool })
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
