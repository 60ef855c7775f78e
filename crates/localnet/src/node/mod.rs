//! A running node: the chain behind a lock, and the thread that makes blocks.

mod faults;
mod producer;

use crate::chain::{Chain, Prepared, TransactionStatus};
use crate::runtime::{Runtime, RuntimeError};
use crate::store::Store;
use near_primitives::errors::InvalidTxError;
use near_primitives::hash::CryptoHash;
use near_primitives::state_record::StateRecord;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{AccountId, BlockHeight, BlockHeightDelta};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) use faults::{Faults, RpcFault};
pub use faults::{RpcFaults, TransactionFault};
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
        Self::Instant { heartbeat: Some(DEFAULT_HEARTBEAT) }
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
    /// A balance of `sandbox_patch_state` that nearcore's encoding of accounts has no room for.
    #[error(
        "{account_id} cannot hold {amount} yoctoNEAR: nearcore's encoding of accounts uses 2^128 - 1 as a mark; a smaller amount does"
    )]
    PatchedMark {
        /// The account.
        account_id: AccountId,
        /// Its balance, in yoctoNEAR.
        amount: u128,
    },
    /// A record of `sandbox_patch_state` that no chain could hold.
    #[error(
        "{account_id} cannot hold {amount} and have {locked} locked: the sum is above 2^128 - 1 yoctoNEAR"
    )]
    PatchedBalance {
        /// The account.
        account_id: AccountId,
        /// Its balance, in yoctoNEAR.
        amount: u128,
        /// Its stake, in yoctoNEAR.
        locked: u128,
    },
    /// The block was made, but without the records of `sandbox_patch_state`.
    #[error("the records are refused, since no block can be made with them: {source}")]
    Patch {
        /// The engine's fault.
        source: RuntimeError,
    },
    /// The block cannot be kept in the state's directory.
    #[error("the block at height {height} cannot be kept: {reason}")]
    Store {
        /// The height of the block.
        height: BlockHeight,
        /// What went wrong.
        reason: String,
    },
    /// So many blocks cannot be taken back.
    #[error("{found} blocks cannot be taken back; {allowed} are not final")]
    Reorganisation {
        /// The blocks asked for.
        found: usize,
        /// The blocks that are not final.
        allowed: usize,
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
    faults: Faults,
    store: Mutex<Option<Store>>,
}

impl Node {
    /// A node on top of a chain. Nothing happens until a producer runs or blocks are asked for.
    pub fn new(mut chain: Chain, production: BlockProduction) -> Self {
        chain.expire_by_time(matches!(production, BlockProduction::Instant { .. }));
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
            faults: Faults::default(),
            store: Mutex::new(None),
        }
    }

    /// Keeps every block from now on.
    pub(crate) fn keep(&self, store: Store) {
        *lock(&self.store) = Some(store);
    }

    /// Keeps no more blocks, and lets the directory go.
    pub(crate) fn close(&self) {
        *lock(&self.store) = None;
    }

    /// The faults that tests inject.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
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

    /// Why the last block could not be made, if so. The next one that can be made clears it.
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
            (chain.state(), chain.view_context(head), chain.runtime().clone())
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
                let lead = self.production.lead();
                match self.faults.take() {
                    None => chain.enqueue(tx, lead),
                    Some(TransactionFault::Drop) => return Ok(hash),
                    Some(TransactionFault::Delay { blocks }) => {
                        chain.enqueue(tx, lead.saturating_add(blocks));
                    }
                    Some(TransactionFault::Duplicate) => {
                        chain.enqueue(tx.clone(), lead);
                        chain.enqueue_copy(tx, lead + 1);
                    }
                }
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
            return Err(NodeError::JumpTooFar { found: delta, allowed: MAX_JUMP });
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

    /// Puts records into the state and makes the block that holds them. Records with which no block
    /// can be made are refused.
    pub fn patch_state(&self, records: Vec<StateRecord>) -> Result<BlockHeight, NodeError> {
        records.iter().try_for_each(check_balance)?;
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
        if let Err(error) = self.rewrite() {
            tracing::error!(%error, "the chain that was put back is not kept");
            *lock(&self.fault) = Some(error);
        }
        self.head.send_replace(height);
    }

    /// Takes the newest `depth` blocks back, none of which may be final. Their transactions go into the
    /// blocks that follow, which stand above the height of the old head. Answers the hashes of the blocks
    /// that are gone, the newest first.
    pub fn reorganise(&self, depth: usize) -> Result<Vec<CryptoHash>, NodeError> {
        let _making = lock(&self.making);
        let gone = {
            let mut chain = self.chain_mut();
            let allowed = chain.optimistic_blocks();
            if depth > allowed {
                return Err(NodeError::Reorganisation { found: depth, allowed });
            }
            chain.reorganise(depth)
        };
        self.rewrite()?;
        self.head.send_replace(self.chain().head().height());
        self.wake();
        Ok(gone)
    }

    /// Keeps the chain anew after a change that no block stands for.
    fn rewrite(&self) -> Result<(), NodeError> {
        let Some(store) = &mut *lock(&self.store) else {
            return Ok(());
        };
        let chain = self.chain();
        store.begin(&chain, false).map_err(|error| NodeError::Store {
            height: chain.head().height(),
            reason: error.to_string(),
        })
    }

    /// Makes one block, at `height` or just above the head. The chain is only locked before and
    /// after the execution.
    fn make(
        &self,
        _making: &MutexGuard<'_, ()>,
        height: BlockHeight,
    ) -> Result<BlockHeight, NodeError> {
        let (prepared, runtime) = {
            let mut chain = self.chain_mut();
            (chain.prepare(height), chain.runtime().clone())
        };
        let height = prepared.height();
        let made = self.finish(prepared, &runtime, height);
        *lock(&self.fault) = made.as_ref().err().cloned();
        let refused_patches = made?;
        self.head.send_replace(height);
        match refused_patches {
            None => Ok(height),
            Some(source) => Err(NodeError::Patch { source }),
        }
    }

    fn finish(
        &self,
        prepared: Prepared,
        runtime: &Runtime,
        height: BlockHeight,
    ) -> Result<Option<RuntimeError>, NodeError> {
        let mut store = lock(&self.store);
        // The execution uses the inputs up.
        let inputs = store.is_some().then(|| prepared.inputs().clone());
        let taken: Vec<CryptoHash> =
            prepared.inputs().transactions.iter().map(SignedTransaction::get_hash).collect();
        let applied = prepared.execute(runtime).map_err(|source| {
            // They are in no pool and in no block, so whoever waits for one must be told.
            self.chain_mut().refuse_all(&taken, &source);
            self.head.send_modify(|_| ());
            NodeError::Engine { height, source }
        })?;
        let refused = applied.refused_patches().cloned();
        let mut chain = self.chain_mut();
        let hash = chain.commit(applied);
        if let (Some(store), Some(inputs)) = (&mut *store, inputs) {
            // Nobody has seen the block yet, so what a client sees is always kept.
            let kept = store.append(&chain, &inputs, hash);
            kept.map_err(|error| NodeError::Store { height, reason: error.to_string() })?;
        }
        Ok(refused)
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

/// Refuses an account whose balance leads nowhere.
fn check_balance(record: &StateRecord) -> Result<(), NodeError> {
    let StateRecord::Account { account_id, account } = record else {
        return Ok(());
    };
    let account_id = account_id.clone();
    let amount = account.amount().as_yoctonear();
    let locked = account.locked().as_yoctonear();
    if amount == u128::MAX {
        return Err(NodeError::PatchedMark { account_id, amount });
    }
    if amount.checked_add(locked).is_none() {
        return Err(NodeError::PatchedBalance { account_id, amount, locked });
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
