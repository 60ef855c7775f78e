//! Requests that several workers must agree on: commit first, then one of them submits.

use outlayer_client::{At, Block, ChainError};
use outlayer_protocol::{
    AccountId, Hash32, NearToken,
    machine::{LiveRequest, Phase},
    methods,
    record::commitment,
};
use serde_json::json;

use super::{
    Stage,
    error::ServeError,
    refusal::{Advice, advice},
    services::Services,
};

/// What came of a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Enough workers have committed to the digest, and it is this worker's turn to submit the
    /// body.
    Submit,
    /// This worker's commitment is gone: a key that was read has changed.
    Void,
    /// The request has been answered, cancelled or settled.
    Answered,
    /// Its deadline has passed.
    Expired,
}

/// After a conflict all workers execute again at the next height that is a multiple of this.
const ROUND_BLOCKS: u64 = 8;
/// How often a commitment may be missing from the view before it counts as void; a node may lag.
const MISSING_LOOKS: u32 = 3;

/// The block of a snapshot that every worker chooses alike, without talking to the others: the
/// request's own block at first, and after a conflict the first block of the next round.
pub(super) async fn common_block(
    services: &Services,
    request: &LiveRequest,
    tries: u32,
) -> Result<Block, ChainError> {
    let node = services.contract.node();
    if tries == 0 {
        return node.block(At::Height(request.context.block_height)).await;
    }
    let first = next_round(services.height().await?);
    loop {
        let newest = node.block(At::Optimistic).await?;
        for height in first..=newest.height.min(first.saturating_add(ROUND_BLOCKS)) {
            match node.block(At::Height(height)).await {
                // There is no block at this height.
                Err(ChainError::UnknownBlock { .. }) => {}
                found => return found,
            }
        }
        if newest.height > first.saturating_add(ROUND_BLOCKS) {
            return Ok(newest);
        }
        tokio::time::sleep(services.config.poll_interval).await;
    }
}

fn next_round(height: u64) -> u64 {
    (height / ROUND_BLOCKS).saturating_add(1).saturating_mul(ROUND_BLOCKS)
}

/// Commits to `digest`, and waits until the body may be submitted.
pub(super) async fn agree(
    services: &Services,
    request: &LiveRequest,
    digest: &Hash32,
) -> Result<Agreement, ServeError> {
    let me = services.account.id();
    let (mut committed, mut missing) = (false, 0);
    let mut agreed_since: Option<u64> = None;
    loop {
        let Some(now) = services.contract.request(request.id(), At::Optimistic).await? else {
            return Ok(Agreement::Answered);
        };
        let now = now.request;
        if now.phase != Phase::Pending {
            return Ok(Agreement::Answered);
        }
        let height = services.height().await?;
        if now.is_expired(height) {
            return Ok(Agreement::Expired);
        }
        match own_commitment(&now, digest, me) {
            OwnCommitment::Absent if committed => {
                missing += 1;
                if missing >= MISSING_LOOKS {
                    return Ok(Agreement::Void);
                }
            }
            OwnCommitment::Absent if !now.public_digests.contains(digest) => {
                committed = commit(services, &now, digest).await?;
                if committed {
                    continue;
                }
            }
            OwnCommitment::Absent => {}
            OwnCommitment::Present { agreeing, place } => {
                (committed, missing) = (true, 0);
                if agreeing >= usize::from(now.approvals) {
                    let since = *agreed_since.get_or_insert(height);
                    let place = u64::try_from(place).unwrap_or(u64::MAX);
                    if height
                        >= since
                            .saturating_add(place.saturating_mul(services.config.step_in_blocks))
                    {
                        return Ok(Agreement::Submit);
                    }
                }
            }
        }
        tokio::time::sleep(services.config.poll_interval).await;
    }
}

/// This worker's own commitment among those of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnCommitment {
    /// It has not committed.
    Absent,
    /// It has committed.
    Present {
        /// How many commitments there are to its digest. Its own is one of them, unless it has
        /// committed to another digest before.
        agreeing: usize,
        /// Its place among those.
        place: usize,
    },
}

fn own_commitment(request: &LiveRequest, digest: &Hash32, me: &AccountId) -> OwnCommitment {
    if !request.commitments.iter().any(|one| one.worker_id == *me) {
        return OwnCommitment::Absent;
    }
    let agreeing = request.supporters(digest);
    let place = agreeing.iter().position(|id| *id == me).unwrap_or(agreeing.len());
    OwnCommitment::Present { agreeing: agreeing.len(), place }
}

/// Sends the commitment. True when the contract took it.
async fn commit(
    services: &Services,
    request: &LiveRequest,
    digest: &Hash32,
) -> Result<bool, ServeError> {
    let request_id = request.id();
    let hash = commitment(digest, services.account.id());
    let args = json!({ "request_id": request_id, "commitment": hash }).to_string().into_bytes();
    let nothing = NearToken::from_yoctonear(0);
    let contract = services.contract.id();
    let called = services
        .account
        .call(contract, methods::COMMIT_EXECUTION, args, services.config.gas, nothing)
        .await?;
    match called.result {
        Ok(_) => {
            tracing::info!(transaction = %called.transaction, "committed");
            services.tell(Stage::Committed { request_id, transaction: called.transaction });
            Ok(true)
        }
        Err(reason) if advice(&reason) == Advice::Report => Err(ServeError::Refused { reason }),
        Err(reason) => {
            tracing::debug!(%reason, "the commitment was not taken");
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use outlayer_client::testing::request_view;
    use outlayer_protocol::machine::Commitment;

    use super::*;
    use crate::serve::tests::config_of_this_build;

    #[test]
    fn only_commitments_to_the_same_digest_count() {
        let (mine, other) = (Hash32::of(b"mine"), Hash32::of(b"other"));
        let id = |name: &str| -> AccountId { format!("{name}.near").parse().unwrap() };
        let commit =
            |name, digest| Commitment { worker_id: id(name), hash: commitment(digest, &id(name)) };
        let mut request = request_view(&config_of_this_build(), 7, "").request;
        request.commitments = vec![commit("a", &other), commit("b", &mine), commit("c", &mine)];
        assert_eq!(
            own_commitment(&request, &mine, &id("c")),
            OwnCommitment::Present { agreeing: 2, place: 1 }
        );
        assert_eq!(
            own_commitment(&request, &mine, &id("b")),
            OwnCommitment::Present { agreeing: 2, place: 0 }
        );
        assert_eq!(own_commitment(&request, &mine, &id("d")), OwnCommitment::Absent);
        // It committed to something else before. It may still submit what the others agree on, as
        // the last one.
        assert_eq!(
            own_commitment(&request, &mine, &id("a")),
            OwnCommitment::Present { agreeing: 2, place: 2 }
        );
        // A copied commitment is bound to its author.
        request.commitments =
            vec![Commitment { worker_id: id("a"), hash: commitment(&mine, &id("b")) }];
        assert_eq!(
            own_commitment(&request, &mine, &id("a")),
            OwnCommitment::Present { agreeing: 0, place: 0 }
        );
    }

    #[test]
    fn workers_that_meet_a_conflict_within_a_round_choose_one_block() {
        assert_eq!([16, 17, 23].map(next_round), [24, 24, 24]);
        assert_eq!(next_round(24), 32);
    }
}
