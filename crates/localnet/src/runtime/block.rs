//! One block in the making: transactions first, then local, delayed and incoming receipts, then the
//! timeouts of yields (`Runtime::apply` in nearcore's `runtime/runtime/src/lib.rs`).

use super::Runtime;
use super::amounts::{add_compute, add_gas, add_tokens};
use super::retry::GivenUp;
use super::transactions::verify;
use super::types::{ApplyResult, BlockContext, RuntimeError};
use super::update::StateUpdate;
use super::validate::{self, Mode, Rules};
use crate::state::State;
use near_parameters::RuntimeConfig;
use near_primitives::account::Account;
use near_primitives::errors::InvalidTxError;
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::Receipt;
use near_primitives::transaction::{
    ExecutionMetadata, ExecutionOutcome, ExecutionOutcomeWithId, ExecutionStatus, SignedTransaction,
};
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::{AccountId, Balance, Compute, Gas, StateChangeCause};
use near_primitives::utils::create_receipt_id_from_transaction;
use near_primitives::version::ProtocolFeature;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

pub(super) struct Block<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) ctx: &'a BlockContext,
    pub(super) config: Arc<RuntimeConfig>,
    pub(super) update: StateUpdate,
    /// Receipts for the next block.
    pub(super) outgoing: Vec<Receipt>,
    /// Receipts that run right after the one that made them.
    pub(super) instant: VecDeque<Receipt>,
    pub(super) proposals: Vec<ValidatorStake>,
    /// Tokens burnt, in yoctoNEAR.
    pub(super) burnt: Balance,
    /// Tokens that the protocol gave, in yoctoNEAR.
    pub(super) subsidy: Balance,
    pub(super) compute: Compute,
    pub(super) given_up: &'a GivenUp,
    gas: Gas,
    outcomes: Vec<ExecutionOutcomeWithId>,
    processed: Vec<Receipt>,
    rejected: Vec<(CryptoHash, InvalidTxError)>,
}

impl<'a> Block<'a> {
    pub(super) fn new(
        runtime: &'a Runtime,
        state: &State,
        ctx: &'a BlockContext,
        given_up: &'a GivenUp,
    ) -> Self {
        Self {
            runtime,
            ctx,
            config: Arc::clone(runtime.config(ctx.protocol_version)),
            update: StateUpdate::new(state.clone()),
            outgoing: Vec::new(),
            instant: VecDeque::new(),
            proposals: Vec::new(),
            burnt: Balance::ZERO,
            subsidy: Balance::ZERO,
            compute: 0,
            given_up,
            gas: Gas::ZERO,
            outcomes: Vec::new(),
            processed: Vec::new(),
            rejected: Vec::new(),
        }
    }

    pub(super) fn rules(&self, mode: Mode) -> Rules<'_> {
        Rules {
            limits: &self.config.wasm_config.limit_config,
            protocol_version: self.ctx.protocol_version,
            mode,
        }
    }

    /// Executes the block. Returns the state after it.
    pub(super) fn apply(
        mut self,
        settled: &[(AccountId, Account)],
        incoming: &[Receipt],
        txs: &[SignedTransaction],
    ) -> Result<(State, ApplyResult), RuntimeError> {
        for (account_id, account) in settled {
            self.update.set_account(account_id, account);
        }
        self.update.commit(&StateChangeCause::ValidatorAccountsUpdate);
        let local = self.take_transactions(txs)?;
        for receipt in local {
            self.process_or_delay(receipt)?;
        }
        while !self.is_full() {
            let Some(receipt) = self.pop_delayed()? else {
                break;
            };
            self.process_with_instant(receipt)?;
        }
        for receipt in incoming {
            self.given_up.enter(Some(*receipt.receipt_id()));
            if self.given_up.reason(receipt.receipt_id()).is_none() {
                validate::receipt(self.rules(Mode::Existing), receipt).map_err(|error| {
                    RuntimeError::CorruptState(format!(
                        "receipt {} is invalid: {error}",
                        receipt.receipt_id()
                    ))
                })?;
            }
            self.process_or_delay(receipt.clone())?;
        }
        self.given_up.enter(None);
        self.resolve_timeouts()?;
        self.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
        self.finish()
    }

    fn finish(self) -> Result<(State, ApplyResult), RuntimeError> {
        let delayed_receipts = self.delayed_len()?;
        let (state, state_changes) = self.update.finish();
        // The last proposal of an account counts.
        let mut seen = HashSet::new();
        let validator_proposals = self
            .proposals
            .into_iter()
            .rev()
            .filter(|proposal| seen.insert(proposal.account_id().clone()))
            .collect();
        let result = ApplyResult {
            outcomes: self.outcomes,
            outgoing: self.outgoing,
            processed_receipts: self.processed,
            rejected: self.rejected,
            gas_burnt: self.gas,
            tokens_burnt: self.burnt.saturating_sub(self.subsidy),
            validator_proposals,
            state_changes,
            delayed_receipts,
        };
        Ok((state, result))
    }

    /// Whether the block has no room for another receipt: its gas is used up, or its storage proof is
    /// as large as it should get.
    pub(super) fn is_full(&self) -> bool {
        self.compute >= self.ctx.gas_limit.as_gas()
            || self.update.recorded_size()
                > self.config.witness_config.main_storage_proof_size_soft_limit
    }

    fn count(&mut self, outcome: &ExecutionOutcome) -> Result<(), RuntimeError> {
        self.gas = add_gas(self.gas, outcome.gas_burnt)?;
        self.compute = add_compute(self.compute, outcome.compute_usage.unwrap_or_default())?;
        Ok(())
    }

    /// Turns transactions into receipts. Those of a signer to itself are returned.
    fn take_transactions(
        &mut self,
        txs: &[SignedTransaction],
    ) -> Result<Vec<Receipt>, RuntimeError> {
        let mut local = Vec::new();
        let mut seen = HashSet::new();
        let unique = ProtocolFeature::UniqueChunkTransactions.enabled(self.ctx.protocol_version);
        for tx in txs {
            let tx_hash = tx.get_hash();
            if unique && !seen.insert(tx_hash) {
                continue;
            }
            match self.take_transaction(tx) {
                Ok(receipt) if receipt.receiver_id() == receipt.predecessor_id() => {
                    local.push(receipt);
                }
                Ok(receipt) => self.outgoing.push(receipt),
                Err(error) => self.rejected.push((tx_hash, error)),
            }
        }
        Ok(local)
    }

    fn take_transaction(&mut self, tx: &SignedTransaction) -> Result<Receipt, InvalidTxError> {
        let ctx = self.ctx;
        verify::check_form(&self.config, ctx, tx)?;
        let (tx_hash, transaction) = (tx.get_hash(), &tx.transaction);
        let key = transaction.public_key();
        let charged = verify::charge(
            &self.config,
            ctx.gas_price,
            Some(ctx.height),
            transaction,
            |signer_id| self.update.account(signer_id),
            |signer_id| self.update.access_key(signer_id, key),
        )?;
        let signer_id = transaction.signer_id();
        let receipt_id = create_receipt_id_from_transaction(&tx_hash, ctx.height);
        let outcome = ExecutionOutcome {
            status: ExecutionStatus::SuccessReceiptId(receipt_id),
            logs: Vec::new(),
            receipt_ids: vec![receipt_id],
            gas_burnt: charged.cost.gas_burnt,
            compute_usage: Some(charged.cost.compute_burnt),
            tokens_burnt: charged.cost.burnt_amount,
            executor_id: signer_id.clone(),
            metadata: ExecutionMetadata::V1,
        };
        let burnt = add_tokens(self.burnt, charged.cost.burnt_amount);
        self.burnt = burnt.map_err(|_| InvalidTxError::CostOverflow)?;
        self.count(&outcome).map_err(|_| InvalidTxError::CostOverflow)?;
        self.outcomes.push(ExecutionOutcomeWithId { id: tx_hash, outcome });
        self.update.set_account(signer_id, &charged.account);
        self.update.set_access_key(signer_id, key, &charged.access_key);
        self.update.commit(&StateChangeCause::TransactionProcessing { tx_hash });
        Ok(Receipt::from_tx(
            receipt_id,
            signer_id.clone(),
            transaction.receiver_id().clone(),
            key.clone(),
            charged.cost.receipt_gas_price,
            transaction.actions().to_vec(),
        ))
    }

    fn process_or_delay(&mut self, receipt: Receipt) -> Result<(), RuntimeError> {
        if self.is_full() {
            return self.push_delayed(&receipt);
        }
        self.process_with_instant(receipt)
    }

    /// Processes a receipt, and then at once the instant ones that it made.
    fn process_with_instant(&mut self, receipt: Receipt) -> Result<(), RuntimeError> {
        self.process_one(receipt)?;
        while let Some(receipt) = self.instant.pop_front() {
            self.process_one(receipt)?;
        }
        Ok(())
    }

    fn process_one(&mut self, receipt: Receipt) -> Result<(), RuntimeError> {
        self.given_up.enter(Some(*receipt.receipt_id()));
        let outcome = match self.given_up.reason(receipt.receipt_id()) {
            Some(reason) => self.abandon(&receipt, reason),
            None => self.process(&receipt)?,
        };
        if let Some(outcome) = outcome {
            self.count(&outcome.outcome)?;
            self.outcomes.push(outcome);
        }
        self.processed.push(receipt);
        self.given_up.enter(None);
        Ok(())
    }
}
