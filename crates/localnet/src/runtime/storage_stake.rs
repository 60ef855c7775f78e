//! What an account must hold for the bytes it stores (`runtime/runtime/src/verifier.rs` in nearcore).

use super::types::RuntimeError;
use near_parameters::RuntimeConfig;
use near_primitives::account::Account;
use near_primitives::types::{Balance, StorageUsage};

/// An account of this many bytes or fewer needs to hold nothing (NEP-448).
pub(super) const ZERO_BALANCE_ACCOUNT_STORAGE_LIMIT: StorageUsage = 770;

/// How many yoctoNEAR an account lacks for its storage if its liquid balance were `balance`; none when
/// it has enough.
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
