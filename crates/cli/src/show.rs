//! `outlayer request` and `outlayer pending`: what the contract knows of live requests.

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::{Agreement, RequestId, upload::Upload, views::RequestView};

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
        let found = block_on(async move { Ok(contract.request(id, At::Optimistic).await?) })?;
        match &found {
            _ if self.json => print::json(&found)?,
            Some(view) => show(view),
            None => print::raw(format_args!(
                "request {id} is not live: it was settled, or never made\n"
            )),
        }
        Ok(found.is_some())
    }
}

fn show(view: &RequestView) {
    let request = &view.request;
    print::line("request", request.id());
    print::line("phase", request.phase.name());
    print::line("code", request.code.hash);
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
        let pending =
            block_on(async move { Ok(contract.all_pending(limit, At::Optimistic).await?) })?;
        if self.json {
            print::json(&pending)?;
            return Ok(true);
        }
        print::raw(format_args!(
            "{:>10}  {:<10} {:>12} {:>12} {:>6}  commitments\n",
            "request", "phase", "block", "deadline", "engine"
        ));
        for one in &pending {
            print::raw(format_args!(
                "{:>10}  {:<10} {:>12} {:>12} {:>6}  {} of {}\n",
                one.request_id,
                print::text(one.phase.as_bytes()),
                one.block_height,
                one.deadline,
                one.engine_version.0,
                one.committed.len(),
                one.approvals
            ));
        }
        Ok(true)
    }
}
