//! `outlayer deploy`: puts the contract on an account, initialises it, and registers its first
//! workers.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{
    At, CallOutcome, Contract, KeyFiles, Keys, Node, NodeConfig, SigningAccount,
};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_protocol::{AccountId, Config, NearToken, methods, views::ConfigView};
use serde_json::json;

use crate::{network::block_on, print};

/// A Tgas, in units of gas.
const TERA: u128 = 1_000_000_000_000;
/// Gas attached to `new`, and to each `register_worker`.
const GAS: u64 = 50_000_000_000_000;

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The contract's Wasm, as scripts/wasm builds it
    wasm: PathBuf,
    /// URL of a NEAR node's JSON-RPC endpoint
    #[arg(long, env = "OUTLAYER_RPC_URL", hide_env_values = true)]
    rpc_url: String,
    /// A file with a key of the account that becomes the contract, as near-cli writes it. Only its
    /// owner may have access to it
    #[arg(long, env = "OUTLAYER_KEY_FILE")]
    key_file: PathBuf,
    /// The account that becomes the contract [default: the one that the key file names]
    #[arg(long)]
    account: Option<AccountId>,
    /// The contract's owner [default: the account itself]
    #[arg(long)]
    owner: Option<AccountId>,
    /// A worker to register; may be given several times. Only the owner may register workers, so
    /// this cannot be combined with --owner
    #[arg(long = "worker", conflicts_with = "owner")]
    workers: Vec<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DeployArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = std::fs::read(&self.wasm).with_context(|| self.wasm.display().to_string())?;
        let files = KeyFiles { paths: vec![self.key_file], account_id: self.account };
        let Keys { account_id, secret_keys } = files.read()?;
        let secret_key = secret_keys.into_iter().next().context("no key")?;
        let owner_id = self.owner.unwrap_or_else(|| account_id.clone());
        let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
        let node = Node::new(&NodeConfig::new(self.rpc_url))?;
        let account = SigningAccount::new(node.clone(), account_id.clone(), secret_key);
        let contract = Contract::new(node, account_id.clone());
        let workers = self.workers;

        let deployed: ConfigView = block_on(async move {
            let new = serde_json::to_vec(&json!({ "owner_id": owner_id, "config": config }))?;
            succeeded("deploy", account.deploy(code, methods::NEW, new, GAS).await?)?;
            for worker_id in workers {
                let args = json!({ "worker_id": worker_id, "metadata": null });
                let args = serde_json::to_vec(&args)?;
                let one = NearToken::from_yoctonear(1);
                let register = account.call(account.id(), methods::REGISTER_WORKER, args, GAS, one);
                succeeded(methods::REGISTER_WORKER, register.await?)?;
            }
            Ok(contract.config(At::Optimistic).await?)
        })?;
        if self.json {
            print::json(&json!({ "contract_id": account_id, "config": deployed }))?;
        } else {
            print::line("contract", account_id);
            print::line("owner", deployed.owner_id);
            print::line("engine", deployed.config.engine_version.0);
            let prices = deployed.config.prices;
            print::line("each Tgas", print::near(prices.gas_price.saturating_mul(TERA)));
            print::line("each code byte", print::near(prices.per_module_byte));
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
