//! Making a block: what it takes, its execution, and its place on the chain.

use super::Chain;
use super::block::{Beacon, Draft, Executed, StoredBlock};
use super::clock::Clock;
use super::epoch::Epochs;
use super::history::Outcome;
use super::rewards::{Rewards, settle};
use crate::runtime::{ApplyResult, BlockContext, Runtime, RuntimeError};
use crate::state::State;
use near_primitives::hash::CryptoHash;
use near_primitives::merkle::merklize;
use near_primitives::receipt::{Receipt, ReceiptEnum};
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{Balance, BlockHeight};
use std::collections::HashSet;
use std::sync::Arc;

/// A block before its execution.
pub struct Prepared {
    height: BlockHeight,
    beacon: Beacon,
    clock: Clock,
    epochs: Epochs,
    minted: Balance,
    context: BlockContext,
    state: State,
    incoming: Vec<Receipt>,
    transactions: Vec<SignedTransaction>,
}

/// A block after its execution, before it stands on the chain.
pub struct Applied {
    prepared: Prepared,
    transactions: Vec<SignedTransaction>,
    result: ApplyResult,
    state_root: CryptoHash,
}

impl Chain {
    /// Takes what the block at `height` will hold.
    pub fn prepare(&mut self, height: BlockHeight) -> Prepared {
        let height = height.max(self.head().height() + 1);
        let mut state = self.state();
        let mut epochs = self.epochs.clone();
        let mut minted = Balance::ZERO;
        if epochs.next_block_starts_epoch(self.head().height(), self.final_height()) {
            let ended = epochs.current();
            let duration = self.head().raw_timestamp().saturating_sub(ended.since);
            let supply = self.head().total_supply();
            let online = self.signer.validator_id();
            let rewards = Rewards::earned(&self.config, supply, duration, ended, online);
            epochs.advance(
                height,
                *self.head().hash(),
                self.head().raw_timestamp(),
                &rewards,
            );
            epochs.record(&self.executed.proposals);
            settle(
                &mut state,
                &epochs,
                &rewards,
                &self.config.protocol_treasury_account,
            );
            minted = rewards.total();
        } else {
            epochs.record(&self.executed.proposals);
        }
        for record in std::mem::take(&mut self.patches) {
            state.apply_record(record);
        }
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
            gas_limit: self.config.gas_limit,
        };
        let incoming = self.executed.outgoing.clone();
        Prepared {
            height,
            beacon,
            clock,
            epochs,
            minted,
            context,
            state,
            incoming,
            transactions,
        }
    }

    /// Puts an executed block on top of the chain and answers its hash.
    pub fn commit(&mut self, applied: Applied) -> CryptoHash {
        let Applied {
            prepared,
            transactions,
            result,
            state_root,
        } = applied;
        let Prepared {
            height,
            beacon,
            clock,
            epochs,
            minted,
            state,
            ..
        } = prepared;
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
        let leaves: Vec<Vec<CryptoHash>> = result
            .outcomes
            .iter()
            .map(|outcome| outcome.to_hashes())
            .collect();
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
            receipts: previous.outgoing,
            executed: executed_ids,
            changes: result.state_changes,
        };
        self.history.push(block, state, outcomes, receipts);
        self.block_tree.insert(hash);
        self.clock = clock;
        self.epochs = epochs;
        self.delayed = result.delayed_receipts;
        hash
    }
}

impl Prepared {
    /// Runs the block. The chain is not touched.
    pub fn execute(mut self, runtime: &Runtime) -> Result<Applied, RuntimeError> {
        let incoming = std::mem::take(&mut self.incoming);
        let mut transactions = std::mem::take(&mut self.transactions);
        let result = runtime.apply(
            &mut self.state,
            &self.context,
            incoming,
            transactions.clone(),
        )?;
        if !result.rejected.is_empty() {
            let rejected: HashSet<CryptoHash> =
                result.rejected.iter().map(|(hash, _)| *hash).collect();
            transactions.retain(|tx| !rejected.contains(&tx.get_hash()));
        }
        let state_root = self.state.root();
        Ok(Applied {
            prepared: self,
            transactions,
            result,
            state_root,
        })
    }
}

/// The receipts of a block that can be looked up by id, each once.
fn lookable(processed: &[Receipt], outgoing: &[Receipt]) -> Vec<Receipt> {
    let mut seen = HashSet::new();
    processed
        .iter()
        .chain(outgoing)
        .filter(|receipt| {
            let data = matches!(
                receipt.receipt(),
                ReceiptEnum::Data(_) | ReceiptEnum::PromiseResume(_)
            );
            !data && seen.insert(*receipt.receipt_id())
        })
        .cloned()
        .collect()
}
