//! `outlayer secrets remove`: no new request gets a secret any more.

use clap::Args;
use outlayer_protocol::{Bytes, methods, secrets::entry_key};
use serde_json::json;

use super::check_name;
use crate::{
    network::NetworkArgs,
    print,
    storage::{Change, change},
    wallet::WalletArgs,
};

/// Remove a secret, so that no new request gets it
///
/// Requests that were taken before are still served, and whoever has read the value knows it: a key
/// that has leaked must be revoked where it is valid. It exits with 1 when there is no such secret.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The name of the secret
    name: String,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RemoveArgs {
    pub(super) async fn run(self) -> anyhow::Result<bool> {
        check_name(&self.name)?;
        let contract = self.network.contract()?;
        let wallet = self.wallet.open(&self.network.node, self.json).await?;
        let key = entry_key(&self.name);
        let args = json!({ "key": Bytes(key.clone()) });
        let what = Change {
            method: methods::STORAGE_REMOVE,
            key: &key,
            purpose: format!("remove the secret {} of {}", self.name, wallet.id),
            args: &args,
        };
        let Some(done) = change(&contract, &wallet, what).await? else {
            return wallet.printed();
        };
        if self.json {
            print::json(&json!({
                "name": self.name, "owner_id": wallet.id, "was_there": done.was_there,
                "transaction": done.transaction,
            }))?;
            return Ok(done.was_there);
        }
        let state = if done.was_there { "removed" } else { "absent already" };
        print::line(state, format!("{} of {}", self.name, wallet.id));
        if done.was_there {
            print::line("still served", "requests that were taken before");
        }
        print::line("transaction", done.transaction);
        Ok(done.was_there)
    }
}
