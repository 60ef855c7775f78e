//! What a block has read of the state before it. Contracts pay for trie nodes, and the storage
//! proof has a limit.

use std::collections::HashSet;

use near_primitives::hash::{CryptoHash, hash};
use outlayer_near_host::NodeCount;

use super::amounts::len;
use crate::state::{PathNode, Value};

/// The trie nodes and values that contracts have paid for in this block, by hash. A NEAR node keeps
/// the same set (`AccountingState` in `runtime/runtime/src/ext.rs`).
#[derive(Debug, Default)]
pub(super) struct SeenNodes(HashSet<CryptoHash>);

impl SeenNodes {
    pub(super) fn visit(&mut self, hash: CryptoHash, count: &mut NodeCount) {
        if self.0.insert(hash) {
            count.first += 1;
        } else {
            count.again += 1;
        }
    }
}

/// The storage proof: what a NEAR node records for those who check the block without having the
/// state. It has every trie node and value of the state before the block that was read
/// (`core/store/src/trie/trie_recording.rs`).
#[derive(Debug, Default)]
pub(super) struct Recorded {
    seen: HashSet<CryptoHash>,
    size: u64,
}

impl Recorded {
    /// What nearcore adds to the size for each removal, in bytes, because a removal may need nodes
    /// beside its path.
    const REMOVAL_SIZE: u64 = 2_000;

    /// The bytes recorded so far, with the allowance for removals.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn node(&mut self, node: PathNode) {
        if self.seen.insert(node.hash) {
            self.size += node.size;
        }
    }

    /// Records a value, and returns its hash.
    pub(super) fn value(&mut self, value: &Value) -> CryptoHash {
        let hash = hash(value);
        self.node(PathNode { hash, size: len(value) });
        hash
    }

    pub(super) fn removal(&mut self) {
        self.size += Self::REMOVAL_SIZE;
    }
}
