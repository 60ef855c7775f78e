//! One request, from its execution to its settlement.

use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, NearToken, RequestId,
    machine::{LiveRequest, Phase},
    views::RequestView,
};

use super::{
    Stage, approvals,
    approvals::Agreement,
    parts::{self, Sent},
    refusal::{Advice, advice},
    worker::Shared,
};
use crate::{
    chain::{At, ChainError, SendError},
    code::CodeError,
    engine::{self, EngineError},
};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was answered and is settled.
    Settled,
    /// It is not live, or somebody has answered it.
    Over,
    /// Its deadline has passed.
    Expired,
}

/// Why an attempt gave no answer. The request is looked at again while it lives.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the answer cannot be encoded: {0}")]
    Encode(#[from] std::io::Error),
    #[error("the contract refuses the answer: {reason}")]
    Refused { reason: String },
    #[error("the request is still {phase} after {polls} looks")]
    Unsettled { phase: &'static str, polls: u32 },
}

/// What follows a submission.
enum Next {
    Done(Done),
    /// Execute again, on a newer block.
    Again(String),
}

/// How often a request is looked at until it is settled.
const CONFIRM_POLLS: u32 = 240;
/// How often it may look untouched before an answer that the contract took counts as lost (a node behind a balancer may lag,
/// a block may have been replaced).
const UNTOUCHED_POLLS: u32 = 12;

/// Serves one request.
pub(super) async fn serve(shared: &Shared, request_id: RequestId) -> Result<Done, ServeError> {
    let mut tries: u32 = 0;
    loop {
        let Some(view) = look(shared, request_id).await? else {
            return Ok(Done::Over);
        };
        if view.request.phase != Phase::Pending {
            return confirm(shared, &view.request).await;
        }
        let height = shared.height().await?;
        if height > view.request.terms.deadline {
            return Ok(Done::Expired);
        }
        let response = execute(shared, &view, tries).await?;
        if !shared.config.submit_delay.is_zero() {
            tokio::time::sleep(shared.config.submit_delay).await;
        }
        match answer(shared, &view.request, &response).await? {
            Next::Done(done) => return Ok(done),
            Next::Again(reason) => {
                tries = tries.saturating_add(1);
                tracing::info!(%reason, tries, "executing again");
                shared.tell(Stage::Again { request_id, reason });
                tokio::time::sleep(
                    shared.config.backoff.wait(tries).min(shared.config.poll_interval * 4),
                )
                .await;
            }
        }
    }
}

/// The request as it stands in a block that will not be replaced, with the phase and the commitments of the newest one.
async fn look(shared: &Shared, request_id: RequestId) -> Result<Option<RequestView>, ChainError> {
    let contract = &shared.contract;
    let Some(newest) = contract.request(request_id, At::Optimistic).await? else {
        return Ok(None);
    };
    let Some(mut view) = contract.request(request_id, shared.config.discover_at).await? else {
        return Ok(None);
    };
    view.request.phase = newest.request.phase;
    view.request.commitments = newest.request.commitments;
    view.request.public_digests = newest.request.public_digests;
    Ok(Some(view))
}

/// Executes on a snapshot; the body that answers.
async fn execute(
    shared: &Shared,
    view: &RequestView,
    tries: u32,
) -> Result<ExecutionResponse, ServeError> {
    let request = &view.request;
    engine::check_version(request)?;
    let contract = &shared.contract;
    let code = shared.codes.load(&request.code, contract, shared.config.discover_at).await?;
    let at = if request.approvals > 1 {
        approvals::common_block(shared, request, tries).await?
    } else {
        // The newest block: what was read is compared with the current values when it is submitted, so nothing depends on
        // whether this block stays.
        contract.node().block(At::Optimistic).await?
    };
    let execution = shared.engine.execute(contract, view, code, At::Hash(at.hash)).await?;
    tracing::debug!(logs = %String::from_utf8_lossy(&execution.logs), "the guest's logs");
    let response = execution.into_response(request.id());
    let digest = ExecutionRecord::new(request, &response).digest();
    tracing::info!(
        request = request.id(), %digest, status = response.status.name(), used = %response.used,
        output_bytes = response.output.len(), reads = response.reads.len(), writes = response.journal.len(),
        snapshot = at.height, "executed"
    );
    shared.tell(Stage::Executed {
        request_id: request.id(),
        digest,
        status: response.status.name(),
        used: response.used,
    });
    Ok(response)
}

/// Commits where several must agree, then submits and waits for the settlement.
async fn answer(
    shared: &Shared,
    request: &LiveRequest,
    response: &ExecutionResponse,
) -> Result<Next, ServeError> {
    if request.approvals > 1 {
        let digest: Hash32 = ExecutionRecord::new(request, response).digest();
        match approvals::agree(shared, request, &digest).await? {
            Agreement::Submit => {}
            Agreement::Void => return Ok(Next::Again("the commitments were void".to_owned())),
            Agreement::Answered => return confirm(shared, request).await.map(Next::Done),
            Agreement::Expired => return Ok(Next::Done(Done::Expired)),
        }
    }
    submit(shared, request, response).await
}

/// Why parts are not sent any more, should the request turn out to be pending after all.
const OVERTAKEN: &str = "the request was answered while its body was sent";

async fn submit(
    shared: &Shared,
    request: &LiveRequest,
    response: &ExecutionResponse,
) -> Result<Next, ServeError> {
    let request_id = request.id();
    let body = borsh::to_vec(response)?;
    let contract = &shared.contract;
    let nothing = NearToken::from_yoctonear(0);
    let called = if body.len() > parts::PART_BYTES {
        match parts::send(shared, request, response, &body).await? {
            Sent::All(called) => called,
            Sent::Over => return refused(shared, request, OVERTAKEN.to_owned()).await,
        }
    } else {
        let account = &shared.account;
        account.call(contract.id(), "resolve_execution", body, shared.config.gas, nothing).await?
    };
    match called.result {
        Ok(_) => {
            tracing::info!(transaction = %called.transaction, gas = called.gas_burnt, "submitted");
            shared.tell(Stage::Submitted {
                request_id,
                transaction: called.transaction,
                gas_burnt: called.gas_burnt,
            });
            // A body that met a conflict made the commitments void; the call itself succeeds.
            if request.approvals > 1
                && let Some(now) = contract.request(request_id, At::Optimistic).await?
                && now.request.phase == Phase::Pending
            {
                return Ok(Next::Again("the body was not staged".to_owned()));
            }
            confirm(shared, request).await.map(Next::Done)
        }
        Err(reason) => refused(shared, request, reason).await,
    }
}

/// The contract did not take the answer: the chain says how the request stands, the text what might help.
async fn refused(
    shared: &Shared,
    request: &LiveRequest,
    reason: String,
) -> Result<Next, ServeError> {
    let Some(now) = shared.contract.request(request.id(), At::Optimistic).await? else {
        return Ok(Next::Done(Done::Over));
    };
    if now.request.phase != Phase::Pending {
        return confirm(shared, request).await.map(Next::Done);
    }
    if shared.height().await? > request.terms.deadline {
        return Ok(Next::Done(Done::Expired));
    }
    match advice(&reason) {
        Advice::ExecuteAgain | Advice::LookAgain => Ok(Next::Again(reason)),
        // The node that was asked has not seen yet what the contract says.
        Advice::Over => confirm(shared, request).await.map(Next::Done),
        Advice::Report => Err(ServeError::Refused { reason }),
    }
}

/// Waits until an answered request is settled.
async fn confirm(shared: &Shared, request: &LiveRequest) -> Result<Done, ServeError> {
    let mut untouched = 0;
    let mut phase = "unknown";
    for _ in 0..CONFIRM_POLLS {
        match shared.contract.request(request.id(), shared.config.discover_at).await? {
            None => return Ok(Done::Settled),
            Some(now) => {
                phase = now.request.phase.name();
                untouched += u32::from(now.request.phase == Phase::Pending);
                if untouched >= UNTOUCHED_POLLS {
                    return Err(ServeError::Unsettled { phase, polls: untouched });
                }
            }
        }
        tokio::time::sleep(shared.config.poll_interval).await;
    }
    Err(ServeError::Unsettled { phase, polls: CONFIRM_POLLS })
}
