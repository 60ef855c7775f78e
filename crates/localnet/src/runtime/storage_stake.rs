//! The balance that an account must have for the bytes that it stores
//! (`runtime/runtime/src/verifier.rs` in nearcore).

use near_parameters::RuntimeConfig;
use near_primitives::{
    account::Account,
    types::{Balance, StorageUsage},
};

use super::error::RuntimeError;

/// An account with no more bytes than this needs no balance (NEP-448).
pub(super) const ZERO_BALANCE_ACCOUNT_STORAGE_LIMIT: StorageUsage = 770;

/// How many yoctoNEAR an account would lack for its storage if its balance without the stake were
/// `balance`. `None` if it would have enough.
pub(super) fn lacking(
    account: &Account,
    balance: Balance,
    config: &RuntimeConfig,
) -> Result<Option<Balance>, RuntimeError> {
    let required = config
        .storage_amount_per_byte()
        .checked_mul(u128::from(account.storage_usage()))
        .ok_or(RuntimeError::Overflow("pricing storage"))?;
    let available = balance
        .checked_add(account.locked())
        .ok_or(RuntimeError::Overflow("adding a stake to a balance"))?;
    let missing = required.saturating_sub(available);
    if missing.is_zero() || account.storage_usage() <= ZERO_BALANCE_ACCOUNT_STORAGE_LIMIT {
        return Ok(None);
    }
    Ok(Some(missing))
}
