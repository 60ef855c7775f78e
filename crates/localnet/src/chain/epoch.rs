//! Epochs: where they begin and end, and who validates in them.
//!
//! The rules are those of nearcore's `chain/epoch-manager`: an epoch is over once the final block is
//! within three heights of its length, its id is the hash of the last block two epochs before, and a
//! stake that is offered in one epoch counts in the second one after it.

use super::election::Election;
use super::genesis::stakes;
use super::rewards::Rewards;
use near_primitives::hash::CryptoHash;
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::{AccountId, Balance, BlockHeight, EpochHeight, EpochId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past epochs are remembered, for `validators` and for stakes that are still locked.
const KEPT: usize = 5;

/// One epoch.
#[derive(Debug, Clone)]
pub struct Epoch {
    /// Its id.
    pub id: EpochId,
    /// Its number; the first one after the genesis is 1.
    pub height: EpochHeight,
    /// The height of its first block.
    pub start: BlockHeight,
    /// Its validators.
    pub validators: Arc<Vec<ValidatorStake>>,
    /// Their stakes, in yoctoNEAR.
    pub stakes: Arc<BTreeMap<AccountId, Balance>>,
    /// Blocks produced in it so far.
    pub blocks: u64,
    /// The timestamp of the block below its first one, in nanoseconds since 1970.
    pub since: u64,
    /// What its first block paid for the epoch before, in yoctoNEAR.
    pub rewards_paid: BTreeMap<AccountId, Balance>,
}

/// The epochs around the head of the chain.
#[derive(Debug, Clone)]
pub struct Epochs {
    length: u64,
    election: Election,
    current: Epoch,
    next_id: EpochId,
    next: Arc<Vec<ValidatorStake>>,
    proposals: BTreeMap<AccountId, ValidatorStake>,
    past: VecDeque<Epoch>,
}

impl Epochs {
    /// The epoch of the genesis block, which no other block belongs to.
    pub fn new(
        genesis_height: BlockHeight,
        length: u64,
        election: Election,
        validators: Vec<ValidatorStake>,
    ) -> Self {
        let stakes = Arc::new(stakes(&validators));
        let validators = Arc::new(validators);
        let current = Epoch {
            id: EpochId::default(),
            height: 0,
            start: genesis_height,
            validators: Arc::clone(&validators),
            stakes,
            blocks: 0,
            since: 0,
            rewards_paid: BTreeMap::new(),
        };
        Self {
            length,
            election,
            current,
            next_id: EpochId::default(),
            next: validators,
            proposals: BTreeMap::new(),
            past: VecDeque::new(),
        }
    }

    /// The epoch of the head.
    pub fn current(&self) -> &Epoch {
        &self.current
    }

    /// The id of the epoch after it.
    pub fn next_id(&self) -> EpochId {
        self.next_id
    }

    /// The validators of the epoch after it.
    pub fn next_validators(&self) -> &Arc<Vec<ValidatorStake>> {
        &self.next
    }

    /// The smallest stake that may be offered in this epoch (`EpochManager::minimum_stake`).
    pub fn minimum_stake(&self) -> Balance {
        self.election.minimum_stake(&self.next)
    }

    /// The epochs before the head's that are remembered, the oldest first.
    pub(super) fn past(&self) -> impl Iterator<Item = &Epoch> {
        self.past.iter()
    }

    /// Puts kept epochs in the place of these.
    pub(super) fn put_back(
        &mut self,
        current: Epoch,
        next_id: EpochId,
        next: Vec<ValidatorStake>,
        proposals: Vec<ValidatorStake>,
        past: VecDeque<Epoch>,
    ) {
        self.current = current;
        self.next_id = next_id;
        self.next = Arc::new(next);
        self.proposals =
            proposals.into_iter().map(|offer| (offer.account_id().clone(), offer)).collect();
        self.past = past;
    }

    /// The stakes that were offered in this epoch.
    pub fn proposals(&self) -> impl Iterator<Item = &ValidatorStake> {
        self.proposals.values()
    }

    /// The epoch with this id, if it is remembered.
    pub fn get(&self, id: &EpochId) -> Option<&Epoch> {
        if self.current.id == *id && self.current.height > 0 {
            return Some(&self.current);
        }
        self.past.iter().rev().find(|epoch| epoch.id == *id)
    }

    /// The height at which the epoch after the head's is expected to start.
    pub fn expected_end(&self) -> BlockHeight {
        self.current.start.saturating_add(self.length)
    }

    /// Whether the block above the head is the first of an epoch.
    pub fn next_block_starts_epoch(&self, head: BlockHeight, last_final: BlockHeight) -> bool {
        if self.current.height == 0 {
            return true;
        }
        // Finality lags; an epoch of up to three blocks would never end by its rule.
        let reached = if self.length <= 3 { head + 1 } else { last_final + 3 };
        reached >= self.expected_end()
    }

    /// The epoch before the one of this number, if it is remembered.
    pub fn before(&self, height: EpochHeight) -> Option<&Epoch> {
        self.past.iter().rev().find(|epoch| epoch.height + 1 == height)
    }

    /// Enters the epoch whose first block is at `start`, above the block `prev_hash` of the time
    /// `since`. `rewards` are what the epoch that ends has earned.
    /// Returns those who have offered a stake and got no seat.
    pub(super) fn advance(
        &mut self,
        start: BlockHeight,
        prev_hash: CryptoHash,
        since: u64,
        rewards: &Rewards,
    ) -> Vec<AccountId> {
        let proposals = std::mem::take(&mut self.proposals);
        let mut unelected: Vec<AccountId> = proposals.keys().cloned().collect();
        let validators = Arc::clone(&self.next);
        self.next = Arc::new(self.elect(proposals, rewards));
        let current = Epoch {
            id: self.next_id,
            height: self.current.height + 1,
            start,
            stakes: Arc::new(stakes(&validators)),
            validators,
            blocks: 0,
            since,
            rewards_paid: rewards.validators.clone(),
        };
        self.next_id = EpochId(prev_hash);
        self.past.push_back(std::mem::replace(&mut self.current, current));
        while self.past.len() > KEPT {
            self.past.pop_front();
        }
        unelected.retain(|id| !self.next.iter().any(|validator| validator.account_id() == id));
        unelected
    }

    /// Counts a block of the current epoch with the stakes that its header offers.
    pub fn record(&mut self, proposals: &[ValidatorStake]) {
        self.current.blocks += 1;
        for proposal in proposals {
            self.proposals.insert(proposal.account_id().clone(), proposal.clone());
        }
    }

    /// The stake of an account that is still needed: the largest of the last epoch, this one, the
    /// next one, and what it has just offered. What it has locked beyond comes back at the start of
    /// an epoch.
    pub fn needed_stake(&self, account_id: &AccountId) -> Balance {
        let of = |stakes: &BTreeMap<AccountId, Balance>| {
            stakes.get(account_id).copied().unwrap_or(Balance::ZERO)
        };
        let previous = self.past.back().map_or(Balance::ZERO, |epoch| of(&epoch.stakes));
        let next = self
            .next
            .iter()
            .find(|v| v.account_id() == account_id)
            .map_or(Balance::ZERO, ValidatorStake::stake);
        let offered = self.proposals.get(account_id).map_or(Balance::ZERO, ValidatorStake::stake);
        previous.max(of(&self.current.stakes)).max(next).max(offered)
    }

    /// Everyone who may have a stake locked.
    pub fn stakers(&self) -> Vec<AccountId> {
        let mut all: Vec<AccountId> = self
            .past
            .iter()
            .chain([&self.current])
            .flat_map(|epoch| epoch.stakes.keys().cloned())
            .chain(self.next.iter().map(|v| v.account_id().clone()))
            .chain(self.proposals.keys().cloned())
            .collect();
        all.sort();
        all.dedup();
        all
    }

    fn elect(
        &self,
        proposals: BTreeMap<AccountId, ValidatorStake>,
        rewards: &Rewards,
    ) -> Vec<ValidatorStake> {
        let mut all: BTreeMap<AccountId, ValidatorStake> =
            self.next.iter().map(|v| (v.account_id().clone(), v.clone())).collect();
        all.extend(proposals);
        for (account_id, reward) in &rewards.validators {
            if let Some(validator) = all.get_mut(account_id) {
                let stake = validator.stake_mut();
                *stake = stake.saturating_add(*reward);
            }
        }
        let elected = self.election.elect(all.into_values().collect());
        if elected.is_empty() {
            // Somebody must go on: nearcore, too, keeps the old set when nobody is left.
            return self.next.to_vec();
        }
        elected
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::election::tests::rules;
    use super::*;
    use near_crypto::{KeyType, PublicKey};

    fn stake(name: &str, near: u128) -> ValidatorStake {
        ValidatorStake::new(
            name.parse().unwrap(),
            PublicKey::from_seed(KeyType::ED25519, name),
            Balance::from_yoctonear(near),
        )
    }

    fn hash(byte: u8) -> CryptoHash {
        CryptoHash([byte; 32])
    }

    #[test]
    fn ids_come_from_the_last_block_two_epochs_before() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 1_000_000)]);
        assert!(epochs.next_block_starts_epoch(0, 0));
        epochs.advance(1, hash(1), 0, &Rewards::default());
        assert_eq!((epochs.current().id, epochs.current().height), (EpochId::default(), 1));
        assert_eq!(epochs.next_id(), EpochId(hash(1)));
        epochs.advance(61, hash(60), 0, &Rewards::default());
        assert_eq!((epochs.current().id, epochs.current().height), (EpochId(hash(1)), 2));
        assert_eq!(epochs.next_id(), EpochId(hash(60)));
    }

    #[test]
    fn an_epoch_ends_when_the_final_block_is_near_its_length() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 1_000_000)]);
        epochs.advance(1, hash(1), 0, &Rewards::default());
        assert!(!epochs.next_block_starts_epoch(59, 57));
        assert!(epochs.next_block_starts_epoch(60, 58));
        assert!(!epochs.next_block_starts_epoch(100, 5));
    }

    #[test]
    fn a_stake_counts_in_the_second_epoch_after_it_was_offered() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 1_000_000)]);
        epochs.advance(1, hash(1), 0, &Rewards::default());
        epochs.record(&[stake("bb", 500_000)]);
        epochs.advance(61, hash(2), 0, &Rewards::default());
        assert_eq!(epochs.current().validators.len(), 1);
        assert_eq!(epochs.next_validators().len(), 2);
        epochs.advance(121, hash(3), 0, &Rewards::default());
        assert_eq!(epochs.current().validators.len(), 2);
    }

    #[test]
    fn a_withdrawn_stake_is_free_after_it_has_validated_in_no_epoch_around() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 9), stake("bb", 5)]);
        epochs.advance(1, hash(1), 0, &Rewards::default());
        epochs.record(&[stake("bb", 0)]);
        let b = "bb".parse().unwrap();
        for (start, expected) in [(61, 5), (121, 5), (181, 0)] {
            epochs.advance(start, hash(2), 0, &Rewards::default());
            assert_eq!(epochs.needed_stake(&b).as_yoctonear(), expected, "from {start}");
        }
    }

    #[test]
    fn a_stake_that_wins_no_seat_is_named() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 1_000_000)]);
        epochs.advance(1, hash(1), 0, &Rewards::default());
        epochs.record(&[stake("bb", 100), stake("cc", 500_000)]);
        let unelected = epochs.advance(61, hash(2), 0, &Rewards::default());
        assert_eq!(unelected, ["bb".parse::<AccountId>().unwrap()]);
        assert_eq!(epochs.needed_stake(&unelected[0]), Balance::ZERO);
    }

    #[test]
    fn the_last_validator_cannot_leave() {
        let mut epochs = Epochs::new(0, 60, rules(), vec![stake("aa", 9)]);
        epochs.advance(1, hash(1), 0, &Rewards::default());
        epochs.record(&[stake("aa", 0)]);
        epochs.advance(61, hash(2), 0, &Rewards::default());
        assert_eq!(epochs.next_validators().len(), 1);
    }
}
