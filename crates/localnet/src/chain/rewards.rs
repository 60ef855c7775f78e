//! What validators and the treasury earn in an epoch (`chain/epoch-manager/src/reward_calculator.rs`),
//! and what the first block of the next one does with stakes (`runtime/runtime/src/lib.rs`:
//! `update_validator_accounts`).

use super::epoch::{Epoch, Epochs};
use crate::state::State;
use near_chain_configs::GenesisConfig;
use near_primitives::account::Account;
use near_primitives::types::{AccountId, Balance};
use primitive_types::U256;
use std::collections::BTreeMap;

/// nearcore's year.
const SECONDS_IN_YEAR: u64 = 365 * 24 * 60 * 60;

const NANOSECONDS: u64 = 1_000_000_000;

/// What an epoch earned. All of it is new tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Rewards {
    /// The share of the treasury, in yoctoNEAR.
    pub(super) treasury: Balance,
    /// The rewards of validators, in yoctoNEAR.
    pub(super) validators: BTreeMap<AccountId, Balance>,
}

impl Rewards {
    /// The rewards of an epoch that took `duration` nanoseconds. Only `online` has made blocks, and it
    /// has made all of them; other validators earn nothing.
    pub(super) fn earned(
        config: &GenesisConfig,
        supply: Balance,
        duration: u64,
        epoch: &Epoch,
        online: &AccountId,
    ) -> Self {
        if epoch.height == 0 {
            // The genesis block is an epoch of its own, in which nobody worked.
            return Self::default();
        }
        let part = |value: i32| U256::from(u32::try_from(value).unwrap_or(0));
        let inflation = config.max_inflation_rate;
        let total = U256::from(supply.as_yoctonear())
            * part(*inflation.numer())
            * U256::from(duration)
            / (U256::from(SECONDS_IN_YEAR) * part(*inflation.denom()) * U256::from(NANOSECONDS));
        let share = config.protocol_reward_rate;
        let treasury = total * part(*share.numer()) / part(*share.denom());
        let rest = total - treasury;
        let all_stake: U256 = epoch
            .stakes
            .values()
            .fold(U256::zero(), |sum, stake| sum + U256::from(stake.as_yoctonear()));
        let mut validators = BTreeMap::new();
        if let Some(stake) = epoch.stakes.get(online)
            && !all_stake.is_zero()
        {
            let reward = rest * U256::from(stake.as_yoctonear()) / all_stake;
            validators.insert(online.clone(), yocto(reward));
        }
        Self { treasury: yocto(treasury), validators }
    }

    /// All of it, in yoctoNEAR.
    pub(super) fn total(&self) -> Balance {
        self.validators.values().fold(self.treasury, |sum, reward| sum.saturating_add(*reward))
    }
}

/// An amount in yoctoNEAR. Parts of all tokens are far below 2^128.
pub(super) fn yocto(value: U256) -> Balance {
    Balance::from_yoctonear(if value.bits() > 128 { u128::MAX } else { value.low_u128() })
}

/// The accounts that the first block of an epoch changes: rewards are paid, and what is locked beyond the stake that is
/// still needed comes back. `unelected` are accounts whose stake won no seat.
pub(super) fn settle(
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
    let mut settled = Vec::new();
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
        settled.push((account_id.clone(), account));
    }
    // A treasury that stakes is paid as a validator.
    if !stakers.contains(treasury)
        && let Some(mut account) = state.account(treasury)
    {
        account.set_amount(account.amount().saturating_add(rewards.treasury));
        settled.push((treasury.clone(), account));
    }
    settled
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::chain::Genesis;
    use crate::chain::election::Election;
    use near_crypto::{KeyType, PublicKey};

    #[test]
    fn the_treasury_gets_a_tenth_and_the_validator_the_rest() {
        let id: AccountId = "test.near".parse().unwrap();
        let key = PublicKey::from_seed(KeyType::ED25519, "v");
        let genesis = Genesis::fast("c", 88, "2024-01-01T00:00:00Z", &id, &key).unwrap();
        let mut epochs = Epochs::new(0, 60, Election::of(&genesis.config), genesis.validators());
        let nobody =
            Rewards::earned(&genesis.config, Balance::from_near(1), 1, epochs.current(), &id);
        assert_eq!(nobody.total(), Balance::ZERO);
        epochs.advance(1, Default::default(), 0, &Rewards::default());
        // A year of one NEAR at five per cent.
        let year = SECONDS_IN_YEAR * NANOSECONDS;
        let rewards =
            Rewards::earned(&genesis.config, Balance::from_near(1), year, epochs.current(), &id);
        assert_eq!(rewards.treasury, Balance::from_millinear(5));
        assert_eq!(rewards.validators[&id], Balance::from_millinear(45));
        assert_eq!(rewards.total(), Balance::from_millinear(50));
    }
}
