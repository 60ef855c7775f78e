//! Starting a node within the process.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use near_crypto::{ParseKeyError, SecretKey};
use near_primitives::hash::CryptoHash;
use near_primitives_core::account::id::AccountIdRef;

use crate::{
    chain::{Chain, Clock},
    config::Config,
    handle::Handle,
    home::{Home, HomeError, InitOptions},
    node::{Node, Producer},
    rpc::ServerThread,
    runtime::{Runtime, RuntimeError, RuntimeOptions},
    store::{Store, StoreError},
};

/// The accounts that near-sandbox adds to a genesis.
const SANDBOX_ACCOUNTS: [&AccountIdRef; 3] = [
    AccountIdRef::new_or_panic("sandbox"),
    AccountIdRef::new_or_panic("clone"),
    AccountIdRef::new_or_panic("registrar"),
];

/// The key that near-sandbox gives to these accounts.
const SANDBOX_KEY: &str = "ed25519:\
    3tgdk2wPraJzT4nsTuf86UX41xgPNk3MHnq8epARMdBNs29AFEztAuaQ7iHddDfXG9F2RzV1XNQYgJyAyoW51UBB";

/// The balance that near-sandbox gives to each of these accounts: 10,000 NEAR, in yoctoNEAR.
const SANDBOX_BALANCE: u128 = 10_000_000_000_000_000_000_000_000_000;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The home directory cannot be created or used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime does not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The RPC cannot listen on its address.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address in the configuration.
        addr: SocketAddr,
        /// The reason that the system gives.
        source: std::io::Error,
    },
    /// A global contract cannot be read.
    #[error("the global contract {path}: {reason}")]
    GlobalContract {
        /// The file in the configuration.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system does not provide threads or files.
    #[error("cannot start the node: {0}")]
    System(#[from] std::io::Error),
    /// The key of the sandbox accounts, a constant of this crate, does not parse.
    #[error("cannot add the sandbox accounts: {0}")]
    SandboxAccounts(#[source] ParseKeyError),
}

/// Starts a node. The node has its own threads, so this works within a tokio runtime and without
/// one.
pub fn spawn(config: Config) -> Result<Handle, SpawnError> {
    let within_state = config.state.as_ref().map(|state| state.join("home"));
    let (home, temporary) = match config.home.as_ref().or(within_state.as_ref()) {
        Some(dir) => (Home::new(dir), None),
        None => {
            let dir = tempfile::Builder::new().prefix("localnet-").tempdir()?;
            (Home::new(dir.path()), Some(dir))
        }
    };
    if !home.exists() {
        create_chain(&home, &config)?;
    }
    let mut genesis = home.genesis()?;
    for path in &config.global_contracts {
        genesis.global_contracts.push(global_contract(path)?);
    }
    let settings = home.settings()?;
    let signer = home.validator_signer()?;
    let runtime = Arc::new(Runtime::new(RuntimeOptions {
        chain_id: genesis.config.chain_id.clone(),
        contract_cache: config.contract_cache.clone(),
    })?);
    let clock = if config.seed.is_some() { Clock::stepping() } else { Clock::system() };
    let mut chain = Chain::new(&genesis, signer, runtime, clock, config.window);
    let store = config.state.as_deref();
    let store = store.map(|dir| Store::open(dir, &mut chain)).transpose()?;
    let node = Arc::new(Node::new(chain, config.production).with_settings(settings));
    if let Some(store) = store {
        node.attach_store(store);
    }
    node.faults().set_rpc(config.rpc_faults);
    let listener = TcpListener::bind(config.rpc_addr)
        .map_err(|source| SpawnError::Listen { addr: config.rpc_addr, source })?;
    let server = ServerThread::start(Arc::clone(&node), listener)?;
    let producer = Producer::start(Arc::clone(&node))?;
    home.note_url(&format!("http://{}", server.addr()))?;
    Ok(Handle::new(node, home, producer, server, temporary))
}

/// Reads the code of a global contract.
fn global_contract(path: &Path) -> Result<Vec<u8>, SpawnError> {
    const MAGIC: &[u8] = b"\0asm";
    let error = |reason| SpawnError::GlobalContract { path: path.to_owned(), reason };
    let code = std::fs::read(path).map_err(|source| error(source.to_string()))?;
    if !code.starts_with(MAGIC) {
        return Err(error("expected Wasm, which begins with the bytes 00 61 73 6d".to_owned()));
    }
    let hash = CryptoHash::hash_bytes(&code);
    tracing::info!(path = %path.display(), %hash, "a global contract");
    Ok(code)
}

/// Creates a new chain in an empty home directory.
fn create_chain(home: &Home, config: &Config) -> Result<(), SpawnError> {
    home.init(&InitOptions {
        chain_id: None,
        protocol_version: config.protocol_version,
        seed: config.seed.clone(),
    })?;
    if config.sandbox_accounts {
        let key: SecretKey = SANDBOX_KEY.parse().map_err(SpawnError::SandboxAccounts)?;
        for account_id in SANDBOX_ACCOUNTS {
            home.add_account(account_id, &key, SANDBOX_BALANCE)?;
        }
    }
    if let Some(patch) = &config.genesis_patch {
        home.patch_genesis(patch)?;
    }
    Ok(())
}
