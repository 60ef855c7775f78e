//! A running node: the chain behind a lock, and the thread that produces blocks.

mod blocks;
mod error;
mod faults;
mod lock;
mod producer;
mod production;
mod signal;

use std::{
    sync::{
        Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use near_primitives::{
    errors::InvalidTxError, hash::CryptoHash, transaction::SignedTransaction, types::BlockHeight,
};
use tokio::sync::watch;

use self::{lock::lock, signal::Signal};
use crate::{
    chain::{Chain, TransactionStatus},
    settings::Settings,
    store::Store,
};

pub use blocks::MAX_FAST_FORWARD;
pub use error::NodeError;
pub(crate) use faults::{Faults, RpcFault};
pub use faults::{RpcFaults, TransactionFault};
pub(crate) use producer::Producer;
pub use production::{BlockProduction, DEFAULT_HEARTBEAT};

/// How often a transaction looks for those that should come before it, since the last of them
/// arrived: once a millisecond. NEAR gathers transactions for a block time, which is longer. These
/// are looks and not a time, so that whoever is to send the others has as many turns on a busy
/// machine.
const PREDECESSOR_LOOKS: u32 = 250;

/// Whoever leaves out more nonces than this does so on purpose.
const MOST_PREDECESSORS: u64 = 1_000;

/// A time as nanoseconds.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A running node.
pub struct Node {
    chain: RwLock<Chain>,
    /// Locked while a block is produced, or while the chain is replaced.
    producing: Mutex<()>,
    production: BlockProduction,
    /// The time between two blocks of a timer, nanoseconds. It can be changed while the node runs.
    period_nanos: AtomicU64,
    settings: Settings,
    signal: Signal,
    /// The height of the head.
    head: watch::Sender<BlockHeight>,
    started: Instant,
    /// Why the last block could not be produced.
    fault: Mutex<Option<NodeError>>,
    rpc_addr: OnceLock<String>,
    faults: Faults,
    /// The state directory, if there is one.
    store: Mutex<Option<Store>>,
}

impl Node {
    /// A node that starts with `chain`. No block is produced until one is asked for, or until the
    /// thread that produces blocks is started.
    pub fn new(mut chain: Chain, production: BlockProduction) -> Self {
        chain.expire_by_time(matches!(production, BlockProduction::Instant { .. }));
        let (head, _) = watch::channel(chain.head().height());
        Self {
            chain: RwLock::new(chain),
            producing: Mutex::new(()),
            production,
            period_nanos: AtomicU64::new(production.period().map_or(0, nanos)),
            settings: Settings::default(),
            signal: Signal::default(),
            head,
            started: Instant::now(),
            fault: Mutex::new(None),
            rpc_addr: OnceLock::new(),
            faults: Faults::default(),
            store: Mutex::new(None),
        }
    }

    /// Changes the time between two blocks of [`BlockProduction::Timer`]. It has no effect on
    /// another way of producing blocks.
    pub fn set_block_time(&self, block_time: Duration) {
        self.period_nanos.store(nanos(block_time), Ordering::Relaxed);
        self.signal.wake();
    }

    /// The time between two blocks of a timer, as it is now.
    fn period(&self) -> Duration {
        Duration::from_nanos(self.period_nanos.load(Ordering::Relaxed))
    }

    /// The same node with other settings.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The node's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes every block to a state directory from now on.
    pub(crate) fn attach_store(&self, store: Store) {
        *lock(&self.store) = Some(store);
    }

    /// Closes the state directory, so that no more blocks are written.
    pub(crate) fn detach_store(&self) {
        *lock(&self.store) = None;
    }

    /// The faults that are to be injected.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The address that the RPC listens on; empty before it does.
    pub fn rpc_addr(&self) -> String {
        self.rpc_addr.get().cloned().unwrap_or_default()
    }

    /// Notes the address that the RPC listens on.
    pub(crate) fn set_rpc_addr(&self, addr: String) {
        // The first server counts; a second one would serve the same node at another address.
        let _ = self.rpc_addr.set(addr);
    }

    /// The chain, locked for reading. No block can be committed in the meantime, so release the
    /// lock soon.
    pub fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the node was started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Why the last block could not be produced; `None` when it was.
    pub fn fault(&self) -> Option<NodeError> {
        lock(&self.fault).clone()
    }

    /// Notifies of every new head, with its height.
    pub fn heights(&self) -> watch::Receiver<BlockHeight> {
        self.head.subscribe()
    }

    /// Checks a transaction as nearcore does before it enters the pool. A transaction that is in
    /// the pool or in a block already passes.
    pub fn check(&self, tx: &SignedTransaction) -> Result<(), InvalidTxError> {
        let (state, context, runtime) = {
            let chain = self.chain();
            if chain.knows(&tx.get_hash()) {
                return Ok(());
            }
            chain.check_expiry(tx)?;
            let head = chain.history().head();
            (chain.state(), chain.view_context(head), chain.runtime().clone())
        };
        runtime.validate_transaction(&state, &context, tx)
    }

    /// Checks a transaction and puts it into the pool. Returns its hash.
    pub fn submit(&self, tx: SignedTransaction) -> Result<CryptoHash, InvalidTxError> {
        let hash = tx.get_hash();
        self.check(&tx)?;
        if matches!(self.production, BlockProduction::Instant { .. }) {
            self.await_predecessors(&tx);
        }
        {
            let mut chain = self.chain_mut();
            if !chain.knows(&hash) {
                let ahead = self.production.inclusion_distance();
                match self.faults.next_transaction_fault() {
                    None => chain.enqueue(tx, ahead),
                    Some(TransactionFault::Drop) => return Ok(hash),
                    Some(TransactionFault::Delay { blocks }) => {
                        chain.enqueue(tx, ahead.saturating_add(blocks));
                    }
                    Some(TransactionFault::Duplicate) => {
                        chain.enqueue(tx.clone(), ahead);
                        chain.enqueue_copy(tx, ahead + 1);
                    }
                }
            }
        }
        self.signal.wake();
        Ok(hash)
    }

    /// Waits a moment for transactions with lower nonces of the same access key. Clients send many
    /// at once, which arrive in any order. NEAR has a block time in which to sort them; here the
    /// next block would include the first to arrive, and make those with lower nonces invalid.
    fn await_predecessors(&self, tx: &SignedTransaction) {
        let (mut missing, mut looks) = (u64::MAX, 0);
        loop {
            let now_missing = self.chain().missing_nonces(tx);
            if now_missing == 0 || now_missing > MOST_PREDECESSORS {
                return;
            }
            if now_missing < missing {
                (missing, looks) = (now_missing, 0);
            } else if looks >= PREDECESSOR_LOOKS {
                return;
            }
            looks += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The status of a transaction; `None` while no block that is kept includes it.
    pub fn transaction_status(&self, hash: &CryptoHash) -> Option<TransactionStatus> {
        self.chain().transaction_status(hash)
    }

    /// Moves the chain's time forward, from the next block on.
    pub fn advance_time(&self, by: Duration) {
        self.chain_mut().advance_time(by);
    }
}
