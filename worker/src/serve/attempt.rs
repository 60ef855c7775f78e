//! One request, from its execution to its settlement.

use outlayer_client::{At, CallOutcome, ChainError};
use outlayer_guest::check_version;
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, NearToken, RequestId,
    machine::{LiveRequest, Phase, Taken},
    methods,
    views::RequestView,
};

use super::{
    Stage,
    approvals::{self, Agreement},
    error::ServeError,
    parts::{self, Sent},
    refusal::{Advice, advice},
    services::Services,
};
use crate::pool::ExecutionError;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The request was answered and is settled.
    Settled,
    /// The request is not live, or somebody has answered it.
    Over,
    /// The request's deadline has passed.
    Expired,
}

/// What follows an execution.
enum AfterExecution {
    /// The attempt has ended.
    Done(Done),
    /// The request must be executed again, on a newer block, for this reason.
    Again(String),
}

/// How many times an answered request is looked at until it must be settled.
const CONFIRM_POLLS: u32 = 240;
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
        let response = execute(services, &view, tries).await?;
        if !services.config.submit_delay.is_zero() {
            tokio::time::sleep(services.config.submit_delay).await;
        }
        match answer(services, &view.request, &response).await? {
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

/// The request as it stands in a block that no reorg replaces, with the phase and the commitments
/// of the newest block.
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
    view.request.commitments = newest.request.commitments;
    view.request.public_digests = newest.request.public_digests;
    Ok(Some(view))
}

/// Executes the request on a snapshot, and makes the body that answers it.
async fn execute(
    services: &Services,
    view: &RequestView,
    tries: u32,
) -> Result<ExecutionResponse, ServeError> {
    let request = &view.request;
    check_version(request).map_err(ExecutionError::from)?;
    let contract = &services.contract;
    let code = services.codes.load(&request.code, contract, services.config.discover_at).await?;
    let at = if request.approvals > 1 {
        approvals::common_block(services, request, tries).await?
    } else {
        // The newest block. The contract compares what was read with the current values when the
        // answer is submitted, so it does not matter whether a reorg replaces this block.
        contract.node().block(At::Optimistic).await?
    };
    let execution = services.pool.execute(contract, view, code, At::Hash(at.hash)).await?;
    tracing::debug!(logs = %String::from_utf8_lossy(&execution.logs), "the guest's logs");
    let response = execution.into_response(request.id());
    let digest = ExecutionRecord::new(request, &response).digest();
    tracing::info!(
        request = request.id(), %digest, status = response.status.name(), used = %response.used,
        output_bytes = response.output.len(), reads = response.reads.len(),
        writes = response.journal.len(), snapshot = at.height, "executed"
    );
    services.tell(Stage::Executed {
        request_id: request.id(),
        digest,
        status: response.status.name(),
        used: response.used,
    });
    Ok(response)
}

/// Commits where several must agree, then submits and waits for the settlement.
async fn answer(
    services: &Services,
    request: &LiveRequest,
    response: &ExecutionResponse,
) -> Result<AfterExecution, ServeError> {
    if request.approvals > 1 {
        let digest: Hash32 = ExecutionRecord::new(request, response).digest();
        match approvals::agree(services, request, &digest).await? {
            Agreement::Submit => {}
            Agreement::Void => {
                return Ok(AfterExecution::Again("the commitments were void".to_owned()));
            }
            Agreement::Answered => {
                return confirm(services, request).await.map(AfterExecution::Done);
            }
            Agreement::Expired => return Ok(AfterExecution::Done(Done::Expired)),
        }
    }
    submit(services, request, response).await
}

/// Why the request is executed again when its parts were not sent to the end, and it turns out to
/// be pending after all.
const OVERTAKEN: &str = "the request was answered while its body was sent";

/// How many times a body is sent again that waits for the readers of a key that it writes. The key
/// is closed to new readers for a few blocks only.
const MOST_WAITS: u32 = 20;

/// Sends the body once.
async fn send(
    services: &Services,
    request: &LiveRequest,
    response: &ExecutionResponse,
) -> Result<Sent, ServeError> {
    let body = borsh::to_vec(response)?;
    if body.len() > parts::PART_BYTES {
        return parts::send(services, request, response, &body).await;
    }
    let (account, contract) = (&services.account, services.contract.id());
    let (gas, nothing) = (services.config.gas, NearToken::from_yoctonear(0));
    Ok(Sent::Answered(
        account.call(contract, methods::RESOLVE_EXECUTION, body, gas, nothing).await?,
    ))
}

/// Whether the contract has said that the same body should come again.
fn must_wait(called: &CallOutcome) -> bool {
    let said = |value: &Vec<u8>| serde_json::from_slice(value).ok();
    called.result.as_ref().ok().and_then(said) == Some(Taken::Wait)
}

async fn submit(
    services: &Services,
    request: &LiveRequest,
    response: &ExecutionResponse,
) -> Result<AfterExecution, ServeError> {
    let request_id = request.id();
    let contract = &services.contract;
    let mut waits = 0;
    let called = loop {
        match send(services, request, response).await? {
            Sent::Over => return refused(services, request, OVERTAKEN.to_owned()).await,
            Sent::Answered(called) if !must_wait(&called) => break called,
            Sent::Answered(_) if waits >= MOST_WAITS => {
                return Ok(AfterExecution::Again("others read a key that it writes".to_owned()));
            }
            Sent::Answered(called) => {
                waits += 1;
                tracing::info!(transaction = %called.transaction, waits, "waiting for readers");
                tokio::time::sleep(services.config.poll_interval).await;
            }
        }
    };
    match called.result {
        Ok(_) => {
            tracing::info!(transaction = %called.transaction, gas = called.gas_burnt, "submitted");
            services.tell(Stage::Submitted {
                request_id,
                transaction: called.transaction,
                gas_burnt: called.gas_burnt,
            });
            // A body that meets a conflict makes the commitments void, and its call succeeds.
            if request.approvals > 1
                && let Some(now) = contract.request(request_id, At::Optimistic).await?
                && now.request.phase == Phase::Pending
            {
                return Ok(AfterExecution::Again("the body was not staged".to_owned()));
            }
            confirm(services, request).await.map(AfterExecution::Done)
        }
        Err(reason) => refused(services, request, reason).await,
    }
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
