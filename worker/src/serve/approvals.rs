//! Requests that several workers must agree on: commit first, then one of them submits.

use outlayer_protocol::{
    AccountId, Hash32, NearToken,
    machine::{LiveRequest, Phase},
    record::commitment,
};
use serde_json::json;

use super::{
    Stage,
    attempt::ServeError,
    refusal::{Advice, advice},
    worker::Shared,
};
use crate::chain::{At, Block, ChainError};

/// What came of a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Enough stand behind the digest, and it is this worker's turn to submit the body.
    Submit,
    /// This worker's commitment is gone: a key that was read has changed.
    Void,
    /// The request is answered, cancelled or settled.
    Answered,
    /// Its deadline has passed.
    Expired,
}

/// After a conflict all workers execute again at the next height that is a multiple of this.
const ROUND_BLOCKS: u64 = 8;
/// How often a commitment may be missing from the view before it counts as void; a node may lag.
const MISSING_LOOKS: u32 = 3;

/// A snapshot that every worker chooses alike, without talking to each other: at first the request's own block, after a
/// conflict the first block of the next round.
pub(super) async fn common_block(
    shared: &Shared,
    request: &LiveRequest,
    tries: u32,
) -> Result<Block, ChainError> {
    let node = shared.contract.node();
    if tries == 0 {
        return node.block(At::Height(request.context.block_height)).await;
    }
    let first = next_round(shared.height().await?);
    loop {
        let newest = node.block(At::Optimistic).await?;
        for height in first..=newest.height.min(first.saturating_add(ROUND_BLOCKS)) {
            match node.block(At::Height(height)).await {
                // A height without a block.
                Err(ChainError::UnknownBlock { .. }) => {}
                found => return found,
            }
        }
        if newest.height > first.saturating_add(ROUND_BLOCKS) {
            return Ok(newest);
        }
        tokio::time::sleep(shared.config.poll_interval).await;
    }
}

fn next_round(height: u64) -> u64 {
    (height / ROUND_BLOCKS).saturating_add(1).saturating_mul(ROUND_BLOCKS)
}

/// Commits to `digest`, and waits until the body may be submitted.
pub(super) async fn agree(
    shared: &Shared,
    request: &LiveRequest,
    digest: &Hash32,
) -> Result<Agreement, ServeError> {
    let me = shared.account.id();
    let (mut committed, mut missing) = (false, 0);
    let mut agreed_since: Option<u64> = None;
    loop {
        let Some(now) = shared.contract.request(request.id(), At::Optimistic).await? else {
            return Ok(Agreement::Answered);
        };
        let now = now.request;
        if now.phase != Phase::Pending {
            return Ok(Agreement::Answered);
        }
        let height = shared.height().await?;
        if height > now.terms.deadline {
            return Ok(Agreement::Expired);
        }
        match standing(&now, digest, me) {
            Standing::Absent if committed => {
                missing += 1;
                if missing >= MISSING_LOOKS {
                    return Ok(Agreement::Void);
                }
            }
            Standing::Absent if !now.public_digests.contains(digest) => {
                committed = commit(shared, &now, digest).await?;
                if committed {
                    continue;
                }
            }
            Standing::Absent => {}
            Standing::Present { agreeing, place } => {
                (committed, missing) = (true, 0);
                if agreeing >= usize::from(now.approvals) {
                    let since = *agreed_since.get_or_insert(height);
                    let place = u64::try_from(place).unwrap_or(u64::MAX);
                    if height
                        >= since.saturating_add(place.saturating_mul(shared.config.step_in_blocks))
                    {
                        return Ok(Agreement::Submit);
                    }
                }
            }
        }
        tokio::time::sleep(shared.config.poll_interval).await;
    }
}

/// Where this worker stands among the commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not committed.
    Absent,
    /// It has.
    Present {
        /// Commitments to its digest, its own among them unless it committed to another one before.
        agreeing: usize,
        /// Its place among those.
        place: usize,
    },
}

fn standing(request: &LiveRequest, digest: &Hash32, me: &AccountId) -> Standing {
    if !request.commitments.iter().any(|one| one.worker_id == *me) {
        return Standing::Absent;
    }
    let agreeing: Vec<_> = request
        .commitments
        .iter()
        .filter(|one| one.hash == commitment(digest, &one.worker_id))
        .map(|one| &one.worker_id)
        .collect();
    let place = agreeing.iter().position(|id| *id == me).unwrap_or(agreeing.len());
    Standing::Present { agreeing: agreeing.len(), place }
}

/// Sends the commitment; whether it was taken.
async fn commit(
    shared: &Shared,
    request: &LiveRequest,
    digest: &Hash32,
) -> Result<bool, ServeError> {
    let request_id = request.id();
    let hash = commitment(digest, shared.account.id());
    let args = json!({ "request_id": request_id, "commitment": hash }).to_string().into_bytes();
    let nothing = NearToken::from_yoctonear(0);
    let contract = shared.contract.id();
    let called =
        shared.account.call(contract, "commit_execution", args, shared.config.gas, nothing).await?;
    match called.result {
        Ok(_) => {
            tracing::info!(transaction = %called.transaction, "committed");
            shared.tell(Stage::Committed { request_id, transaction: called.transaction });
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
    use outlayer_protocol::machine::Commitment;

    use super::*;
    use crate::testing;

    #[test]
    fn only_commitments_to_the_same_digest_count() {
        let (mine, other) = (Hash32::of(b"mine"), Hash32::of(b"other"));
        let id = |name: &str| -> AccountId { format!("{name}.near").parse().unwrap() };
        let commit =
            |name, digest| Commitment { worker_id: id(name), hash: commitment(digest, &id(name)) };
        let mut request = testing::request_view(7, "").request;
        request.commitments = vec![commit("a", &other), commit("b", &mine), commit("c", &mine)];
        assert_eq!(
            standing(&request, &mine, &id("c")),
            Standing::Present { agreeing: 2, place: 1 }
        );
        assert_eq!(
            standing(&request, &mine, &id("b")),
            Standing::Present { agreeing: 2, place: 0 }
        );
        assert_eq!(standing(&request, &mine, &id("d")), Standing::Absent);
        // Committed to something else before: it may still submit what the others agree on, last.
        assert_eq!(
            standing(&request, &mine, &id("a")),
            Standing::Present { agreeing: 2, place: 2 }
        );
        // A copied commitment is bound to its author.
        request.commitments =
            vec![Commitment { worker_id: id("a"), hash: commitment(&mine, &id("b")) }];
        assert_eq!(
            standing(&request, &mine, &id("a")),
            Standing::Present { agreeing: 0, place: 0 }
        );
    }

    #[test]
    fn workers_that_meet_a_conflict_within_a_round_choose_one_block() {
        assert_eq!([16, 17, 23].map(next_round), [24, 24, 24]);
        assert_eq!(next_round(24), 32);
    }
}
