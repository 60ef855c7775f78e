//! The requests that a transaction has made, which may be several.

use std::time::Duration;

use anyhow::Context as _;
use outlayer_client::{
    Contract, CryptoHash, RequestTrace,
    trace::{self, TransactionTrace},
};
use outlayer_protocol::AccountId;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::{follow::REFUNDS, report};
use crate::{print, progress::Progress};

/// How often the node is asked.
const POLL: Duration = Duration::from_millis(300);

/// A transaction, and its requests in the order in which they were made.
pub(crate) struct Made {
    transaction: TransactionTrace,
    requests: Vec<RequestTrace>,
}

/// Waits until all of a transaction is executed that returned already, and gives its requests.
pub(crate) async fn made_by(
    contract: &Contract,
    transaction: CryptoHash,
    signer: &AccountId,
) -> anyhow::Result<Made> {
    let _progress = Progress::start("waiting for the refunds");
    let started = Instant::now();
    loop {
        let found = trace::whole(contract.node(), transaction, signer).await;
        let is_whole = matches!(&found, Ok(Some(found)) if found.complete);
        // A node that fails is asked again for as long: the call has returned, and whoever has
        // waited for it should not miss the rest.
        if is_whole || started.elapsed() >= REFUNDS {
            let transaction = found?
                .with_context(|| format!("the node does not know transaction {transaction}"))?;
            let requests = RequestTrace::all(contract.id(), &transaction);
            return Ok(Made { transaction, requests });
        }
        time::sleep(POLL).await;
    }
}

impl Made {
    /// Whether every request was answered with an output.
    pub(crate) fn all_completed(&self) -> bool {
        self.requests.iter().all(|one| {
            one.settled.as_ref().is_some_and(|one| one.settlement.outcome.output().is_some())
        })
    }

    /// How each request ended, and where its money went.
    pub(crate) async fn show(&self, contract: &Contract) -> anyhow::Result<()> {
        for request in &self.requests {
            match &request.settled {
                Some(settled) => {
                    report::show(contract, &self.transaction, request, settled).await?;
                }
                None => {
                    let id = request.requested.request_id;
                    print::line("request", format!("{id}, not settled: `outlayer watch {id}`"));
                }
            }
        }
        Ok(())
    }

    /// The same as JSON.
    pub(crate) async fn documents(&self, contract: &Contract) -> anyhow::Result<Vec<Value>> {
        let mut documents = Vec::new();
        for request in &self.requests {
            documents.push(match &request.settled {
                Some(settled) => {
                    report::document(contract, &self.transaction, request, settled).await?
                }
                None => {
                    json!({ "request_id": request.requested.request_id, "state": "not_settled" })
                }
            });
        }
        Ok(documents)
    }
}
