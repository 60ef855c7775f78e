//! `outlayer claim`: takes out payments that came back.

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::{NearToken, methods};
use serde_json::json;

use crate::{
    network::{NetworkArgs, block_on},
    print,
    wallet::{WalletArgs, call},
};

/// Tgas attached.
const TGAS: u64 = 50;

/// Take out payments that came back
///
/// A payment comes back when its receiver does not exist; the contract keeps it for whoever has
/// the account's name.
#[derive(Debug, Args)]
pub(crate) struct ClaimArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ClaimArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        block_on(async move {
            let contract = self.network.contract()?;
            let wallet = self.wallet.open(&self.network.node, self.json).await?;
            let due = contract.claimable(&wallet.id, At::Optimistic).await?;
            if due == NearToken::from_yoctonear(0) {
                if self.json {
                    print::json(&json!({
                        "account_id": wallet.id, "claimed": due, "transaction": null
                    }))?;
                } else {
                    print::raw(format_args!("{} has nothing to claim\n", wallet.id));
                }
                return Ok(false);
            }
            let purpose = format!("claim {}", print::near(due));
            let one = NearToken::from_yoctonear(1);
            let claim = call(purpose, contract.id(), methods::CLAIM, &json!({}), TGAS, one);
            let Some(outcome) = wallet.send(&claim).await? else {
                return wallet.printed();
            };
            if self.json {
                print::json(&json!({
                    "account_id": wallet.id, "claimed": due,
                    "transaction": outcome.transaction.to_string(),
                }))?;
            } else {
                print::line("claimed", print::near(due));
                print::line("to", &wallet.id);
                print::line("transaction", outcome.transaction);
            }
            Ok(true)
        })
    }
}
