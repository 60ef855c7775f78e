//! What validators and the treasury earn in an epoch
//! (`chain/epoch-manager/src/reward_calculator.rs`).

use std::collections::BTreeMap;

use near_chain_configs::GenesisConfig;
use near_primitives::types::{AccountId, Balance};
use primitive_types::U256;

use super::{
    epoch::Epoch,
    u256::{from_balance, to_balance},
};

/// The length of a year in nearcore's inflation formula.
const SECONDS_IN_YEAR: u64 = 365 * 24 * 60 * 60;

const NANOSECONDS_IN_SECOND: u64 = 1_000_000_000;

/// The rewards for one epoch. All of them are newly minted tokens.
#[derive(Debug, Clone, Default)]
pub(in crate::chain) struct Rewards {
    /// The treasury's share, in yoctoNEAR.
    pub(super) treasury: Balance,
    /// What each validator gets, in yoctoNEAR.
    pub(super) validators: BTreeMap<AccountId, Balance>,
}

impl Rewards {
    /// The rewards for an epoch that lasted `duration` nanoseconds, with a total supply of
    /// `supply`. `online` has produced all of its blocks, so the other validators earn nothing.
    pub(in crate::chain) fn earned(
        config: &GenesisConfig,
        supply: Balance,
        duration: u64,
        epoch: &Epoch,
        online: &AccountId,
    ) -> Self {
        if epoch.height == 0 {
            // The genesis block is an epoch of its own, in which nobody produced anything.
            return Self::default();
        }
        let part = |value: i32| U256::from(u32::try_from(value).unwrap_or(0));
        let inflation = config.max_inflation_rate;
        let total = from_balance(supply) * part(*inflation.numer()) * U256::from(duration)
            / (U256::from(SECONDS_IN_YEAR)
                * part(*inflation.denom())
                * U256::from(NANOSECONDS_IN_SECOND));
        let share = config.protocol_reward_rate;
        let treasury = total * part(*share.numer()) / part(*share.denom());
        let rest = total - treasury;
        let all_stake: U256 =
            epoch.stakes.values().fold(U256::zero(), |sum, stake| sum + from_balance(*stake));
        let mut validators = BTreeMap::new();
        if let Some(stake) = epoch.stakes.get(online)
            && !all_stake.is_zero()
        {
            let reward = rest * from_balance(*stake) / all_stake;
            validators.insert(online.clone(), to_balance(reward));
        }
        Self { treasury: to_balance(treasury), validators }
    }

    /// All newly minted tokens, in yoctoNEAR.
    pub(in crate::chain) fn total(&self) -> Balance {
        self.validators.values().fold(self.treasury, |sum, reward| sum.saturating_add(*reward))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use near_crypto::{KeyType, PublicKey};

    use super::*;
    use crate::chain::{Election, Epochs, Genesis};

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
        // One NEAR at five per cent for a year.
        let year = SECONDS_IN_YEAR * NANOSECONDS_IN_SECOND;
        let rewards =
            Rewards::earned(&genesis.config, Balance::from_near(1), year, epochs.current(), &id);
        assert_eq!(rewards.treasury, Balance::from_millinear(5));
        assert_eq!(rewards.validators[&id], Balance::from_millinear(45));
        assert_eq!(rewards.total(), Balance::from_millinear(50));
    }
}
