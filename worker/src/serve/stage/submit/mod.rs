//! Sends the body that answers a request: in one call, if need be with those of other requests, or
//! in parts.

pub(crate) mod batch;
mod parts;
pub(crate) mod refusal;

use std::io;

use outlayer_client::CallOutcome;
use outlayer_protocol::{
    commitment::Salt,
    machine::{LiveRequest, Taken},
    methods,
    response::Answer,
};

use self::parts::PART_BYTES;
use super::super::{Stage, attempt::Executed, error::ServeError, services::Services};

/// How the sending of a body ended.
pub(crate) enum Sent {
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
pub(crate) fn fits_one_call(executed: &Executed) -> bool {
    borsh::object_length(&executed.response).is_ok_and(|length| length <= PART_BYTES)
}

/// Sends the body. With a salt, the same call reveals its digest; a body in parts takes none.
pub(crate) async fn send(
    services: &Services,
    request: &LiveRequest,
    executed: &Executed,
    salt: Option<Salt>,
) -> Result<Sent, ServeError> {
    let Executed { response, digest, .. } = executed;
    services.tell(Stage::Submitting { request_id: request.id() });
    let sent = if fits_one_call(executed) {
        let answer = Answer { response: response.clone(), digest: *digest, salt };
        let args = borsh::to_vec(&answer).map_err(io::Error::other)?;
        Sent::Answered(if salt.is_some() {
            // Others wait for the reveal, and a body that is not taken must not undo it.
            services.call(methods::RESOLVE_EXECUTION, args).await?
        } else {
            let keys = response.reads.len() + response.journal.len();
            let gas = batch::gas_of(args.len(), keys, request.text_bytes());
            services.submitter.send(args, gas).await?
        })
    } else {
        parts::send(services, request.id(), *digest, &borsh::to_vec(response)?).await?
    };
    if let Sent::Answered(CallOutcome { transaction, result: Ok(taken), gas_burnt, .. }) = &sent {
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
