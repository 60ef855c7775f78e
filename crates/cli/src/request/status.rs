//! `outlayer status`: what the chain knows of a request, or of the contract.

use clap::Args;
use outlayer_client::{At, Contract};
use outlayer_protocol::{AccountId, RequestId, views::RequestState};

use super::{
    named::{self, Found, Named},
    report, show,
};
use crate::{
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print,
};

/// Show a request, or the contract
///
/// A settled request is found by bisection of the blocks, so the node must still have those in
/// which it was made. Without a request, it shows the contract: owner, engine, prices and money.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The request's id, or the hash of the transaction that made it
    request: Option<Named>,
    #[command(flatten)]
    network: NetworkArgs,
    /// The account that signed the transaction, where the node needs it to find one
    #[arg(long)]
    signer: Option<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        block_on(async move {
            match self.request {
                None => of_contract(&contract, self.json).await,
                Some(Named::Id(id)) => of_id(&contract, id, self.json).await,
                Some(named) => {
                    let found = named::find(&contract, named, self.signer.as_ref(), None).await?;
                    of_transaction(&contract, &found, self.json).await
                }
            }
        })
    }
}

async fn of_id(contract: &Contract, id: RequestId, as_json: bool) -> anyhow::Result<bool> {
    let state = contract.request_state(id, At::Optimistic).await?;
    match &state {
        RequestState::Live(_) if as_json => print::json(&state)?,
        RequestState::Live(view) => show::live(view),
        RequestState::NeverMade => {
            if as_json {
                print::json(&state)?;
            } else {
                print::raw(format_args!("request {id} was never made\n"));
            }
            return Ok(false);
        }
        RequestState::Settled => {
            if let Some(kept) = contract.result(id, At::Optimistic).await? {
                if as_json {
                    print::json(&kept)?;
                } else {
                    show::kept(id, &kept);
                }
                return Ok(true);
            }
            match named::find(contract, Named::Id(id), None, None).await {
                Ok(found) => return of_transaction(contract, &found, as_json).await,
                // What is certain is said; then why there is no more.
                Err(error) => {
                    if as_json {
                        print::json(&state)?;
                    } else {
                        print::raw(format_args!(
                            "request {id} is settled, and no result is kept of it\n"
                        ));
                    }
                    return Err(error);
                }
            }
        }
    }
    Ok(true)
}

async fn of_transaction(contract: &Contract, found: &Found, as_json: bool) -> anyhow::Result<bool> {
    let hash = found.transaction.hash;
    let Some(request) = &found.request else {
        match &found.transaction.result {
            Some(Err(reason)) => anyhow::bail!("transaction {hash} made no request: {reason}"),
            Some(Ok(_)) => anyhow::bail!("transaction {hash} made no request of {}", contract.id()),
            None => anyhow::bail!("transaction {hash} has not come to a request yet"),
        }
    };
    if request.settled.is_some() {
        return report::settled(contract, &found.transaction, request, as_json).await;
    }
    let id = request.requested.request_id;
    match contract.request_state(id, At::Optimistic).await? {
        state @ RequestState::Live(_) if as_json => print::json(&state)?,
        RequestState::Live(view) => show::live(&view),
        // It was settled since the transaction was looked at.
        _ => return exit::with(Some(Exit::NotSettled)),
    }
    Ok(true)
}

async fn of_contract(contract: &Contract, as_json: bool) -> anyhow::Result<bool> {
    let view = contract.config(At::Optimistic).await?;
    let funds = contract.funds(At::Optimistic).await?;
    let pending = contract.pending(1_000, At::Optimistic).await?.entries.len();
    let workers = contract.workers(1_000, At::Optimistic).await?;
    if as_json {
        print::json(&serde_json::json!({
            "contract_id": contract.id(), "config": view, "funds": funds, "pending": pending,
            "workers": workers,
        }))?;
        return Ok(true);
    }
    print::line("contract", contract.id());
    print::line("owner", &view.owner_id);
    print::line("paused", if view.paused { "yes: it takes no new requests" } else { "no" });
    print::line("engine", view.config.engine_version.0);
    print::line("live requests", pending);
    for worker in &workers {
        let state = if worker.suspended { " (suspended)" } else { "" };
        let settled = format!("{}{state}, {} settled", worker.worker_id, worker.settled);
        print::line("worker", settled);
    }
    for (name, amount) in [
        ("deposits", funds.deposits),
        ("open shares", funds.shares),
        ("earnings", funds.earnings),
        ("protocol", funds.protocol),
        ("claimable", funds.claimable),
        ("storage", funds.storage),
        ("code", funds.code),
        ("kept results", funds.results),
    ] {
        print::line(name, print::near(amount));
    }
    Ok(true)
}
