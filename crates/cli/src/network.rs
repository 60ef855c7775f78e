//! Options that name a contract on a node.

use clap::Args;
use outlayer_protocol::AccountId;
use outlayer_worker::chain::{Contract, Node, NodeConfig};

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// JSON-RPC address of a NEAR node
    #[arg(long, env = "OUTLAYER_RPC_URL")]
    pub(crate) rpc_url: String,
    /// The OutLayer contract
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    pub(crate) contract: AccountId,
}

impl NetworkArgs {
    pub(crate) fn contract(self) -> anyhow::Result<Contract> {
        Ok(Contract::new(Node::new(&NodeConfig::new(self.rpc_url))?, self.contract))
    }
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
