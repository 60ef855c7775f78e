//! What the first block of an epoch does to the accounts of validators and of the treasury
//! (`runtime/runtime/src/lib.rs`: `update_validator_accounts`).

use near_primitives::{
    account::Account,
    types::{AccountId, Balance},
};

use super::{Epochs, Rewards};
use crate::state::State;

/// The accounts that change with the first block of an epoch: rewards are paid, and whatever is
/// locked beyond the stake that is still needed becomes spendable again.
///
/// `epochs` has already moved on to the new epoch. `unelected` are the accounts that had offered a
/// stake and won no seat.
pub(in crate::chain) fn update_validator_accounts(
    state: &State,
    epochs: &Epochs,
    unelected: Vec<AccountId>,
    rewards: &Rewards,
    treasury: &AccountId,
) -> Vec<(AccountId, Account)> {
    let mut stakers = epochs.stakers();
    stakers.extend(unelected);
    stakers.sort();
    stakers.dedup();
    let mut updated = Vec::new();
    for account_id in &stakers {
        let Some(mut account) = state.account(account_id) else {
            continue;
        };
        let reward = rewards.validators.get(account_id).copied().unwrap_or(Balance::ZERO);
        let locked = account.locked().saturating_add(reward);
        let kept = locked.min(epochs.needed_stake(account_id));
        if account.set_locked(kept).is_err() {
            continue;
        }
        account.set_amount(account.amount().saturating_add(locked.saturating_sub(kept)));
        updated.push((account_id.clone(), account));
    }
    // A treasury account that stakes is paid as a validator only.
    if !stakers.contains(treasury)
        && let Some(mut account) = state.account(treasury)
    {
        account.set_amount(account.amount().saturating_add(rewards.treasury));
        updated.push((treasury.clone(), account));
    }
    updated
}
