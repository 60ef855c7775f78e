//! Reorgs: optimistic blocks are removed, as happens on a node that learns of a better fork.
//!
//! Only blocks that are not final can be removed. Their transactions go back into the pool. The
//! next block is built on the newest block that is left, but above the height of the newest block
//! that was removed, because no height is used twice.

use near_primitives::hash::CryptoHash;

use super::Chain;

impl Chain {
    /// How many blocks are not final and can be removed.
    pub fn optimistic_blocks(&self) -> usize {
        self.undo_log.len()
    }

    /// Removes the newest blocks: at most `depth`, and none that is final. Their patches and
    /// transactions go into the next block, which is above the height of the old head. Returns the
    /// hashes of the removed blocks, the newest first.
    pub fn reorg(&mut self, depth: usize) -> Vec<CryptoHash> {
        let old_head = self.head().height();
        let mut removed = Vec::new();
        let mut patches = Vec::new();
        while removed.len() < depth
            && let Some(undo) = self.undo_log.pop()
            && let Some(block) = self.history.pop_head()
        {
            removed.push(block.hash());
            for tx in &block.transactions {
                self.invalid.remove(&tx.get_hash());
            }
            self.pool.push_front(&block.transactions, old_head + 1);
            self.executed = undo.executed;
            self.epochs = undo.epochs;
            self.block_tree = undo.block_tree;
            self.last_active = undo.last_active;
            self.delayed_receipts = undo.delayed_receipts;
            patches.splice(0..0, undo.patches);
        }
        if !removed.is_empty() {
            self.min_next_height = old_head + 1;
        }
        self.patches.splice(0..0, patches);
        removed
    }
}
