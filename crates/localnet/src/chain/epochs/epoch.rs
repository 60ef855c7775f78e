//! One epoch: its id, where it starts and who validates in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use near_primitives::types::{
    AccountId, Balance, BlockHeight, EpochHeight, EpochId, validator_stake::ValidatorStake,
};

/// One epoch.
#[derive(Debug, Clone)]
pub struct Epoch {
    /// The hash of the last block two epochs earlier, all zeros for the first two epochs.
    pub id: EpochId,
    /// Counts epochs; the first one after the genesis block is 1.
    pub height: EpochHeight,
    /// The height of its first block.
    pub start: BlockHeight,
    /// The elected validators, the largest stake first.
    pub validators: Arc<Vec<ValidatorStake>>,
    /// The stake of each validator, in yoctoNEAR.
    pub stakes: Arc<BTreeMap<AccountId, Balance>>,
    /// How many blocks it has so far.
    pub blocks: u64,
    /// The timestamp of the last block before it, in nanoseconds since 1970.
    pub since: u64,
    /// What its first block paid to each validator for the epoch before, in yoctoNEAR.
    pub rewards_paid: BTreeMap<AccountId, Balance>,
    /// The validators of the epoch before who have no seat in this one, because they withdrew their
    /// stakes.
    pub unstaked: BTreeSet<AccountId>,
    /// The stakes that were offered in it. Empty until it is over.
    pub proposals: Vec<ValidatorStake>,
}

/// The stake of each validator, in yoctoNEAR.
pub(in crate::chain) fn stakes(validators: &[ValidatorStake]) -> BTreeMap<AccountId, Balance> {
    validators.iter().map(|v| (v.account_id().clone(), v.stake())).collect()
}
