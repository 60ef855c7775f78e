//! Waiting for a request's settlement, and saying meanwhile how far it is.

use std::time::Duration;

use outlayer_client::{Contract, CryptoHash, RequestTrace, trace};
use outlayer_protocol::{AccountId, RequestId};
use tokio::time::Instant;

use super::named::Found;
use crate::progress::{self, Progress};

/// For how long refunds are waited for once the request is settled: they land a block or two later.
pub(super) const REFUNDS: Duration = Duration::from_secs(15);
/// How often the node is asked.
const POLL: Duration = Duration::from_millis(500);

/// What has been said of a request already.
#[derive(Default)]
pub(super) struct Noted {
    request_id: Option<RequestId>,
}

impl Noted {
    /// The id, once it is known.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        self.request_id
    }

    /// Looks at the transaction once, and says on stderr what is new. Errors are taken for a node
    /// that does not know the transaction yet.
    pub(super) async fn look(
        &mut self,
        contract: &Contract,
        transaction: CryptoHash,
        signer: &AccountId,
        id: Option<RequestId>,
    ) -> Option<Found> {
        let looked = trace::whole(contract.node(), transaction, signer).await;
        let transaction = match looked {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(%error, "the transaction is not there yet");
                return None;
            }
        };
        let mut requests = RequestTrace::all(contract.id(), &transaction);
        requests.retain(|one| id.is_none_or(|id| one.requested.request_id == id));
        let request = requests.pop();
        if let Some(RequestTrace { requested, .. }) = &request
            && self.request_id.is_none()
        {
            self.request_id = Some(requested.request_id);
            progress::note(&format!(
                "request {} was taken in block {}; an answer is due by block {}",
                requested.request_id, requested.context.block_height, requested.deadline
            ));
        }
        Some(Found { transaction, request })
    }
}

/// Waits until the request of a transaction is settled, or the transaction has ended without one.
/// `None` when that takes longer than `patience`.
pub(super) async fn until_settled(
    contract: &Contract,
    transaction: CryptoHash,
    signer: &AccountId,
    id: Option<RequestId>,
    patience: Duration,
    noted: &mut Noted,
) -> Option<Found> {
    let _progress = Progress::start("waiting for the settlement");
    let started = Instant::now();
    let mut settled_at = None;
    loop {
        if let Some(found) = noted.look(contract, transaction, signer, id).await {
            let settled = found.request.as_ref().map(|request| request.settled.is_some());
            if settled == Some(true) {
                let since = settled_at.get_or_insert_with(Instant::now);
                if found.transaction.complete || since.elapsed() >= REFUNDS {
                    return Some(found);
                }
            } else if settled.is_none() && found.transaction.result.is_some() {
                return Some(found);
            }
        }
        if settled_at.is_none() && started.elapsed() >= patience {
            return None;
        }
        tokio::time::sleep(POLL).await;
    }
}
