//! Taking optimistic blocks back, as a node does that learns of a better fork.
//!
//! Blocks that are not final can be taken back. Their transactions wait again, and the next block stands
//! on the last one that is left, above the height of the newest that was taken back: heights are not
//! used twice.

use super::Chain;
use super::block::Executed;
use super::epoch::Epochs;
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::PartialMerkleTree;
use near_primitives::state_record::StateRecord;
use near_primitives::types::BlockHeight;

/// The most blocks that can be taken back. Finality is two blocks behind; only a chain whose jumps leave
/// no two heights next to each other has more blocks that are not final.
const MAX_DEPTH: usize = 16;

/// What a block has changed of the chain besides its history.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    pub(super) height: BlockHeight,
    pub(super) executed: Executed,
    pub(super) epochs: Epochs,
    pub(super) block_tree: PartialMerkleTree,
    pub(super) active: BlockHeight,
    pub(super) delayed: u64,
    pub(super) patches: Vec<StateRecord>,
}

impl Chain {
    /// Keeps what is needed to take the newest block back, as long as it is not final.
    pub(super) fn remember(&mut self, undo: Undo) {
        self.undo.push_back(undo);
        let last_final = self.final_height();
        while let Some(oldest) = self.undo.front()
            && (oldest.height <= last_final || self.undo.len() > MAX_DEPTH)
        {
            self.undo.pop_front();
        }
    }

    /// How many blocks are not final and can be taken back.
    pub fn optimistic_blocks(&self) -> usize {
        self.undo.len()
    }

    /// Takes the newest blocks back, at most `depth` and none that is final. Their patches and
    /// transactions go into the next block, which stands above the height of the old head. Returns
    /// the hashes of the blocks that are gone, the newest first.
    pub fn reorganise(&mut self, depth: usize) -> Vec<CryptoHash> {
        let old_head = self.head().height();
        let mut gone = Vec::new();
        let mut patches = Vec::new();
        while gone.len() < depth
            && let Some(undo) = self.undo.pop_back()
            && let Some(block) = self.history.pop_newest()
        {
            gone.push(block.hash());
            self.pool.push_front(&block.transactions, old_head + 1);
            self.executed = undo.executed;
            self.epochs = undo.epochs;
            self.block_tree = undo.block_tree;
            self.active = undo.active;
            self.delayed = undo.delayed;
            patches.splice(0..0, undo.patches);
        }
        if !gone.is_empty() {
            self.floor = old_head + 1;
        }
        self.patches.splice(0..0, patches);
        gone
    }
}
