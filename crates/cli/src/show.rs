//! `outlayer request` and `outlayer pending`: what the contract knows of live requests.

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::{RequestId, upload::Upload, views::RequestView};

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
    print::line(
        "approvals",
        format!("{} needed, {} commitments", request.approvals, request.commitments.len()),
    );
    if let Some(upload) = &request.upload {
        let Upload { worker_id, staged_bytes, total_bytes, since, .. } = upload;
        let answer = format!(
            "{staged_bytes} of {total_bytes} bytes are there, from {worker_id} since block {since}"
        );
        print::line("answer", answer);
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
        let (_, pending) =
            block_on(async move { Ok(contract.pending(limit, At::Optimistic).await?) })?;
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
