//! `outlayer cancel`: cancels a request that nobody has answered.

use std::time::Duration;

use clap::Args;
use outlayer_client::{At, LocateError};
use outlayer_protocol::{NearToken, Outcome, RequestId, methods, views::RequestState};
use serde_json::json;

use super::{
    follow::{Noted, until_settled},
    named::{self, Named},
    report,
};
use crate::{
    exit::Ended,
    network::{NetworkArgs, block_on},
    print,
    wallet::{WalletArgs, call},
};

/// Tgas attached: for the cancellation of a request of several workers.
const TGAS: u64 = 100;

/// Cancel a request that nobody has answered
///
/// It shows what came back. Cancelling is free until a worker has committed to the request or
/// claimed it.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The request's id
    request_id: RequestId,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CancelArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        block_on(async move {
            let id = self.request_id;
            match contract.request_state(id, At::Optimistic).await? {
                RequestState::Live(_) => {}
                RequestState::Settled => anyhow::bail!(
                    "request {id} is settled already; `outlayer status {id}` shows how it ended"
                ),
                RequestState::NeverMade => {
                    return Err(LocateError::NeverMade { request_id: id }.into());
                }
            }
            let wallet = self.wallet.open(&self.network.node, self.json).await?;
            let args = json!({ "request_id": id });
            let nothing = NearToken::from_yoctonear(0);
            let method = methods::CANCEL_EXECUTION;
            let purpose = format!("cancel request {id}");
            let cancel = call(purpose, contract.id(), method, &args, TGAS, nothing);
            // Found before it is cancelled: a live request is found at once.
            let found = named::find(&contract, Named::Id(id), None, None).await;
            let Some(outcome) = wallet.send(&cancel).await? else {
                return wallet.printed();
            };
            let Ok(found) = found else {
                // It is cancelled all the same; only what came back is not known here.
                let transaction = outcome.transaction.to_string();
                if self.json {
                    print::json(&json!({ "request_id": id, "cancelled_in": transaction }))?;
                } else {
                    print::line("cancelled", format!("in transaction {transaction}"));
                }
                return Ok(true);
            };
            let (hash, signer) = (found.transaction.hash, found.transaction.signer_id);
            let (patience, mut noted) = (Duration::from_secs(60), Noted::default());
            let found =
                until_settled(&contract, hash, &signer, Some(id), patience, &mut noted).await;
            let settled = found.as_ref().and_then(|found| {
                let request = found.request.as_ref()?;
                Some((found, request, request.settled.as_ref()?))
            });
            let Some((found, request, settled)) = settled else {
                anyhow::bail!(
                    "the cancellation was sent in transaction {}, and request {id} is not settled \
                     yet; `outlayer watch {id}` waits for that",
                    outcome.transaction
                );
            };
            let cancelled = settled.settlement.outcome == Outcome::Cancelled;
            match report::settled(&contract, &found.transaction, request, self.json).await {
                // For a request that was to be cancelled, this outcome is the right one.
                Err(error) if cancelled && error.is::<Ended>() => Ok(true),
                other => other,
            }
        })
    }
}
