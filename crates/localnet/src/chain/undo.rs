//! What it takes to undo the blocks that are not final.

use std::collections::VecDeque;

use near_primitives::{merkle::PartialMerkleTree, state_record::StateRecord, types::BlockHeight};

use super::{block::Executed, epochs::Epochs};

/// The most blocks that can be undone. Finality is two blocks behind the head; more blocks than
/// that are optimistic only on a chain that fast-forwards so often that no two heights are
/// adjacent.
const MAX_DEPTH: usize = 16;

/// The chain as it was before one block, apart from its history.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    /// The height of the block.
    pub(super) height: BlockHeight,
    pub(super) executed: Executed,
    pub(super) epochs: Epochs,
    pub(super) block_tree: PartialMerkleTree,
    pub(super) last_active: BlockHeight,
    pub(super) delayed_receipts: u64,
    /// The records that the block put into the state.
    pub(super) patches: Vec<StateRecord>,
}

/// How to undo each block that is not final, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct UndoLog(VecDeque<Undo>);

impl UndoLog {
    /// Adds the newest block, and drops the blocks that are final by now.
    pub(super) fn push(&mut self, undo: Undo, last_final: BlockHeight) {
        self.0.push_back(undo);
        while let Some(oldest) = self.0.front()
            && (oldest.height <= last_final || self.0.len() > MAX_DEPTH)
        {
            self.0.pop_front();
        }
    }

    /// Removes the newest block.
    pub(super) fn pop(&mut self) -> Option<Undo> {
        self.0.pop_back()
    }

    /// How many blocks can be undone.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
