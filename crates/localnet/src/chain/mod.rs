//! The chain: blocks on top of the runtime, with one shard, epochs, finality and a bounded history.
//!
//! A block is produced in three steps, so that views are answered while contracts run:
//! [`Chain::prepare`] collects what the block will contain, [`Prepared::execute`] runs it without
//! touching the chain, and [`Chain::commit`] puts the result on top of the chain.

mod block;
mod clock;
mod epochs;
mod fast_forward;
mod genesis;
mod header;
mod history;
mod light_client;
mod persist;
mod pool;
mod produce;
mod reorg;
mod status;
mod transactions;
mod undo;

use std::{collections::HashMap, sync::Arc, time::Duration};

use near_chain_configs::GenesisConfig;
use near_primitives::{
    block_header::BlockHeader,
    errors::InvalidTxError,
    hash::CryptoHash,
    merkle::PartialMerkleTree,
    state_record::StateRecord,
    types::{BlockHeight, BlockId, BlockReference, Finality, SyncCheckpoint},
    validator_signer::ValidatorSigner,
};
use near_time::Utc;

use self::{block::Executed, header::genesis_block, undo::UndoLog};
use crate::{
    runtime::{BlockContext, Runtime},
    state::State,
};

pub use block::{AppliedChunks, StoredBlock, shard_id};
pub use clock::{Clock, FIXED_STEP, SKIPPED_HEIGHT};
pub use epochs::{Election, Epoch, Epochs};
pub use fast_forward::FastForward;
pub use genesis::{Genesis, GenesisError, MAX_PROTOCOL_VERSION, MIN_PROTOCOL_VERSION};
pub use history::{History, StoredOutcome};
pub use light_client::ProofError;
pub use persist::RestoreError;
pub use pool::{MAX_BYTES_IN_BLOCK, MAX_IN_BLOCK, Pool};
pub use produce::{Applied, Inputs, Prepared};
pub use status::TransactionStatus;

/// How many blocks are kept unless something else is asked for. A yield lives for 200 blocks, so
/// its transaction and its callback are both still there, with room to spare.
pub const DEFAULT_WINDOW: usize = 2_000;

/// The chain. A clone is a snapshot of it.
#[derive(Clone)]
pub struct Chain {
    config: Arc<GenesisConfig>,
    signer: Arc<ValidatorSigner>,
    runtime: Arc<Runtime>,
    clock: Clock,
    epochs: Epochs,
    history: History,
    /// The Merkle tree of the hashes of all blocks.
    block_tree: PartialMerkleTree,
    /// What the execution of the head left for the next block.
    executed: Executed,
    /// How many receipts wait in the queue of delayed ones.
    delayed_receipts: u64,
    pool: Pool,
    /// Records that the next block puts into the state.
    patches: Vec<StateRecord>,
    /// The last height at which something was executed.
    last_active: BlockHeight,
    /// The lowest height that the next block may have: above the blocks that a reorg removed.
    min_next_height: BlockHeight,
    undo_log: UndoLog,
    /// Transactions that had entered the pool and turned out to be invalid.
    invalid: HashMap<CryptoHash, InvalidTxError>,
    expires_by_time: bool,
    applied: AppliedChunks,
}

impl Chain {
    /// A chain at its genesis block. `signer` produces the blocks, and `window` of them are kept.
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
        for code in &genesis.global_contracts {
            state.set_global_contract(code);
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
        let next_validators = Arc::clone(epochs.next_validators());
        let genesis = StoredBlock {
            header,
            chunk,
            transactions: vec![],
            receipts: vec![],
            executed: vec![],
            changes: vec![],
        };
        Self {
            last_active: config.genesis_height,
            min_next_height: config.genesis_height,
            undo_log: UndoLog::default(),
            config: Arc::new(config),
            signer: Arc::new(signer),
            runtime,
            clock,
            epochs,
            history: History::new(window, genesis, state, next_validators),
            block_tree,
            executed: Executed { state_root, ..Executed::default() },
            delayed_receipts: 0,
            pool: Pool::default(),
            patches: Vec::new(),
            invalid: HashMap::new(),
            expires_by_time: false,
            applied: AppliedChunks::default(),
        }
    }

    /// The configuration from the genesis file.
    pub fn config(&self) -> &Arc<GenesisConfig> {
        &self.config
    }

    /// The validator that produces all blocks.
    pub fn signer(&self) -> &ValidatorSigner {
        &self.signer
    }

    /// The runtime that executes the blocks.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// What all chunks that were applied since the start used together, also those of blocks that
    /// were replaced.
    pub fn applied(&self) -> AppliedChunks {
        self.applied
    }

    /// The epochs around the head.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The blocks that are kept, with their states and outcomes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The header of the newest block, which is the optimistic head.
    pub fn head(&self) -> &BlockHeader {
        &self.history.head().header
    }

    /// The height of the newest block that is final.
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

    /// The block that a reference names, if it is kept.
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

    /// The context of a view call that reads the state after `block`.
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

    /// Puts records into the state with the next block, as `sandbox_patch_state` does.
    pub fn patch(&mut self, records: Vec<StateRecord>) {
        self.patches.extend(records);
    }

    /// Moves the chain's time forward, from the next block on.
    pub fn advance_time(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Whether there is a reason to produce a block: transactions, receipts or patches are waiting,
    /// or something that was executed is not final yet.
    pub fn has_work(&self) -> bool {
        let unfinished = self.last_active > self.final_height();
        !self.pool.is_empty() || self.has_receipts() || !self.patches.is_empty() || unfinished
    }

    fn has_receipts(&self) -> bool {
        !self.executed.outgoing.is_empty() || self.delayed_receipts > 0
    }
}

fn genesis_time(config: &GenesisConfig) -> Utc {
    let nanos = config.genesis_time.timestamp_nanos_opt().unwrap_or_default();
    Utc::from_unix_timestamp_nanos(i128::from(nanos)).unwrap_or(Utc::UNIX_EPOCH)
}
