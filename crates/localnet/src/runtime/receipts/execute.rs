//! Running a receipt whose inputs are all there
//! (`apply_action_receipt` in nearcore's `runtime/runtime/src/lib.rs`).

use super::refunds::{self, Prices, RefundResult};
use crate::runtime::actions;
use crate::runtime::actions::function_call::data_receipt;
use crate::runtime::actions::result::ActionResult;
use crate::runtime::amounts::{add_tokens, gas_value, sub_tokens};
use crate::runtime::block::Block;
use crate::runtime::conversions;
use crate::runtime::fees::{receipt_exec_fee, total_deposit};
use crate::runtime::retry::engine_fault;
use crate::runtime::storage_stake;
use crate::runtime::types::RuntimeError;
use crate::runtime::validate::{self, Mode};
use near_parameters::ParameterCost;
use near_primitives::account::Account;
use near_primitives::errors::{ActionError, ActionErrorKind, TxExecutionError};
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::{
    Receipt, ReceiptEnum, ReceivedData, VersionedActionReceipt, VersionedReceiptEnum,
};
use near_primitives::transaction::{
    ExecutionMetadata, ExecutionMetadataV4, ExecutionOutcome, ExecutionOutcomeWithId,
    ExecutionStatus,
};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{AccountId, Balance, Gas, StateChangeCause};
use near_primitives::utils::{
    create_action_hash_from_receipt_id, create_receipt_id_from_receipt_id,
};
use near_primitives::version::ProtocolFeature;
use near_vm_runner::logic::ReturnData;
use near_vm_runner::logic::types::PromiseResult;
use std::rc::Rc;
use std::sync::Arc;

/// The receipt at hand, as its actions see it.
pub(crate) struct Running<'a> {
    pub(crate) receipt: &'a Receipt,
    pub(crate) action_receipt: &'a VersionedActionReceipt<'a>,
    pub(crate) promise_results: Arc<[PromiseResult]>,
    /// Bytes of storage proof that the block had recorded before this receipt, when its limit is one
    /// for all of the receipt (from protocol 86 on).
    pub(crate) recorded_before: Option<u64>,
}

impl Block<'_> {
    /// Runs a receipt and commits or rolls back what it did.
    pub(crate) fn execute(
        &mut self,
        receipt: &Receipt,
    ) -> Result<ExecutionOutcomeWithId, RuntimeError> {
        let (VersionedReceiptEnum::Action(action_receipt)
        | VersionedReceiptEnum::PromiseYield(action_receipt)) = receipt.versioned_receipt()
        else {
            return Err(RuntimeError::CorruptState("a receipt to run has no actions".to_owned()));
        };
        let promise_results = self.take_inputs(receipt, &action_receipt)?;
        let receipt_hash = receipt.get_hash();
        self.update.commit(&StateChangeCause::ActionReceiptProcessingStarted { receipt_hash });

        let account_id = receipt.receiver_id();
        let mut account = self.update.account(account_id)?;
        let was_missing = account.is_none();
        let recorded_before = ProtocolFeature::EnforcePerReceiptStorageProofLimit
            .enabled(self.ctx.protocol_version)
            .then(|| self.update.recorded_size());
        let running =
            Running { receipt, action_receipt: &action_receipt, promise_results, recorded_before };
        let mut result = self.run_actions(&running, &mut account)?;
        if result.result.is_ok()
            && let Some(account) = &account
        {
            self.check_stake(account_id, account, &mut result);
        }

        let version = self.ctx.protocol_version;
        let prices = Prices::new(action_receipt.gas_price(), self.ctx.gas_price, version);
        let is_refund = receipt.predecessor_id().is_system();
        let refunds = if is_refund {
            if result.result.is_err() {
                let lost = total_deposit(action_receipt.actions())?;
                self.burnt = add_tokens(self.burnt, lost)?;
            }
            RefundResult::default()
        } else {
            let created = was_missing && account.is_some() && result.result.is_ok();
            let config = Arc::clone(&self.config);
            refunds::make(prices, receipt, &action_receipt, &mut result, &config, created, version)?
        };
        self.proposals.append(&mut result.validator_proposals);
        match &result.result {
            Ok(_) => self.update.commit(&StateChangeCause::ReceiptProcessing { receipt_hash }),
            Err(_) => self.update.rollback(),
        }

        let tokens_burnt = self.burnt_tokens(prices, is_refund, refunds, &result)?;
        let reward = self.pay_reward(account_id, prices, &result, receipt_hash)?;
        self.burnt = add_tokens(self.burnt, sub_tokens(tokens_burnt, reward)?)?;
        self.subsidy = add_tokens(self.subsidy, result.subsidy)?;

        route_output(account_id, &action_receipt, &mut result)?;
        let receipt_ids = self.send(receipt.receipt_id(), &mut result);
        Ok(self.outcome(receipt, tokens_burnt, receipt_ids, result))
    }

    /// Takes the data that the receipt waited for out of the state.
    fn take_inputs(
        &mut self,
        receipt: &Receipt,
        action_receipt: &VersionedActionReceipt<'_>,
    ) -> Result<Arc<[PromiseResult]>, RuntimeError> {
        let mut results = Vec::with_capacity(action_receipt.input_data_ids().len());
        for data_id in action_receipt.input_data_ids() {
            let receiver_id = receipt.receiver_id().clone();
            let key = TrieKey::ReceivedData { receiver_id, data_id: *data_id };
            let Some(ReceivedData { data }) = self.update.get(&key)? else {
                return Err(RuntimeError::CorruptState(format!("data {data_id} is missing")));
            };
            self.update.remove(key);
            results.push(match data {
                Some(data) => PromiseResult::Successful(Rc::from(data)),
                None => PromiseResult::Failed,
            });
        }
        Ok(results.into())
    }

    fn run_actions(
        &mut self,
        running: &Running<'_>,
        account: &mut Option<Account>,
    ) -> Result<ActionResult, RuntimeError> {
        let mut actor_id = running.receipt.predecessor_id().clone();
        let mut result = ActionResult::new(receipt_exec_fee(&self.config));
        for index in 0..running.action_receipt.actions().len() {
            let action_hash = create_action_hash_from_receipt_id(
                running.receipt.receipt_id(),
                self.ctx.height,
                index,
            );
            let applied = actions::apply(self, running, account, &mut actor_id, index, action_hash);
            let mut next = applied.unwrap_or_else(|error| {
                tracing::error!(receipt_id = %running.receipt.receipt_id(), %error, "the engine fails a receipt");
                let mut failed = ActionResult::new(ParameterCost::ZERO);
                failed.fail(engine_fault(error));
                failed
            });
            if next.result.is_ok() {
                self.check_proof(running, &mut next);
            }
            if next.result.is_ok() {
                let rules = self.rules(Mode::New);
                let checked =
                    next.new_receipts.iter().try_for_each(|new| validate::receipt(rules, new));
                if let Err(error) = checked {
                    next.fail(ActionErrorKind::NewReceiptValidationError(error));
                }
            }
            result.merge(next)?;
            if let Err(error) = &mut result.result {
                error.index = Some(crate::runtime::amounts::count(index));
                break;
            }
        }
        Ok(result)
    }

    /// From protocol 87 on no action may make the receipt's storage proof too large.
    fn check_proof(&self, running: &Running<'_>, result: &mut ActionResult) {
        let enforced = ProtocolFeature::EnforceStorageProofLimitForAllActions
            .enabled(self.ctx.protocol_version);
        let Some(before) = running.recorded_before.filter(|_| enforced) else {
            return;
        };
        let limits = &self.config.wasm_config.limit_config;
        let limit = crate::runtime::amounts::count(limits.per_receipt_storage_proof_size_limit);
        if self.update.recorded_size().saturating_sub(before) > limit {
            result.fail(ActionErrorKind::ReceiptStorageProofSizeExceeded { limit });
        }
    }

    fn check_stake(
        &mut self,
        account_id: &AccountId,
        account: &Account,
        result: &mut ActionResult,
    ) {
        let kind = match storage_stake::lacking(account, account.amount(), &self.config) {
            Ok(None) => return self.update.set_account(account_id, account),
            Ok(Some(amount)) => {
                let account_id = account_id.clone();
                ActionErrorKind::LackBalanceForState { account_id, amount }
            }
            Err(error) => engine_fault(error),
        };
        result.set_error(ActionError { index: None, kind });
    }

    /// The tokens burnt by a receipt, as its outcome shows them. A refund burns nothing.
    fn burnt_tokens(
        &self,
        prices: Prices,
        is_refund: bool,
        refunds: RefundResult,
        result: &ActionResult,
    ) -> Result<Balance, RuntimeError> {
        let gas = if is_refund { Gas::ZERO } else { result.gas_burnt };
        let mut burnt = sub_tokens(gas_value(prices.burn, gas)?, refunds.price_deficit)?;
        if !ProtocolFeature::AccountCostIncrease.enabled(self.ctx.protocol_version) {
            burnt = add_tokens(burnt, refunds.price_surplus)?;
        }
        burnt = add_tokens(burnt, refunds.penalty)?;
        burnt = add_tokens(burnt, refunds.account_charge)?;
        add_tokens(burnt, result.tokens_burnt)
    }

    /// Pays a contract its share of the gas it burnt, and tells how much that was.
    fn pay_reward(
        &mut self,
        account_id: &AccountId,
        prices: Prices,
        result: &ActionResult,
        receipt_hash: CryptoHash,
    ) -> Result<Balance, RuntimeError> {
        let share = self.config.fees.burnt_gas_reward;
        let part = |n: i32| u64::try_from(n).unwrap_or_default();
        let gas = result
            .gas_burnt_for_function_call
            .checked_mul(part(*share.numer()))
            .and_then(|gas| gas.checked_div(part(*share.denom())))
            .ok_or(RuntimeError::Overflow("computing a contract's reward"))?;
        let cost_increase = ProtocolFeature::AccountCostIncrease.enabled(self.ctx.protocol_version);
        let price = if cost_increase { prices.burn } else { prices.purchase };
        let reward = gas_value(price, gas)?;
        if reward.is_zero() {
            return Ok(Balance::ZERO);
        }
        let Some(mut account) = self.update.account(account_id)? else {
            return Ok(Balance::ZERO);
        };
        // A balance that has no room for the reward stays, and the reward is burnt.
        let Some(amount) = account.amount().checked_add(reward) else {
            return Ok(Balance::ZERO);
        };
        account.set_amount(amount);
        self.update.set_account(account_id, &account);
        self.update.commit(&StateChangeCause::ActionReceiptGasReward { receipt_hash });
        Ok(reward)
    }

    /// Numbers the new receipts and sends them on. Returns the ids of those that will have outcomes.
    fn send(&mut self, parent: &CryptoHash, result: &mut ActionResult) -> Vec<CryptoHash> {
        let mut ids = Vec::new();
        for (index, mut new) in std::mem::take(&mut result.new_receipts).into_iter().enumerate() {
            let id = create_receipt_id_from_receipt_id(parent, self.ctx.height, index);
            new.set_receipt_id(id);
            if matches!(
                new.versioned_receipt(),
                VersionedReceiptEnum::Action(_) | VersionedReceiptEnum::PromiseYield(_)
            ) {
                ids.push(id);
            }
            if new.is_instant_receipt() {
                self.instant.push_back(new);
            } else {
                self.outgoing.push(new);
            }
        }
        ids
    }

    fn outcome(
        &self,
        receipt: &Receipt,
        tokens_burnt: Balance,
        receipt_ids: Vec<CryptoHash>,
        result: ActionResult,
    ) -> ExecutionOutcomeWithId {
        let status = match result.result {
            Ok(ReturnData::ReceiptIndex(index)) => {
                // The index is one of a receipt that was made, so it fits.
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                ExecutionStatus::SuccessReceiptId(create_receipt_id_from_receipt_id(
                    receipt.receipt_id(),
                    self.ctx.height,
                    index,
                ))
            }
            Ok(ReturnData::Value(data)) => ExecutionStatus::SuccessValue(data),
            Ok(ReturnData::None) => ExecutionStatus::SuccessValue(Vec::new()),
            Err(error) => ExecutionStatus::Failure(TxExecutionError::ActionError(error)),
        };
        let profile = conversions::profile(*result.profile);
        let metadata = if ProtocolFeature::ExecutionMetadataV4.enabled(self.ctx.protocol_version) {
            let contracts = result.contracts;
            ExecutionMetadata::V4(Box::new(ExecutionMetadataV4 { profile, contracts }))
        } else {
            ExecutionMetadata::V3(Box::new(profile))
        };
        ExecutionOutcomeWithId {
            id: *receipt.receipt_id(),
            outcome: ExecutionOutcome {
                status,
                logs: result.logs,
                receipt_ids,
                gas_burnt: result.gas_burnt,
                compute_usage: Some(result.compute_usage),
                tokens_burnt,
                executor_id: receipt.receiver_id().clone(),
                metadata,
            },
        }
    }
}

/// Sends the result to those who wait for it, or lets the returned promise do so.
fn route_output(
    account_id: &AccountId,
    action_receipt: &VersionedActionReceipt<'_>,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let receivers = action_receipt.output_data_receivers();
    if receivers.is_empty() {
        return Ok(());
    }
    let data = match &result.result {
        Ok(ReturnData::ReceiptIndex(index)) => {
            let returned = usize::try_from(*index)
                .ok()
                .and_then(|index| result.new_receipts.get_mut(index))
                .map(Receipt::receipt_mut);
            let outputs = match returned {
                Some(ReceiptEnum::ActionV2(new) | ReceiptEnum::PromiseYieldV2(new)) => {
                    &mut new.output_data_receivers
                }
                Some(ReceiptEnum::Action(new) | ReceiptEnum::PromiseYield(new)) => {
                    &mut new.output_data_receivers
                }
                _ => {
                    return Err(RuntimeError::CorruptState(format!(
                        "a call returned promise {index}, which it did not make"
                    )));
                }
            };
            outputs.extend_from_slice(receivers);
            return Ok(());
        }
        Ok(ReturnData::Value(data)) => Some(data.clone()),
        Ok(ReturnData::None) => Some(Vec::new()),
        Err(_) => None,
    };
    result.new_receipts.extend(
        receivers
            .iter()
            .map(|to| data_receipt(account_id, to.receiver_id.clone(), to.data_id, data.clone())),
    );
    Ok(())
}
