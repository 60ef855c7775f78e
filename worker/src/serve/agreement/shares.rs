//! Closes what stays open of a settled request, once no reveal is taken any more. What is left then
//! returns to the payer, and whoever closes is paid for it.
//!
//! This is remembered in memory only. Should the worker be stopped before, any of the others that
//! took part closes the shares, or the payer does.

use std::time::Duration;

use outlayer_client::At;
use outlayer_protocol::RequestId;

use super::{
    super::{error::ServeError, services::Services},
    seat::Seat,
};

/// How long shares are watched at the most. They are over after a few blocks, unless the chain
/// stands still.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until the shares can be closed and it is this worker's turn, and closes them if nobody has
/// done so.
pub(crate) async fn close_when_over(services: &Services, request_id: RequestId) {
    match tokio::time::timeout(PATIENCE, close(services, request_id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(request = request_id, %error, "the shares are not closed");
        }
        Err(_) => tracing::warn!(request = request_id, "the shares are not closed in {PATIENCE:?}"),
    }
}

async fn close(services: &Services, request_id: RequestId) -> Result<(), ServeError> {
    let (me, step_in_blocks) = (services.account.id(), services.config.step_in_blocks);
    loop {
        let Some(shares) = services.contract.shares(request_id, At::Optimistic).await? else {
            return Ok(());
        };
        // Those that have revealed, in the order of their commitments. Who let its time pass comes
        // after them.
        let mut order = shares.agreement.voters(|vote| vote.digest.is_some());
        let place = order.position(|id| id == me).unwrap_or(shares.agreement.votes.len());
        let turn = Seat { me, step_in_blocks }.turn(shares.agreement.reveal_until(), place);
        if services.height().await? >= turn {
            break;
        }
        services.pause().await;
    }
    let called = services.close(request_id).await?;
    match called.result {
        Ok(_) => tracing::info!(request = request_id, "closed the shares"),
        Err(reason) => tracing::debug!(request = request_id, %reason, "others closed the shares"),
    }
    Ok(())
}
