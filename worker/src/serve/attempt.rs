//! One request, from its record to its settlement.

use std::{sync::Arc, time::Instant};

use outlayer_client::{At, Block, BlockId};
use outlayer_guest::{Code, Execution, Fault, Job};
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, RequestId, Status, machine::LiveRequest,
    secrets::NOT_AS_COMMITTED, views::RequestView,
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{
    Stage, agreement,
    alone::{self, Served},
    error::{ExecutionError, ServeError},
    secrets::{Opened, SecretsError},
    services::Services,
    stage::{
        confirm,
        execute::ExecutionPlace,
        fetch::{self, Fetched},
    },
};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// This worker had a part in the request, and it is settled.
    Settled,
    /// The request is not live, or somebody has answered it.
    Over,
    /// The request's deadline has passed, or is too near for an answer.
    Expired,
    /// This worker has no part in the request before this height; `None` means that it never will.
    NotNow {
        /// The height.
        until: Option<u64>,
    },
}

/// What an execution gave.
pub(super) struct Executed {
    /// The body that answers the request.
    pub(super) response: ExecutionResponse,
    /// The digest of the record, computed from the request that was executed. The contract computes
    /// it from its own request, and refuses the answer if they differ.
    pub(super) digest: Hash32,
    /// The room that the body takes until it is sent.
    _room: Option<OwnedSemaphorePermit>,
}

impl Executed {
    /// The body that answers `request`, once there is room for it.
    pub(super) async fn answer(
        services: &Services,
        request: &LiveRequest,
        response: ExecutionResponse,
    ) -> Self {
        let digest = ExecutionRecord::new(request, &response).digest();
        let (request_id, status) = (request.id(), response.status.name());
        tracing::info!(
            request = request_id, %digest, status, used = %response.used,
            output_bytes = response.output.len(), reads = response.reads.len(),
            writes = response.journal.len(), transcript_bytes = response.transcript.len(),
            "executed"
        );
        services.tell(Stage::Executed { request_id, digest, status, used: response.used });
        let room = services.room_for(&response).await;
        Self { response, digest, _room: room }
    }
}

/// A place among the requests that are made ready for their execution. It is free again when the
/// execution begins, and the loop is told.
pub(super) struct Preparing {
    place: Option<OwnedSemaphorePermit>,
    /// The place among those that are claimed, if it is claimed.
    claimed: Option<ExecutionPlace>,
    freed: Arc<Notify>,
}

impl Preparing {
    pub(super) fn new(place: OwnedSemaphorePermit, freed: Arc<Notify>) -> Self {
        Self { place: Some(place), claimed: None, freed }
    }

    /// Keeps the place of a request that is claimed.
    pub(super) fn claims(&mut self, place: ExecutionPlace) {
        self.claimed = Some(place);
    }

    /// Frees the place.
    pub(super) fn end(&mut self) {
        self.claimed = None;
        if self.place.take().is_some() {
            self.freed.notify_one();
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves one request.
pub(super) async fn serve(
    services: &Services,
    request_id: RequestId,
    mut preparing: Preparing,
) -> Result<Done, ServeError> {
    let Some(view) = services.records.get(request_id).await? else {
        return Ok(Done::Over);
    };
    services.tell(Stage::Loaded { request_id });
    // What is sent over the network cannot be taken back, nor what a guest was told, should a reorg
    // replace the request.
    let view = match &view.request.agreement {
        None if view.request.is_unprovable() => match services.once_final(request_id).await? {
            Some(view) => view,
            None => return Ok(Done::Over),
        },
        _ => view,
    };
    if view.request.agreement.is_some() {
        agreement::serve(services, request_id, &mut preparing).await
    } else {
        match alone::serve(services, view, &mut preparing).await? {
            Served::Done(done) => Ok(done),
            Served::Answered(answer) => confirm::settled(services, request_id, answer).await,
        }
    }
}

/// Loads the code of `view`, unless this worker does not have the engine that the request needs.
pub(super) async fn fetch(services: &Services, view: &RequestView) -> Result<Fetched, ServeError> {
    services.engines.of(&view.request).map_err(ExecutionError::from)?;
    let fetched = fetch::code(services, view).await?;
    let code_bytes = fetched.bytes.len();
    services.tell(Stage::Fetched { request_id: view.request.id(), code_bytes });
    Ok(fetched)
}

/// Executes the request of `view`, when there is a place for it, and makes the body that answers
/// it. The snapshot is that after `block`, or else that after the block which is the newest when
/// the execution begins. `None` means that no answer could land any more.
pub(super) async fn execute(
    services: &Services,
    view: &RequestView,
    code: &Fetched,
    opened: Option<&Opened>,
    block: Option<BlockId>,
    preparing: &mut Preparing,
) -> Result<Option<Executed>, ServeError> {
    let request = &view.request;
    let request_id = request.id();
    let secrets = match opened {
        None => None,
        Some(Opened::Secrets(secrets)) => Some(secrets),
        Some(Opened::NotAsCommitted) => {
            let job = Job::of_live(Code::hashed(request.code.hash, &[]), request, &view.input);
            let reason = NOT_AS_COMMITTED.to_owned();
            let execution = Execution::without_running(&job, Status::Trapped { reason });
            let response = execution.into_response(request_id);
            return Ok(Some(Executed::answer(services, request, response).await));
        }
    };
    let Some(place) = services.pool.place(services.waiting(request)).await else {
        return Ok(None);
    };
    preparing.end();
    let contract = services.contract_of(request);
    let block = match block {
        Some(block) => block,
        None if secrets.is_some() => {
            let Block { height, hash, .. } = contract.node().block(At::Final).await?;
            BlockId { height, hash }
        }
        None => services.look().block,
    };
    let is_over = services.is_past(request.terms.deadline);
    services.tell(Stage::Executing { request_id });
    let began = Instant::now();
    let limits = (At::Hash(block.hash), is_over);
    let bytes = Arc::clone(&code.bytes);
    let executed = services.pool.execute(place, contract, view, bytes, secrets, limits).await;
    let (execution, place) = match executed {
        Err(ExecutionError::Fault(Fault::Deadline(_)))
            if !services.look().time().can_land(request.terms.deadline) =>
        {
            tracing::warn!(
                request = request_id, took = ?began.elapsed(), deadline = request.terms.deadline,
                "the execution was ended, because its answer could no longer land"
            );
            return Ok(None);
        }
        executed => executed?,
    };
    // Waiting for a server says nothing about how fast this machine is.
    if request.http.is_none() {
        services.measured(execution.used, began.elapsed());
    }
    // A guest may write down what it was given.
    if secrets.is_none() {
        tracing::debug!(logs = %String::from_utf8_lossy(&execution.logs), "the guest's logs");
    }
    if !execution.backtrace.is_empty() {
        tracing::info!(
            request = request_id, status = execution.status.name(), at = %execution.backtrace,
            "where the guest trapped, innermost function first"
        );
    }
    let response = match secrets {
        Some(secrets) => secrets.response(execution, request_id),
        None => execution.into_response(request_id),
    };
    tracing::debug!(request = request_id, snapshot = block.height, "the snapshot that it read");
    let executed = Executed::answer(services, request, response).await;
    // Nothing more is executed while there is no room for what it gives.
    drop(place);
    if !services.config.submit_delay.is_zero() {
        tokio::time::sleep(services.config.submit_delay).await;
    }
    Ok(Some(executed))
}

/// What came of opening the secrets of a request.
pub(super) enum Opening {
    /// It has none, or they are opened.
    Done(Option<Opened>),
    /// This worker will not be able to open them.
    Never,
}

/// Opens the secrets of a request. This comes before anything else is done about it: a request
/// whose secrets cannot be opened may be made for nothing but the work that it makes.
pub(super) async fn open(services: &Services, view: &RequestView) -> Result<Opening, ServeError> {
    if view.request.secrets.is_none() {
        return Ok(Opening::Done(None));
    }
    let opened = match &services.opener {
        Some(opener) => opener.open(view).await,
        None => Err(SecretsError::NoKey),
    };
    match opened {
        Ok(opened) => Ok(Opening::Done(opened)),
        Err(error) if error.may_pass() => Err(error.into()),
        Err(error) => {
            tracing::warn!(request = view.request.id(), %error, "it is left to other workers");
            Ok(Opening::Never)
        }
    }
}
