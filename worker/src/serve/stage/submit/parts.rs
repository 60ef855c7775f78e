//! Submits a body that is too large for one transaction: in parts, by the rules of
//! [`outlayer_protocol::upload`].
//!
//! The chain shows which parts are there, so a worker that is started again goes on where it was. A
//! part that is sent twice does no harm. While it is another worker's turn, this one waits to see
//! what comes of it.

use std::io;

use outlayer_client::{At, CallOutcome};
use outlayer_protocol::{
    AccountId, Hash32, RefusalCode, RequestId, ResponsePart, machine::LiveRequest, methods,
};

use super::{
    super::super::{Stage, error::ServeError, services::Services},
    Sent,
};

/// The most that is sent in one transaction, bytes. A transaction may have 1,572,864 bytes, and it
/// reaches the node in base64, in a JSON-RPC call of at most about 2,000,000 bytes.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// How many times a part may be refused for its place before the refusal ends the sending.
const MOST_MISPLACED: u32 = 5;

/// Which part to send next.
enum NextPart {
    /// The one that starts at this byte.
    At(usize),
    /// None now, because it is somebody else's turn.
    Wait,
    /// None at all, because the request is over.
    Over,
}

/// Sends `body`, the borsh of the response whose record has this digest, part by part.
pub(crate) async fn send(
    services: &Services,
    request_id: RequestId,
    digest: Hash32,
    body: &[u8],
) -> Result<Sent, ServeError> {
    let total_bytes = u32::try_from(body.len()).map_err(io::Error::other)?;
    let whole =
        ResponsePart { request_id, digest, total_bytes, offset: 0, bytes: Vec::new().into() };
    let mut misplaced = 0;
    'look: loop {
        let mut start = match next_part(services, &whole).await? {
            NextPart::At(start) => start,
            NextPart::Over => return Ok(Sent::Over),
            NextPart::Wait => {
                services.pause().await;
                continue 'look;
            }
        };
        while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.get(..PART_BYTES).unwrap_or(rest);
            let offset = u32::try_from(start).map_err(io::Error::other)?;
            let part = ResponsePart { offset, bytes: bytes.into(), ..whole.clone() };
            let called = call(services, &part).await?;
            let sent_bytes = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            match &called.result {
                Ok(_) if sent_bytes == total_bytes => return Ok(Sent::Answered(called)),
                Ok(_) => {
                    tracing::info!(
                        transaction = %called.transaction, sent_bytes, total_bytes, "sent a part"
                    );
                    services.tell(Stage::Sent { request_id, sent_bytes, total_bytes });
                    start = start.saturating_add(bytes.len());
                }
                Err(reason) if is_misplaced(reason) && misplaced < MOST_MISPLACED => {
                    tracing::debug!(%reason, "looking where to go on");
                    misplaced += 1;
                    continue 'look;
                }
                Err(_) => return Ok(Sent::Answered(called)),
            }
        }
        // All parts are there and the request is still pending, so what was seen is not the newest.
        services.pause().await;
    }
}

/// Whether the contract expects another part, or a part from another worker.
fn is_misplaced(reason: &str) -> bool {
    let code = RefusalCode::find(reason);
    matches!(code, Some(RefusalCode::PartOffset | RefusalCode::UploadTurn))
}

/// Which part of `whole` to send next.
async fn next_part(services: &Services, whole: &ResponsePart) -> Result<NextPart, ServeError> {
    let view = services.contract.request(whole.request_id, At::Optimistic).await?;
    let Some(request) = view.map(|view| view.request) else {
        return Ok(NextPart::Over);
    };
    let height = services.height().await?;
    if !request.is_open(height) {
        return Ok(NextPart::Over);
    }
    Ok(place(&request, services.account.id(), whole, height))
}

fn place(request: &LiveRequest, me: &AccountId, whole: &ResponsePart, height: u64) -> NextPart {
    if let Some(upload) = request.upload.as_ref().filter(|upload| upload.worker_id == *me) {
        // When all of it is there and the request is pending all the same, sending the last part
        // again submits it again.
        let end = upload.staged_bytes.min(whole.total_bytes.saturating_sub(1)) as usize;
        let start = if upload.is_complete() { end / PART_BYTES * PART_BYTES } else { end };
        return NextPart::At(if upload.is_of(whole) { start } else { 0 });
    }
    if request.turn(me, height).is_ok() { NextPart::At(0) } else { NextPart::Wait }
}

async fn call(services: &Services, part: &ResponsePart) -> Result<CallOutcome, ServeError> {
    Ok(services.call(methods::STAGE_RESPONSE, borsh::to_vec(part)?).await?)
}
