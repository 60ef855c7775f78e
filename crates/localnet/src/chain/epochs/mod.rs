//! Epochs: where they start and end, who validates in them, and what validating earns.
//!
//! The rules are those of nearcore's `chain/epoch-manager`: an epoch is over once the final block
//! is within three heights of the epoch's length, its id is the hash of the last block two epochs
//! earlier, and a stake that is offered in one epoch counts from the second epoch after it.

mod election;
mod epoch;
mod rewards;
mod u256;
mod validator_accounts;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use near_primitives::{
    hash::CryptoHash,
    types::{
        AccountId, Balance, BlockHeight, EpochHeight, EpochId, validator_stake::ValidatorStake,
    },
};

pub use election::Election;
pub use epoch::Epoch;
pub(super) use epoch::stakes;
pub(super) use rewards::Rewards;
pub(super) use validator_accounts::update_validator_accounts;

/// How many past epochs are kept, for the RPC method `validators` and for stakes that are still
/// locked.
const KEPT_EPOCHS: usize = 5;

/// The epochs around the head of the chain.
#[derive(Debug, Clone)]
pub struct Epochs {
    length: u64,
    election: Election,
    current: Epoch,
    next_id: EpochId,
    next_validators: Arc<Vec<ValidatorStake>>,
    /// The validators of the current epoch who have no seat in the next one, because they withdrew
    /// their stakes.
    next_unstaked: BTreeSet<AccountId>,
    /// The stakes that accounts have offered in the current epoch.
    proposals: BTreeMap<AccountId, ValidatorStake>,
    /// The oldest first.
    past: VecDeque<Epoch>,
}

impl Epochs {
    /// Starts at the genesis block, which is an epoch of its own.
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
            unstaked: BTreeSet::new(),
            proposals: Vec::new(),
        };
        Self {
            length,
            election,
            current,
            next_id: EpochId::default(),
            next_validators: validators,
            next_unstaked: BTreeSet::new(),
            proposals: BTreeMap::new(),
            past: VecDeque::new(),
        }
    }

    /// The epoch of the head.
    pub fn current(&self) -> &Epoch {
        &self.current
    }

    /// The id of the epoch after the head's.
    pub fn next_id(&self) -> EpochId {
        self.next_id
    }

    /// The validators of the epoch after the head's.
    pub fn next_validators(&self) -> &Arc<Vec<ValidatorStake>> {
        &self.next_validators
    }

    /// The validators of the current epoch who have no seat in the next one, because they withdrew
    /// their stakes.
    pub fn next_unstaked(&self) -> &BTreeSet<AccountId> {
        &self.next_unstaked
    }

    /// The epoch after one that is over, if it has begun.
    pub fn after(&self, height: EpochHeight) -> Option<&Epoch> {
        self.past.iter().chain([&self.current]).find(|epoch| epoch.height == height + 1)
    }

    /// Those of the validators who produce and approve blocks: the largest stakes.
    pub fn block_producers<'a>(&self, validators: &'a [ValidatorStake]) -> &'a [ValidatorStake] {
        &validators[..self.election.producer_seats().min(validators.len())]
    }

    /// Those who may approve the block at `head`, in the order of their approvals. The block above
    /// it has their approvals and belongs to this epoch. Near the end of an epoch, the producers of
    /// the next one have to approve as well
    /// (`EpochManager::next_block_need_approvals_from_next_epoch`).
    pub(super) fn approvers(
        &self,
        head: BlockHeight,
        last_final: BlockHeight,
    ) -> Vec<ValidatorStake> {
        let mut approvers = self.block_producers(&self.current.validators).to_vec();
        let end = self.expected_end();
        if last_final.saturating_add(3) < end && head.saturating_add(3) >= end {
            for producer in self.block_producers(&self.next_validators) {
                if !approvers.iter().any(|known| known.account_id() == producer.account_id()) {
                    approvers.push(producer.clone());
                }
            }
        }
        approvers
    }

    /// The smallest stake that may be offered in this epoch, in yoctoNEAR
    /// (`EpochManager::minimum_stake`).
    pub fn minimum_stake(&self) -> Balance {
        self.election.minimum_stake(&self.next_validators)
    }

    /// The past epochs that are kept, the oldest first.
    pub(super) fn past(&self) -> impl Iterator<Item = &Epoch> {
        self.past.iter()
    }

    /// Replaces everything but the rules with what a checkpoint holds.
    pub(super) fn restore(
        &mut self,
        current: Epoch,
        next_id: EpochId,
        next_validators: Vec<ValidatorStake>,
        next_unstaked: BTreeSet<AccountId>,
        proposals: Vec<ValidatorStake>,
        past: VecDeque<Epoch>,
    ) {
        self.current = current;
        self.next_id = next_id;
        self.next_validators = Arc::new(next_validators);
        self.next_unstaked = next_unstaked;
        self.proposals =
            proposals.into_iter().map(|offer| (offer.account_id().clone(), offer)).collect();
        self.past = past;
    }

    /// The stakes that were offered in this epoch.
    pub fn proposals(&self) -> impl Iterator<Item = &ValidatorStake> {
        self.proposals.values()
    }

    /// The epoch with this id, if it is the current one or is still kept.
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
        // Finality lags behind, so an epoch of up to three blocks would never end by the usual
        // rule.
        let reached = if self.length <= 3 { head + 1 } else { last_final + 3 };
        reached >= self.expected_end()
    }

    /// The epoch before the one with this number, if it is still kept.
    pub fn before(&self, height: EpochHeight) -> Option<&Epoch> {
        self.past.iter().rev().find(|epoch| epoch.height + 1 == height)
    }

    /// Moves on to the epoch whose first block is at `start`. The block below has the hash
    /// `prev_hash` and the timestamp `since`; `rewards` are for the epoch that ends.
    ///
    /// Returns the accounts that had offered a stake and won no seat.
    pub(super) fn advance(
        &mut self,
        start: BlockHeight,
        prev_hash: CryptoHash,
        since: u64,
        rewards: &Rewards,
    ) -> Vec<AccountId> {
        let proposals = std::mem::take(&mut self.proposals);
        self.current.proposals = proposals.values().cloned().collect();
        let withdrawn = |validator: &&ValidatorStake| {
            let offered = proposals.get(validator.account_id());
            offered.is_some_and(|offer| offer.stake().is_zero())
        };
        let unstaked = self.next_validators.iter().filter(withdrawn);
        let unstaked = unstaked.map(|validator| validator.account_id().clone()).collect();
        let unstaked = std::mem::replace(&mut self.next_unstaked, unstaked);
        let mut unelected: Vec<AccountId> = proposals.keys().cloned().collect();
        let validators = Arc::clone(&self.next_validators);
        self.next_validators = Arc::new(self.elect(proposals, rewards));
        let current = Epoch {
            id: self.next_id,
            height: self.current.height + 1,
            start,
            stakes: Arc::new(stakes(&validators)),
            validators,
            blocks: 0,
            since,
            rewards_paid: rewards.validators.clone(),
            unstaked,
            proposals: Vec::new(),
        };
        self.next_id = EpochId(prev_hash);
        self.past.push_back(std::mem::replace(&mut self.current, current));
        while self.past.len() > KEPT_EPOCHS {
            self.past.pop_front();
        }
        unelected.retain(|id| {
            !self.next_validators.iter().any(|validator| validator.account_id() == id)
        });
        unelected
    }

    /// Counts a block of the current epoch and notes the stakes that its header offers.
    pub fn record(&mut self, proposals: &[ValidatorStake]) {
        self.current.blocks += 1;
        for proposal in proposals {
            self.proposals.insert(proposal.account_id().clone(), proposal.clone());
        }
    }

    /// How much of an account's stake must stay locked, in yoctoNEAR: the largest of its stakes in
    /// the previous, the current and the next epoch, and of what it has offered since. Whatever it
    /// has locked beyond that becomes spendable again at the start of an epoch.
    pub fn needed_stake(&self, account_id: &AccountId) -> Balance {
        let of = |stakes: &BTreeMap<AccountId, Balance>| {
            stakes.get(account_id).copied().unwrap_or(Balance::ZERO)
        };
        let previous = self.past.back().map_or(Balance::ZERO, |epoch| of(&epoch.stakes));
        let next = self
            .next_validators
            .iter()
            .find(|v| v.account_id() == account_id)
            .map_or(Balance::ZERO, ValidatorStake::stake);
        let offered = self.proposals.get(account_id).map_or(Balance::ZERO, ValidatorStake::stake);
        previous.max(of(&self.current.stakes)).max(next).max(offered)
    }

    /// All accounts that may have a stake locked.
    pub fn stakers(&self) -> Vec<AccountId> {
        let mut all: Vec<AccountId> = self
            .past
            .iter()
            .chain([&self.current])
            .flat_map(|epoch| epoch.stakes.keys().cloned())
            .chain(self.next_validators.iter().map(|v| v.account_id().clone()))
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
            self.next_validators.iter().map(|v| (v.account_id().clone(), v.clone())).collect();
        all.extend(proposals);
        for (account_id, reward) in &rewards.validators {
            if let Some(validator) = all.get_mut(account_id) {
                let stake = validator.stake_mut();
                *stake = stake.saturating_add(*reward);
            }
        }
        let elected = self.election.elect(all.into_values().collect());
        if elected.is_empty() {
            // Somebody must produce blocks: like nearcore, keep the old set when nobody is left.
            return self.next_validators.to_vec();
        }
        elected
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use near_crypto::{KeyType, PublicKey};

    use super::{election::tests::rules, *};

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
            let left =
                if start == 61 { epochs.next_unstaked() } else { &epochs.current().unstaked };
            assert_eq!(left.contains(&b), start < 181, "from {start}");
        }
        let offered = epochs.after(0).unwrap();
        assert_eq!((offered.height, offered.proposals.len()), (1, 1));
        assert!(epochs.after(4).is_none(), "the fourth epoch has not ended");
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
