//! The chain as bytes: checkpoints, and the inputs of each block above them.
//!
//! A checkpoint holds the chain from the final block up; the blocks above it are produced again
//! from their inputs. Producing blocks is deterministic, so the same inputs on top of the same
//! checkpoint give the same hashes.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use near_primitives::{
    hash::CryptoHash,
    merkle::PartialMerkleTree,
    state_record::StateRecord,
    transaction::SignedTransaction,
    types::{
        AccountId, Balance, BlockHeight, EpochHeight, EpochId, validator_stake::ValidatorStake,
    },
};

use super::{
    Chain,
    block::{Executed, StoredBlock},
    epochs::{Epoch, Epochs, stakes},
    history::Ancestry,
    produce::Inputs,
    undo::UndoLog,
};
use crate::{runtime::RuntimeError, state::State};

/// Why a chain cannot be restored from bytes.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes do not decode.
    #[error("it does not decode: {0}")]
    Malformed(#[from] std::io::Error),
    /// The checkpoint belongs to a chain with another genesis.
    #[error(
        "it belongs to the chain with genesis {found}, not to {expected}; \
         give the home directory and the global contracts it was made with"
    )]
    Genesis {
        /// The hash of the genesis block that the checkpoint names.
        found: CryptoHash,
        /// The hash of the genesis block in the home directory.
        expected: CryptoHash,
    },
    /// The inputs of a block give another block than the one that was kept.
    #[error(
        "block {height} was {expected} and comes out as {found}: \
         it was kept by another version of localnet"
    )]
    Diverged {
        /// The block that differs.
        height: BlockHeight,
        /// The hash that the block has now.
        found: CryptoHash,
        /// The hash that was kept.
        expected: CryptoHash,
    },
    /// The runtime cannot execute a block that it executed before.
    #[error("block {height} cannot be executed again: {source}")]
    Runtime {
        /// The block that failed.
        height: BlockHeight,
        /// Why the runtime failed.
        source: RuntimeError,
    },
}

#[derive(BorshSerialize, BorshDeserialize)]
struct EpochBytes {
    id: CryptoHash,
    height: EpochHeight,
    start: BlockHeight,
    validators: Vec<ValidatorStake>,
    blocks: u64,
    since: u64,
    rewards_paid: BTreeMap<AccountId, Balance>,
    unstaked: BTreeSet<AccountId>,
    proposals: Vec<ValidatorStake>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct EpochsBytes {
    current: EpochBytes,
    next_id: CryptoHash,
    next: Vec<ValidatorStake>,
    next_unstaked: BTreeSet<AccountId>,
    proposals: Vec<ValidatorStake>,
    past: Vec<EpochBytes>,
}

impl From<&Epoch> for EpochBytes {
    fn from(epoch: &Epoch) -> Self {
        Self {
            id: epoch.id.0,
            height: epoch.height,
            start: epoch.start,
            validators: epoch.validators.to_vec(),
            blocks: epoch.blocks,
            since: epoch.since,
            rewards_paid: epoch.rewards_paid.clone(),
            unstaked: epoch.unstaked.clone(),
            proposals: epoch.proposals.clone(),
        }
    }
}

impl From<EpochBytes> for Epoch {
    fn from(bytes: EpochBytes) -> Self {
        Self {
            id: EpochId(bytes.id),
            height: bytes.height,
            start: bytes.start,
            stakes: stakes(&bytes.validators).into(),
            validators: bytes.validators.into(),
            blocks: bytes.blocks,
            since: bytes.since,
            rewards_paid: bytes.rewards_paid,
            unstaked: bytes.unstaked,
            proposals: bytes.proposals,
        }
    }
}

impl Epochs {
    fn to_bytes(&self) -> EpochsBytes {
        EpochsBytes {
            current: self.current().into(),
            next_id: self.next_id().0,
            next: self.next_validators().to_vec(),
            next_unstaked: self.next_unstaked().clone(),
            proposals: self.proposals().cloned().collect(),
            past: self.past().map(Into::into).collect(),
        }
    }

    fn restore_bytes(&mut self, bytes: EpochsBytes) {
        self.restore(
            bytes.current.into(),
            EpochId(bytes.next_id),
            bytes.next,
            bytes.next_unstaked,
            bytes.proposals,
            bytes.past.into_iter().map(Into::into).collect(),
        );
    }
}

/// A block, and how the state after it differs from the state after the block before it in the
/// list. For the first block in the list, it is the difference from the empty state.
#[derive(BorshSerialize, BorshDeserialize)]
struct KeptBlock {
    block: StoredBlock,
    changes: Vec<StateChange>,
    /// The Merkle tree of the hashes of all blocks below.
    tree: PartialMerkleTree,
    /// The validators of the epoch after the block's.
    next_validators: Vec<ValidatorStake>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Checkpoint {
    /// The hash of the genesis block.
    genesis: CryptoHash,
    /// The blocks from the final one up to the head. The genesis block is not among them.
    blocks: Vec<KeptBlock>,
    executed: Executed,
    delayed_receipts: u64,
    epochs: EpochsBytes,
    block_tree: PartialMerkleTree,
    last_active: BlockHeight,
    min_next_height: BlockHeight,
    /// How many nanoseconds the clock is ahead of its source.
    clock_ahead: u64,
}

/// The inputs of a block, and the hash of the block that they gave.
#[derive(BorshSerialize, BorshDeserialize)]
struct Entry {
    height: BlockHeight,
    timestamp: u64,
    /// How many nanoseconds the clock is ahead of its source.
    clock_ahead: u64,
    /// In JSON, because records have no other encoding.
    patches: Vec<u8>,
    transactions: Vec<SignedTransaction>,
    hash: CryptoHash,
}

/// A key of the state and its new value, or `None` when the key is removed.
type StateChange = (Vec<u8>, Option<Vec<u8>>);

/// The changes that turn the state `from` into the state `to`.
fn difference(from: &State, to: &State) -> Vec<StateChange> {
    let mut changes: Vec<_> = to
        .iter_prefix(&[])
        .filter(|(key, value)| from.get_raw(key).as_ref() != Some(value))
        .map(|(key, value)| (key, Some(value.to_vec())))
        .collect();
    let gone = from.iter_prefix(&[]).map(|(key, _)| key);
    changes.extend(gone.filter(|key| to.get_raw(key).is_none()).map(|key| (key, None)));
    changes
}

impl Chain {
    /// A checkpoint: the chain without the blocks below the final one, the pool and waiting
    /// patches.
    pub(crate) fn checkpoint(&self) -> std::io::Result<Vec<u8>> {
        let mut below = State::new();
        let mut blocks = Vec::new();
        for (block, state) in self.history.blocks_from(self.final_height()) {
            let ancestry = self.history.ancestry(block.height());
            blocks.push(KeptBlock {
                block: StoredBlock::clone(block),
                changes: difference(&below, state),
                tree: ancestry.map(|ancestry| ancestry.tree.clone()).unwrap_or_default(),
                next_validators: ancestry
                    .map(|ancestry| ancestry.next_validators.to_vec())
                    .unwrap_or_default(),
            });
            below = state.clone();
        }
        borsh::to_vec(&Checkpoint {
            genesis: self.history.genesis().hash(),
            blocks,
            executed: self.executed.clone(),
            delayed_receipts: self.delayed_receipts,
            epochs: self.epochs.to_bytes(),
            block_tree: self.block_tree.clone(),
            last_active: self.last_active,
            min_next_height: self.min_next_height,
            clock_ahead: self.clock.ahead(),
        })
    }

    /// Moves a new chain to a checkpoint of a chain with the same genesis.
    pub(crate) fn go_to(&mut self, checkpoint: &[u8]) -> Result<(), RestoreError> {
        let kept = Checkpoint::try_from_slice(checkpoint)?;
        let expected = self.history.genesis().hash();
        if kept.genesis != expected {
            return Err(RestoreError::Genesis { found: kept.genesis, expected });
        }
        let mut state = State::new();
        for KeptBlock { block, changes, tree, next_validators } in kept.blocks {
            for (key, value) in changes {
                match value {
                    Some(value) => state.set_raw(&key, value),
                    None => state.remove_raw(&key),
                }
            }
            // Computes the root now, so that the first request for it need not.
            state.root();
            let outcomes = Vec::new();
            let ancestry = Ancestry { tree, next_validators: next_validators.into() };
            self.history.push(block, state.clone(), ancestry, outcomes, Vec::new());
        }
        self.executed = kept.executed;
        self.delayed_receipts = kept.delayed_receipts;
        self.epochs.restore_bytes(kept.epochs);
        self.block_tree = kept.block_tree;
        self.last_active = kept.last_active;
        self.min_next_height = kept.min_next_height;
        self.clock = self.clock.with_ahead(kept.clock_ahead);
        self.undo_log = UndoLog::default();
        Ok(())
    }

    /// Produces a block again from the bytes that [`Inputs::to_bytes`] gave.
    pub(crate) fn repeat(&mut self, entry: &[u8]) -> Result<(), RestoreError> {
        let entry = Entry::try_from_slice(entry)?;
        let patches: Vec<StateRecord> =
            serde_json::from_slice(&entry.patches).map_err(std::io::Error::from)?;
        let height = entry.height;
        let prepared = self.assemble(Inputs {
            height,
            timestamp: entry.timestamp,
            clock: self.clock.with_ahead(entry.clock_ahead),
            patches,
            transactions: entry.transactions,
        });
        let runtime = self.runtime.clone();
        let applied = prepared
            .execute(&runtime)
            .map_err(|source| RestoreError::Runtime { height, source })?;
        let found = self.commit(applied);
        if found != entry.hash {
            return Err(RestoreError::Diverged { height, found, expected: entry.hash });
        }
        Ok(())
    }
}

impl Inputs {
    /// The inputs as bytes, with the hash of the block that they gave.
    pub(crate) fn to_bytes(&self, hash: CryptoHash) -> std::io::Result<Vec<u8>> {
        borsh::to_vec(&Entry {
            height: self.height,
            timestamp: self.timestamp,
            clock_ahead: self.clock.ahead(),
            patches: serde_json::to_vec(&self.patches)?,
            transactions: self.transactions.clone(),
            hash,
        })
    }
}
