//! Building blocks: one chunk, a header whose hash covers all of the content, and the signatures.

use near_chain_configs::GenesisConfig;
use near_primitives::{
    bandwidth_scheduler::BandwidthRequests,
    block::{Block, Chunks, compute_bp_hash_from_validator_stakes},
    block_body::BlockBody,
    block_header::{Approval, ApprovalInner, BlockHeader},
    congestion_info::CongestionInfo,
    hash::CryptoHash,
    merkle::{PartialMerkleTree, merklize},
    receipt::Receipt,
    sharding::{ShardChunkHeader, ShardChunkHeaderV3},
    stateless_validation::chunk_endorsements_bitmap::ChunkEndorsementsBitmap,
    transaction::SignedTransaction,
    types::{Balance, BlockHeight, EpochId, Gas, validator_stake::ValidatorStake},
    validator_signer::{EmptyValidatorSigner, ValidatorSigner},
};
use near_time::Utc;

use super::block::{Executed, shard_id};

/// A block's random value and the proof that the producer could not choose it.
#[derive(Debug, Clone)]
pub(super) struct Randomness {
    vrf: (near_crypto::vrf::Value, near_crypto::vrf::Proof),
    /// The hash of the VRF's value.
    pub value: CryptoHash,
}

impl Randomness {
    /// The randomness of the block above `prev`, derived from that block's random value.
    pub(super) fn above(prev: &BlockHeader, signer: &ValidatorSigner) -> Self {
        let vrf = signer.compute_vrf_with_proof(prev.random_value().as_ref());
        let value = CryptoHash::hash_bytes(vrf.0.0.as_ref());
        Self { vrf, value }
    }
}

/// Everything that the headers of a new block and of its chunk depend on.
pub(super) struct Draft<'a> {
    /// The chain's configuration.
    pub config: &'a GenesisConfig,
    /// The header of the block below.
    pub prev: &'a BlockHeader,
    /// The height of the new block.
    pub height: BlockHeight,
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// What the execution of the block below left.
    pub executed: &'a Executed,
    /// The tokens that the block mints, in yoctoNEAR.
    pub minted: Balance,
    /// The epoch of the block.
    pub epoch_id: EpochId,
    /// The epoch after the block's.
    pub next_epoch_id: EpochId,
    /// The block producers of the epoch after the block's.
    pub next_producers: &'a [ValidatorStake],
    /// Those who may approve the block below, in the order of their approvals.
    pub approvers: &'a [ValidatorStake],
    /// The Merkle tree of the hashes of all blocks below.
    pub block_tree: &'a PartialMerkleTree,
    /// The random value of the block.
    pub randomness: Randomness,
    /// The transactions in the chunk.
    pub transactions: &'a [SignedTransaction],
    /// The block's producer, who signs everything.
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
        let (vrf_value, vrf_proof) = self.randomness.vrf;
        let body = BlockBody::new(chunks.to_vec(), vrf_value, vrf_proof, endorsements);
        let approved = Approval::get_data_for_sig(
            &ApprovalInner::new(self.prev.hash(), self.prev.height(), self.height),
            self.height,
        );
        // Only this node's own key can sign. The other validators are absent.
        let is_own = |validator: &ValidatorStake| {
            validator.account_id() == self.signer.validator_id()
                && *validator.public_key() == self.signer.public_key()
        };
        let sign = || Box::new(self.signer.sign_bytes(&approved));
        let approvals =
            self.approvers.iter().map(|validator| is_own(validator).then(sign)).collect();
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
            self.timestamp,
            self.randomness.value,
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
            approvals,
            compute_bp_hash_from_validator_stakes(&self.next_producers.to_vec(), true),
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
            // nearcore encodes the chunk into parts for its peers, and this is the root of those
            // parts. There are no peers here, so this is the hash of the whole content.
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

/// The genesis block of a chain whose first state has the root `state_root`.
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

/// The gas price after a block that burnt `gas_burnt` at the price `price`
/// (`core/primitives/src/block.rs`).
fn next_gas_price(config: &GenesisConfig, price: Balance, gas_burnt: Gas) -> Balance {
    Block::compute_next_gas_price_checked(
        price,
        // The rule is only defined up to the gas limit, but a block's last receipt may exceed it.
        gas_burnt.min(config.gas_limit),
        config.gas_limit,
        config.gas_price_adjustment_rate,
        config.min_gas_price,
        config.max_gas_price,
    )
    .unwrap_or(price)
}

/// The Merkle root of the receipts to each shard. There is only one shard.
fn receipts_root(receipts: &[Receipt]) -> CryptoHash {
    let list = CryptoHash::hash_borsh((shard_id(), receipts));
    merklize(&[list]).0
}
