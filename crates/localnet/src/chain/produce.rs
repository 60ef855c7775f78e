//! Producing a block: collecting its content, executing it, and putting it on top of the chain.

use std::{collections::HashSet, sync::Arc};

use near_primitives::{
    account::Account,
    errors::StorageError,
    hash::CryptoHash,
    merkle::merklize,
    receipt::Receipt,
    state_record::StateRecord,
    transaction::SignedTransaction,
    types::{AccountId, Balance, BlockHeight},
};

use super::{
    Chain,
    block::{Executed, StoredBlock},
    clock::Clock,
    epochs::{Epochs, Rewards, update_validator_accounts},
    header::{Draft, Randomness},
    history::{Ancestry, StoredOutcome},
    undo::Undo,
};
use crate::{
    runtime::{ApplyResult, BlockContext, Runtime, RuntimeError},
    state::State,
};

/// What a block is produced from. On top of the same chain, the same inputs give the same block.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Above the head's height, and above all heights that a reorg removed.
    pub height: BlockHeight,
    /// Nanoseconds since 1970, later than the head's.
    pub timestamp: u64,
    /// The chain's clock after it has given this timestamp.
    pub(super) clock: Clock,
    /// Records that the block puts into the state.
    pub patches: Vec<StateRecord>,
    /// The transactions that the block includes, in order.
    pub transactions: Vec<SignedTransaction>,
}

/// A block before its execution.
pub struct Prepared {
    inputs: Inputs,
    randomness: Randomness,
    /// The epochs as of this block.
    epochs: Epochs,
    /// The rewards that the block mints when it starts an epoch.
    minted: Balance,
    context: BlockContext,
    /// The state before the block, without the patches.
    state: State,
    /// The accounts that the start of an epoch changes, with their new values.
    validator_accounts: Vec<(AccountId, Account)>,
    /// The receipts that the block below produced.
    incoming: Vec<Receipt>,
}

/// A block after its execution, before it is put on top of the chain.
pub struct Applied {
    prepared: Prepared,
    /// The transactions that the block includes; invalid ones have been removed.
    transactions: Vec<SignedTransaction>,
    result: ApplyResult,
    state: State,
    state_root: CryptoHash,
    patch_error: Option<RuntimeError>,
}

impl Applied {
    /// Why the block was executed without its patches; `None` when it has them, or had none.
    pub fn patch_error(&self) -> Option<&RuntimeError> {
        self.patch_error.as_ref()
    }
}

impl Chain {
    /// Collects the content of the block at `height`, or of the next possible height above it.
    pub fn prepare(&mut self, height: BlockHeight) -> Prepared {
        let inputs = self.take_inputs(height);
        self.assemble(inputs)
    }

    /// Takes the patches and transactions that are waiting, and the time.
    fn take_inputs(&mut self, height: BlockHeight) -> Inputs {
        let height = height.max(self.head().height() + 1).max(self.min_next_height);
        let mut transactions = self.pool.take(height);
        transactions.retain(|tx| match self.check_expiry(tx) {
            Ok(()) => true,
            Err(error) => {
                self.mark_invalid(tx.get_hash(), error);
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

    /// Prepares a block for its execution. The same inputs give the same block.
    pub(super) fn assemble(&self, inputs: Inputs) -> Prepared {
        let (height, timestamp) = (inputs.height, inputs.timestamp);
        let state = self.state();
        let mut epochs = self.epochs.clone();
        let mut minted = Balance::ZERO;
        let mut validator_accounts = Vec::new();
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
            validator_accounts =
                update_validator_accounts(&state, &epochs, unelected, &rewards, treasury);
            minted = rewards.total();
        } else {
            epochs.record(&self.executed.proposals);
        }
        let randomness = Randomness::above(self.head(), &self.signer);
        let epoch = epochs.current();
        let context = BlockContext {
            height,
            prev_block_hash: *self.head().hash(),
            block_hash: CryptoHash::default(),
            timestamp,
            random_seed: randomness.value,
            gas_price: self.head().next_gas_price(),
            epoch_height: epoch.height,
            epoch_id: epoch.id,
            protocol_version: self.config.protocol_version,
            validators: Arc::clone(&epoch.stakes),
            minimum_stake: epochs.minimum_stake(),
            gas_limit: self.config.gas_limit,
        };
        let incoming = self.executed.outgoing.clone();
        Prepared {
            inputs,
            randomness,
            epochs,
            minted,
            context,
            state,
            validator_accounts,
            incoming,
        }
    }

    /// Puts an executed block on top of the chain. Returns its hash.
    pub fn commit(&mut self, applied: Applied) -> CryptoHash {
        let Applied { prepared, transactions, result, state, state_root, .. } = applied;
        let Prepared { inputs, randomness, epochs, minted, .. } = prepared;
        let Inputs { height, timestamp, clock, patches, .. } = inputs;
        let (header, chunk) = Draft {
            config: &self.config,
            prev: self.head(),
            height,
            timestamp,
            executed: &self.executed,
            minted,
            epoch_id: epochs.current().id,
            next_epoch_id: epochs.next_id(),
            next_producers: epochs.block_producers(epochs.next_validators()),
            approvers: &epochs.approvers(self.head().height(), self.final_height()),
            block_tree: &self.block_tree,
            randomness,
            transactions: &transactions,
            signer: &self.signer,
        }
        .build();
        let hash = *header.hash();
        for (tx, error) in result.rejected {
            self.mark_invalid(tx, error);
        }
        let leaves: Vec<Vec<CryptoHash>> =
            result.outcomes.iter().map(|outcome| outcome.to_hashes()).collect();
        let (outcome_root, proofs) = merklize(&leaves);
        let executed_ids = result.outcomes.iter().map(|outcome| outcome.id).collect();
        let outcomes: Vec<StoredOutcome> = result
            .outcomes
            .into_iter()
            .zip(proofs)
            .map(|(outcome, proof)| StoredOutcome {
                outcome,
                block_hash: hash,
                block_height: height,
                proof,
            })
            .collect();
        let last_active = self.last_active;
        if !outcomes.is_empty() || !result.outgoing.is_empty() {
            self.last_active = height;
        }
        let receipts = findable_receipts(&result.processed_receipts, &result.outgoing);
        self.applied.add(result.gas_burnt, result.compute);
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
        let block_tree = self.block_tree.clone();
        let next_validators = Arc::clone(epochs.next_validators());
        let ancestry = Ancestry { tree: block_tree.clone(), next_validators };
        self.history.push(block, state, ancestry, outcomes, receipts);
        self.block_tree.insert(hash);
        self.clock = clock;
        let undo = Undo {
            height,
            executed: previous,
            epochs: std::mem::replace(&mut self.epochs, epochs),
            block_tree,
            last_active,
            delayed_receipts: std::mem::replace(
                &mut self.delayed_receipts,
                result.delayed_receipts,
            ),
            patches,
        };
        let last_final = self.final_height();
        self.undo_log.push(undo, last_final);
        hash
    }
}

impl Prepared {
    /// The height that the block will have.
    pub fn height(&self) -> BlockHeight {
        self.inputs.height
    }

    /// What the block is produced from.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Executes the block. The chain is not touched.
    ///
    /// When the runtime cannot execute the block, it is executed without its patches; when that
    /// fails too, it is executed without its transactions, which are then invalid.
    pub fn execute(mut self, runtime: &Runtime) -> Result<Applied, RuntimeError> {
        let patched = !self.inputs.patches.is_empty();
        let mut patch_error = None;
        let mut transactions = std::mem::take(&mut self.inputs.transactions);
        let mut attempt = self.attempt(runtime, patched, &transactions);
        if patched && let Err(error) = &attempt {
            patch_error = Some(error.clone());
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
        if patch_error.is_some() {
            self.inputs.patches.clear();
        }
        let state_root = state.root();
        Ok(Applied { prepared: self, transactions, result, state, state_root, patch_error })
    }

    fn attempt(
        &self,
        runtime: &Runtime,
        patched: bool,
        transactions: &[SignedTransaction],
    ) -> Result<(State, ApplyResult), RuntimeError> {
        let mut state = self.state.clone();
        let mut validator_accounts = self.validator_accounts.clone();
        if patched {
            for record in &self.inputs.patches {
                if let StateRecord::Account { account_id, .. } = record {
                    // The patch overrides what the start of an epoch does to the account.
                    validator_accounts.retain(|(updated_id, _)| updated_id != account_id);
                }
                state.apply_record(record.clone());
            }
        }
        let incoming = self.incoming.clone();
        let transactions = transactions.to_vec();
        let result =
            runtime.apply(&mut state, &self.context, validator_accounts, incoming, transactions)?;
        Ok((state, result))
    }
}

/// The receipts of a block that can be found by their ids, each once.
fn findable_receipts(processed: &[Receipt], outgoing: &[Receipt]) -> Vec<Receipt> {
    let mut seen = HashSet::new();
    let all = processed.iter().chain(outgoing);
    all.filter(|receipt| seen.insert(*receipt.receipt_id())).cloned().collect()
}
