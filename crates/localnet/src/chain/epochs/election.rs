//! Who validates, and what a seat costs (`chain/epoch-manager/src/validator_selection.rs`).

use near_chain_configs::GenesisConfig;
use near_primitives::types::{Balance, validator_stake::ValidatorStake};
use primitive_types::U256;

use super::u256::{from_balance, to_balance};

/// The rules of a chain's elections.
#[derive(Debug, Clone)]
pub struct Election {
    /// The numbers of seats for block producers, chunk producers and chunk validators. One account
    /// may hold a seat of each kind.
    seats: [usize; 3],
    /// A validator's stake must be more than this part of the sum of its own stake and all larger
    /// ones, as (numerator, denominator).
    minimum_stake_ratio: (u128, u128),
    /// How many times smaller than the price of a seat an offered stake may be.
    minimum_stake_divisor: u64,
}

impl Election {
    /// The rules that a genesis configuration sets.
    pub fn of(config: &GenesisConfig) -> Self {
        let count = |seats: u64| usize::try_from(seats).unwrap_or(usize::MAX);
        let part = |value: i32| u128::try_from(value).unwrap_or(0);
        Self {
            seats: [
                count(config.num_block_producer_seats),
                count(config.num_chunk_producer_seats),
                count(config.num_chunk_validator_seats),
            ],
            minimum_stake_ratio: (
                part(*config.minimum_stake_ratio.numer()),
                part(*config.minimum_stake_ratio.denom()),
            ),
            minimum_stake_divisor: config.minimum_stake_divisor,
        }
    }

    /// How many of the validators produce blocks.
    pub(super) fn producer_seats(&self) -> usize {
        self.seats[0]
    }

    /// The candidates that win a seat, the largest stake first.
    pub fn elect(&self, mut candidates: Vec<ValidatorStake>) -> Vec<ValidatorStake> {
        sort(&mut candidates);
        let (numerator, denominator) = self.minimum_stake_ratio;
        let mut total = U256::zero();
        let seats = self.seats.into_iter().max().unwrap_or(0);
        let elected = candidates.into_iter().take(seats).take_while(|candidate| {
            let stake = from_balance(candidate.stake());
            let with = total + stake;
            let large = stake * U256::from(denominator) > with * U256::from(numerator);
            if large {
                total = with;
            }
            large
        });
        elected.collect()
    }

    /// The smallest stake that an account may offer while `validators` hold the seats.
    pub fn minimum_stake(&self, validators: &[ValidatorStake]) -> Balance {
        let mut validators = validators.to_vec();
        sort(&mut validators);
        let price = self.seats.into_iter().map(|seats| self.seat_price(&validators, seats)).min();
        let least = price.unwrap_or_default() / U256::from(self.minimum_stake_divisor.max(1));
        to_balance(least)
    }

    /// The price of a seat, in yoctoNEAR: one more than the smallest stake when all seats are
    /// taken, otherwise the least stake that meets the ratio.
    fn seat_price(&self, validators: &[ValidatorStake], seats: usize) -> U256 {
        if let Some(last) = seats.checked_sub(1).and_then(|last| validators.get(last)) {
            return from_balance(last.stake()) + 1;
        }
        let total =
            validators.iter().fold(U256::zero(), |sum, one| sum + from_balance(one.stake()));
        let (numerator, denominator) = self.minimum_stake_ratio;
        let rest = U256::from(denominator.saturating_sub(numerator).max(1));
        let (price, left) = (total * U256::from(numerator)).div_mod(rest);
        if left.is_zero() { price } else { price + 1 }
    }
}

fn sort(validators: &mut [ValidatorStake]) {
    validators
        .sort_by(|a, b| b.stake().cmp(&a.stake()).then_with(|| a.account_id().cmp(b.account_id())));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use near_crypto::{KeyType, PublicKey};

    use super::*;

    pub(in crate::chain::epochs) fn rules() -> Election {
        Election {
            seats: [50, 100, 300],
            minimum_stake_ratio: (1, 6250),
            minimum_stake_divisor: 10,
        }
    }

    fn stake(name: &str, yocto: u128) -> ValidatorStake {
        ValidatorStake::new(
            name.parse().unwrap(),
            PublicKey::from_seed(KeyType::ED25519, name),
            Balance::from_yoctonear(yocto),
        )
    }

    fn names(elected: &[ValidatorStake]) -> Vec<&str> {
        elected.iter().map(|validator| validator.account_id().as_str()).collect()
    }

    #[test]
    fn a_seat_costs_a_part_of_all_stake_while_some_are_free() {
        let million = 1_000_000 * 10_u128.pow(24);
        let price = rules().minimum_stake(&[stake("test.near", 50 * million)]);
        // A 6,249th of the stake, rounded up, and a tenth of that, rounded down.
        assert_eq!(price.as_yoctonear(), 800_128_020_483_277_324_371_899_504);
        assert_eq!(rules().minimum_stake(&[]), Balance::ZERO);
    }

    #[test]
    fn a_seat_costs_more_than_the_smallest_stake_when_none_is_free() {
        let rules = Election { seats: [2, 2, 3], ..rules() };
        let validators = [stake("aa", 7_000), stake("bb", 9_000), stake("cc", 5_000)];
        assert_eq!(rules.minimum_stake(&validators).as_yoctonear(), 500);
    }

    #[test]
    fn the_first_stake_that_is_too_small_ends_the_election() {
        let rules = rules();
        let elected = rules.elect(vec![stake("cc", 1), stake("bb", 2), stake("aa", 12_498)]);
        // 2 of 12,500 is exactly a 6,250th, and it has to be more than that.
        assert_eq!(names(&elected), ["aa"]);
        let elected = rules.elect(vec![stake("bb", 3), stake("aa", 12_498), stake("cc", 3)]);
        assert_eq!(names(&elected), ["aa", "bb", "cc"]);
        assert_eq!(names(&rules.elect(vec![stake("aa", 0)])), [""; 0]);
        let few = Election { seats: [1, 2, 1], ..rules };
        assert_eq!(few.elect(vec![stake("aa", 9), stake("bb", 9), stake("cc", 9)]).len(), 2);
    }
}
