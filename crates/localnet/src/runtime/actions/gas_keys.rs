//! Gas keys: access keys with a balance of their own that pays for gas (NEP-611;
//! `runtime/runtime/src/access_keys.rs` in nearcore).

use near_crypto::PublicKey;
use near_parameters::ExtCosts;
use near_primitives::{
    account::{AccessKey, Account, GasKeyInfo},
    action::{TransferToGasKeyAction, WithdrawFromGasKeyAction},
    errors::ActionErrorKind,
    types::{AccountId, Balance},
};

use super::result::ActionResult;
use crate::runtime::{
    amounts::{add_compute, add_tokens, count},
    block::Block,
    error::RuntimeError,
};

/// Adds a deposit to the balance of a gas key. Anybody may do that.
pub(super) fn transfer_to(
    block: &mut Block<'_>,
    account_id: &AccountId,
    transfer: &TransferToGasKeyAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    if !refund(block, account_id, &transfer.public_key, transfer.deposit)? {
        result.fail(missing(account_id, &transfer.public_key));
    }
    Ok(())
}

/// Adds tokens to the balance of a gas key. Returns `false` when the account has no such key, or
/// the key is no gas key.
pub(super) fn refund(
    block: &mut Block<'_>,
    account_id: &AccountId,
    key: &PublicKey,
    amount: Balance,
) -> Result<bool, RuntimeError> {
    let Some(mut access_key) = block.update.access_key(account_id, key)? else {
        return Ok(false);
    };
    let Some(info) = access_key.gas_key_info_mut() else {
        return Ok(false);
    };
    info.balance = add_tokens(info.balance, amount)?;
    block.update.set_access_key(account_id, key, &access_key);
    Ok(true)
}

/// Moves tokens from the balance of a gas key to its account.
pub(super) fn withdraw(
    block: &mut Block<'_>,
    account: &mut Account,
    account_id: &AccountId,
    withdraw: &WithdrawFromGasKeyAction,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let key = &withdraw.public_key;
    let access_key = block.update.access_key(account_id, key)?;
    let Some(mut access_key) = access_key.filter(|key| key.gas_key_info().is_some()) else {
        result.fail(missing(account_id, key));
        return Ok(());
    };
    if let Some(info) = access_key.gas_key_info_mut() {
        let Some(left) = info.balance.checked_sub(withdraw.amount) else {
            result.fail(ActionErrorKind::InsufficientGasKeyBalance {
                account_id: account_id.clone(),
                public_key: Box::new(key.clone()),
                balance: info.balance,
                required: withdraw.amount,
            });
            return Ok(());
        };
        info.balance = left;
    }
    block.update.set_access_key(account_id, key, &access_key);
    account.set_amount(add_tokens(account.amount(), withdraw.amount)?);
    Ok(())
}

/// Burns the balance of a gas key that is deleted, or of all gas keys of an account that is. Fails
/// the action and returns `false` when that would be more than 1 NEAR.
pub(super) fn burn_balance(
    balance: Balance,
    account_id: &AccountId,
    key: Option<&PublicKey>,
    result: &mut ActionResult,
) -> Result<bool, RuntimeError> {
    if balance > GasKeyInfo::MAX_BALANCE_TO_BURN {
        result.fail(ActionErrorKind::GasKeyBalanceTooHigh {
            account_id: account_id.clone(),
            public_key: key.map(|key| Box::new(key.clone())),
            balance,
        });
        return Ok(false);
    }
    result.tokens_burnt = add_tokens(result.tokens_burnt, balance)?;
    Ok(true)
}

/// Counts the compute units for removing the nonces of gas keys, which nobody pays gas for.
/// `bytes` is the length of their keys in the state, all together.
pub(super) fn count_removals(
    block: &Block<'_>,
    nonces: u64,
    bytes: u64,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let costs = &block.config.wasm_config.ext_costs;
    let values = nonces.saturating_mul(count(AccessKey::NONCE_VALUE_LEN));
    for (cost, times) in [
        (ExtCosts::storage_remove_base, nonces),
        (ExtCosts::storage_remove_key_byte, bytes),
        (ExtCosts::storage_remove_ret_value_byte, values),
    ] {
        let compute = costs.compute_cost(cost).saturating_mul(times);
        result.compute_usage = add_compute(result.compute_usage, compute)?;
    }
    Ok(())
}

fn missing(account_id: &AccountId, key: &PublicKey) -> ActionErrorKind {
    ActionErrorKind::GasKeyDoesNotExist {
        account_id: account_id.clone(),
        public_key: Box::new(key.clone()),
    }
}
