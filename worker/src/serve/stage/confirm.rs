//! Waits until requests are settled. Each look at the index of live requests answers for all of
//! them, so nothing is asked for a single request.

use outlayer_client::CryptoHash;
use outlayer_protocol::{
    RequestId,
    machine::{LiveRequest, Phase},
};

use super::{
    super::{attempt::Done, error::ServeError, services::Services},
    discover::Liveness,
};

/// How many blocks an answered request may stay live in final blocks until its record is looked at.
/// It may look so because a node lags, or after a reorg.
const PATIENCE_BLOCKS: u64 = 12;
/// How many blocks an answered request is waited for: its yield has timed out by then.
const MOST_BLOCKS: u64 = 420;

/// Waits until a request that was answered, by the transaction `answer` of this worker or by
/// somebody else, is settled in a block that no reorg replaces.
pub(crate) async fn settled(
    services: &Services,
    request_id: RequestId,
    answer: Option<CryptoHash>,
) -> Result<Done, ServeError> {
    let _waiting = services.await_final();
    let since = services.newest_height();
    let mut suspicious = since.saturating_add(PATIENCE_BLOCKS);
    loop {
        let look = services.next_look().await;
        let height = look.block.height;
        let gone = match look.shows_finally(request_id, since) {
            Liveness::Gone => return Ok(Done::Settled),
            Liveness::Live => false,
            Liveness::Unknown => look.shows(request_id) == Liveness::Gone,
        };
        if gone || height < suspicious {
            continue;
        }
        suspicious = height.saturating_add(PATIENCE_BLOCKS);
        let at = services.config.discover_at;
        let (block, view) = services.contract.request_in_block(request_id, at).await?;
        if block.height < since.saturating_add(PATIENCE_BLOCKS) {
            // Another node than the one that gave the block has answered, and it lags. It may show
            // the request as it was before the answer.
            continue;
        }
        let Some(view) = view else {
            if services.is_over_finally(request_id, since).await? {
                return Ok(Done::Settled);
            }
            continue;
        };
        let phase = &view.request.phase;
        let is_patient = height <= since.saturating_add(MOST_BLOCKS);
        if is_patient
            && *phase == Phase::Pending
            && let Some(answer) = answer
            && !is_before(services, answer, block.height).await
        {
            // All nodes that were asked for blocks may lag by more than this worker can see.
            continue;
        }
        if *phase == Phase::Pending || !is_patient {
            let polls = u32::try_from(height.saturating_sub(since)).unwrap_or(u32::MAX);
            return Err(ServeError::Unsettled { phase: phase.name(), blocks: polls });
        }
    }
}

/// Whether a transaction is in a block below this height, or in none. Where that cannot be told, it
/// is taken not to be so: it is asked again.
async fn is_before(services: &Services, transaction: CryptoHash, height: u64) -> bool {
    match services.account.height_of(transaction).await {
        Ok(found) => found.is_none_or(|found| found < height),
        Err(error) => {
            tracing::debug!(%transaction, %error, "the block of an answer is not known");
            false
        }
    }
}

/// Waits until the index of a block after the request's own does not list it any more. A node that
/// lags may show older blocks, which do not list it yet.
pub(crate) async fn gone(services: &Services, request: &LiveRequest) {
    loop {
        let look = services.next_look().await;
        let is_later = look.block.height > request.context.block_height;
        if is_later && look.shows(request.id()) == Liveness::Gone {
            return;
        }
    }
}
