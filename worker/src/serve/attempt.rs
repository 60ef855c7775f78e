//! One request, from its execution to its settlement.

use outlayer_client::{At, Block};
use outlayer_guest::check_version;
use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, Hash32, RequestId, views::RequestView,
};

use super::{Stage, agreement, alone, error::ServeError, services::Services};
use crate::pool::ExecutionError;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// This worker had a part in the request, and it is settled.
    Settled,
    /// The request is not live, or somebody has answered it.
    Over,
    /// The request's deadline has passed.
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
}

/// How many times an answered request is looked at until it must be settled.
pub(super) const CONFIRM_POLLS: u32 = 240;

/// Serves one request.
pub(super) async fn serve(services: &Services, request_id: RequestId) -> Result<Done, ServeError> {
    match services.contract.request(request_id, At::Optimistic).await? {
        None => Ok(Done::Over),
        Some(view) if view.request.agreement.is_some() => {
            agreement::serve(services, request_id).await
        }
        Some(_) => alone::serve(services, request_id).await,
    }
}

/// Executes the request of `view` on the snapshot after `block`, and makes the body that answers
/// it.
pub(super) async fn execute(
    services: &Services,
    view: &RequestView,
    block: Block,
) -> Result<Executed, ServeError> {
    let request = &view.request;
    check_version(request).map_err(ExecutionError::from)?;
    let contract = &services.contract;
    let code = services.codes.load(&request.code, contract, services.config.discover_at).await?;
    let execution = services.pool.execute(contract, view, code, At::Hash(block.hash)).await?;
    tracing::debug!(logs = %String::from_utf8_lossy(&execution.logs), "the guest's logs");
    let response = execution.into_response(request.id());
    let digest = ExecutionRecord::new(request, &response).digest();
    tracing::info!(
        request = request.id(), %digest, status = response.status.name(), used = %response.used,
        output_bytes = response.output.len(), reads = response.reads.len(),
        writes = response.journal.len(), snapshot = block.height, "executed"
    );
    services.tell(Stage::Executed {
        request_id: request.id(),
        digest,
        status: response.status.name(),
        used: response.used,
    });
    if !services.config.submit_delay.is_zero() {
        tokio::time::sleep(services.config.submit_delay).await;
    }
    Ok(Executed { response, digest })
}
