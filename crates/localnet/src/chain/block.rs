//! A block as the chain keeps it, and what it hands on to the next one.

use borsh::{BorshDeserialize, BorshSerialize};
use near_primitives::{
    block_header::BlockHeader,
    hash::CryptoHash,
    receipt::Receipt,
    sharding::ShardChunkHeader,
    transaction::SignedTransaction,
    types::{
        Balance, BlockHeight, Compute, Gas, RawStateChangesWithTrieKey, ShardId,
        validator_stake::ValidatorStake,
    },
    validator_signer::ValidatorSigner,
    views::{BlockHeaderView, BlockView, ChunkHeaderView, ChunkView},
};

/// The chain's only shard.
pub fn shard_id() -> ShardId {
    ShardId::new(0)
}

/// A block with its chunk and what its execution changed.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct StoredBlock {
    /// The block's header, whose hash is the block's.
    pub header: BlockHeader,
    /// The header of the block's only chunk.
    pub chunk: ShardChunkHeader,
    /// The transactions in the chunk.
    pub transactions: Vec<SignedTransaction>,
    /// The receipts in the chunk: those that the block below produced.
    pub receipts: Vec<Receipt>,
    /// The ids of the transactions and receipts that the block executed, in order.
    pub executed: Vec<CryptoHash>,
    /// Every key of the state that the block changed, with the causes.
    pub changes: Vec<RawStateChangesWithTrieKey>,
}

impl StoredBlock {
    /// The height in the header.
    pub fn height(&self) -> BlockHeight {
        self.header.height()
    }

    /// The hash of the header.
    pub fn hash(&self) -> CryptoHash {
        *self.header.hash()
    }

    /// The form in which the RPC shows the block. `author` has produced it.
    pub fn view(&self, author: &ValidatorSigner) -> BlockView {
        BlockView {
            author: author.validator_id().clone(),
            header: BlockHeaderView::from(&self.header),
            chunks: vec![ChunkHeaderView::from(self.chunk.clone())],
        }
    }

    /// The form in which the RPC shows the chunk. `author` has produced it.
    pub fn chunk_view(&self, author: &ValidatorSigner) -> ChunkView {
        ChunkView {
            author: author.validator_id().clone(),
            header: ChunkHeaderView::from(self.chunk.clone()),
            transactions: self.transactions.iter().cloned().map(Into::into).collect(),
            receipts: self.receipts.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// What chunks used together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppliedChunks {
    /// How many chunks.
    pub chunks: u64,
    /// The gas that they burnt.
    pub gas: u128,
    /// The compute units that they used. A chunk is full when they reach its gas limit.
    pub compute: u128,
}

impl AppliedChunks {
    /// Counts a chunk.
    pub(super) fn add(&mut self, gas: Gas, compute: Compute) {
        self.chunks = self.chunks.saturating_add(1);
        self.gas = self.gas.saturating_add(gas.as_gas().into());
        self.compute = self.compute.saturating_add(compute.into());
    }
}

/// What the execution of a block leaves for the header of the next one.
#[derive(Debug, Clone, Default, BorshSerialize, BorshDeserialize)]
pub(super) struct Executed {
    /// The root of the state after the block.
    pub state_root: CryptoHash,
    /// The Merkle root of the outcomes.
    pub outcome_root: CryptoHash,
    /// The receipts for the next block.
    pub outgoing: Vec<Receipt>,
    /// The gas that the block burnt.
    pub gas_burnt: Gas,
    /// The tokens that the block burnt, in yoctoNEAR.
    pub tokens_burnt: Balance,
    /// The stakes that accounts offered.
    pub proposals: Vec<ValidatorStake>,
}
