//! `outlayer deploy`: the contract on an account, initialised, with its first workers.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_protocol::{AccountId, NearToken, config::Config, views::ConfigView};
use outlayer_worker::{
    chain::{Account, At, CallOutcome, Contract, Node, NodeConfig},
    cli::KeyFile,
    engine,
};
use serde_json::json;

use crate::{network::block_on, print};

/// Gas for `new` and for `register_worker`.
const GAS: u64 = 50_000_000_000_000;

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The contract's Wasm, as scripts/wasm builds it
    wasm: PathBuf,
    /// JSON-RPC address of a NEAR node
    #[arg(long, env = "OUTLAYER_RPC_URL")]
    rpc_url: String,
    /// NEAR credentials of the account that becomes the contract
    #[arg(long, env = "OUTLAYER_KEY_FILE")]
    key_file: PathBuf,
    /// The contract's owner [default: the account itself]
    #[arg(long)]
    owner: Option<AccountId>,
    /// A worker to register; may be given several times. Only an owner registers workers, so this goes without --owner
    #[arg(long = "worker", conflicts_with = "owner")]
    workers: Vec<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DeployArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = std::fs::read(&self.wasm).with_context(|| self.wasm.display().to_string())?;
        let key = KeyFile::read(&self.key_file)?;
        let account_id = key.account_id.with_context(|| {
            format!("{}: expected an account_id beside the key", self.key_file.display())
        })?;
        let owner_id = self.owner.unwrap_or_else(|| account_id.clone());
        let (engine_version, near_config_version) = engine::served();
        let config = Config::new(engine_version, near_config_version);
        let node = Node::new(&NodeConfig::new(self.rpc_url))?;
        let account = Account::new(node.clone(), account_id.clone(), key.secret_key);
        let contract = Contract::new(node, account_id.clone());
        let workers = self.workers;

        let deployed: ConfigView = block_on(async move {
            let new = serde_json::to_vec(&json!({ "owner_id": owner_id, "config": config }))?;
            succeeded("deploy", account.deploy(code, "new", new, GAS).await?)?;
            for worker_id in workers {
                let args = json!({ "worker_id": worker_id, "metadata": null });
                let args = serde_json::to_vec(&args)?;
                let nothing = NearToken::from_yoctonear(0);
                let register = account.call(account.id(), "register_worker", args, GAS, nothing);
                succeeded("register_worker", register.await?)?;
            }
            Ok(contract.config(At::Optimistic).await?)
        })?;
        if self.json {
            print::json(&json!({ "contract_id": account_id, "config": deployed }))?;
        } else {
            print::line("contract", account_id);
            print::line("owner", deployed.owner_id);
            print::line("engine", deployed.config.engine_version.0);
            print::line("base fee", print::near(deployed.config.prices.base_fee));
        }
        Ok(true)
    }
}

fn succeeded(what: &str, outcome: CallOutcome) -> anyhow::Result<()> {
    match outcome.result {
        Ok(_) => Ok(()),
        Err(reason) => bail!("{what}, transaction {}: {reason}", outcome.transaction),
    }
}
