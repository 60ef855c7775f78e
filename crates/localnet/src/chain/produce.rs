//! Making a block: what it takes, its execution, and its place on the chain.

use super::Chain;
use super::block::{Beacon, Draft, Executed, StoredBlock};
use super::clock::Clock;
use super::epoch::Epochs;
use super::history::Outcome;
use super::reorg::Undo;
use super::rewards::{Rewards, settle};
use crate::runtime::{ApplyResult, BlockContext, Runtime, RuntimeError};
use crate::state::State;
use near_primitives::account::Account;
use near_primitives::errors::StorageError;
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::merklize;
use near_primitives::receipt::Receipt;
use near_primitives::state_record::StateRecord;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{AccountId, Balance, BlockHeight};
use std::collections::HashSet;
use std::sync::Arc;

/// What a block is made from. With the chain below it, it gives the same block each time.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The height.
    pub height: BlockHeight,
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// The clock once it has given this timestamp.
    pub(super) clock: Clock,
    /// Records that are put into the state.
    pub patches: Vec<StateRecord>,
    /// The transactions, in order.
    pub transactions: Vec<SignedTransaction>,
}

/// A block before its execution.
pub struct Prepared {
    inputs: Inputs,
    beacon: Beacon,
    epochs: Epochs,
    minted: Balance,
    context: BlockContext,
    /// The state without the patches.
    state: State,
    /// Accounts that the end of an epoch has changed.
    settled: Vec<(AccountId, Account)>,
    incoming: Vec<Receipt>,
}

/// A block after its execution, before it stands on the chain.
pub struct Applied {
    prepared: Prepared,
    transactions: Vec<SignedTransaction>,
    result: ApplyResult,
    state: State,
    state_root: CryptoHash,
    refused_patches: Option<RuntimeError>,
}

impl Applied {
    /// Why the block was made without the patches that were meant for it, if so.
    pub fn refused_patches(&self) -> Option<&RuntimeError> {
        self.refused_patches.as_ref()
    }
}

impl Chain {
    /// Takes what the block at `height` will hold.
    pub fn prepare(&mut self, height: BlockHeight) -> Prepared {
        let inputs = self.draw(height);
        self.assemble(inputs)
    }

    /// Takes patches, transactions and the time of the block at `height`, or just above the head.
    fn draw(&mut self, height: BlockHeight) -> Inputs {
        let height = height.max(self.head().height() + 1).max(self.floor);
        let mut transactions = self.pool.take(height);
        transactions.retain(|tx| match self.check_expiry(tx) {
            Ok(()) => true,
            Err(error) => {
                self.refuse(tx.get_hash(), error);
                false
            }
        });
        let mut clock = self.clock.clone();
        let timestamp = clock.next_timestamp(self.head().raw_timestamp());
        Inputs {
            height,
            timestamp,
            clock,
            patches: std::mem::take(&mut self.patches),
            transactions,
        }
    }

    /// Gets a block ready for its execution.
    pub(super) fn assemble(&self, inputs: Inputs) -> Prepared {
        let (height, timestamp) = (inputs.height, inputs.timestamp);
        let state = self.state();
        let mut epochs = self.epochs.clone();
        let mut minted = Balance::ZERO;
        let mut settled = Vec::new();
        if epochs.next_block_starts_epoch(self.head().height(), self.final_height()) {
            let ended = epochs.current();
            let duration = self.head().raw_timestamp().saturating_sub(ended.since);
            let supply = self.head().total_supply();
            let online = self.signer.validator_id();
            let rewards = Rewards::earned(&self.config, supply, duration, ended, online);
            let (prev_hash, since) = (*self.head().hash(), self.head().raw_timestamp());
            let unelected = epochs.advance(height, prev_hash, since, &rewards);
            epochs.record(&self.executed.proposals);
            let treasury = &self.config.protocol_treasury_account;
            settled = settle(&state, &epochs, unelected, &rewards, treasury);
            minted = rewards.total();
        } else {
            epochs.record(&self.executed.proposals);
        }
        let beacon = Beacon::new(self.head(), &self.signer, timestamp);
        let epoch = epochs.current();
        let context = BlockContext {
            height,
            prev_block_hash: *self.head().hash(),
            block_hash: CryptoHash::default(),
            timestamp,
            random_seed: beacon.random_value,
            gas_price: self.head().next_gas_price(),
            epoch_height: epoch.height,
            epoch_id: epoch.id,
            protocol_version: self.config.protocol_version,
            validators: Arc::clone(&epoch.stakes),
            minimum_stake: epochs.minimum_stake(),
            gas_limit: self.config.gas_limit,
        };
        let incoming = self.executed.outgoing.clone();
        Prepared { inputs, beacon, epochs, minted, context, state, settled, incoming }
    }

    /// Puts an executed block on top of the chain and answers its hash.
    pub fn commit(&mut self, applied: Applied) -> CryptoHash {
        let Applied { prepared, transactions, result, state, state_root, .. } = applied;
        let Prepared { inputs, beacon, epochs, minted, .. } = prepared;
        let Inputs { height, clock, patches, .. } = inputs;
        let (header, chunk) = Draft {
            config: &self.config,
            prev: self.head(),
            height,
            executed: &self.executed,
            minted,
            epoch_id: epochs.current().id,
            next_epoch_id: epochs.next_id(),
            next_validators: epochs.next_validators(),
            block_tree: &self.block_tree,
            beacon,
            transactions: &transactions,
            signer: &self.signer,
        }
        .build();
        let hash = *header.hash();
        for (tx, error) in result.rejected {
            self.refuse(tx, error);
        }
        let leaves: Vec<Vec<CryptoHash>> =
            result.outcomes.iter().map(|outcome| outcome.to_hashes()).collect();
        let (outcome_root, proofs) = merklize(&leaves);
        let executed_ids = result.outcomes.iter().map(|outcome| outcome.id).collect();
        let outcomes: Vec<Outcome> = result
            .outcomes
            .into_iter()
            .zip(proofs)
            .map(|(outcome, proof)| Outcome {
                outcome,
                block_hash: hash,
                block_height: height,
                proof,
            })
            .collect();
        let active = self.active;
        if !outcomes.is_empty() || !result.outgoing.is_empty() {
            self.active = height;
        }
        let receipts = lookable(&result.processed_receipts, &result.outgoing);
        let previous = std::mem::replace(
            &mut self.executed,
            Executed {
                state_root,
                outcome_root,
                outgoing: result.outgoing,
                gas_burnt: result.gas_burnt,
                tokens_burnt: result.tokens_burnt,
                proposals: result.validator_proposals,
            },
        );
        let block = StoredBlock {
            header,
            chunk,
            transactions,
            receipts: previous.outgoing.clone(),
            executed: executed_ids,
            changes: result.state_changes,
        };
        self.history.push(block, state, outcomes, receipts);
        let block_tree = self.block_tree.clone();
        self.block_tree.insert(hash);
        self.clock = clock;
        let undo = Undo {
            height,
            executed: previous,
            epochs: std::mem::replace(&mut self.epochs, epochs),
            block_tree,
            active,
            delayed: std::mem::replace(&mut self.delayed, result.delayed_receipts),
            patches,
        };
        self.remember(undo);
        hash
    }
}

impl Prepared {
    /// The height of the block.
    pub fn height(&self) -> BlockHeight {
        self.inputs.height
    }

    /// What the block is made from.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Runs the block. The chain is not touched. A block that the engine cannot make is made without
    /// the patches, or without its transactions, which are then refused.
    pub fn execute(mut self, runtime: &Runtime) -> Result<Applied, RuntimeError> {
        let patched = !self.inputs.patches.is_empty();
        let mut refused_patches = None;
        let mut transactions = std::mem::take(&mut self.inputs.transactions);
        let mut attempt = self.attempt(runtime, patched, &transactions);
        if patched && let Err(error) = &attempt {
            refused_patches = Some(error.clone());
            attempt = self.attempt(runtime, false, &transactions);
        }
        if !transactions.is_empty()
            && let Err(error) = &attempt
        {
            let reason = StorageError::StorageInconsistentState(error.to_string());
            let rejected =
                transactions.iter().map(|tx| (tx.get_hash(), reason.clone().into())).collect();
            attempt = self.attempt(runtime, false, &[]);
            if let Ok((_, result)) = &mut attempt {
                result.rejected = rejected;
            }
        }
        let (state, result) = attempt?;
        if !result.rejected.is_empty() {
            let rejected: HashSet<CryptoHash> =
                result.rejected.iter().map(|(hash, _)| *hash).collect();
            transactions.retain(|tx| !rejected.contains(&tx.get_hash()));
        }
        if refused_patches.is_some() {
            self.inputs.patches.clear();
        }
        let state_root = state.root();
        Ok(Applied { prepared: self, transactions, result, state, state_root, refused_patches })
    }

    fn attempt(
        &self,
        runtime: &Runtime,
        patched: bool,
        transactions: &[SignedTransaction],
    ) -> Result<(State, ApplyResult), RuntimeError> {
        let mut state = self.state.clone();
        let mut settled = self.settled.clone();
        if patched {
            for record in &self.inputs.patches {
                if let StateRecord::Account { account_id, .. } = record {
                    // The patch has the last word.
                    settled.retain(|(settled_id, _)| settled_id != account_id);
                }
                state.apply_record(record.clone());
            }
        }
        let incoming = self.incoming.clone();
        let transactions = transactions.to_vec();
        let result = runtime.apply(&mut state, &self.context, settled, incoming, transactions)?;
        Ok((state, result))
    }
}

/// The receipts of a block that can be looked up by id, each once.
fn lookable(processed: &[Receipt], outgoing: &[Receipt]) -> Vec<Receipt> {
    let mut seen = HashSet::new();
    let all = processed.iter().chain(outgoing);
    all.filter(|receipt| seen.insert(*receipt.receipt_id())).cloned().collect()
}
