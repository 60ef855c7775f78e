//! Making blocks: one chunk, a header whose hash covers all of it, and the signatures.

use borsh::{BorshDeserialize, BorshSerialize};
use near_chain_configs::GenesisConfig;
use near_primitives::bandwidth_scheduler::BandwidthRequests;
use near_primitives::block::{Block, Chunks, compute_bp_hash_from_validator_stakes};
use near_primitives::block_body::BlockBody;
use near_primitives::block_header::{Approval, ApprovalInner, BlockHeader};
use near_primitives::congestion_info::CongestionInfo;
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::{PartialMerkleTree, merklize};
use near_primitives::receipt::Receipt;
use near_primitives::sharding::{ShardChunkHeader, ShardChunkHeaderV3};
use near_primitives::stateless_validation::chunk_endorsements_bitmap::ChunkEndorsementsBitmap;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::{
    Balance, BlockHeight, EpochId, Gas, RawStateChangesWithTrieKey, ShardId,
};
use near_primitives::validator_signer::{EmptyValidatorSigner, ValidatorSigner};
use near_primitives::views::{BlockHeaderView, BlockView, ChunkHeaderView, ChunkView};
use near_time::Utc;

/// The chain's only shard.
pub fn shard_id() -> ShardId {
    ShardId::new(0)
}

/// A block with its chunk and what executing it changed.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct StoredBlock {
    /// The header.
    pub header: BlockHeader,
    /// The header of its chunk.
    pub chunk: ShardChunkHeader,
    /// The transactions of its chunk.
    pub transactions: Vec<SignedTransaction>,
    /// The receipts that the block below made, which the chunk carries.
    pub receipts: Vec<Receipt>,
    /// The ids of the transactions and receipts that were executed, in order.
    pub executed: Vec<CryptoHash>,
    /// Every key of the state that the block changed.
    pub changes: Vec<RawStateChangesWithTrieKey>,
}

impl StoredBlock {
    /// Its height.
    pub fn height(&self) -> BlockHeight {
        self.header.height()
    }

    /// Its hash.
    pub fn hash(&self) -> CryptoHash {
        *self.header.hash()
    }

    /// As the RPC shows it.
    pub fn view(&self, author: &ValidatorSigner) -> BlockView {
        BlockView {
            author: author.validator_id().clone(),
            header: BlockHeaderView::from(&self.header),
            chunks: vec![ChunkHeaderView::from(self.chunk.clone())],
        }
    }

    /// Its chunk, as the RPC shows it.
    pub fn chunk_view(&self, author: &ValidatorSigner) -> ChunkView {
        ChunkView {
            author: author.validator_id().clone(),
            header: ChunkHeaderView::from(self.chunk.clone()),
            transactions: self.transactions.iter().cloned().map(Into::into).collect(),
            receipts: self.receipts.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// What executing a block left for the header of the next one.
#[derive(Debug, Clone, Default, BorshSerialize, BorshDeserialize)]
pub(super) struct Executed {
    /// The root of the state afterwards.
    pub state_root: CryptoHash,
    /// The root over the outcomes.
    pub outcome_root: CryptoHash,
    /// The receipts for the next block.
    pub outgoing: Vec<Receipt>,
    /// Gas burnt.
    pub gas_burnt: Gas,
    /// Tokens burnt, in yoctoNEAR.
    pub tokens_burnt: Balance,
    /// Stakes that were offered.
    pub proposals: Vec<ValidatorStake>,
}

/// What a block draws from its time and the randomness of the block below.
#[derive(Debug, Clone)]
pub(super) struct Beacon {
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// The verifiable random value, from which `random_value` is hashed.
    vrf: (near_crypto::vrf::Value, near_crypto::vrf::Proof),
    /// The block's random value.
    pub random_value: CryptoHash,
}

impl Beacon {
    /// The beacon of the block above `prev`.
    pub(super) fn new(prev: &BlockHeader, signer: &ValidatorSigner, timestamp: u64) -> Self {
        let vrf = signer.compute_vrf_with_proof(prev.random_value().as_ref());
        let random_value = CryptoHash::hash_bytes(vrf.0.0.as_ref());
        Self { timestamp, vrf, random_value }
    }
}

/// What else a new block is made of.
pub(super) struct Draft<'a> {
    /// The chain's configuration.
    pub config: &'a GenesisConfig,
    /// The header of the block below.
    pub prev: &'a BlockHeader,
    /// The height.
    pub height: BlockHeight,
    /// What the block below left.
    pub executed: &'a Executed,
    /// New tokens that the block makes, in yoctoNEAR.
    pub minted: Balance,
    /// The epoch.
    pub epoch_id: EpochId,
    /// The epoch after it.
    pub next_epoch_id: EpochId,
    /// The validators of the epoch after it.
    pub next_validators: &'a [ValidatorStake],
    /// The tree of the hashes of all blocks below.
    pub block_tree: &'a PartialMerkleTree,
    /// Time and randomness.
    pub beacon: Beacon,
    /// The transactions that it takes.
    pub transactions: &'a [SignedTransaction],
    /// Who signs.
    pub signer: &'a ValidatorSigner,
}

impl Draft<'_> {
    /// Builds the headers of the block and of its chunk.
    pub(super) fn build(self) -> (BlockHeader, ShardChunkHeader) {
        let version = self.config.protocol_version;
        let chunk = self.chunk();
        let endorsement = self.signer.sign_bytes(chunk.chunk_hash().as_ref());
        let endorsements = vec![vec![Some(Box::new(endorsement))]];
        let chunks = [chunk];
        let roots = Chunks::from_chunk_headers(&chunks, self.height);
        let body =
            BlockBody::new(chunks.to_vec(), self.beacon.vrf.0, self.beacon.vrf.1, endorsements);
        let approved = Approval::get_data_for_sig(
            &ApprovalInner::new(self.prev.hash(), self.prev.height(), self.height),
            self.height,
        );
        let contiguous = self.height == self.prev.height() + 1;
        let last_ds_final =
            if contiguous { *self.prev.hash() } else { *self.prev.last_ds_final_block() };
        let header = BlockHeader::new(
            version,
            version,
            self.height,
            *self.prev.hash(),
            body.compute_hash(),
            roots.compute_state_root(),
            roots.compute_chunk_prev_outgoing_receipts_root(),
            roots.compute_chunk_headers_root().0,
            roots.compute_chunk_tx_root(),
            roots.compute_outcome_root(),
            self.beacon.timestamp,
            self.beacon.random_value,
            self.executed.proposals.clone(),
            vec![true],
            self.prev.block_ordinal() + 1,
            self.epoch_id,
            self.next_epoch_id,
            next_gas_price(self.config, self.prev.next_gas_price(), self.executed.gas_burnt),
            self.prev
                .total_supply()
                .saturating_add(self.minted)
                .saturating_sub(self.executed.tokens_burnt),
            self.signer,
            *self.prev.last_final_block_for_height(self.height),
            last_ds_final,
            None,
            vec![Some(Box::new(self.signer.sign_bytes(&approved)))],
            compute_bp_hash_from_validator_stakes(&self.next_validators.to_vec(), true),
            self.block_tree.root(),
            self.prev.height(),
            Some(ChunkEndorsementsBitmap::from_endorsements(vec![vec![true]])),
            None,
            None,
            None,
            None,
        );
        let [chunk] = chunks;
        (header, chunk)
    }

    fn chunk(&self) -> ShardChunkHeader {
        let (tx_root, _) = merklize(self.transactions);
        let content =
            borsh::to_vec(&(self.transactions, &self.executed.outgoing)).unwrap_or_default();
        let mut chunk = ShardChunkHeaderV3::new(
            *self.prev.hash(),
            self.executed.state_root,
            self.executed.outcome_root,
            // nearcore encodes the chunk into parts for its peers and takes the root of those;
            // there are no peers here, and the root is that of the whole content.
            CryptoHash::hash_bytes(&content),
            u64::try_from(content.len()).unwrap_or(u64::MAX),
            self.height,
            shard_id(),
            self.executed.gas_burnt,
            self.config.gas_limit,
            self.executed.tokens_burnt,
            receipts_root(&self.executed.outgoing),
            tx_root,
            self.executed.proposals.clone(),
            CongestionInfo::default(),
            BandwidthRequests::empty(),
            None,
            self.signer,
            self.config.protocol_version,
        );
        chunk.height_included = self.height;
        ShardChunkHeader::V3(chunk)
    }
}

/// The genesis block of a chain whose first state has this root.
pub(super) fn genesis_block(
    config: &GenesisConfig,
    time: Utc,
    validators: &Vec<ValidatorStake>,
    state_root: CryptoHash,
) -> (BlockHeader, ShardChunkHeader) {
    let mut chunk = ShardChunkHeaderV3::new(
        CryptoHash::default(),
        state_root,
        CryptoHash::default(),
        CryptoHash::default(),
        0,
        config.genesis_height,
        shard_id(),
        Gas::ZERO,
        config.gas_limit,
        Balance::ZERO,
        CryptoHash::default(),
        CryptoHash::default(),
        vec![],
        CongestionInfo::default(),
        BandwidthRequests::empty(),
        None,
        &EmptyValidatorSigner::default().into(),
        config.protocol_version,
    );
    chunk.height_included = config.genesis_height;
    let chunk = ShardChunkHeader::V3(chunk);
    let block: Block = near_primitives::genesis::genesis_block(
        config.protocol_version,
        vec![chunk.clone()],
        time,
        config.genesis_height,
        config.min_gas_price,
        config.total_supply,
        validators,
    );
    (block.header().clone(), chunk)
}

/// The gas price after a block that burnt so much (`core/primitives/src/block.rs`).
fn next_gas_price(config: &GenesisConfig, price: Balance, gas_burnt: Gas) -> Balance {
    Block::compute_next_gas_price_checked(
        price,
        // The rule is only defined up to the limit, which the last receipt of a block may exceed.
        gas_burnt.min(config.gas_limit),
        config.gas_limit,
        config.gas_price_adjustment_rate,
        config.min_gas_price,
        config.max_gas_price,
    )
    .unwrap_or(price)
}

/// The root over the receipts that go to each shard; here, to the only one.
fn receipts_root(receipts: &[Receipt]) -> CryptoHash {
    let list = CryptoHash::hash_borsh((shard_id(), receipts));
    merklize(&[list]).0
}
