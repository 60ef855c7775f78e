//! `outlayer result`: what a settled request gave.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Contract};
use outlayer_protocol::{AccountId, Settlement};
use serde_json::json;

use super::{
    named::{self, Named},
    report,
};
use crate::{
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print,
};

/// Show or save what a settled request gave
///
/// The result that the contract keeps, if the request asked for that; otherwise the one in the
/// transaction, as long as the node has it.
#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// The request's id, or the hash of the transaction that made it
    request: Named,
    #[command(flatten)]
    network: NetworkArgs,
    /// The account that signed the transaction, where the node needs it to find one
    #[arg(long)]
    signer: Option<AccountId>,
    /// Print the output alone, byte for byte
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Write the output to this file
    #[arg(long)]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ResultArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        block_on(async move {
            let Some(settlement) = self.settlement(&contract).await? else {
                return exit::with(Some(Exit::NotSettled));
            };
            let Some(output) = settlement.outcome.output() else {
                self.show(&settlement)?;
                return Ok(false);
            };
            if let Some(path) = &self.output {
                fs::write(path, &output.0).with_context(|| path.display().to_string())?;
            }
            if self.raw {
                print::bytes(output);
            } else {
                self.show(&settlement)?;
            }
            Ok(true)
        })
    }

    fn show(&self, settlement: &Settlement) -> anyhow::Result<()> {
        if self.json {
            return print::json(settlement);
        }
        if let Some(id) = settlement.request_id {
            print::line("request", id);
        }
        report::show_settlement(settlement);
        print::line("fee", print::near(settlement.fee));
        Ok(())
    }

    /// The settlement with the whole output; `None` when the request is not settled yet.
    async fn settlement(&self, contract: &Contract) -> anyhow::Result<Option<Settlement>> {
        let kept = match self.request {
            Named::Id(id) => contract.result(id, At::Optimistic).await?,
            Named::Transaction(_) => None,
        };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.output_is_whole) {
            return Ok(Some(kept.settlement.clone()));
        }
        let found = named::find(contract, self.request, self.signer.as_ref(), None).await;
        let found = match (found, kept) {
            (Ok(found), _) => found,
            (Err(error), None) => return Err(error),
            (Err(error), Some(kept)) => {
                let start = json!(kept.settlement);
                return Err(error.context(format!(
                    "the contract keeps only the start of the output ({start}), and the \
                     transaction with the whole cannot be read"
                )));
            }
        };
        let Some(request) = found.request else {
            bail!("transaction {} made no request of {}", found.transaction.hash, contract.id());
        };
        let id = request.requested.request_id;
        if request.settled.is_none() {
            if self.json {
                print::json(&json!({ "request_id": id, "state": "not_settled" }))?;
            } else {
                print::raw(format_args!(
                    "request {id} is not settled yet; `outlayer watch {id}` waits for that\n"
                ));
            }
        }
        Ok(request.settled.map(|settled| settled.settlement))
    }
}
