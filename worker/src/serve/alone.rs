//! Serves a request that one worker answers: fetch, claim, execute, submit, confirm.

use outlayer_client::CryptoHash;
use outlayer_protocol::{
    machine::{LiveRequest, Phase},
    views::RequestView,
};

use super::{
    Stage,
    attempt::{self, Done, Executed, Opening, Preparing},
    error::ServeError,
    services::Services,
    stage::{
        claim, confirm,
        submit::{
            self, Sent,
            refusal::{Advice, advice},
        },
    },
};

/// How serving a request went.
pub(super) enum Served {
    /// The attempt has ended.
    Done(Done),
    /// The request is answered, and only waits for its settlement. Nothing of it is kept in memory
    /// then but this worker's transaction, if it was that which answered.
    Answered(Option<CryptoHash>),
}

/// What follows an execution.
enum AfterExecution {
    /// The attempt has ended.
    Done(Done),
    /// The request is answered, by this transaction or by somebody else.
    Answered(Option<CryptoHash>),
    /// The request must be executed again, on a newer block, for this reason.
    Again(String),
}

/// Serves the request of `view`, which was just loaded.
pub(super) async fn serve(
    services: &Services,
    view: RequestView,
    preparing: &mut Preparing,
) -> Result<Served, ServeError> {
    let request_id = view.request.id();
    if !is_pending(services, &view.request).await? {
        // Somebody has answered or cancelled it before this attempt.
        return Ok(Served::Done(Done::Over));
    }
    let opened = match attempt::open(services, &view).await? {
        Opening::Done(opened) => opened,
        Opening::Never => return Ok(Served::Done(Done::NotNow { until: None })),
    };
    let code = attempt::fetch(services, &view).await?;
    if let Some(done) = claim::take(services, &view.request, preparing).await? {
        return Ok(Served::Done(done));
    }
    let mut tries: u32 = 0;
    loop {
        // The snapshot is that after the newest block. The contract compares what was read with the
        // current values when the answer is submitted, so it does not matter whether a reorg
        // replaces this block.
        let executed =
            attempt::execute(services, &view, &code, opened.as_ref(), None, preparing).await?;
        let Some(executed) = executed else {
            return Ok(Served::Done(Done::Expired));
        };
        let submitted = tokio::select! {
            biased;
            submitted = submit(services, &view.request, &executed) => submitted?,
            // Its call may still be under way, and has nothing left to answer.
            () = confirm::gone(services, &view.request) => AfterExecution::Answered(None),
        };
        match submitted {
            AfterExecution::Done(done) => return Ok(Served::Done(done)),
            AfterExecution::Answered(answer) => return Ok(Served::Answered(answer)),
            AfterExecution::Again(reason) => {
                tries = tries.saturating_add(1);
                tracing::info!(request = request_id, %reason, tries, "executing again");
                services.tell(Stage::Again { request_id, reason });
                // What was read may change with the next block.
                services.pause().await;
                match services.newest.get(request_id).await? {
                    None => return Ok(Served::Done(Done::Over)),
                    Some(now) if now.request.phase != Phase::Pending => {
                        return Ok(Served::Answered(None));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// Whether the request still waits for an answer in the newest block.
async fn is_pending(services: &Services, request: &LiveRequest) -> Result<bool, ServeError> {
    if request.phase != Phase::Pending {
        return Ok(false);
    }
    if services.is_optimistic() {
        return Ok(true);
    }
    let newest = services.newest.get(request.id()).await?;
    Ok(newest.is_some_and(|newest| newest.request.phase == Phase::Pending))
}

/// Why the request is executed again when its parts were not sent to the end, and it turns out to
/// be pending after all.
const OVERTAKEN: &str = "the request was answered while its body was sent";

/// How many times a body is sent again that waits for the readers of a key that it writes. The key
/// is closed to new readers for a few blocks only.
const MOST_WAITS: u32 = 20;

/// Submits the answer, as often as it is told to wait.
async fn submit(
    services: &Services,
    request: &LiveRequest,
    executed: &Executed,
) -> Result<AfterExecution, ServeError> {
    for _ in 0..=MOST_WAITS {
        let called = match submit::send(services, request, executed, None).await? {
            Sent::Over => return refused(services, request, OVERTAKEN.to_owned()).await,
            Sent::Wait => {
                services.pause().await;
                continue;
            }
            Sent::Answered(called) => called,
        };
        return match called.result {
            Ok(_) => Ok(AfterExecution::Answered(Some(called.transaction))),
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
    let Some(now) = services.newest.get(request.id()).await? else {
        return Ok(AfterExecution::Done(Done::Over));
    };
    if now.request.phase != Phase::Pending {
        return Ok(AfterExecution::Answered(None));
    }
    if request.is_expired(services.height().await?) {
        return Ok(AfterExecution::Done(Done::Expired));
    }
    match advice(&reason) {
        Advice::ExecuteAgain | Advice::LookAgain => Ok(AfterExecution::Again(reason)),
        // The contract says that the request is over, and the node has not seen this yet.
        Advice::Over => Ok(AfterExecution::Answered(None)),
        Advice::Report => Err(ServeError::Refused { reason }),
    }
}
