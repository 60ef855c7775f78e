//! Deterministic accounts, whose ids commit to their first code and data (NEP-616;
//! `runtime/runtime/src/deterministic_account_id.rs` in nearcore).

use near_primitives::{
    account::Account,
    action::DeterministicStateInitAction,
    receipt::Receipt,
    types::{AccountId, Balance},
};

use super::{accounts::empty_account, global, result::ActionResult};
use crate::{
    runtime::{
        amounts::{add_tokens, len, sub_tokens},
        block::Block,
        error::RuntimeError,
        storage_stake,
    },
    state::contract_data_key,
};

/// Gives the account its code and data, unless it has them already. The account keeps as much of
/// the deposit as it lacks for its storage, and the rest is refunded.
pub(super) fn apply(
    block: &mut Block<'_>,
    account: &mut Option<Account>,
    receipt: &Receipt,
    action: &DeterministicStateInitAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let account_id = receipt.receiver_id();
    let account = account.get_or_insert_with(|| empty_account(block, Balance::ZERO));
    if account.contract().is_none() {
        deploy(block, account, account_id, action, result)?;
    }
    if result.result.is_err() {
        return Ok(());
    }
    settle_deposit(block, account, receipt, action.deposit, result)
}

/// Leaves the account as much of the deposit as it lacks for its storage, and refunds the rest.
pub(super) fn settle_deposit(
    block: &Block<'_>,
    account: &mut Account,
    receipt: &Receipt,
    deposit: Balance,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let missing = storage_stake::lacking(account, account.amount(), block.config)?;
    let kept = missing.unwrap_or(Balance::ZERO).min(deposit);
    account.set_amount(add_tokens(account.amount(), kept)?);
    result.refund_deposit(receipt, sub_tokens(deposit, kept)?);
    Ok(())
}

fn deploy(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    action: &DeterministicStateInitAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    global::use_on(block, account, account_id, action.state_init.code(), result)?;
    if result.result.is_err() {
        return Ok(());
    }
    let record = block.config.fees.storage_usage_config.num_extra_bytes_record;
    let mut usage = account.storage_usage();
    for (key, value) in action.state_init.data() {
        block.update.set_raw(contract_data_key(account_id, key), value.as_slice());
        usage = len(key)
            .checked_add(len(value))
            .and_then(|bytes| bytes.checked_add(record)?.checked_add(usage))
            .ok_or(RuntimeError::Overflow("adding storage usage"))?;
    }
    account.set_storage_usage(usage);
    Ok(())
}
