//! A deployed OutLayer: the contract, the account of a registered worker, a dApp, and what a test
//! does with them.

mod agreement;
mod chain;
mod daemon;
mod results;
mod serving;

use std::time::Duration;

use anyhow::{Context, Result};
use near_workspaces::{
    Account, AccountId, Contract, Worker,
    network::Sandbox,
    operations::TransactionStatus,
    types::{Gas, NearToken},
};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_localnet::Handle;
use outlayer_protocol::{Config, ExecutionRequest, Hash32, methods, views::CostView};
use serde_json::json;

use crate::{artifacts, node};

pub use agreement::SALT;
pub use daemon::Daemon;
pub use results::{burnt, events, settlement};
pub use serving::Serving;

/// The most gas that a transaction may carry on a node of protocol version 83 or newer.
pub const MAX_GAS: Gas = Gas::from_tgas(1_000);
/// The most gas that older tools attach. It is enough for every request of a dApp.
pub const DAPP_GAS: Gas = Gas::from_tgas(300);

/// A node with OutLayer on it.
pub struct Testbed {
    /// The node, as near-workspaces knows it.
    pub node: Worker<Sandbox>,
    /// The OutLayer contract. It is its own owner.
    pub contract: Contract,
    /// The dApp of `fixtures/dapp`, which asks for whatever a test tells it to.
    pub dapp: Contract,
    /// The registered worker's account.
    pub worker: Account,
    /// A node in this process, which ends with the testbed.
    _localnet: Option<Handle>,
}

impl Testbed {
    /// Starts a node, deploys the contract and the fixture dApp, and registers a worker.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start() -> Result<Self> {
        Self::on(node::start().await?).await
    }

    /// The same, for a test that counts blocks while workers serve.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start_with_block_time(block_time: Duration) -> Result<Self> {
        let (localnet, node) = node::start_with_block_time(block_time).await?;
        Ok(Self { _localnet: localnet, ..Self::on(node).await? })
    }

    /// Deploys the contract and the fixture dApp on `node`, and registers a worker.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn on(node: Worker<Sandbox>) -> Result<Self> {
        let contract = node.dev_deploy(&artifacts::wasm("outlayer_contract")?).await?;
        let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
        let init = contract
            .call(methods::NEW)
            .args_json(json!({ "owner_id": contract.id(), "config": config }));
        init.max_gas().transact().await?.into_result().context("new")?;

        let dapp = node.dev_deploy(&artifacts::wasm("fixture_dapp")?).await?;
        dapp.call("new")
            .args_json(json!({ "outlayer": contract.id() }))
            .transact()
            .await?
            .into_result()?;

        let worker = node.dev_create_account().await?;
        let testbed = Self { node, contract, dapp, worker, _localnet: None };
        testbed.register_worker(testbed.worker.id()).await?;
        Ok(testbed)
    }

    /// Registers the account as a worker.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn register_worker(&self, worker_id: &AccountId) -> Result<()> {
        let call = self
            .contract
            .call(methods::REGISTER_WORKER)
            .args_json(json!({ "worker_id": worker_id, "metadata": null }))
            .deposit(NearToken::from_yoctonear(1));
        call.max_gas().transact().await?.into_result().context(methods::REGISTER_WORKER)?;
        Ok(())
    }

    /// Publishes code in the contract, in parts. Returns its hash.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn publish(&self, code: &[u8]) -> Result<Hash32> {
        const PART: usize = 300_000;
        let hash = Hash32::of(code);
        let total = u32::try_from(code.len())?;
        for (index, part) in code.chunks(PART).enumerate() {
            let offset = u32::try_from(index * PART)?;
            let deposit = NearToken::from_millinear(u128::try_from(part.len())? / 90 + 100);
            let call = self.contract.as_account().call(self.contract.id(), methods::PUBLISH_CODE);
            let call = call.args_borsh((hash, total, offset, part.to_vec())).deposit(deposit);
            call.max_gas().transact().await?.into_result().context(methods::PUBLISH_CODE)?;
        }
        Ok(hash)
    }

    /// Publishes one of the guests of `wasi-examples/`.
    ///
    /// # Errors
    /// When the guest cannot be built or published.
    pub async fn publish_guest(&self, name: &str) -> Result<Hash32> {
        self.publish(&artifacts::wasm(name)?).await
    }

    /// Deposits 1 NEAR for what the dApp's requests store.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn pay_for_storage(&self) -> Result<()> {
        let call = self.worker.call(self.contract.id(), methods::STORAGE_DEPOSIT);
        let call = call
            .args_json(json!({ "account_id": self.dapp.id() }))
            .deposit(NearToken::from_near(1));
        call.max_gas().transact().await?.into_result().context(methods::STORAGE_DEPOSIT)?;
        Ok(())
    }

    /// What a call with `request` must attach, as the contract estimates it.
    ///
    /// # Errors
    /// When the view fails.
    pub async fn estimate(&self, request: &ExecutionRequest) -> Result<CostView> {
        Ok(self
            .contract
            .view(methods::ESTIMATE_COST)
            .args_json(json!({ "request": request }))
            .await?
            .json()?)
    }

    /// Sends `request` through the dApp, with the deposit that the contract asks for. Does not wait
    /// for the end of the transaction.
    ///
    /// # Errors
    /// When the estimate or the sending fails.
    pub async fn ask(
        &self,
        asker: &Account,
        request: &ExecutionRequest,
    ) -> Result<TransactionStatus> {
        let deposit = self.estimate(request).await?.total;
        self.ask_with(asker, request, NearToken::from_yoctonear(deposit.as_yoctonear())).await
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
}
