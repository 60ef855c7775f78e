//! `outlayer pending`: the live requests.

use clap::Args;
use outlayer_client::At;

use crate::{
    network::{NetworkArgs, block_on},
    print,
};

/// List the live requests
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
