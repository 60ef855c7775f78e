//! The blocks that the chain keeps, with their states, outcomes and receipts.
//!
//! The genesis block and its state are always kept. Of the other blocks only the newest `window`
//! are; older ones are garbage-collected, as on a NEAR node that is no archival node. So memory
//! does not grow with the chain.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use near_primitives::{
    hash::CryptoHash,
    merkle::{MerklePath, PartialMerkleTree},
    receipt::Receipt,
    transaction::{ExecutionOutcomeWithId, SignedTransaction},
    types::{BlockHeight, validator_stake::ValidatorStake},
    views::ExecutionOutcomeWithIdView,
};

use super::block::StoredBlock;
use crate::state::State;

/// The outcome of a transaction or receipt, and the block that it belongs to.
#[derive(Debug)]
pub struct StoredOutcome {
    /// The outcome, with the id of the transaction or receipt.
    pub outcome: ExecutionOutcomeWithId,
    /// The hash of the block that executed the transaction or receipt.
    pub block_hash: CryptoHash,
    /// That block's height.
    pub block_height: BlockHeight,
    /// The Merkle path from the outcome to the block's outcome root.
    pub proof: MerklePath,
}

impl StoredOutcome {
    /// The form in which the RPC shows the outcome.
    pub fn view(&self) -> ExecutionOutcomeWithIdView {
        ExecutionOutcomeWithIdView {
            proof: self.proof.clone(),
            block_hash: self.block_hash,
            id: self.outcome.id,
            outcome: self.outcome.outcome.clone().into(),
        }
    }
}

/// What a light client must be told about a block beyond its header.
#[derive(Debug, Clone)]
pub(super) struct Ancestry {
    /// The Merkle tree of the hashes of all blocks below, whose root is in the header.
    pub tree: PartialMerkleTree,
    /// The validators of the epoch after the block's.
    pub next_validators: Arc<Vec<ValidatorStake>>,
}

/// A block and the state after it.
#[derive(Debug, Clone)]
struct Entry {
    block: Arc<StoredBlock>,
    state: State,
    ancestry: Ancestry,
    /// The ids of the receipts that were added with the block.
    receipts: Vec<CryptoHash>,
}

/// The blocks that are kept, and indexes of them by hash and id.
#[derive(Debug, Clone)]
pub struct History {
    window: usize,
    genesis: (Arc<StoredBlock>, State, Ancestry),
    blocks: BTreeMap<BlockHeight, Entry>,
    heights: HashMap<CryptoHash, BlockHeight>,
    chunks: HashMap<CryptoHash, BlockHeight>,
    outcomes: HashMap<CryptoHash, Arc<StoredOutcome>>,
    receipts: HashMap<CryptoHash, Arc<Receipt>>,
    transactions: HashMap<CryptoHash, (BlockHeight, Arc<SignedTransaction>)>,
}

impl History {
    /// A history that starts with the genesis block and keeps `window` blocks above it, at least
    /// one. `validators` are those of the first epochs.
    pub(super) fn new(
        window: usize,
        genesis: StoredBlock,
        state: State,
        validators: Arc<Vec<ValidatorStake>>,
    ) -> Self {
        let genesis = Arc::new(genesis);
        let tree = PartialMerkleTree::default();
        let ancestry = Ancestry { tree, next_validators: validators };
        Self {
            window: window.max(1),
            heights: HashMap::from([(genesis.hash(), genesis.height())]),
            chunks: HashMap::from([(genesis.chunk.chunk_hash().0, genesis.height())]),
            genesis: (genesis, state, ancestry),
            blocks: BTreeMap::new(),
            outcomes: HashMap::new(),
            receipts: HashMap::new(),
            transactions: HashMap::new(),
        }
    }

    /// How many blocks are kept at most, not counting the genesis block.
    pub fn window(&self) -> usize {
        self.window
    }

    /// How many blocks, outcomes, receipts and transactions are kept now, not counting the genesis
    /// block.
    pub fn sizes(&self) -> [usize; 4] {
        [self.blocks.len(), self.outcomes.len(), self.receipts.len(), self.transactions.len()]
    }

    /// The transaction whose receipts, or theirs, include this one. `None` when a receipt on the
    /// way is not kept.
    pub fn origin(&self, receipt_id: &CryptoHash) -> Option<&SignedTransaction> {
        let makers: HashMap<CryptoHash, CryptoHash> = self
            .outcomes
            .values()
            .map(|stored| &stored.outcome)
            .flat_map(|made| made.outcome.receipt_ids.iter().map(|receipt| (*receipt, made.id)))
            .collect();
        let mut id = makers.get(receipt_id)?;
        loop {
            if let Some((_, tx)) = self.transactions.get(id) {
                return Some(tx);
            }
            id = makers.get(id)?;
        }
    }

    /// Adds a block above the head. `receipts` can be found by their ids from now on.
    pub(super) fn push(
        &mut self,
        block: StoredBlock,
        state: State,
        ancestry: Ancestry,
        outcomes: Vec<StoredOutcome>,
        receipts: Vec<Receipt>,
    ) {
        let height = block.height();
        self.heights.insert(block.hash(), height);
        self.chunks.insert(block.chunk.chunk_hash().0, height);
        for tx in &block.transactions {
            self.transactions.insert(tx.get_hash(), (height, Arc::new(tx.clone())));
        }
        for outcome in outcomes {
            self.outcomes.insert(outcome.outcome.id, Arc::new(outcome));
        }
        let ids = receipts.iter().map(|receipt| *receipt.receipt_id()).collect();
        for receipt in receipts {
            self.receipts.insert(*receipt.receipt_id(), Arc::new(receipt));
        }
        self.blocks
            .insert(height, Entry { block: Arc::new(block), state, ancestry, receipts: ids });
        while self.blocks.len() > self.window {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        let Some((height, entry)) = self.blocks.pop_first() else {
            return;
        };
        self.heights.remove(&entry.block.hash());
        self.chunks.remove(&entry.block.chunk.chunk_hash().0);
        for tx in &entry.block.transactions {
            let hash = tx.get_hash();
            if self.transactions.get(&hash).is_some_and(|(at, _)| *at == height) {
                self.transactions.remove(&hash);
            }
        }
        for id in &entry.block.executed {
            self.outcomes.remove(id);
        }
        for id in &entry.receipts {
            self.receipts.remove(id);
        }
    }

    /// Removes the newest block and returns it; `None` when only the genesis block is left.
    pub(super) fn pop_head(&mut self) -> Option<Arc<StoredBlock>> {
        let (_, entry) = self.blocks.pop_last()?;
        let block = entry.block;
        self.heights.remove(&block.hash());
        self.chunks.remove(&block.chunk.chunk_hash().0);
        for tx in &block.transactions {
            self.transactions.remove(&tx.get_hash());
        }
        for id in &block.executed {
            self.outcomes.remove(id);
        }
        let below = self.blocks.last_key_value().map(|(_, entry)| entry);
        for id in &entry.receipts {
            if !below.is_some_and(|below| below.receipts.contains(id)) {
                self.receipts.remove(id);
            }
        }
        Some(block)
    }

    /// The blocks that are kept at `from` and above, with the states after them, in ascending
    /// order. The genesis block is not among them.
    pub(super) fn blocks_from(
        &self,
        from: BlockHeight,
    ) -> impl Iterator<Item = (&Arc<StoredBlock>, &State)> {
        let entries = self.blocks.range(from..).map(|(_, entry)| entry);
        entries.map(|entry| (&entry.block, &entry.state))
    }

    /// The newest block.
    pub fn head(&self) -> &Arc<StoredBlock> {
        self.blocks.last_key_value().map_or(&self.genesis.0, |(_, entry)| &entry.block)
    }

    /// The oldest block that is kept, not counting the genesis block unless it is the only one.
    pub fn earliest(&self) -> &Arc<StoredBlock> {
        self.blocks.first_key_value().map_or(&self.genesis.0, |(_, entry)| &entry.block)
    }

    /// Whether a block at this height would have been garbage-collected.
    pub fn is_garbage_collected(&self, height: BlockHeight) -> bool {
        let full = self.blocks.len() >= self.window;
        full && height > self.genesis.0.height() && height < self.earliest().height()
    }

    /// The genesis block.
    pub fn genesis(&self) -> &Arc<StoredBlock> {
        &self.genesis.0
    }

    /// The block at a height, if there is one and it is kept.
    pub fn at(&self, height: BlockHeight) -> Option<&Arc<StoredBlock>> {
        if height == self.genesis.0.height() {
            return Some(&self.genesis.0);
        }
        self.blocks.get(&height).map(|entry| &entry.block)
    }

    /// The newest block at or below a height that is kept.
    pub fn at_or_below(&self, height: BlockHeight) -> &Arc<StoredBlock> {
        self.blocks.range(..=height).next_back().map_or(&self.genesis.0, |(_, entry)| &entry.block)
    }

    /// The lowest block above a height that is kept.
    pub fn above(&self, height: BlockHeight) -> Option<&Arc<StoredBlock>> {
        self.blocks_from(height.saturating_add(1)).next().map(|(block, _)| block)
    }

    /// The block with a hash.
    pub fn by_hash(&self, hash: &CryptoHash) -> Option<&Arc<StoredBlock>> {
        self.at(*self.heights.get(hash)?)
    }

    /// The block that includes the chunk with a hash.
    pub fn by_chunk(&self, hash: &CryptoHash) -> Option<&Arc<StoredBlock>> {
        self.at(*self.chunks.get(hash)?)
    }

    /// The state after the block at a height.
    pub fn state(&self, height: BlockHeight) -> Option<&State> {
        if height == self.genesis.0.height() {
            return Some(&self.genesis.1);
        }
        self.blocks.get(&height).map(|entry| &entry.state)
    }

    /// The ancestry of the block at a height.
    pub(super) fn ancestry(&self, height: BlockHeight) -> Option<&Ancestry> {
        if height == self.genesis.0.height() {
            return Some(&self.genesis.2);
        }
        self.blocks.get(&height).map(|entry| &entry.ancestry)
    }

    /// The outcome of a transaction or receipt.
    pub fn outcome(&self, id: &CryptoHash) -> Option<&Arc<StoredOutcome>> {
        self.outcomes.get(id)
    }

    /// The receipt with an id.
    pub fn receipt(&self, id: &CryptoHash) -> Option<&Arc<Receipt>> {
        self.receipts.get(id)
    }

    /// A transaction and the height of the block that includes it.
    pub fn transaction(&self, hash: &CryptoHash) -> Option<&(BlockHeight, Arc<SignedTransaction>)> {
        self.transactions.get(hash)
    }
}
