//! `outlayer watch`: waits for a request's settlement.

use std::time::Duration;

use clap::Args;
use outlayer_protocol::AccountId;

use super::{
    follow::{Noted, until_settled},
    named::{self, Named},
    report,
};
use crate::{
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print,
};

/// Wait until a request is settled
///
/// It exits with 0 when the guest completed, with 1 when the request ended otherwise, and with 4
/// when it has not ended by then.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The request's id, or the hash of the transaction that made it
    request: Named,
    #[command(flatten)]
    network: NetworkArgs,
    /// The account that signed the transaction, where the node needs it to find one
    #[arg(long)]
    signer: Option<AccountId>,
    /// For how many seconds to wait
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WatchArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        block_on(async move {
            let id = match self.request {
                Named::Id(id) => Some(id),
                Named::Transaction(_) => None,
            };
            let found = named::find(&contract, self.request, self.signer.as_ref(), id).await?;
            let (hash, signer) = (found.transaction.hash, found.transaction.signer_id.clone());
            let patience = Duration::from_secs(self.timeout);
            let mut noted = Noted::default();
            let Some(found) =
                until_settled(&contract, hash, &signer, id, patience, &mut noted).await
            else {
                if self.json {
                    print::json(&serde_json::json!({
                        "request_id": noted.request_id(), "transaction": hash.to_string(),
                        "state": "not_settled",
                    }))?;
                } else {
                    print::raw(format_args!(
                        "not settled after {} s; `outlayer watch` goes on waiting\n",
                        self.timeout
                    ));
                }
                return exit::with(Some(Exit::NotSettled));
            };
            let Some(request) = &found.request else {
                anyhow::bail!("transaction {hash} made no request of {}", contract.id());
            };
            report::settled(&contract, &found.transaction, request, self.json).await
        })
    }
}
