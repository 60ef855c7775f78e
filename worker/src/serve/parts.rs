//! Submitting a body that no transaction carries: in parts, by the rules of [`outlayer_protocol::upload`].
//!
//! What is staged stands on the chain, so a worker that starts anew goes on where it was. A part that is sent twice does
//! no harm. While another worker has its turn, this one waits for what comes of it.

use outlayer_protocol::{
    ExecutionRecord, ExecutionResponse, NearToken, RefusalCode, ResponsePart,
    machine::{LiveRequest, Phase},
};

use super::{Stage, attempt::ServeError, worker::Shared};
use crate::chain::{At, CallOutcome};

/// The most that is sent in one transaction, bytes. A transaction may have 1,572,864; nodes take requests of about
/// 2,000,000 bytes, in which it stands in base64.
pub(super) const PART_BYTES: usize = 1 << 20;

/// How often a part may be refused for its place before the refusal is passed on.
const MOST_MISPLACED: u32 = 5;

/// How a body that comes in parts was taken.
pub(super) enum Sent {
    /// All of it: the contract said this to the last part.
    All(CallOutcome),
    /// The request is answered, cancelled or settled, or its deadline has passed.
    Over,
}

/// Where the next part starts.
enum Next {
    At(usize),
    /// Somebody else has its turn.
    Wait,
    Over,
}

/// Sends `body`, the borsh of `response`, part by part.
pub(super) async fn send(
    shared: &Shared,
    request: &LiveRequest,
    response: &ExecutionResponse,
    body: &[u8],
) -> Result<Sent, ServeError> {
    let request_id = request.id();
    let digest = ExecutionRecord::new(request, response).digest();
    let total_bytes = u32::try_from(body.len()).map_err(std::io::Error::other)?;
    let whole =
        ResponsePart { request_id, digest, total_bytes, offset: 0, bytes: Vec::new().into() };
    let mut misplaced = 0;
    'look: loop {
        let mut start = match next(shared, &whole).await? {
            Next::At(start) => start,
            Next::Over => return Ok(Sent::Over),
            Next::Wait => {
                tokio::time::sleep(shared.config.poll_interval).await;
                continue 'look;
            }
        };
        while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.get(..PART_BYTES).unwrap_or(rest);
            let offset = u32::try_from(start).map_err(std::io::Error::other)?;
            let part = ResponsePart { offset, bytes: bytes.into(), ..whole.clone() };
            let called = call(shared, &part).await?;
            let sent_bytes = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            match &called.result {
                Ok(_) if sent_bytes == total_bytes => return Ok(Sent::All(called)),
                Ok(_) => {
                    tracing::info!(transaction = %called.transaction, sent_bytes, total_bytes, "sent a part");
                    shared.tell(Stage::Sent { request_id, sent_bytes, total_bytes });
                    start = start.saturating_add(bytes.len());
                }
                Err(reason) if is_misplaced(reason) && misplaced < MOST_MISPLACED => {
                    tracing::debug!(%reason, "looking where to go on");
                    misplaced += 1;
                    continue 'look;
                }
                Err(_) => return Ok(Sent::All(called)),
            }
        }
        // All is there and the request still pending: what was seen is not the newest.
        tokio::time::sleep(shared.config.poll_interval).await;
    }
}

/// Whether the contract expects another part, or a part from another worker.
fn is_misplaced(reason: &str) -> bool {
    let code = RefusalCode::find(reason);
    matches!(code, Some(RefusalCode::PartOffset | RefusalCode::UploadTurn))
}

/// Where `whole` goes on.
async fn next(shared: &Shared, whole: &ResponsePart) -> Result<Next, ServeError> {
    let view = shared.contract.request(whole.request_id, At::Optimistic).await?;
    let Some(request) = view.map(|view| view.request) else {
        return Ok(Next::Over);
    };
    let height = shared.height().await?;
    if request.phase != Phase::Pending || height > request.terms.deadline {
        return Ok(Next::Over);
    }
    Ok(place(&request, shared.account.id(), whole, height))
}

fn place(
    request: &LiveRequest,
    me: &outlayer_protocol::AccountId,
    whole: &ResponsePart,
    height: u64,
) -> Next {
    if let Some(upload) = request.upload.as_ref().filter(|upload| upload.worker_id == *me) {
        // Where all of it is there and the request waits all the same, its last part submits it again.
        let end = upload.staged_bytes.min(whole.total_bytes.saturating_sub(1)) as usize;
        let start = if upload.is_complete() { end / PART_BYTES * PART_BYTES } else { end };
        return Next::At(if upload.is_of(whole) { start } else { 0 });
    }
    if request.turn(me, height).is_ok() { Next::At(0) } else { Next::Wait }
}

async fn call(shared: &Shared, part: &ResponsePart) -> Result<CallOutcome, ServeError> {
    let args = borsh::to_vec(part)?;
    let (contract, nothing) = (shared.contract.id(), NearToken::from_yoctonear(0));
    Ok(shared.account.call(contract, "stage_response", args, shared.config.gas, nothing).await?)
}
