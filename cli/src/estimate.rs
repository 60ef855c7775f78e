//! `outlayer estimate`: what a request must attach.

use clap::Args;
use outlayer_protocol::{
    AccountId, Hash32, NearToken, config::Config, pricing::quote, views::CostView,
};
use outlayer_worker::{chain::At, engine};

use crate::{
    network::{NetworkArgs, block_on},
    print,
    request_args::RequestOptions,
};

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// JSON-RPC address of a NEAR node; without it, the default configuration's prices are taken
    #[arg(long, env = "OUTLAYER_RPC_URL", requires = "contract")]
    rpc_url: Option<String>,
    /// The OutLayer contract
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    contract: Option<AccountId>,
    #[command(flatten)]
    request: RequestOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// NEAR's price of a byte of storage.
pub(crate) const STORAGE_BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));

impl EstimateArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        // Code's bytes have no part in the cost.
        let request = self.request.into_request(Hash32::default())?;
        let cost: CostView = match (self.rpc_url, self.contract) {
            (Some(rpc_url), Some(contract)) => {
                let contract = NetworkArgs { rpc_url, contract }.contract()?;
                block_on(async move { Ok(contract.estimate(&request, At::Final).await?) })?
            }
            _ => {
                let (engine_version, near_config_version) = engine::served();
                let config = Config::new(engine_version, near_config_version);
                request.validate(&config)?;
                quote(&config, &request, STORAGE_BYTE_COST)?.into()
            }
        };
        if self.json {
            print::json(&cost)?;
        } else {
            print::line("max fee", print::near(cost.max_fee));
            print::line(
                "storage reserve",
                format!("{} (always returned)", print::near(cost.storage_reserve)),
            );
            print::line("attach", print::near(cost.total));
        }
        Ok(true)
    }
}
