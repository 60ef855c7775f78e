//! OutLayer as the tests of this workspace have it: the test kit's, on a node of their choice, with
//! the contract of this tree, a dApp that asks for whatever a test tells it to, and workers in the
//! test's own process.

mod daemon;
mod results;
mod serving;

use std::{ops::Deref, sync::Arc, time::Duration};

use anyhow::Result;
use near_workspaces::{
    Account, Contract, Worker, network::Sandbox, operations::TransactionStatus, types::NearToken,
};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_localnet::{
    Config, Handle,
    node::{BlockProduction, DEFAULT_HEARTBEAT},
};
use outlayer_protocol::{ExecutionRequest, Hash32, Settlement};
use outlayer_testkit::{Deployment, Outlayer};
use serde_json::json;

use crate::{artifacts, node, pace::Pace};

pub use daemon::Daemon;
pub use outlayer_testkit::{DAPP_GAS, MAX_GAS, SALT, burnt, events};
pub use results::settlement;
pub use serving::Serving;

/// A node with OutLayer on it.
pub struct Testbed {
    outlayer: Outlayer,
    /// The dApp of `fixtures/dapp`, which asks for whatever a test tells it to.
    pub dapp: Contract,
    /// The registered worker's account.
    pub worker: Account,
    /// A node in this process, which ends with the testbed.
    _localnet: Option<Handle>,
    /// The pace of its blocks, where they have one.
    pace: Option<Pace>,
}

impl Deref for Testbed {
    type Target = Outlayer;

    fn deref(&self) -> &Outlayer {
        &self.outlayer
    }
}

impl Testbed {
    /// Starts a node, deploys the contract and the fixture dApp, and registers a worker.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start() -> Result<Self> {
        Self::on(node::start().await?).await
    }

    /// The same, for a test that counts blocks while workers serve. Blocks come fast until the test
    /// says with [`set_block_time`](Self::set_block_time) that it is set up.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start_with_timer() -> Result<Self> {
        let (localnet, node) = node::start_with_timer().await?;
        let (_localnet, pace) = localnet.unzip();
        Ok(Self { _localnet, pace, ..Self::on(node).await? })
    }

    /// The same as [`start`](Self::start), for a test that comes close to a deadline: no block
    /// passes while there is nothing to do.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn start_still() -> Result<Self> {
        let (_localnet, node) = node::start_still().await?;
        Ok(Self { _localnet, ..Self::on(node).await? })
    }

    /// A testbed on a localnet in this process, and what makes that fail. Its blocks wait for its
    /// workers, so that the time of a request does not end because the machine is busy.
    ///
    /// # Errors
    /// When the node does not start, or the setup of [`Outlayer`] fails.
    pub async fn start_with_faults() -> Result<(Handle, Self)> {
        let production = BlockProduction::Instant { heartbeat: None };
        let (handle, node) = node::start_within(Config { production, ..Config::default() }).await?;
        let pace = Pace::heartbeat(Arc::clone(handle.node()), DEFAULT_HEARTBEAT);
        pace.wait_for_workers();
        Ok((handle, Self { pace: Some(pace), ..Self::on(node).await? }))
    }

    /// Sets the time between two blocks of a testbed that was
    /// [started with a timer](Self::start_with_timer). A node that the environment names keeps its
    /// own.
    pub fn set_block_time(&self, block_time: Duration) {
        if let Some(pace) = &self.pace {
            pace.set(block_time);
        }
    }

    /// Has the blocks of a testbed that was [started with a timer](Self::start_with_timer)
    /// [wait for its workers](Pace::wait_for_workers), those that serve in this process.
    pub fn wait_for_workers(&self) {
        if let Some(pace) = &self.pace {
            pace.wait_for_workers();
        }
    }

    /// Deploys the contract and the fixture dApp on `node`, and registers a worker.
    ///
    /// # Errors
    /// When any of these fails.
    pub async fn on(node: Worker<Sandbox>) -> Result<Self> {
        let wasm = artifacts::wasm("outlayer_contract")?;
        let deployment = Deployment {
            wasm: &wasm,
            engine_version: ENGINE_VERSION,
            near_config_version: NEAR_CONFIG_VERSION,
        };
        let outlayer = Outlayer::on(node, deployment).await?;
        let new = json!({ "outlayer": outlayer.id() });
        let dapp = outlayer.deploy(&artifacts::wasm("fixture_dapp")?, new).await?;
        let worker = outlayer.new_worker().await?;
        Ok(Self { outlayer, dapp, worker, _localnet: None, pace: None })
    }

    /// Publishes one of the guests of `wasi-examples/`.
    ///
    /// # Errors
    /// When the guest cannot be built or published.
    pub async fn publish_guest(&self, name: &str) -> Result<Hash32> {
        Ok(self.publish(&artifacts::wasm(name)?).await?)
    }

    /// Deposits 1 NEAR for what the dApp's requests store.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn pay_for_storage(&self) -> Result<()> {
        Ok(self.storage_deposit(self.dapp.id(), NearToken::from_near(1)).await?)
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
        self.ask_with(asker, request, self.estimate(request).await?.total).await
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

    /// The settlement that the dApp's callback received, from the final result of an `ask`.
    ///
    /// # Errors
    /// When the transaction failed, or the callback received no settlement.
    pub async fn settlement(&self, transaction: TransactionStatus) -> Result<Settlement> {
        settlement(self.finished(transaction).await?)
    }
}
