//! The chain in bytes: a checkpoint that holds the whole of it but its past below the final block, and the
//! inputs of each block from which the past is made again. Making blocks is deterministic, so the same inputs on top of the
//! same checkpoint give the same hashes.

use super::Chain;
use super::block::{Executed, StoredBlock};
use super::epoch::{Epoch, Epochs};
use super::produce::Inputs;
use crate::state::State;
use borsh::{BorshDeserialize, BorshSerialize};
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::PartialMerkleTree;
use near_primitives::state_record::StateRecord;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::{AccountId, Balance, BlockHeight, EpochHeight, EpochId};
use std::collections::{BTreeMap, VecDeque};

/// Why kept bytes give no chain.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes do not decode.
    #[error("it does not decode: {0}")]
    Malformed(String),
    /// It belongs to another genesis.
    #[error(
        "it belongs to the chain with genesis {found}, not to {expected}; give the home directory it was made with"
    )]
    Genesis {
        /// The genesis it was made with.
        found: CryptoHash,
        /// The genesis of the home directory.
        expected: CryptoHash,
    },
    /// The engine makes another block of the same inputs than the one that was kept.
    #[error(
        "block {height} was {expected} and comes out as {found}: another version of localnet has kept it"
    )]
    Diverged {
        /// The height of the block.
        height: BlockHeight,
        /// Its hash now.
        found: CryptoHash,
        /// Its hash as it was kept.
        expected: CryptoHash,
    },
    /// The engine failed at a block that it has made before.
    #[error("block {height} cannot be made again: {reason}")]
    Engine {
        /// The height of the block.
        height: BlockHeight,
        /// What went wrong.
        reason: String,
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
}

#[derive(BorshSerialize, BorshDeserialize)]
struct EpochsBytes {
    current: EpochBytes,
    next_id: CryptoHash,
    next: Vec<ValidatorStake>,
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
        }
    }
}

impl From<EpochBytes> for Epoch {
    fn from(bytes: EpochBytes) -> Self {
        Self {
            id: EpochId(bytes.id),
            height: bytes.height,
            start: bytes.start,
            stakes: super::genesis::stakes(&bytes.validators).into(),
            validators: bytes.validators.into(),
            blocks: bytes.blocks,
            since: bytes.since,
            rewards_paid: bytes.rewards_paid,
        }
    }
}

impl Epochs {
    fn to_bytes(&self) -> EpochsBytes {
        EpochsBytes {
            current: self.current().into(),
            next_id: self.next_id().0,
            next: self.next_validators().to_vec(),
            proposals: self.proposals().cloned().collect(),
            past: self.past().map(Into::into).collect(),
        }
    }

    fn restore(&mut self, bytes: EpochsBytes) {
        self.put_back(
            bytes.current.into(),
            EpochId(bytes.next_id),
            bytes.next,
            bytes.proposals,
            bytes.past.into_iter().map(Into::into).collect(),
        );
    }
}

/// A block, and how the state after it differs from the one before it in the list. The first one's
/// differs from the empty state.
#[derive(BorshSerialize, BorshDeserialize)]
struct KeptBlock {
    block: StoredBlock,
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Checkpoint {
    genesis: CryptoHash,
    /// The blocks from the final one to the head, none while that is the genesis.
    blocks: Vec<KeptBlock>,
    executed: Executed,
    delayed: u64,
    epochs: EpochsBytes,
    block_tree: PartialMerkleTree,
    active: BlockHeight,
    floor: BlockHeight,
    ahead: u64,
}

/// The inputs of a block and the hash that came of them, as they are kept.
#[derive(BorshSerialize, BorshDeserialize)]
struct Entry {
    height: BlockHeight,
    timestamp: u64,
    ahead: u64,
    /// In JSON, the only form that records have.
    patches: Vec<u8>,
    transactions: Vec<SignedTransaction>,
    hash: CryptoHash,
}

/// What makes one state of another: each key that differs, with its new value.
fn difference(from: &State, to: &State) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut changes: Vec<_> = to
        .iter_prefix(&[])
        .filter(|(key, value)| from.get_raw(key).as_ref() != Some(value))
        .map(|(key, value)| (key, Some(value.to_vec())))
        .collect();
    let gone = from.iter_prefix(&[]).map(|(key, _)| key);
    changes.extend(gone.filter(|key| to.get_raw(key).is_none()).map(|key| (key, None)));
    changes
}

fn malformed(error: impl std::fmt::Display) -> RestoreError {
    RestoreError::Malformed(error.to_string())
}

impl Chain {
    /// The chain without its past, its waiting transactions and patches.
    pub(crate) fn checkpoint(&self) -> std::io::Result<Vec<u8>> {
        let mut below = State::new();
        let mut blocks = Vec::new();
        for (block, state) in self.history.newest(self.final_height()) {
            blocks.push(KeptBlock {
                block: StoredBlock::clone(block),
                changes: difference(&below, state),
            });
            below = state.clone();
        }
        borsh::to_vec(&Checkpoint {
            genesis: self.history.genesis().hash(),
            blocks,
            executed: self.executed.clone(),
            delayed: self.delayed,
            epochs: self.epochs.to_bytes(),
            block_tree: self.block_tree.clone(),
            active: self.active,
            floor: self.floor,
            ahead: self.clock.ahead(),
        })
    }

    /// Goes to a checkpoint. This must be a new chain of the same genesis.
    pub(crate) fn go_to(&mut self, checkpoint: &[u8]) -> Result<(), RestoreError> {
        let kept = Checkpoint::try_from_slice(checkpoint).map_err(malformed)?;
        let expected = self.history.genesis().hash();
        if kept.genesis != expected {
            return Err(RestoreError::Genesis { found: kept.genesis, expected });
        }
        let mut state = State::new();
        for KeptBlock { block, changes } in kept.blocks {
            for (key, value) in changes {
                match value {
                    Some(value) => state.set_raw(&key, value),
                    None => state.remove_raw(&key),
                }
            }
            // Computed once here, and not by whoever asks first.
            state.root();
            let outcomes = Vec::new();
            self.history.push(block, state.clone(), outcomes, Vec::new());
        }
        self.executed = kept.executed;
        self.delayed = kept.delayed;
        self.epochs.restore(kept.epochs);
        self.block_tree = kept.block_tree;
        self.active = kept.active;
        self.floor = kept.floor;
        self.clock = self.clock.with_ahead(kept.ahead);
        self.undo = VecDeque::new();
        Ok(())
    }

    /// Makes a block again from what [`Inputs::to_bytes`] has written.
    pub(crate) fn repeat(&mut self, entry: &[u8]) -> Result<(), RestoreError> {
        let entry = Entry::try_from_slice(entry).map_err(malformed)?;
        let patches: Vec<StateRecord> =
            serde_json::from_slice(&entry.patches).map_err(malformed)?;
        let height = entry.height;
        let prepared = self.assemble(Inputs {
            height,
            timestamp: entry.timestamp,
            clock: self.clock.with_ahead(entry.ahead),
            patches,
            transactions: entry.transactions,
        });
        let runtime = self.runtime.clone();
        let applied = prepared
            .execute(&runtime)
            .map_err(|error| RestoreError::Engine { height, reason: error.to_string() })?;
        let found = self.commit(applied);
        if found != entry.hash {
            return Err(RestoreError::Diverged { height, found, expected: entry.hash });
        }
        Ok(())
    }
}

impl Inputs {
    /// The inputs of the block with a hash, to keep.
    pub(crate) fn to_bytes(&self, hash: CryptoHash) -> std::io::Result<Vec<u8>> {
        borsh::to_vec(&Entry {
            height: self.height,
            timestamp: self.timestamp,
            ahead: self.clock.ahead(),
            patches: serde_json::to_vec(&self.patches)?,
            transactions: self.transactions.clone(),
            hash,
        })
    }
}
