//! A running node: the chain behind a lock, and the thread that makes blocks.

mod producer;

use crate::chain::{Chain, TransactionStatus};
use crate::runtime::RuntimeError;
use near_primitives::errors::InvalidTxError;
use near_primitives::hash::CryptoHash;
use near_primitives::state_record::StateRecord;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{BlockHeight, BlockHeightDelta};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) use producer::Producer;

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockProduction {
    /// At once when there is work (transactions, receipts, or something that is not final yet), and
    /// after every `heartbeat` without any, so that timeouts fall due on an idle chain as well.
    Instant {
        /// The longest time between two blocks; `None` makes none without work.
        heartbeat: Option<Duration>,
    },
    /// One block at each turn of a timer, work or not.
    Timer(Duration),
    /// Only when [`Node::produce_block`] or a jump asks for one.
    ByHand,
}

impl BlockProduction {
    /// How far above the head a transaction goes in. A node of NEAR makes the next block's chunk as
    /// soon as it has a block, so what arrives between two blocks gets into the second one after.
    /// Who makes blocks by hand gets it into the next.
    fn lead(self) -> u64 {
        match self {
            Self::Instant { .. } | Self::Timer(_) => 2,
            Self::ByHand => 1,
        }
    }
}

impl Default for BlockProduction {
    fn default() -> Self {
        Self::Instant {
            heartbeat: Some(DEFAULT_HEARTBEAT),
        }
    }
}

/// The time between two blocks of an idle chain: NEAR's own block time.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(600);

/// The longest jump, in heights. Every epoch on the way takes a few blocks, so that a jump without
/// bound would never end.
pub const MAX_JUMP: BlockHeightDelta = 1_000_000;

/// Why a block could not be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NodeError {
    /// The jump is too long.
    #[error("a jump by {found} heights is too far; {allowed} is the most")]
    JumpTooFar {
        /// The heights asked for.
        found: BlockHeightDelta,
        /// The most that one jump may cover.
        allowed: BlockHeightDelta,
    },
    /// The engine failed.
    #[error("the block at height {height} failed: {source}")]
    Engine {
        /// The height of the block.
        height: BlockHeight,
        /// The engine's fault.
        source: RuntimeError,
    },
}

/// A running node.
pub struct Node {
    chain: RwLock<Chain>,
    /// Held while a block is made: one at a time.
    making: Mutex<()>,
    production: BlockProduction,
    /// Set when somebody has added work.
    work: Mutex<bool>,
    added: Condvar,
    stopped: AtomicBool,
    head: watch::Sender<BlockHeight>,
    started: Instant,
    fault: Mutex<Option<NodeError>>,
    rpc_addr: OnceLock<String>,
}

impl Node {
    /// A node on top of a chain. Nothing happens until a producer runs or blocks are asked for.
    pub fn new(chain: Chain, production: BlockProduction) -> Self {
        let (head, _) = watch::channel(chain.head().height());
        Self {
            chain: RwLock::new(chain),
            making: Mutex::new(()),
            production,
            work: Mutex::new(false),
            added: Condvar::new(),
            stopped: AtomicBool::new(false),
            head,
            started: Instant::now(),
            fault: Mutex::new(None),
            rpc_addr: OnceLock::new(),
        }
    }

    /// Where the RPC listens; empty before it does.
    pub fn rpc_addr(&self) -> String {
        self.rpc_addr.get().cloned().unwrap_or_default()
    }

    /// Notes where the RPC listens.
    pub(crate) fn set_rpc_addr(&self, addr: String) {
        // A node has one server; a second one would only be a second door.
        let _ = self.rpc_addr.set(addr);
    }

    /// The chain, to look at. Blocks wait while this is held, so take what is needed and let go.
    pub fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the node has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The engine's fault that stopped the production of blocks, if there was one.
    pub fn fault(&self) -> Option<NodeError> {
        lock(&self.fault).clone()
    }

    /// Tells of every new height of the head.
    pub fn heights(&self) -> watch::Receiver<BlockHeight> {
        self.head.subscribe()
    }

    /// Checks a transaction as nearcore does before it enters the pool. One that is known already
    /// is fine.
    pub fn check(&self, tx: &SignedTransaction) -> Result<(), InvalidTxError> {
        let (state, context, runtime) = {
            let chain = self.chain();
            if chain.knows(&tx.get_hash()) {
                return Ok(());
            }
            chain.check_expiry(tx)?;
            let head = chain.history().head();
            (
                chain.state(),
                chain.view_context(head),
                chain.runtime().clone(),
            )
        };
        runtime.validate_transaction(&state, &context, tx)
    }

    /// Checks a transaction and puts it into the pool.
    pub fn submit(&self, tx: SignedTransaction) -> Result<CryptoHash, InvalidTxError> {
        let hash = tx.get_hash();
        self.check(&tx)?;
        {
            let mut chain = self.chain_mut();
            if !chain.knows(&hash) {
                chain.enqueue(tx, self.production.lead());
            }
        }
        self.wake();
        Ok(hash)
    }

    /// A transaction's outcome so far.
    pub fn transaction_status(&self, hash: &CryptoHash) -> Option<TransactionStatus> {
        self.chain().transaction_status(hash)
    }

    /// Makes the next block, and answers its height.
    pub fn produce_block(&self) -> Result<BlockHeight, NodeError> {
        let making = lock(&self.making);
        self.make(&making, 0)
    }

    /// Jumps ahead by `delta` heights and answers the height of the head afterwards. A jump is at most
    /// [`MAX_JUMP`] long.
    pub fn fast_forward(&self, delta: BlockHeightDelta) -> Result<BlockHeight, NodeError> {
        if delta > MAX_JUMP {
            return Err(NodeError::JumpTooFar {
                found: delta,
                allowed: MAX_JUMP,
            });
        }
        let making = lock(&self.making);
        let jump = self.chain().start_jump(delta);
        loop {
            let next = self.chain_mut().next_of_jump(jump);
            match next {
                Some(height) => self.make(&making, height)?,
                None => return Ok(self.chain().head().height()),
            };
        }
    }

    /// Moves the chain's time ahead; the next block shows it.
    pub fn advance_time(&self, by: Duration) {
        self.chain_mut().advance_time(by);
    }

    /// Puts records into the state and makes the block that holds them.
    pub fn patch_state(&self, records: Vec<StateRecord>) -> Result<BlockHeight, NodeError> {
        let making = lock(&self.making);
        self.chain_mut().patch(records);
        self.make(&making, 0)
    }

    /// A snapshot of the whole chain.
    pub fn snapshot(&self) -> Chain {
        let _making = lock(&self.making);
        self.chain().clone()
    }

    /// Puts a snapshot back. Whoever waits for something that it does not hold goes on waiting.
    pub fn restore(&self, snapshot: Chain) {
        let _making = lock(&self.making);
        let height = snapshot.head().height();
        *self.chain_mut() = snapshot;
        self.head.send_replace(height);
    }

    /// Makes one block, at `height` or just above the head. The chain is only locked before and
    /// after the execution.
    fn make(
        &self,
        _making: &MutexGuard<'_, ()>,
        height: BlockHeight,
    ) -> Result<BlockHeight, NodeError> {
        let (prepared, runtime, height) = {
            let mut chain = self.chain_mut();
            let prepared = chain.prepare(height);
            (
                prepared,
                chain.runtime().clone(),
                height.max(chain.head().height() + 1),
            )
        };
        let applied = prepared.execute(&runtime).map_err(|source| {
            let error = NodeError::Engine { height, source };
            *lock(&self.fault) = Some(error.clone());
            error
        })?;
        self.chain_mut().commit(applied);
        self.head.send_replace(height);
        Ok(height)
    }

    fn wake(&self) {
        *lock(&self.work) = true;
        self.added.notify_all();
    }

    /// Ends the production of blocks.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
