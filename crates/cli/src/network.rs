//! Options that name a node, and a contract on it.

use anyhow::bail;
use clap::Args;
use outlayer_client::{Contract, Node};
use outlayer_protocol::AccountId;

use crate::{localnet, networks};

#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArgs {
    /// The network: localnet, testnet, mainnet, or the URL of a NEAR node's JSON-RPC endpoint
    // A URL may have an API key in it.
    #[arg(long, env = "OUTLAYER_NETWORK", hide_env_values = true)]
    network: Option<String>,
    /// URL of a NEAR node's JSON-RPC endpoint, in place of the one that --network has
    #[arg(long, env = "OUTLAYER_RPC_URL", hide_env_values = true)]
    rpc_url: Option<String>,
}

impl NodeArgs {
    /// Whether anybody has said which network to ask.
    pub(crate) fn is_given(&self) -> bool {
        self.network.is_some() || self.rpc_url.is_some()
    }

    /// The node, and the network's name if it has one.
    pub(crate) fn node(&self) -> anyhow::Result<(Node, Option<&'static str>)> {
        let urls: Vec<String> = self.rpc_url.iter().cloned().collect();
        let network = self.network.as_deref().filter(|name| !name.is_empty());
        let (config, name) = networks::choose(network, &urls)?;
        Ok((Node::new(&config)?, name))
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// The OutLayer contract [default on localnet: the one that `outlayer dev` makes]
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    pub(crate) contract: Option<AccountId>,
}

impl NetworkArgs {
    pub(crate) fn contract(&self) -> anyhow::Result<Contract> {
        let (node, network) = self.node.node()?;
        let id = match &self.contract {
            Some(id) => id.clone(),
            None if network == Some(localnet::NAME) => localnet::id(localnet::CONTRACT)?,
            None => bail!(
                "nobody says which contract is meant; give --contract (or OUTLAYER_CONTRACT) with \
                 the account that OutLayer's contract is on. `outlayer dev` starts a network with \
                 one on this machine, which is meant with --network localnet"
            ),
        };
        Ok(Contract::new(node, id))
    }
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
