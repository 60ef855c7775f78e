//! `outlayer dapp deploy`: puts a dApp's contract on an account.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{AccountCode, Action, At, Contract};
use outlayer_protocol::{Hash32, NearToken};
use serde_json::{Map, Value, json};

use crate::{
    cargo::{BuildOptions, Package},
    code_file,
    deploy::{check_balance, create::CreateArgs, needed},
    network::{NodeArgs, block_on},
    print,
    wallet::{Planned, WalletArgs},
};

/// Gas of the method that initialises the contract.
const INIT_GAS: u64 = 50_000_000_000_000;

/// Deploy a dApp's contract to an account of yours
///
/// A contract that is there is replaced, and keeps its state. With --init, a method is called that
/// initialises a new one, in the same transaction: when it fails, nothing has changed.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The contract's Wasm, or the folder of its package, which is built first
    #[arg(default_value = ".")]
    contract_code: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Initialise it with these arguments, a JSON object
    #[arg(long, value_name = "JSON")]
    init: Option<String>,
    /// The method that initialises it
    #[arg(long, default_value = "new", requires = "init")]
    init_method: String,
    #[command(flatten)]
    create: CreateArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The code, and the file that it is in.
fn read(path: &Path) -> anyhow::Result<(Vec<u8>, PathBuf)> {
    if path.is_dir() {
        let built = Package::read(path)?.build_contract(BuildOptions::default())?;
        return Ok((built.code, built.path));
    }
    Ok((code_file::read(path).context("the contract")?, path.to_owned()))
}

impl DeployArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let (code, file) = read(&self.contract_code)?;
        if let Some(init) = &self.init {
            let _: Map<String, Value> =
                serde_json::from_str(init).context("--init: expected a JSON object")?;
        }
        block_on(self.run(code, file))
    }

    async fn run(self, code: Vec<u8>, file: PathBuf) -> anyhow::Result<bool> {
        let (node, _) = self.node.node()?;
        let needed = needed(code.len())?;
        let mut documents = Vec::new();
        let wallet = if self.create.create {
            let wallet = self.wallet.clone();
            let created = self.create.account(wallet, &self.node, needed, self.json).await?;
            documents = created.documents;
            created.wallet
        } else {
            let wallet = self.wallet.clone().open(&self.node, self.json).await?;
            match node.account_code(&wallet.id, At::Optimistic).await? {
                None => bail!(
                    "{} does not exist; give --create to have its parent create it",
                    wallet.id
                ),
                Some(AccountCode::None) => check_balance(&node, &wallet.id, needed).await?,
                Some(_) => {
                    let there = Contract::new(node.clone(), wallet.id.clone());
                    if there.config(At::Optimistic).await.is_ok() {
                        bail!(
                            "{} has OutLayer's contract, which is not replaced: its state and the \
                             money in it would be lost; deploy to another account",
                            wallet.id
                        );
                    }
                }
            }
            wallet
        };
        let (bytes, hash) = (code.len(), Hash32::of(&code));
        let mut actions = vec![Action::Deploy(code)];
        actions.extend(self.init.as_ref().map(|init| Action::Call {
            method: self.init_method.clone(),
            args: init.clone().into_bytes(),
            gas: INIT_GAS,
            deposit: NearToken::from_yoctonear(0),
        }));
        let planned = Planned {
            purpose: format!("deploy the contract in {}", file.display()),
            receiver: wallet.id.clone(),
            actions,
            code_file: Some(file),
        };
        let Some(outcome) = wallet.send(&planned).await? else {
            if self.json {
                documents.extend(wallet.documents());
                print::json(&json!({ "transactions": documents }))?;
            }
            return Ok(true);
        };
        let transaction = outcome.transaction.to_string();
        if self.json {
            print::json(&json!({
                "contract_id": wallet.id, "code_hash": hash, "bytes": bytes,
                "transaction": transaction,
            }))?;
        } else {
            print::line("dApp", &wallet.id);
            print::line("code", hash);
            print::line("bytes", bytes);
            print::line("transaction", transaction);
        }
        Ok(true)
    }
}
