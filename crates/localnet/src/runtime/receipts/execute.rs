//! Executing a receipt whose data has all arrived
//! (`apply_action_receipt` in nearcore's `runtime/runtime/src/lib.rs`).

use std::{rc::Rc, sync::Arc};

use near_parameters::ParameterCost;
use near_primitives::{
    account::Account,
    errors::{ActionError, ActionErrorKind, TxExecutionError},
    hash::CryptoHash,
    receipt::{Receipt, ReceivedData, VersionedActionReceipt, VersionedReceiptEnum},
    transaction::{
        ExecutionMetadata, ExecutionMetadataV4, ExecutionOutcome, ExecutionOutcomeWithId,
        ExecutionStatus,
    },
    trie_key::TrieKey,
    types::{AccountId, Balance, Gas, StateChangeCause},
    utils::{create_action_hash_from_receipt_id, create_receipt_id_from_receipt_id},
    version::ProtocolFeature,
};
use near_vm_runner::logic::{ReturnData, types::PromiseResult};

use super::{
    outputs,
    refunds::{self, Prices, RefundResult},
};
use crate::runtime::{
    actions::{self, ActionResult, ReceiptContext},
    amounts::{add_tokens, count, gas_value, sub_tokens},
    block::Block,
    conversions,
    error::RuntimeError,
    fees::{receipt_exec_fee, total_deposit},
    storage_stake,
    validate::{self, Mode},
};

/// Executes a receipt, commits or rolls back its changes, and returns its outcome.
pub(super) fn execute(
    block: &mut Block<'_>,
    receipt: &Receipt,
) -> Result<ExecutionOutcomeWithId, RuntimeError> {
    let (VersionedReceiptEnum::Action(action_receipt)
    | VersionedReceiptEnum::PromiseYield(action_receipt)) = receipt.versioned_receipt()
    else {
        return Err(RuntimeError::Inconsistent(
            "a receipt without actions is to be executed".to_owned(),
        ));
    };
    let promise_results = take_promise_results(block, receipt, &action_receipt)?;
    let receipt_hash = receipt.get_hash();
    block.update.commit(&StateChangeCause::ActionReceiptProcessingStarted { receipt_hash });

    let account_id = receipt.receiver_id();
    let mut account = block.update.account(account_id)?;
    let was_missing = account.is_none();
    let recorded_before = ProtocolFeature::EnforcePerReceiptStorageProofLimit
        .enabled(block.ctx.protocol_version)
        .then(|| block.update.recorded_size());
    let context = ReceiptContext {
        receipt,
        action_receipt: &action_receipt,
        promise_results,
        recorded_before,
    };
    let mut result = run_actions(block, &context, &mut account)?;
    if result.result.is_ok()
        && let Some(account) = &account
    {
        store_account(block, account_id, account, &mut result);
    }

    let version = block.ctx.protocol_version;
    let prices = Prices::new(action_receipt.gas_price(), block.ctx.gas_price, version);
    let is_refund = receipt.predecessor_id().is_system();
    let refunds = if is_refund {
        if result.result.is_err() {
            let lost = total_deposit(action_receipt.actions())?;
            block.burnt = add_tokens(block.burnt, lost)?;
        }
        RefundResult::default()
    } else {
        let created = was_missing && account.is_some() && result.result.is_ok();
        let config = block.config;
        refunds::make(prices, receipt, &action_receipt, &mut result, config, created, version)?
    };
    block.proposals.append(&mut result.validator_proposals);
    match &result.result {
        Ok(_) => block.update.commit(&StateChangeCause::ReceiptProcessing { receipt_hash }),
        Err(_) => block.update.rollback(),
    }

    let tokens_burnt = burnt_tokens(block, prices, is_refund, refunds, &result)?;
    let reward = pay_reward(block, account_id, prices, &result, receipt_hash)?;
    block.burnt = add_tokens(block.burnt, sub_tokens(tokens_burnt, reward)?)?;
    block.subsidy = add_tokens(block.subsidy, result.subsidy)?;

    outputs::route(account_id, &action_receipt, &mut result)?;
    let receipt_ids = outputs::send(block, receipt.receipt_id(), &mut result);
    Ok(outcome(block, receipt, tokens_burnt, receipt_ids, result))
}

/// Takes the data that the receipt has waited for out of the state.
fn take_promise_results(
    block: &mut Block<'_>,
    receipt: &Receipt,
    action_receipt: &VersionedActionReceipt<'_>,
) -> Result<Arc<[PromiseResult]>, RuntimeError> {
    let mut results = Vec::with_capacity(action_receipt.input_data_ids().len());
    for data_id in action_receipt.input_data_ids() {
        let receiver_id = receipt.receiver_id().clone();
        let key = TrieKey::ReceivedData { receiver_id, data_id: *data_id };
        let Some(ReceivedData { data }) = block.update.get(&key)? else {
            return Err(RuntimeError::Inconsistent(format!("data {data_id} is missing")));
        };
        block.update.remove(key);
        results.push(match data {
            Some(data) => PromiseResult::Successful(Rc::from(data)),
            None => PromiseResult::Failed,
        });
    }
    Ok(results.into())
}

/// Applies the actions of the receipt in order, until one fails.
fn run_actions(
    block: &mut Block<'_>,
    context: &ReceiptContext<'_>,
    account: &mut Option<Account>,
) -> Result<ActionResult, RuntimeError> {
    let receipt_id = context.receipt.receipt_id();
    let mut actor_id = context.receipt.predecessor_id().clone();
    let mut result = ActionResult::new(receipt_exec_fee(block.config));
    for index in 0..context.action_receipt.actions().len() {
        let action_hash = create_action_hash_from_receipt_id(receipt_id, block.ctx.height, index);
        let applied = actions::apply(block, context, account, &mut actor_id, index, action_hash);
        let mut next = applied.unwrap_or_else(|error| {
            tracing::error!(%receipt_id, %error, "the runtime cannot execute an action");
            let mut failed = ActionResult::new(ParameterCost::ZERO);
            failed.fail(error.to_action_error());
            failed
        });
        if next.result.is_ok() {
            check_proof_size(block, context, &mut next);
        }
        if next.result.is_ok() {
            let rules = block.rules(Mode::New);
            let checked =
                next.new_receipts.iter().try_for_each(|new| validate::receipt(rules, new));
            if let Err(error) = checked {
                next.fail(ActionErrorKind::NewReceiptValidationError(error));
            }
        }
        result.merge(next)?;
        if let Err(error) = &mut result.result {
            error.index = Some(count(index));
            break;
        }
    }
    Ok(result)
}

/// Fails an action that makes the receipt's storage proof too large. From protocol 87 on, the limit
/// holds for every kind of action.
fn check_proof_size(block: &Block<'_>, context: &ReceiptContext<'_>, result: &mut ActionResult) {
    let enforced =
        ProtocolFeature::EnforceStorageProofLimitForAllActions.enabled(block.ctx.protocol_version);
    let Some(before) = context.recorded_before.filter(|_| enforced) else {
        return;
    };
    let limits = &block.config.wasm_config.limit_config;
    let limit = count(limits.per_receipt_storage_proof_size_limit);
    if block.update.recorded_size().saturating_sub(before) > limit {
        result.fail(ActionErrorKind::ReceiptStorageProofSizeExceeded { limit });
    }
}

/// Stores the account as the actions have left it. Fails the receipt if the account's balance does
/// not cover its storage.
fn store_account(
    block: &mut Block<'_>,
    account_id: &AccountId,
    account: &Account,
    result: &mut ActionResult,
) {
    let kind = match storage_stake::lacking(account, account.amount(), block.config) {
        Ok(None) => return block.update.set_account(account_id, account),
        Ok(Some(amount)) => {
            let account_id = account_id.clone();
            ActionErrorKind::LackBalanceForState { account_id, amount }
        }
        Err(error) => error.to_action_error(),
    };
    result.set_error(ActionError { index: None, kind });
}

/// The tokens that a receipt burnt, as its outcome shows them. A refund burns nothing.
fn burnt_tokens(
    block: &Block<'_>,
    prices: Prices,
    is_refund: bool,
    refunds: RefundResult,
    result: &ActionResult,
) -> Result<Balance, RuntimeError> {
    let gas = if is_refund { Gas::ZERO } else { result.gas_burnt };
    let mut burnt = sub_tokens(gas_value(prices.burn, gas)?, refunds.price_deficit)?;
    if !ProtocolFeature::AccountCostIncrease.enabled(block.ctx.protocol_version) {
        burnt = add_tokens(burnt, refunds.price_surplus)?;
    }
    burnt = add_tokens(burnt, refunds.penalty)?;
    burnt = add_tokens(burnt, refunds.account_charge)?;
    add_tokens(burnt, result.tokens_burnt)
}

/// Pays a contract its share of the gas that it burnt. Returns the amount, in yoctoNEAR.
fn pay_reward(
    block: &mut Block<'_>,
    account_id: &AccountId,
    prices: Prices,
    result: &ActionResult,
    receipt_hash: CryptoHash,
) -> Result<Balance, RuntimeError> {
    let share = block.config.fees.burnt_gas_reward;
    let unsigned = |n: i32| u64::try_from(n).unwrap_or_default();
    let gas = result
        .gas_burnt_for_function_call
        .checked_mul(unsigned(*share.numer()))
        .and_then(|gas| gas.checked_div(unsigned(*share.denom())))
        .ok_or(RuntimeError::Overflow("computing a contract's reward"))?;
    let cost_increase = ProtocolFeature::AccountCostIncrease.enabled(block.ctx.protocol_version);
    let price = if cost_increase { prices.burn } else { prices.purchase };
    let reward = gas_value(price, gas)?;
    if reward.is_zero() {
        return Ok(Balance::ZERO);
    }
    let Some(mut account) = block.update.account(account_id)? else {
        return Ok(Balance::ZERO);
    };
    // If the balance has no room for the reward, the balance stays and the reward is burnt.
    let Some(amount) = account.amount().checked_add(reward) else {
        return Ok(Balance::ZERO);
    };
    account.set_amount(amount);
    block.update.set_account(account_id, &account);
    block.update.commit(&StateChangeCause::ActionReceiptGasReward { receipt_hash });
    Ok(reward)
}

fn outcome(
    block: &Block<'_>,
    receipt: &Receipt,
    tokens_burnt: Balance,
    receipt_ids: Vec<CryptoHash>,
    result: ActionResult,
) -> ExecutionOutcomeWithId {
    let status = match result.result {
        Ok(ReturnData::ReceiptIndex(index)) => {
            // The index is that of a receipt which was made, so it fits.
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            ExecutionStatus::SuccessReceiptId(create_receipt_id_from_receipt_id(
                receipt.receipt_id(),
                block.ctx.height,
                index,
            ))
        }
        Ok(ReturnData::Value(data)) => ExecutionStatus::SuccessValue(data),
        Ok(ReturnData::None) => ExecutionStatus::SuccessValue(Vec::new()),
        Err(error) => ExecutionStatus::Failure(TxExecutionError::ActionError(error)),
    };
    let profile = conversions::profile(*result.profile);
    let metadata = if ProtocolFeature::ExecutionMetadataV4.enabled(block.ctx.protocol_version) {
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
