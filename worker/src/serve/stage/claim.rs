//! Claims a request whose execution takes long, before it is executed.
//!
//! A claim takes two blocks to land, and nothing should wait for it. So as many requests may be
//! claimed and not executed yet as are executed at once: while some run, the next ones are claimed.
//! No more than that are, so that idle workers find the others unclaimed.

use outlayer_protocol::{
    index::PendingEntry,
    machine::{LiveRequest, Phase},
    methods,
};
use serde_json::json;

use super::{
    super::{
        Stage,
        attempt::{Done, Preparing},
        error::ServeError,
        services::Services,
    },
    confirm,
    discover::Liveness,
    submit::refusal::{Advice, advice},
};

/// How many blocks a claim that the contract took is waited for to show. A node may lag.
const LOOKS: u32 = 5;

/// Makes sure that this worker is to execute the request, and claims it if it takes long. Gives how
/// the attempt ends if it is not.
pub(crate) async fn take(
    services: &Services,
    request: &LiveRequest,
    preparing: &mut Preparing,
) -> Result<Option<Done>, ServeError> {
    if request.claims.is_none() || services.config.step_in_blocks == 0 {
        return Ok(None);
    }
    let request_id = request.id();
    let Some(place) = services.claiming.place(services.waiting(request)).await else {
        return Ok(Some(Done::Expired));
    };
    preparing.claims(place);
    // While it waited, others may have claimed or settled it.
    let look = services.look();
    let turn = match look.entry(request_id) {
        Some(entry) => services.fleet.turn(entry, look.block_nanos, 0),
        None if look.shows(request_id) == Liveness::Gone => return Ok(Some(Done::Over)),
        None => return Ok(None),
    };
    if turn.from > look.block.height {
        return Ok(Some(Done::NotNow { until: Some(turn.from) }));
    }
    if !turn.claims {
        return Ok(None);
    }
    let args = json!({ "request_id": request_id }).to_string().into_bytes();
    let called = tokio::select! {
        biased;
        called = services.call(methods::CLAIM_EXECUTION, args) => called,
        // It may never be known what became of the call, and others wait for the place.
        () = confirm::gone(services, request) => return Ok(Some(Done::Over)),
    };
    match called {
        Ok(called) => match called.result {
            Ok(_) => {
                services.fleet.take(request_id);
                let (transaction, gas_burnt) = (called.transaction, called.gas_burnt);
                tracing::info!(request = request_id, %transaction, "claimed");
                services.tell(Stage::Claimed { request_id, transaction, gas_burnt });
            }
            Err(reason) if advice(&reason) == Advice::Over => return Ok(Some(Done::Over)),
            // Others have claimed it, or this worker did before it was started again, or another
            // process of this account.
            Err(reason) => tracing::info!(request = request_id, %reason, "not claimed"),
        },
        // Nobody needs a claim to answer.
        Err(error) => {
            tracing::warn!(request = request_id, %error, "the claim could not be sent");
            return Ok(None);
        }
    }
    // Another worker may have claimed it in the same moment, and come first.
    for _ in 0..LOOKS {
        let Some(now) = services.newest.get(request_id).await? else {
            return Ok(Some(Done::Over));
        };
        if now.request.phase != Phase::Pending {
            return Ok(Some(Done::Over));
        }
        let entry = PendingEntry::from(&now.request);
        let look = services.look();
        let turn = services.fleet.turn(&entry, look.block_nanos, 0);
        if turn.is_claimed {
            return Ok(None);
        }
        if turn.from > look.block.height {
            return Ok(Some(Done::NotNow { until: Some(turn.from) }));
        }
        services.pause().await;
    }
    Ok(None)
}
