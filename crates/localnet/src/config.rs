//! How a node is set up.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    chain::{DEFAULT_WINDOW, MAX_PROTOCOL_VERSION},
    node::{BlockProduction, RpcFaults},
};

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that the RPC listens on; by default a free port of the loopback interface.
    pub rpc_addr: SocketAddr,
    /// The home directory; a temporary one when absent. A chain that is there is started from its
    /// genesis, and a new chain is created in an empty directory.
    pub home: Option<PathBuf>,
    /// The protocol version of a new chain.
    pub protocol_version: u32,
    /// A JSON merge patch for the genesis of a new chain.
    pub genesis_patch: Option<Value>,
    /// Whether a new chain has the accounts that near-workspaces expects: `sandbox`, `clone` and
    /// `registrar`.
    pub sandbox_accounts: bool,
    /// When blocks are produced.
    pub production: BlockProduction,
    /// Derives a new chain's keys from this text, and block times from the heights, so that the
    /// same requests give the same blocks.
    pub seed: Option<String>,
    /// How many blocks are kept.
    pub window: usize,
    /// The directory for compiled contracts; they are only kept in memory when absent.
    pub contract_cache: Option<PathBuf>,
    /// The directory in which the chain is kept, so that a node that is started with it again
    /// continues the chain. The home directory defaults to `home` in it.
    pub state: Option<PathBuf>,
    /// Files with Wasm that are global contracts from the genesis block on, under their hashes.
    pub global_contracts: Vec<PathBuf>,
    /// RPC requests that fail on purpose.
    pub rpc_faults: Option<RpcFaults>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            home: None,
            protocol_version: MAX_PROTOCOL_VERSION,
            genesis_patch: None,
            sandbox_accounts: true,
            production: BlockProduction::default(),
            seed: None,
            window: DEFAULT_WINDOW,
            contract_cache: Some(default_contract_cache()),
            state: None,
            global_contracts: Vec::new(),
            rpc_faults: None,
        }
    }
}

/// The default directory for compiled contracts, within the user's cache directory.
pub fn default_contract_cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("outlayer-localnet").join("contracts")
}
