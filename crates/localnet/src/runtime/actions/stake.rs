//! Stake (`action_stake` in nearcore's `runtime/runtime/src/actions.rs`).

use near_primitives::{
    account::Account,
    action::StakeAction,
    errors::ActionErrorKind,
    types::{AccountId, Balance, validator_stake::ValidatorStake},
};

use super::result::ActionResult;
use crate::runtime::error::RuntimeError;

/// Offers a stake, and locks what it needs more than is locked already.
pub(super) fn apply(
    account: &mut Account,
    account_id: &AccountId,
    stake: &StakeAction,
    minimum_stake: Balance,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let locked = account.locked();
    let increment = stake.stake.saturating_sub(locked);
    let Some(left) = account.amount().checked_sub(increment) else {
        result.fail(ActionErrorKind::TriesToStake {
            account_id: account_id.clone(),
            stake: stake.stake,
            locked,
            balance: account.amount(),
        });
        return Ok(());
    };
    if locked.is_zero() && stake.stake.is_zero() {
        result.fail(ActionErrorKind::TriesToUnstake { account_id: account_id.clone() });
        return Ok(());
    }
    if !stake.stake.is_zero() && stake.stake < minimum_stake {
        result.fail(ActionErrorKind::InsufficientStake {
            account_id: account_id.clone(),
            stake: stake.stake,
            minimum_stake,
        });
        return Ok(());
    }
    result.validator_proposals.push(ValidatorStake::new(
        account_id.clone(),
        stake.public_key.clone(),
        stake.stake,
    ));
    // What a smaller stake sets free is returned at the end of an epoch, not here.
    if stake.stake > locked {
        account.set_amount(left);
        account
            .set_locked(stake.stake)
            .map_err(|source| RuntimeError::Account { account_id: account_id.clone(), source })?;
    }
    Ok(())
}
