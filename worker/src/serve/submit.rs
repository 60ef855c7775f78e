//! Sends the body that answers a request: in one call, or in parts.

use std::io;

use outlayer_client::CallOutcome;
use outlayer_protocol::{
    commitment::Salt,
    machine::{LiveRequest, Taken},
    methods,
    response::Answer,
};

use super::{
    Stage,
    attempt::Executed,
    error::ServeError,
    parts::{self, PART_BYTES},
    services::Services,
};

/// How the sending of a body ended.
pub(super) enum Sent {
    /// With this answer of the contract: to the whole body, to its last part, or to a part that it
    /// did not take.
    Answered(CallOutcome),
    /// The contract has taken note of the body, which writes a key that others read: the same body
    /// should come again soon. A reveal that came with it counts.
    Wait,
    /// The request was answered, cancelled or settled meanwhile, or its deadline has passed.
    Over,
}

/// Whether the body fits into one call, so that a reveal may come with it.
pub(super) fn fits_one_call(executed: &Executed) -> bool {
    borsh::object_length(&executed.response).is_ok_and(|length| length <= PART_BYTES)
}

/// Sends the body. With a salt, the same call reveals its digest; a body in parts takes none.
pub(super) async fn send(
    services: &Services,
    request: &LiveRequest,
    executed: &Executed,
    salt: Option<Salt>,
) -> Result<Sent, ServeError> {
    let Executed { response, digest } = executed;
    let sent = if fits_one_call(executed) {
        let answer = Answer { response: response.clone(), digest: *digest, salt };
        let args = borsh::to_vec(&answer).map_err(io::Error::other)?;
        Sent::Answered(services.call(methods::RESOLVE_EXECUTION, args).await?)
    } else {
        parts::send(services, request.id(), *digest, &borsh::to_vec(response)?).await?
    };
    if let Sent::Answered(CallOutcome { transaction, result: Ok(taken), gas_burnt }) = &sent {
        if serde_json::from_slice(taken).ok() == Some(Taken::Wait) {
            tracing::info!(%transaction, gas = gas_burnt, "waiting for readers");
            return Ok(Sent::Wait);
        }
        tracing::info!(%transaction, gas = gas_burnt, "submitted");
        services.tell(Stage::Submitted {
            request_id: request.id(),
            transaction: *transaction,
            gas_burnt: *gas_burnt,
        });
    }
    Ok(sent)
}
