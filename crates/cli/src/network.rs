//! Options that name a contract on a node.

use clap::Args;
use outlayer_client::{Contract, Node, NodeConfig};
use outlayer_protocol::AccountId;

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// URL of a NEAR node's JSON-RPC endpoint
    #[arg(long, env = "OUTLAYER_RPC_URL", hide_env_values = true)]
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
