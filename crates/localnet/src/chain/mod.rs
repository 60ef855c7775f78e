//! The chain: blocks over the engine, with one shard, epochs, finality and a bounded past.
//!
//! A block is made in three steps, so that views go on while contracts run: [`Chain::prepare`] takes
//! what the block will hold, [`Prepared::execute`] runs it without touching the chain, and
//! [`Chain::commit`] puts the result on top.

mod block;
mod clock;
mod election;
mod epoch;
mod fast_forward;
mod genesis;
mod history;
mod persist;
mod pool;
mod produce;
mod reorg;
mod rewards;
mod status;

pub use block::{StoredBlock, shard_id};
pub use clock::{Clock, FIXED_STEP, SKIPPED_HEIGHT};
pub use election::Election;
pub use epoch::{Epoch, Epochs};
pub use fast_forward::Jump;
pub use genesis::{Genesis, GenesisError, MAX_PROTOCOL_VERSION, MIN_PROTOCOL_VERSION};
pub use history::{History, Outcome};
pub use persist::RestoreError;
pub use pool::{MAX_BYTES_IN_BLOCK, MAX_IN_BLOCK, Pool};
pub use produce::{Applied, Inputs, Prepared};
pub use status::TransactionStatus;

use crate::runtime::{BlockContext, Runtime, RuntimeError};
use crate::state::State;
use block::{Executed, genesis_block};
use near_chain_configs::GenesisConfig;
use near_primitives::block_header::BlockHeader;
use near_primitives::errors::{InvalidTxError, StorageError};
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::PartialMerkleTree;
use near_primitives::state_record::StateRecord;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{BlockHeight, BlockId, BlockReference, Finality, SyncCheckpoint};
use near_primitives::validator_signer::ValidatorSigner;
use near_time::Utc;
use reorg::Undo;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How many blocks are remembered when nothing else is asked for. A yield lives for 200 blocks, so
/// its transaction and its callback are both at hand with room to spare.
pub const DEFAULT_WINDOW: usize = 2_000;

/// How many refused transactions are remembered, so that whoever waits for one learns the reason.
const KEPT_REFUSALS: usize = 10_000;

/// The chain. A clone is a snapshot.
#[derive(Clone)]
pub struct Chain {
    config: Arc<GenesisConfig>,
    signer: Arc<ValidatorSigner>,
    runtime: Arc<Runtime>,
    clock: Clock,
    epochs: Epochs,
    history: History,
    block_tree: PartialMerkleTree,
    /// What executing the head left for the next block.
    executed: Executed,
    delayed: u64,
    pool: Pool,
    patches: Vec<StateRecord>,
    /// The last height at which something was executed.
    active: BlockHeight,
    /// The least height of the next block: above those that were taken back.
    floor: BlockHeight,
    /// What it takes to go back below each block that is not final.
    undo: VecDeque<Undo>,
    refused: HashMap<CryptoHash, InvalidTxError>,
    expires_by_time: bool,
}

impl Chain {
    /// A chain at its genesis block. `signer` makes the blocks.
    pub fn new(
        genesis: &Genesis,
        signer: ValidatorSigner,
        runtime: Arc<Runtime>,
        clock: Clock,
        window: usize,
    ) -> Self {
        let config = genesis.config.clone();
        let validators = genesis.validators();
        let fees = &runtime.config(config.protocol_version).fees;
        let usage = genesis.storage_usage(&fees.storage_usage_config);
        let mut state = State::new();
        for record in &genesis.records {
            state.apply_record(record.clone());
        }
        for (account_id, bytes) in usage {
            if let Some(mut account) = state.account(&account_id) {
                account.set_storage_usage(bytes);
                state.set_account(&account_id, &account);
            }
        }
        let state_root = state.root();
        let (header, chunk) =
            genesis_block(&config, genesis_time(&config), &validators, state_root);
        let mut block_tree = PartialMerkleTree::default();
        block_tree.insert(*header.hash());
        let epochs = Epochs::new(
            config.genesis_height,
            config.epoch_length,
            Election::of(&config),
            validators,
        );
        let genesis = StoredBlock {
            header,
            chunk,
            transactions: vec![],
            receipts: vec![],
            executed: vec![],
            changes: vec![],
        };
        Self {
            active: config.genesis_height,
            floor: config.genesis_height,
            undo: VecDeque::new(),
            config: Arc::new(config),
            signer: Arc::new(signer),
            runtime,
            clock,
            epochs,
            history: History::new(window, genesis, state),
            block_tree,
            executed: Executed { state_root, ..Executed::default() },
            delayed: 0,
            pool: Pool::default(),
            patches: Vec::new(),
            refused: HashMap::new(),
            expires_by_time: false,
        }
    }

    /// The chain's configuration.
    pub fn config(&self) -> &Arc<GenesisConfig> {
        &self.config
    }

    /// Who makes the blocks.
    pub fn signer(&self) -> &ValidatorSigner {
        &self.signer
    }

    /// The engine.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The epochs around the head.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// What is remembered of the past.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The header of the newest block, the optimistic head.
    pub fn head(&self) -> &BlockHeader {
        &self.history.head().header
    }

    /// The height of the final head.
    pub fn final_height(&self) -> BlockHeight {
        self.height_of(self.head().last_final_block())
    }

    fn height_of(&self, hash: &CryptoHash) -> BlockHeight {
        self.history.by_hash(hash).map_or(self.config.genesis_height, |block| block.height())
    }

    /// The state after the newest block.
    pub fn state(&self) -> State {
        self.history.state(self.head().height()).cloned().unwrap_or_default()
    }

    /// The block that a reference names.
    pub fn resolve(&self, reference: &BlockReference) -> Option<&Arc<StoredBlock>> {
        match reference {
            BlockReference::BlockId(BlockId::Height(height)) => self.history.at(*height),
            BlockReference::BlockId(BlockId::Hash(hash)) => self.history.by_hash(hash),
            BlockReference::Finality(Finality::None) => Some(self.history.head()),
            BlockReference::Finality(Finality::DoomSlug) => {
                self.history.at(self.height_of(self.head().last_ds_final_block()))
            }
            BlockReference::Finality(Finality::Final) => self.history.at(self.final_height()),
            BlockReference::SyncCheckpoint(SyncCheckpoint::Genesis) => Some(self.history.genesis()),
            BlockReference::SyncCheckpoint(SyncCheckpoint::EarliestAvailable) => {
                Some(self.history.earliest())
            }
        }
    }

    /// What a view call on top of a block sees.
    pub fn view_context(&self, block: &StoredBlock) -> BlockContext {
        let header = &block.header;
        let epoch = self.epochs.get(header.epoch_id()).unwrap_or_else(|| self.epochs.current());
        BlockContext {
            height: header.height(),
            prev_block_hash: *header.prev_hash(),
            block_hash: *header.hash(),
            timestamp: header.raw_timestamp(),
            random_seed: *header.random_value(),
            gas_price: header.next_gas_price(),
            epoch_height: epoch.height,
            epoch_id: epoch.id,
            protocol_version: self.config.protocol_version,
            validators: Arc::clone(&epoch.stakes),
            minimum_stake: self.epochs.minimum_stake(),
            gas_limit: self.config.gas_limit,
        }
    }

    /// Whether a transaction waits or stands in a block.
    pub fn knows(&self, hash: &CryptoHash) -> bool {
        self.pool.contains(hash) || self.history.transaction(hash).is_some()
    }

    /// Why a transaction that was accepted at first was left out of its block.
    pub fn refusal(&self, hash: &CryptoHash) -> Option<&InvalidTxError> {
        self.refused.get(hash)
    }

    /// Whether the block a transaction refers to is recent enough, seen from the head
    /// (`chain/chain/src/store.rs`: `check_transaction_validity_period`).
    pub fn check_expiry(&self, tx: &SignedTransaction) -> Result<(), InvalidTxError> {
        let base =
            self.history.by_hash(tx.transaction.block_hash()).ok_or(InvalidTxError::Expired)?;
        let last = base.height().saturating_add(self.config.transaction_validity_period);
        if self.head().height() <= last || self.outran(&base.header) {
            Ok(())
        } else {
            Err(InvalidTxError::Expired)
        }
    }

    /// Lets transactions expire by time as well as by height: instant blocks run through a hundred
    /// heights in a moment, which is no time for a client.
    pub(crate) fn expire_by_time(&mut self, by_time: bool) {
        self.expires_by_time = by_time;
    }

    /// Whether the chain has got from `base` to its head faster than NEAR would, and without a jump.
    fn outran(&self, base: &BlockHeader) -> bool {
        let head = self.head();
        let heights = head.height().saturating_sub(base.height());
        let blocks = head.block_ordinal().saturating_sub(base.block_ordinal());
        let passed = head.raw_timestamp().saturating_sub(base.raw_timestamp());
        let period = u32::try_from(self.config.transaction_validity_period).unwrap_or(u32::MAX);
        let validity = FIXED_STEP.saturating_mul(period);
        self.expires_by_time && heights == blocks && u128::from(passed) <= validity.as_nanos()
    }

    /// Puts a transaction that was checked into the pool. The block `ahead` heights above the head is
    /// the first that may take it.
    pub fn enqueue(&mut self, tx: SignedTransaction, ahead: u64) {
        self.refused.remove(&tx.get_hash());
        let height = self.head().height().saturating_add(ahead);
        self.pool.push(tx, height);
    }

    /// Puts a copy of a transaction beside the one that waits or has been taken; blocks from `ahead`
    /// heights above the head on may take it.
    pub fn enqueue_copy(&mut self, tx: SignedTransaction, ahead: u64) {
        let height = self.head().height().saturating_add(ahead);
        self.pool.push_copy(tx, height);
    }

    /// Puts records into the state of the next block, as `sandbox_patch_state` does.
    pub fn patch(&mut self, records: Vec<StateRecord>) {
        self.patches.extend(records);
    }

    /// Moves the chain's time ahead; the next block shows it.
    pub fn advance_time(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Whether a block has something to do: transactions, receipts, or what was executed and is not
    /// final yet.
    pub fn has_work(&self) -> bool {
        let unfinished = self.active > self.final_height();
        !self.pool.is_empty() || self.has_receipts() || !self.patches.is_empty() || unfinished
    }

    fn has_receipts(&self) -> bool {
        !self.executed.outgoing.is_empty() || self.delayed > 0
    }

    /// How many transactions wait for a block.
    pub fn waiting(&self) -> usize {
        self.pool.len()
    }

    /// Refuses transactions that were taken for a block which the engine could not make.
    pub(crate) fn refuse_all(&mut self, hashes: &[CryptoHash], fault: &RuntimeError) {
        let reason = StorageError::StorageInconsistentState(fault.to_string());
        for hash in hashes {
            self.refuse(*hash, reason.clone().into());
        }
    }

    fn refuse(&mut self, hash: CryptoHash, error: InvalidTxError) {
        if self.refused.len() >= KEPT_REFUSALS {
            self.refused.clear();
        }
        self.refused.insert(hash, error);
    }
}

fn genesis_time(config: &GenesisConfig) -> Utc {
    let nanos = config.genesis_time.timestamp_nanos_opt().unwrap_or_default();
    Utc::from_unix_timestamp_nanos(i128::from(nanos)).unwrap_or(Utc::UNIX_EPOCH)
}
