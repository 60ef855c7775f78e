//! Everything that changes the blocks of a node's chain: block production, fast-forwarding,
//! patches, snapshots and reorgs. Only one of these runs at a time.

use std::sync::{Arc, MutexGuard};

use near_primitives::{
    hash::CryptoHash,
    state_record::StateRecord,
    transaction::SignedTransaction,
    types::{BlockHeight, BlockHeightDelta},
};

use super::{Node, error::NodeError, lock::lock};
use crate::{
    chain::{Chain, Prepared},
    runtime::{Runtime, RuntimeError},
};

/// The most heights that one fast-forward may skip. Each epoch on the way takes a few blocks, so a
/// fast-forward without a bound would never end.
pub const MAX_FAST_FORWARD: BlockHeightDelta = 1_000_000;

impl Node {
    /// Produces the next block and returns its height.
    pub fn produce_block(&self) -> Result<BlockHeight, NodeError> {
        let producing = lock(&self.producing);
        self.produce(&producing, 0)
    }

    /// Produces the next block, unless somebody else has produced one above `head` in the meantime.
    /// Returns its height.
    pub fn produce_block_above(&self, head: BlockHeight) -> Result<Option<BlockHeight>, NodeError> {
        let producing = lock(&self.producing);
        if self.chain().head().height() != head {
            return Ok(None);
        }
        self.produce(&producing, 0).map(Some)
    }

    /// Produces blocks until there is nothing left to execute and everything that was executed is
    /// final. Returns the height of the last block.
    pub fn settle(&self) -> Result<BlockHeight, NodeError> {
        loop {
            // What a block that is being produced has taken is neither in the pool nor executed.
            let producing = lock(&self.producing);
            if !self.chain().has_work() {
                return Ok(self.chain().head().height());
            }
            self.produce(&producing, 0)?;
        }
    }

    /// Skips `delta` heights, at most [`MAX_FAST_FORWARD`], and returns the height of the head
    /// afterwards.
    pub fn fast_forward(&self, delta: BlockHeightDelta) -> Result<BlockHeight, NodeError> {
        if delta > MAX_FAST_FORWARD {
            return Err(NodeError::FastForwardTooFar { found: delta, allowed: MAX_FAST_FORWARD });
        }
        let producing = lock(&self.producing);
        let fast_forward = self.chain().start_fast_forward(delta);
        loop {
            let next = self.chain_mut().next_fast_forward_height(fast_forward);
            match next {
                Some(height) => self.produce(&producing, height)?,
                None => return Ok(self.chain().head().height()),
            };
        }
    }

    /// Puts records into the state and produces the block that includes them. Returns an error when
    /// no block can be produced with them.
    pub fn patch_state(&self, records: Vec<StateRecord>) -> Result<BlockHeight, NodeError> {
        records.iter().try_for_each(check_balance)?;
        let producing = lock(&self.producing);
        self.chain_mut().patch(records);
        self.produce(&producing, 0)
    }

    /// A snapshot of the whole chain.
    pub fn snapshot(&self) -> Chain {
        let _producing = lock(&self.producing);
        self.chain().clone()
    }

    /// Replaces the chain with a snapshot. A client that waits for a transaction that the snapshot
    /// does not have goes on waiting.
    pub fn restore(&self, snapshot: Chain) {
        let _producing = lock(&self.producing);
        let height = snapshot.head().height();
        *self.chain_mut() = snapshot;
        if let Err(error) = self.store_checkpoint() {
            tracing::error!(%error, "the restored chain was not written to the state directory");
            *lock(&self.fault) = Some(error);
        }
        self.head.send_replace(height);
    }

    /// Removes the newest `depth` blocks, none of which may be final. Their transactions go into
    /// the blocks that follow, which are above the height of the old head. Returns the hashes of
    /// the removed blocks, the newest first.
    pub fn reorg(&self, depth: usize) -> Result<Vec<CryptoHash>, NodeError> {
        let _producing = lock(&self.producing);
        let removed = {
            let mut chain = self.chain_mut();
            let allowed = chain.optimistic_blocks();
            if depth > allowed {
                return Err(NodeError::ReorgTooDeep { found: depth, allowed });
            }
            chain.reorg(depth)
        };
        self.store_checkpoint()?;
        self.head.send_replace(self.chain().head().height());
        self.signal.wake();
        Ok(removed)
    }

    /// Writes the whole chain to the state directory, after a change that is not a new block.
    fn store_checkpoint(&self) -> Result<(), NodeError> {
        let Some(store) = &mut *lock(&self.store) else {
            return Ok(());
        };
        let chain = self.chain();
        store.begin(&chain, false).map_err(|error| NodeError::Store {
            height: chain.head().height(),
            source: Arc::new(error),
        })
    }

    /// Produces one block, at `height` or at the next possible height above it. The chain is locked
    /// before and after the execution, but not during it.
    fn produce(
        &self,
        _producing: &MutexGuard<'_, ()>,
        height: BlockHeight,
    ) -> Result<BlockHeight, NodeError> {
        let (prepared, runtime) = {
            let mut chain = self.chain_mut();
            (chain.prepare(height), chain.runtime().clone())
        };
        let height = prepared.height();
        let produced = self.execute_and_commit(prepared, &runtime, height);
        *lock(&self.fault) = produced.as_ref().err().cloned();
        let patch_error = produced?;
        self.head.send_replace(height);
        match patch_error {
            None => Ok(height),
            Some(source) => Err(NodeError::Patch { source }),
        }
    }

    /// Returns why the block was produced without its patches, if it was.
    fn execute_and_commit(
        &self,
        prepared: Prepared,
        runtime: &Runtime,
        height: BlockHeight,
    ) -> Result<Option<RuntimeError>, NodeError> {
        let mut store = lock(&self.store);
        // The execution consumes the inputs.
        let inputs = store.is_some().then(|| prepared.inputs().clone());
        let taken: Vec<CryptoHash> =
            prepared.inputs().transactions.iter().map(SignedTransaction::get_hash).collect();
        let applied = prepared.execute(runtime).map_err(|source| {
            // The transactions are neither in the pool nor in a block, so clients that wait for
            // them must be told.
            self.chain_mut().mark_all_invalid(&taken, &source);
            self.head.send_modify(|_| ());
            NodeError::Runtime { height, source }
        })?;
        let patch_error = applied.patch_error().cloned();
        let mut chain = self.chain_mut();
        let hash = chain.commit(applied);
        if let (Some(store), Some(inputs)) = (&mut *store, inputs) {
            // The chain is still locked, so a client sees only blocks that have been written.
            store
                .append(&chain, &inputs, hash)
                .map_err(|error| NodeError::Store { height, source: Arc::new(error) })?;
        }
        Ok(patch_error)
    }
}

/// Returns an error for an account record whose balance the runtime could not handle.
fn check_balance(record: &StateRecord) -> Result<(), NodeError> {
    let StateRecord::Account { account_id, account } = record else {
        return Ok(());
    };
    let account_id = account_id.clone();
    let amount = account.amount().as_yoctonear();
    let locked = account.locked().as_yoctonear();
    if amount == u128::MAX {
        return Err(NodeError::ReservedBalance { account_id, amount });
    }
    if amount.checked_add(locked).is_none() {
        return Err(NodeError::BalanceOverflow { account_id, amount, locked });
    }
    Ok(())
}
