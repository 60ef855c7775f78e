//! `outlayer deploy`: puts the contract on an account, initialises it, and registers its first
//! workers.

pub(crate) mod create;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{AccountCode, Action, At, Contract, Node};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_protocol::{AccountId, Config, Hash32, NearToken, methods, views::ConfigView};
use serde_json::{Value, json};

use self::create::CreateArgs;
use crate::{
    contract_wasm::{self, ContractWasm},
    network::{NodeArgs, block_on},
    print,
    wallet::{Planned, Wallet, WalletArgs, call},
};

/// A Tgas, in units of gas.
const TERA: u128 = 1_000_000_000_000;
/// Tgas attached to `new`, and to each `register_worker`.
const TGAS: u64 = 50;
/// NEAR's price of a byte of storage.
const BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));
/// What the contract keeps beside its code, and the gas of the deployment.
const BESIDE_CODE: NearToken = NearToken::from_millinear(200);

/// Deploy the contract to an account of yours, and register workers with it
///
/// It refuses to replace a contract: `outlayer upgrade` does that, and keeps the state. With
/// --dry-run it makes the same checks, prints every transaction, and sends none.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The contract's Wasm [default: the one that is part of this command]
    wasm: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The contract's owner [default: the account itself]
    #[arg(long)]
    owner: Option<AccountId>,
    /// A worker to register; may be given several times. Only the owner may register workers, so
    /// this cannot be combined with --owner
    #[arg(long = "worker", conflicts_with = "owner")]
    workers: Vec<AccountId>,
    /// A JSON file with what differs from the default configuration, prices for example:
    /// {"prices": {"per_fuel": "1000000000000"}}
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    create: CreateArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DeployArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let wasm = contract_wasm::read(self.wasm.as_deref())?;
        let config = configuration(self.config.as_deref())?;
        block_on(async move { self.run(wasm, config).await })
    }

    async fn run(self, wasm: ContractWasm, config: Config) -> anyhow::Result<bool> {
        let (node, _) = self.node.node()?;
        let needed = needed(wasm.code.len())?;
        let mut documents = Vec::new();
        let wallet = if self.create.create {
            let wallet = self.wallet.clone();
            let created = self.create.account(wallet, &self.node, needed, self.json).await?;
            documents = created.documents;
            created.wallet
        } else {
            let wallet = self.wallet.clone().open(&self.node, self.json).await?;
            check_account(&node, &wallet.id, needed).await?;
            wallet
        };
        let contract_id = wallet.id.clone();
        let owner_id = self.owner.clone().unwrap_or_else(|| contract_id.clone());

        let new = json!({ "owner_id": owner_id, "config": config }).to_string().into_bytes();
        let deploy = Planned {
            purpose: format!("deploy {} and initialise it", wasm.name()),
            receiver: contract_id.clone(),
            actions: vec![
                Action::Deploy(wasm.code),
                Action::Call {
                    method: methods::NEW.to_owned(),
                    args: new,
                    gas: TGAS.saturating_mul(1_000_000_000_000),
                    deposit: NearToken::from_yoctonear(0),
                },
            ],
            code_file: wasm.file,
        };
        let mut sent = Vec::new();
        sent.extend(wallet.send(&deploy).await?.map(|outcome| outcome.transaction.to_string()));
        for worker_id in &self.workers {
            let register = call(
                format!("register the worker {worker_id}"),
                &contract_id,
                methods::REGISTER_WORKER,
                &json!({ "worker_id": worker_id, "metadata": null }),
                TGAS,
                NearToken::from_yoctonear(1),
            );
            let outcome = wallet.send(&register).await.with_context(|| {
                format!(
                    "the contract is deployed, and {worker_id} is not registered; do that with \
                     `outlayer worker register --worker {worker_id}`"
                )
            })?;
            sent.extend(outcome.map(|outcome| outcome.transaction.to_string()));
        }
        if wallet.only_prints() {
            if self.json {
                documents.extend(wallet.documents());
                print::json(&json!({ "transactions": documents }))?;
            }
            return Ok(true);
        }
        let contract = Contract::new(node, contract_id.clone());
        let version = contract_wasm::deployed_version(&contract).await;
        let deployed = contract.config(At::Optimistic).await?;
        self.show(&wallet, wasm.hash, version, &deployed, &sent)
    }

    fn show(
        &self,
        wallet: &Wallet,
        hash: Hash32,
        version: Option<String>,
        deployed: &ConfigView,
        sent: &[String],
    ) -> anyhow::Result<bool> {
        if self.json {
            print::json(&json!({
                "contract_id": wallet.id, "code_hash": hash, "version": version,
                "config": deployed, "workers": self.workers, "transactions": sent,
            }))?;
            return Ok(true);
        }
        print::line("contract", &wallet.id);
        print::line("code", hash);
        if let Some(version) = version {
            print::line("version", version);
        }
        print::line("owner", &deployed.owner_id);
        print::line("engine", deployed.config.engine_version.0);
        let prices = deployed.config.prices;
        print::line("each Tgas", print::near(prices.gas_price.saturating_mul(TERA)));
        print::line("each code byte", print::near(prices.per_module_byte));
        print::line("each exchange", print::near(prices.per_exchange));
        for worker in &self.workers {
            print::line("worker", worker);
        }
        for transaction in sent {
            print::line("transaction", transaction);
        }
        Ok(true)
    }
}

/// The default configuration with what a JSON file has in place of it.
fn configuration(path: Option<&std::path::Path>) -> anyhow::Result<Config> {
    let default = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    let Some(path) = path else {
        return Ok(default);
    };
    let shown = path.display();
    let text = fs::read_to_string(path)
        .with_context(|| format!("{shown}: expected a JSON file with a part of a configuration"))?;
    let patch: Value = serde_json::from_str(&text).with_context(|| format!("{shown}: no JSON"))?;
    let mut config = serde_json::to_value(default)?;
    merge(&mut config, &patch, "").with_context(|| shown.to_string())?;
    serde_json::from_value(config).with_context(|| format!("{shown}: no configuration"))
}

/// Puts the values of `patch` in place of those of `config`, which must have them.
fn merge(config: &mut Value, patch: &Value, path: &str) -> anyhow::Result<()> {
    let (Some(fields), Some(patches)) = (config.as_object_mut(), patch.as_object()) else {
        *config = patch.clone();
        return Ok(());
    };
    for (name, value) in patches {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(field) = fields.get_mut(name) else {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            bail!("found {at:?}, expected one of {}", known.join(", "));
        };
        merge(field, value, &at)?;
    }
    Ok(())
}

/// Refuses an account that has a contract, or too little money for this one.
async fn check_account(node: &Node, id: &AccountId, needed: NearToken) -> anyhow::Result<()> {
    match node.account_code(id, At::Optimistic).await? {
        Some(AccountCode::None) => {}
        None => bail!(
            "{id} does not exist; give --create to have its parent create it, or create it with \
             `near account create-account`"
        ),
        Some(_) => bail!(
            "{id} has a contract already, which is not replaced: its state and the money in it \
             would be lost or unreadable. `outlayer upgrade` replaces the code of an OutLayer \
             contract and keeps its state; or deploy to another account"
        ),
    }
    check_balance(node, id, needed).await
}

/// What an account needs for the storage of a contract of so many bytes, about.
pub(crate) fn needed(code_bytes: usize) -> anyhow::Result<NearToken> {
    let code = BYTE_COST.saturating_mul(u128::try_from(code_bytes)?);
    Ok(code.saturating_add(BESIDE_CODE))
}

/// Refuses an account that has too little money for a contract.
pub(crate) async fn check_balance(
    node: &Node,
    id: &AccountId,
    needed: NearToken,
) -> anyhow::Result<()> {
    let free = node.balance(id, At::Optimistic).await?.map(|balance| balance.free());
    if let Some(free) = free.filter(|free| *free < needed) {
        bail!(
            "{id} can spend {}, and the contract needs about {} for its storage; send it more",
            print::near(free),
            print::near(needed)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_changed_by_name_and_a_wrong_name_is_refused() {
        let mut config =
            serde_json::to_value(Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION)).unwrap();
        merge(&mut config, &json!({ "prices": { "per_fuel": "7" } }), "").unwrap();
        let read: Config = serde_json::from_value(config.clone()).unwrap();
        assert_eq!(read.prices.per_fuel, NearToken::from_yoctonear(7));
        let wrong = merge(&mut config, &json!({ "prices": { "per_fule": "7" } }), "");
        let wrong = wrong.unwrap_err().to_string();
        assert!(wrong.contains("\"prices.per_fule\"") && wrong.contains("per_fuel"), "{wrong}");
    }
}
