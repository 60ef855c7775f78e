//! A node within the process: [`spawn`] starts one, the [`Handle`] steers it and ends it.

use crate::chain::{Chain, Clock, DEFAULT_WINDOW, MAX_PROTOCOL_VERSION};
use crate::home::{Home, HomeError, InitOptions};
use crate::node::{BlockProduction, Node, NodeError, Producer, RpcFaults, TransactionFault};
use crate::rpc;
use crate::runtime::{Runtime, RuntimeError, RuntimeOptions};
use crate::store::{Store, StoreError};
use near_crypto::SecretKey;
use near_primitives::hash::CryptoHash;
use near_primitives::types::{BlockHeight, BlockHeightDelta};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The key that near-sandbox gives to the accounts it adds to a genesis.
const SANDBOX_KEY: &str = "ed25519:3tgdk2wPraJzT4nsTuf86UX41xgPNk3MHnq8epARMdBNs29AFEztAuaQ7iHddDfXG9F2RzV1XNQYgJyAyoW51UBB";

/// What it gives to each of them: 10,000 NEAR, in yoctoNEAR.
const SANDBOX_BALANCE: u128 = 10_000_000_000_000_000_000_000_000_000;

/// Threads that serve the RPC. Contracts run on threads of their own.
const RPC_THREADS: usize = 2;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the RPC listens; by default a free port of the loopback interface.
    pub rpc_addr: SocketAddr,
    /// The home directory; a temporary one when absent. A chain that is there is started from its
    /// genesis, and an empty directory gets a new one.
    pub home: Option<PathBuf>,
    /// The protocol version of a new chain.
    pub protocol_version: u32,
    /// A merge patch for the genesis of a new chain.
    pub genesis_patch: Option<Value>,
    /// Gives a new chain the accounts that near-workspaces expects: `sandbox`, `clone` and `registrar`.
    pub sandbox_accounts: bool,
    /// When blocks are made.
    pub production: BlockProduction,
    /// Makes a new chain's keys follow from a seed, and its time from its heights, so that the same
    /// requests give the same blocks.
    pub seed: Option<String>,
    /// How many blocks are remembered.
    pub window: usize,
    /// Where compiled contracts are kept across runs; only in memory when absent.
    pub contract_cache: Option<PathBuf>,
    /// A directory that keeps the chain: a node that is started again with it goes on where it was.
    /// The home directory defaults to `home` within it.
    pub state: Option<PathBuf>,
    /// Requests that fail on purpose.
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
            contract_cache: Some(crate::home::default_contract_cache()),
            state: None,
            rpc_faults: None,
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The home directory cannot be made or used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The state's directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The system gives no threads or files.
    #[error("cannot start the node: {0}")]
    System(#[from] std::io::Error),
    /// A constant of this crate is wrong.
    #[error("cannot add the sandbox accounts: {0}")]
    SandboxAccounts(String),
}

/// A running node. It ends when this is dropped.
pub struct Handle {
    node: Arc<Node>,
    addr: SocketAddr,
    home: Home,
    // The order matters: blocks stop, then the server, then the directory goes.
    producer: Option<Producer>,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

/// Starts a node. Works within a tokio runtime and without one: the node brings its own threads.
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
        prepare(&home, &config)?;
    }
    let genesis = home.genesis()?;
    let signer = home.validator_signer()?;
    let runtime = Arc::new(Runtime::new(RuntimeOptions {
        chain_id: genesis.config.chain_id.clone(),
        contract_cache: config.contract_cache.clone(),
    })?);
    let clock = if config.seed.is_some() { Clock::stepping() } else { Clock::system() };
    let mut chain = Chain::new(&genesis, signer, runtime, clock, config.window);
    let store = config.state.as_deref();
    let store = store.map(|dir| Store::open(dir, &mut chain)).transpose()?;
    let node = Arc::new(Node::new(chain, config.production));
    if let Some(store) = store {
        node.keep(store);
    }
    node.faults().set_rpc(config.rpc_faults);
    let listen = |reason| SpawnError::Listen { addr: config.rpc_addr, reason };
    let listener = TcpListener::bind(config.rpc_addr).map_err(listen)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let (shutdown, ended) = oneshot::channel();
    let server = serve(Arc::clone(&node), listener, ended)?;
    let producer = Producer::start(Arc::clone(&node))?;
    Ok(Handle {
        node,
        addr,
        home,
        producer: Some(producer),
        shutdown: Some(shutdown),
        server: Some(server),
        _temporary: temporary,
    })
}

fn prepare(home: &Home, config: &Config) -> Result<(), SpawnError> {
    home.init(&InitOptions {
        chain_id: None,
        protocol_version: config.protocol_version,
        seed: config.seed.clone(),
    })?;
    if config.sandbox_accounts {
        let failed = |error: String| SpawnError::SandboxAccounts(error);
        let key: SecretKey = SANDBOX_KEY.parse().map_err(|error| failed(format!("{error}")))?;
        for name in ["sandbox", "clone", "registrar"] {
            let account_id = name.parse().map_err(|error| failed(format!("{error}")))?;
            home.add_account(&account_id, &key, SANDBOX_BALANCE)?;
        }
    }
    if let Some(patch) = &config.genesis_patch {
        home.patch_genesis(patch)?;
    }
    Ok(())
}

fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    ended: oneshot::Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RPC_THREADS)
        .thread_name("rpc")
        .enable_all()
        .build()?;
    std::thread::Builder::new().name("rpc-server".to_owned()).spawn(move || {
        let serving = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (done, stopped) = oneshot::channel::<()>();
            let server = tokio::spawn(rpc::serve(node, listener, async {
                // An error means that the other side is gone, which is an end as well.
                let _ = stopped.await;
            }));
            let _ = ended.await;
            drop(done);
            // Clients that hold connections open are not waited for.
            server.abort();
            std::io::Result::Ok(())
        };
        if let Err(error) = runtime.block_on(serving) {
            tracing::error!(%error, "the RPC server has ended");
        }
        runtime.shutdown_background();
    })
}

impl Handle {
    /// The RPC's URL.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The home directory, which holds `validator_key.json`:
    /// `near_workspaces::sandbox().rpc_addr(..).validator_key(ValidatorKey::HomeDir(..))`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The node itself.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The height of the newest block.
    pub fn height(&self) -> BlockHeight {
        self.node.chain().head().height()
    }

    /// Makes a block, and answers its height.
    pub fn produce_block(&self) -> Result<BlockHeight, NodeError> {
        self.node.produce_block()
    }

    /// Makes `count` blocks, and answers the height of the last.
    pub fn produce_blocks(&self, count: u64) -> Result<BlockHeight, NodeError> {
        let mut height = self.height();
        for _ in 0..count {
            height = self.produce_block()?;
        }
        Ok(height)
    }

    /// Makes blocks until nothing is left to execute and everything executed is final.
    pub fn settle(&self) -> Result<BlockHeight, NodeError> {
        while self.node.chain().has_work() {
            self.produce_block()?;
        }
        Ok(self.height())
    }

    /// Jumps ahead by `delta` heights, as `sandbox_fast_forward` does.
    pub fn fast_forward(&self, delta: BlockHeightDelta) -> Result<BlockHeight, NodeError> {
        self.node.fast_forward(delta)
    }

    /// Moves the chain's time ahead; the next block shows it.
    pub fn advance_time(&self, by: Duration) {
        self.node.advance_time(by);
    }

    /// The whole chain as it is now, to come back to.
    pub fn snapshot(&self) -> Chain {
        self.node.snapshot()
    }

    /// What is to happen to the next transaction that the node accepts. Several of these stand in a
    /// queue, one for each transaction.
    pub fn next_transaction(&self, fault: TransactionFault) {
        self.node.faults().next_transaction(fault);
    }

    /// How many faults of [`Handle::next_transaction`] have met no transaction yet.
    pub fn faults_to_come(&self) -> usize {
        self.node.faults().waiting()
    }

    /// Makes requests fail from now on, or no more with `None`.
    pub fn fail_rpc(&self, faults: Option<RpcFaults>) {
        self.node.faults().set_rpc(faults);
    }

    /// Takes the newest `depth` blocks back, none of which may be final, as if a better fork had won.
    /// Their transactions go into the blocks that follow. Answers the hashes of the blocks that are
    /// gone, the newest first.
    pub fn reorganise(&self, depth: usize) -> Result<Vec<CryptoHash>, NodeError> {
        self.node.reorganise(depth)
    }

    /// Goes back to a snapshot.
    pub fn restore(&self, snapshot: Chain) {
        self.node.restore(snapshot);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.producer.take();
        if let Some(shutdown) = self.shutdown.take() {
            // The server may have ended by itself.
            let _ = shutdown.send(());
        }
        if let Some(server) = self.server.take() {
            // A panic in there has been reported where it happened.
            let _ = server.join();
        }
        // A request that still runs holds the node, and must not hold the directory.
        self.node.close();
    }
}
