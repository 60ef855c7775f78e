//! What the chain remembers of its past: blocks, states, outcomes and receipts of a bounded window.
//!
//! The genesis block and its state are always there. Of the rest, the newest `window` blocks are kept
//! with all that belongs to them; older ones are forgotten, as a node of NEAR that is no archive
//! forgets them, so memory does not grow with the chain.

use super::block::StoredBlock;
use crate::state::State;
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::MerklePath;
use near_primitives::receipt::Receipt;
use near_primitives::transaction::{ExecutionOutcomeWithId, SignedTransaction};
use near_primitives::types::BlockHeight;
use near_primitives::views::ExecutionOutcomeWithIdView;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The outcome of a transaction or receipt and where it stands.
#[derive(Debug)]
pub struct Outcome {
    /// The outcome.
    pub outcome: ExecutionOutcomeWithId,
    /// The block that executed it.
    pub block_hash: CryptoHash,
    /// That block's height.
    pub block_height: BlockHeight,
    /// The path from the outcome to the block's outcome root.
    pub proof: MerklePath,
}

impl Outcome {
    /// As the RPC shows it.
    pub fn view(&self) -> ExecutionOutcomeWithIdView {
        ExecutionOutcomeWithIdView {
            proof: self.proof.clone(),
            block_hash: self.block_hash,
            id: self.outcome.id,
            outcome: self.outcome.outcome.clone().into(),
        }
    }
}

/// A block with the state after it and the ids that it is looked up by.
#[derive(Debug, Clone)]
struct Entry {
    block: Arc<StoredBlock>,
    state: State,
    receipts: Vec<CryptoHash>,
}

/// The window.
#[derive(Debug, Clone)]
pub struct History {
    window: usize,
    genesis: (Arc<StoredBlock>, State),
    blocks: BTreeMap<BlockHeight, Entry>,
    heights: HashMap<CryptoHash, BlockHeight>,
    chunks: HashMap<CryptoHash, BlockHeight>,
    outcomes: HashMap<CryptoHash, Arc<Outcome>>,
    receipts: HashMap<CryptoHash, Arc<Receipt>>,
    transactions: HashMap<CryptoHash, (BlockHeight, Arc<SignedTransaction>)>,
}

impl History {
    /// A history that begins with the genesis and remembers `window` blocks.
    pub fn new(window: usize, genesis: StoredBlock, state: State) -> Self {
        let genesis = Arc::new(genesis);
        Self {
            window: window.max(1),
            heights: HashMap::from([(genesis.hash(), genesis.height())]),
            chunks: HashMap::from([(genesis.chunk.chunk_hash().0, genesis.height())]),
            genesis: (genesis, state),
            blocks: BTreeMap::new(),
            outcomes: HashMap::new(),
            receipts: HashMap::new(),
            transactions: HashMap::new(),
        }
    }

    /// How many blocks are remembered at most.
    pub fn window(&self) -> usize {
        self.window
    }

    /// How many blocks, outcomes, receipts and transactions are remembered now, the genesis not counted.
    pub fn sizes(&self) -> [usize; 4] {
        [self.blocks.len(), self.outcomes.len(), self.receipts.len(), self.transactions.len()]
    }

    /// Adds the block above the head. `receipts` are those that can be looked up from now on.
    pub fn push(
        &mut self,
        block: StoredBlock,
        state: State,
        outcomes: Vec<Outcome>,
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
        self.blocks.insert(height, Entry { block: Arc::new(block), state, receipts: ids });
        while self.blocks.len() > self.window {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
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

    /// Forgets the newest block and answers it; the genesis stays.
    pub(super) fn pop_newest(&mut self) -> Option<Arc<StoredBlock>> {
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

    /// The blocks from a height on with the states after them, without the genesis. Those that have
    /// fallen out of the window are missing.
    pub(super) fn newest(
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

    /// The oldest block besides the genesis.
    pub fn earliest(&self) -> &Arc<StoredBlock> {
        self.blocks.first_key_value().map_or(&self.genesis.0, |(_, entry)| &entry.block)
    }

    /// Whether blocks of this height are no longer remembered, if there were any.
    pub fn has_forgotten(&self, height: BlockHeight) -> bool {
        let full = self.blocks.len() >= self.window;
        full && height > self.genesis.0.height() && height < self.earliest().height()
    }

    /// The genesis block.
    pub fn genesis(&self) -> &Arc<StoredBlock> {
        &self.genesis.0
    }

    /// The block at a height, if there is one and it is remembered.
    pub fn at(&self, height: BlockHeight) -> Option<&Arc<StoredBlock>> {
        if height == self.genesis.0.height() {
            return Some(&self.genesis.0);
        }
        self.blocks.get(&height).map(|entry| &entry.block)
    }

    /// The newest block at or below a height.
    pub fn at_or_below(&self, height: BlockHeight) -> &Arc<StoredBlock> {
        self.blocks.range(..=height).next_back().map_or(&self.genesis.0, |(_, entry)| &entry.block)
    }

    /// The oldest block above a height.
    pub fn above(&self, height: BlockHeight) -> Option<&Arc<StoredBlock>> {
        self.newest(height.saturating_add(1)).next().map(|(block, _)| block)
    }

    /// The block with a hash.
    pub fn by_hash(&self, hash: &CryptoHash) -> Option<&Arc<StoredBlock>> {
        self.at(*self.heights.get(hash)?)
    }

    /// The block that holds a chunk.
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

    /// The outcome of a transaction or receipt.
    pub fn outcome(&self, id: &CryptoHash) -> Option<&Arc<Outcome>> {
        self.outcomes.get(id)
    }

    /// A receipt.
    pub fn receipt(&self, id: &CryptoHash) -> Option<&Arc<Receipt>> {
        self.receipts.get(id)
    }

    /// A transaction and the height of the block that took it.
    pub fn transaction(&self, hash: &CryptoHash) -> Option<&(BlockHeight, Arc<SignedTransaction>)> {
        self.transactions.get(hash)
    }
}
