//! Serves a request that one worker answers: execute, and submit.

use outlayer_client::{At, ChainError};
use outlayer_protocol::{
    RequestId,
    machine::{LiveRequest, Phase},
    views::RequestView,
};

use super::{
    Stage,
    attempt::{CONFIRM_POLLS, Done, Executed, execute},
    error::ServeError,
    refusal::{Advice, advice},
    services::Services,
    submit::{self, Sent},
};

/// What follows an execution.
enum AfterExecution {
    /// The attempt has ended.
    Done(Done),
    /// The request must be executed again, on a newer block, for this reason.
    Again(String),
}

/// How many times a request may look pending before the answer that the contract took counts as
/// lost. It may look so because a node behind a load balancer lags, or after a reorg.
const UNTOUCHED_POLLS: u32 = 12;

/// Serves one request.
pub(super) async fn serve(services: &Services, request_id: RequestId) -> Result<Done, ServeError> {
    let mut tries: u32 = 0;
    loop {
        let Some(view) = look(services, request_id).await? else {
            return Ok(Done::Over);
        };
        if view.request.phase != Phase::Pending && tries == 0 {
            // Somebody has answered or cancelled it before this attempt.
            return Ok(Done::Over);
        }
        if view.request.phase != Phase::Pending {
            return confirm(services, &view.request).await;
        }
        let height = services.height().await?;
        if view.request.is_expired(height) {
            return Ok(Done::Expired);
        }
        // The newest block. The contract compares what was read with the current values when the
        // answer is submitted, so it does not matter whether a reorg replaces this block.
        let newest = services.contract.node().block(At::Optimistic).await?;
        let executed = execute(services, &view, newest).await?;
        match submit(services, &view.request, &executed).await? {
            AfterExecution::Done(done) => return Ok(done),
            AfterExecution::Again(reason) => {
                tries = tries.saturating_add(1);
                tracing::info!(%reason, tries, "executing again");
                services.tell(Stage::Again { request_id, reason });
                tokio::time::sleep(
                    services.config.backoff.wait(tries).min(services.config.poll_interval * 4),
                )
                .await;
            }
        }
    }
}

/// The request as it stands in a block that no reorg replaces, with the phase of the newest block.
async fn look(
    services: &Services,
    request_id: RequestId,
) -> Result<Option<RequestView>, ChainError> {
    let contract = &services.contract;
    let Some(newest) = contract.request(request_id, At::Optimistic).await? else {
        return Ok(None);
    };
    let Some(mut view) = contract.request(request_id, services.config.discover_at).await? else {
        return Ok(None);
    };
    view.request.phase = newest.request.phase;
    Ok(Some(view))
}

/// Why the request is executed again when its parts were not sent to the end, and it turns out to
/// be pending after all.
const OVERTAKEN: &str = "the request was answered while its body was sent";

/// How many times a body is sent again that waits for the readers of a key that it writes. The key
/// is closed to new readers for a few blocks only.
const MOST_WAITS: u32 = 20;

/// Submits the answer, as often as it is told to wait, and waits for the settlement.
async fn submit(
    services: &Services,
    request: &LiveRequest,
    executed: &Executed,
) -> Result<AfterExecution, ServeError> {
    for _ in 0..=MOST_WAITS {
        let called = match submit::send(services, request, executed, None).await? {
            Sent::Over => return refused(services, request, OVERTAKEN.to_owned()).await,
            Sent::Wait => {
                tokio::time::sleep(services.config.poll_interval).await;
                continue;
            }
            Sent::Answered(called) => called,
        };
        return match called.result {
            Ok(_) => confirm(services, request).await.map(AfterExecution::Done),
            Err(reason) => refused(services, request, reason).await,
        };
    }
    Ok(AfterExecution::Again("others read a key that it writes".to_owned()))
}

/// What follows when the contract did not take the answer. How the request stands is read from the
/// chain; the refusal only says what might help.
async fn refused(
    services: &Services,
    request: &LiveRequest,
    reason: String,
) -> Result<AfterExecution, ServeError> {
    let Some(now) = services.contract.request(request.id(), At::Optimistic).await? else {
        return Ok(AfterExecution::Done(Done::Over));
    };
    if now.request.phase != Phase::Pending {
        return confirm(services, request).await.map(AfterExecution::Done);
    }
    if request.is_expired(services.height().await?) {
        return Ok(AfterExecution::Done(Done::Expired));
    }
    match advice(&reason) {
        Advice::ExecuteAgain | Advice::LookAgain => Ok(AfterExecution::Again(reason)),
        // The contract says that the request is over, and the node has not seen this yet.
        Advice::Over => confirm(services, request).await.map(AfterExecution::Done),
        Advice::Report => Err(ServeError::Refused { reason }),
    }
}

/// Waits until an answered request is settled.
async fn confirm(services: &Services, request: &LiveRequest) -> Result<Done, ServeError> {
    let mut untouched = 0;
    let mut phase = "unknown";
    for _ in 0..CONFIRM_POLLS {
        match services.contract.request(request.id(), services.config.discover_at).await? {
            None => return Ok(Done::Settled),
            Some(now) => {
                phase = now.request.phase.name();
                untouched += u32::from(now.request.phase == Phase::Pending);
                if untouched >= UNTOUCHED_POLLS {
                    return Err(ServeError::Unsettled { phase, polls: untouched });
                }
            }
        }
        tokio::time::sleep(services.config.poll_interval).await;
    }
    Err(ServeError::Unsettled { phase, polls: CONFIRM_POLLS })
}
