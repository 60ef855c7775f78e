//! `validators`, `EXPERIMENTAL_validators_ordered` and `maintenance_windows`.

use near_jsonrpc_primitives::{
    errors::RpcParseError,
    types::{
        maintenance::{RpcMaintenanceWindowsRequest, RpcMaintenanceWindowsResponse},
        validator::{RpcValidatorError, RpcValidatorRequest, RpcValidatorsOrderedRequest},
    },
};
use near_primitives::{
    types::{
        BlockId, BlockReference, EpochReference, MaybeBlockId, ValidatorKickoutReason,
        validator_stake::ValidatorStake,
    },
    views::{
        CurrentEpochValidatorInfo, EpochValidatorInfo, NextEpochValidatorInfo,
        ValidatorKickoutView, validator_stake_view::ValidatorStakeView,
    },
};
use serde_json::Value;

use super::{
    answer::{Answer, to_value},
    params::{parse, singleton},
};
use crate::{
    chain::{Chain, Epoch, shard_id},
    node::Node,
};

/// The first protocol version whose nodes list the rewards that validators were paid.
const REWARDS_LISTED_FROM: u32 = 85;

fn request(params: Value) -> Result<RpcValidatorRequest, RpcParseError> {
    let epoch_reference = match singleton(params) {
        Ok(id) => match parse::<MaybeBlockId>(id)? {
            Some(id) => EpochReference::BlockId(id),
            None => EpochReference::Latest,
        },
        Err(params) => parse(params)?,
    };
    Ok(RpcValidatorRequest { epoch_reference })
}

/// `validators`
pub(super) fn validators(node: &Node, params: Value) -> Answer {
    let request = request(params)?;
    let chain = node.chain();
    let epochs = chain.epochs();
    let epoch = match request.epoch_reference {
        EpochReference::Latest => Some(epochs.current()),
        // By their ids, there are only epochs that are over.
        EpochReference::EpochId(id) => {
            epochs.get(&id).filter(|epoch| epochs.after(epoch.height).is_some())
        }
        EpochReference::BlockId(id) => Some(ended_at(&chain, id)?),
    }
    .ok_or(RpcValidatorError::UnknownEpoch)?;
    let after = epochs.after(epoch.height);
    let next = after.map_or(epochs.next_validators(), |after| &after.validators);
    let unstaked = after.map_or(epochs.next_unstaked(), |after| &after.unstaked);
    let is_over = after.is_some();
    let validator = |stake| validator_info(&chain, epoch, stake, is_over);
    let view = EpochValidatorInfo {
        current_validators: epoch.validators.iter().map(validator).collect(),
        next_validators: next
            .iter()
            .map(|v| NextEpochValidatorInfo {
                account_id: v.account_id().clone(),
                public_key: v.public_key().clone(),
                stake: v.stake(),
                shards: vec![shard_id()],
            })
            .collect(),
        current_fishermen: vec![],
        next_fishermen: vec![],
        current_proposals: if is_over {
            epoch.proposals.iter().cloned().map(ValidatorStakeView::from).collect()
        } else {
            epochs.proposals().cloned().map(ValidatorStakeView::from).collect()
        },
        prev_epoch_kickout: unstaked
            .iter()
            .map(|account_id| ValidatorKickoutView {
                account_id: account_id.clone(),
                reason: ValidatorKickoutReason::Unstaked,
            })
            .collect(),
        epoch_start_height: epoch.start,
        epoch_height: epoch.height,
        validator_reward_paid_prev_epoch: epochs
            .before(epoch.height)
            .map(|before| before.rewards_paid.clone().into_iter().collect())
            .unwrap_or_default(),
    };
    let mut view = to_value(view)?;
    if chain.config().protocol_version < REWARDS_LISTED_FROM
        && let Some(object) = view.as_object_mut()
    {
        object.remove("validator_reward_paid_prev_epoch");
    }
    Ok(view)
}

/// The epoch that ended with a block. There is no information for a block that is not the last one
/// of its epoch (`Handler<GetValidatorInfo>` in `chain/client/src/view_client_actor.rs`).
fn ended_at(chain: &Chain, id: BlockId) -> Result<&Epoch, RpcValidatorError> {
    let block = chain.resolve(&BlockReference::BlockId(id));
    let next = block.and_then(|block| chain.history().above(block.height()));
    let (Some(block), Some(next)) = (block, next) else {
        return Err(RpcValidatorError::UnknownEpoch);
    };
    let (last, next) = (&block.header, &next.header);
    if last.epoch_id() == next.epoch_id() || last.next_epoch_id() != next.epoch_id() {
        return Err(RpcValidatorError::ValidatorInfoUnavailable);
    }
    chain.epochs().get(last.epoch_id()).ok_or(RpcValidatorError::UnknownEpoch)
}

fn epoch_of(chain: &Chain, id: BlockId) -> Option<&Epoch> {
    let block = chain.resolve(&BlockReference::BlockId(id))?;
    chain.epochs().get(block.header.epoch_id())
}

/// What a validator has done in an epoch. Of one that is over, nearcore tells nothing by shard
/// (`EpochManager::get_validator_info`).
fn validator_info(
    chain: &Chain,
    epoch: &Epoch,
    validator: &ValidatorStake,
    is_over: bool,
) -> CurrentEpochValidatorInfo {
    // This node produces all blocks, no matter who else has a stake.
    let produced =
        if validator.account_id() == chain.signer().validator_id() { epoch.blocks } else { 0 };
    let by_shard = if is_over { 0 } else { produced };
    let endorsements = if is_over { vec![] } else { vec![produced] };
    CurrentEpochValidatorInfo {
        account_id: validator.account_id().clone(),
        public_key: validator.public_key().clone(),
        is_slashed: false,
        stake: validator.stake(),
        shards_produced: vec![shard_id()],
        shards_endorsed: if is_over { vec![] } else { vec![shard_id()] },
        num_produced_blocks: produced,
        num_expected_blocks: produced,
        num_produced_chunks: produced,
        num_expected_chunks: produced,
        num_produced_chunks_per_shard: vec![by_shard],
        num_expected_chunks_per_shard: vec![by_shard],
        num_produced_endorsements: produced,
        num_expected_endorsements: produced,
        num_produced_endorsements_per_shard: endorsements.clone(),
        num_expected_endorsements_per_shard: endorsements,
    }
}

/// `EXPERIMENTAL_validators_ordered`: the block producers.
pub(super) fn ordered(node: &Node, params: Value) -> Answer {
    let request: RpcValidatorsOrderedRequest = parse(params)?;
    let chain = node.chain();
    let epoch = match request.block_id {
        None => chain.epochs().current(),
        Some(id) => epoch_of(&chain, id).ok_or(RpcValidatorError::UnknownEpoch)?,
    };
    let producers = chain.epochs().block_producers(&epoch.validators);
    let list: Vec<ValidatorStakeView> =
        producers.iter().cloned().map(ValidatorStakeView::from).collect();
    to_value(list)
}

/// `maintenance_windows`: the heights of this epoch, from the head on, at which an account produces
/// nothing. This node's validator produces every block, and nobody else produces any.
pub(super) fn maintenance_windows(node: &Node, params: Value) -> Answer {
    let RpcMaintenanceWindowsRequest { account_id } = parse(params)?;
    let chain = node.chain();
    let rest = chain.head().height()..chain.epochs().expected_end();
    let mut windows = RpcMaintenanceWindowsResponse::new();
    if account_id != *chain.signer().validator_id() && !rest.is_empty() {
        windows.push(rest);
    }
    to_value(windows)
}
