//! `outlayer request` and `outlayer pending`: what the contract knows of requests.

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::{
    Agreement, KeptResult, Outcome, RequestId,
    upload::Upload,
    views::{RequestState, RequestView},
};

use crate::{
    network::{NetworkArgs, block_on},
    print,
};

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The request's id, which `outlayer pending` lists
    request_id: RequestId,
    #[command(flatten)]
    network: NetworkArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RequestArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let id = self.request_id;
        let (state, result) = block_on(async move {
            let state = contract.request_state(id, At::Optimistic).await?;
            let result = match state {
                RequestState::Settled => contract.result(id, At::Optimistic).await?,
                RequestState::Live(_) | RequestState::NeverMade => None,
            };
            Ok((state, result))
        })?;
        match (&state, &result) {
            (_, Some(result)) if self.json => print::json(result)?,
            _ if self.json => print::json(&state)?,
            (_, Some(result)) => show_result(id, result),
            (RequestState::Live(view), None) => show(view),
            (RequestState::Settled, None) => {
                print::raw(format_args!("request {id} is settled, and no result is kept of it\n"));
            }
            (RequestState::NeverMade, None) => {
                print::raw(format_args!("request {id} was never made\n"));
            }
        }
        Ok(result.is_some() || matches!(state, RequestState::Live(_)))
    }
}

/// A result that is kept. An output that is cut says so.
fn show_result(id: RequestId, result: &KeptResult) {
    let settlement = &result.settlement;
    print::line("request", id);
    print::line("outcome", settlement.outcome.name());
    if let Outcome::Completed { output } = &settlement.outcome {
        let name = if result.output_is_whole { "output" } else { "output, cut" };
        print::line(name, print::text(output));
    }
    if let Some(hash) = result.output_hash {
        print::line("output hash", hash);
    }
    if let Some(digest) = settlement.digest {
        print::line("digest", digest);
    }
    print::line("used", settlement.used);
    print::line("fee", print::near(settlement.fee));
    print::line("refund", print::near(settlement.refund));
    print::line("held", format!("{} for {}", print::near(settlement.held), result.payer));
    print::line("settled", format!("block {}", result.settled_at));
    print::line("kept until", format!("block {}", result.kept_until));
}

fn show(view: &RequestView) {
    let request = &view.request;
    print::line("request", request.id());
    print::line("phase", request.phase.name());
    print::line("code", request.code.hash);
    if let Some(name) = &request.code_name {
        print::line("code name", name);
    }
    if let Some(url) = &request.code.url {
        print::line("code url", print::text(url.as_bytes()));
    }
    print::line("input", print::text(&view.input));
    print::line("limit", request.limits.compute);
    print::line("code bytes", format!("at most {}", request.limits.max_module_bytes));
    print::line("asked by", &request.context.predecessor_id);
    print::line("signed by", &request.context.signer_id);
    print::line("block", request.context.block_height);
    print::line("deadline", format!("block {}", request.terms.deadline));
    print::line("seed", request.context.random_seed);
    print::line("engine", request.terms.engine_version.0);
    print::line("deposit", print::near(request.deposit()));
    if let Some(agreement) = &request.agreement {
        show_agreement(agreement);
    }
    if let Some(upload) = &request.upload {
        let Upload { worker_id, staged_bytes, total_bytes, since, .. } = upload;
        let answer = format!(
            "{staged_bytes} of {total_bytes} bytes are there, from {worker_id} since block {since}"
        );
        print::line("answer", answer);
    }
}

fn show_agreement(agreement: &Agreement) {
    let Agreement { approvals, seats, round, snapshot_height, .. } = agreement;
    print::line("approvals", format!("{approvals} of {seats} workers must agree"));
    print::line("round", format!("{round}, on the storage after block {snapshot_height}"));
    let (from, until) = (agreement.reveal_from(), agreement.reveal_until());
    print::line("reveals", format!("from block {from} until {until}"));
    for vote in &agreement.votes {
        let Some(worker_id) = agreement.voter(vote) else {
            continue;
        };
        let said = match vote.digest {
            Some(digest) => format!("has revealed {digest}"),
            None => "has committed".to_owned(),
        };
        print::line("worker", format!("{worker_id} {said}"));
    }
}

#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The most requests that are listed
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PendingArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let limit = self.limit;
        let index = block_on(async move { Ok(contract.pending(limit, At::Optimistic).await?) })?;
        let pending = index.entries;
        if self.json {
            print::json(&pending)?;
            return Ok(true);
        }
        print::raw(format_args!(
            "{:>10} {:>12} {:>12} {:>6} {:>9}  {:<9} {:<8} {:>20}  payer\n",
            "request", "block", "deadline", "engine", "approvals", "code", "kind", "limit"
        ));
        for one in &pending {
            print::raw(format_args!(
                "{:>10} {:>12} {:>12} {:>6} {:>9}  {:<9} {:<8} {:>20}  {}\n",
                one.request_id,
                one.block_height,
                one.deadline,
                one.engine_version.0,
                one.approvals,
                if one.published_code { "published" } else { "url" },
                one.kind.map_or_else(|| "detected".to_owned(), |kind| kind.to_string()),
                one.compute.to_string(),
                one.payer
            ));
        }
        Ok(true)
    }
}
