//! `outlayer compare`: the same bytes as a contract on a network and as a guest here.

mod gas;
mod here;
mod report;
mod there;
mod verdict;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{Action, At};
use outlayer_protocol::{AccountId, Hash32, NearToken};

use crate::{
    code_file,
    engine::EngineArgs,
    exit,
    network::{NodeArgs, block_on},
    wallet::{Planned, Wallet, WalletArgs},
};
use there::There;

/// Units of gas in a Tgas.
const TERAGAS: u64 = 1_000_000_000_000;

/// Compare a contract on a network with the same bytes as a guest here
///
/// The method is called on the network, and here by OutLayer's engine on the state that the
/// contract had, in the same block. Output, status, logs and gas are shown side by side. Without
/// --call the method is a view, which costs nothing and burns no gas that anybody shows.
///
/// A guest makes no receipts, holds no NEAR, and is told nothing of validators; a method that needs
/// any of it cannot be compared, and the command says so.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The contract's Wasm, which must be what the account has
    wasm: PathBuf,
    /// The method
    method: String,
    /// The method's arguments, as text
    #[arg(long, conflicts_with = "args_file")]
    args: Option<String>,
    /// A file that holds the method's arguments
    #[arg(long)]
    args_file: Option<PathBuf>,
    /// The account that has the contract [default: --account]
    #[arg(long = "contract", value_name = "ACCOUNT")]
    contract_id: Option<AccountId>,
    /// Call the method in a transaction of --account, which pays for the gas
    #[arg(long)]
    call: bool,
    /// Gas for the call, Tgas
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    tgas: u64,
    /// Put the Wasm on --account first, which must have no other contract
    #[arg(long, conflicts_with = "contract_id")]
    deploy: bool,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is compared.
struct Asked {
    code: Vec<u8>,
    code_hash: Hash32,
    contract_id: AccountId,
    method: String,
    args: Vec<u8>,
    /// Units of gas that the contract gets.
    gas: u64,
    /// The transaction that has put the code on the account, if this command has sent one.
    deployed: Option<String>,
}

impl CompareArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = code_file::read(&self.wasm)?;
        let args = match (&self.args, &self.args_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => fs::read(path).with_context(|| path.display().to_string())?,
            (None, None) => Vec::new(),
        };
        block_on(async move { self.run(code, args).await })
    }

    async fn run(self, code: Vec<u8>, args: Vec<u8>) -> anyhow::Result<bool> {
        let needs_wallet = self.call || self.deploy;
        if !needs_wallet && (self.wallet.dry_run || self.wallet.unsigned) {
            bail!(
                "a view sends no transaction; --dry-run and --unsigned go with --call or --deploy"
            );
        }
        let wallet = if needs_wallet {
            Some(self.wallet.clone().open(&self.node, self.json).await?)
        } else {
            None
        };
        let (node, _) = self.node.node()?;
        let signer = wallet.as_ref().map(|wallet| wallet.id.clone());
        let contract_id = self.contract_id.clone().or(signer).or(self.wallet.account.clone());
        let contract_id = contract_id.context(
            "nobody says which account has the contract; give --contract, or --account for one of \
             your own",
        )?;
        let code_hash = Hash32::of(&code);
        let gas = self.tgas.saturating_mul(TERAGAS);
        let mut asked = Asked {
            code,
            code_hash,
            contract_id,
            method: self.method.clone(),
            args,
            gas,
            deployed: None,
        };
        let found = node.contract_code(&asked.contract_id, At::Optimistic).await?;
        let is_there = found.as_ref().is_some_and(|(hash, _)| *hash == asked.code_hash);
        if !is_there {
            match (found, &wallet) {
                (None, Some(wallet)) if self.deploy => {
                    asked.deployed = self.put(&asked, wallet).await?;
                }
                (found, _) => bail!("{}", self.lacks(&asked, found.map(|(hash, _)| hash))),
            }
        }
        if let Some(wallet) = wallet.as_ref().filter(|_| self.call) {
            let call = Planned {
                purpose: format!("call {}", asked.method),
                receiver: asked.contract_id.clone(),
                actions: vec![Action::Call {
                    method: asked.method.clone(),
                    args: asked.args.clone(),
                    gas: asked.gas,
                    deposit: NearToken::from_yoctonear(0),
                }],
                code_file: None,
            };
            let there = there::call(&asked, wallet, &call).await?;
            return match there {
                Some(there) => self.compare(&asked, there).await,
                None => wallet.printed(),
            };
        }
        if let Some(wallet) = wallet.filter(Wallet::only_prints) {
            return wallet.printed();
        }
        let there = there::view(&asked, &node).await?;
        self.compare(&asked, there).await
    }

    /// Deploys the Wasm to the signing account, which has no contract.
    async fn put(&self, asked: &Asked, wallet: &Wallet) -> anyhow::Result<Option<String>> {
        let deploy = Planned {
            purpose: "deploy the contract".to_owned(),
            receiver: asked.contract_id.clone(),
            actions: vec![Action::Deploy(asked.code.clone())],
            code_file: Some(self.wasm.clone()),
        };
        Ok(wallet.send(&deploy).await?.map(|outcome| outcome.transaction.to_string()))
    }

    /// Says that the account does not have the contract.
    fn lacks(&self, asked: &Asked, found: Option<Hash32>) -> String {
        let (id, wasm, expected) = (&asked.contract_id, self.wasm.display(), asked.code_hash);
        match found {
            None => format!(
                "{id} does not exist or has no contract; expected the code of {wasm}, {expected}. \
                 --deploy puts it on an account of your own"
            ),
            Some(found) => format!(
                "{id} has a contract with other bytes: found {found}, expected {expected} of \
                 {wasm}. It is not replaced; compare the file that is deployed, or give --deploy \
                 with an account that has no contract"
            ),
        }
    }

    /// Executes the same here, and shows both.
    async fn compare(self, asked: &Asked, there: There) -> anyhow::Result<bool> {
        let engine = self.engine.engine()?;
        let here = here::execute(engine, asked, &there).await?;
        let gas = there.receipt.as_ref().map(|receipt| gas::parts(asked, &there, receipt, &here));
        let verdict = verdict::of(&there, &here, gas.as_ref());
        report::show(asked, &there, &here, gas.as_ref(), &verdict, self.json)?;
        exit::with(verdict.exit())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use outlayer_client::{Block, CryptoHash};
    use outlayer_protocol::Status;

    use super::{here::Here, there::There};

    /// What a network may have done.
    pub(super) fn there(result: Result<&str, &str>, logs: &[&str]) -> There {
        let hash = CryptoHash::default();
        There {
            network: "localnet".to_owned(),
            protocol_version: 88,
            signer_id: "you.near".parse().unwrap(),
            block: Block { height: 7, hash, prev_hash: hash, timestamp: 8 },
            random_seed: None,
            state: BTreeMap::new(),
            result: result.map(|text| text.as_bytes().to_vec()).map_err(str::to_owned),
            logs: Some(logs.iter().map(|line| (*line).to_owned()).collect()),
            receipt: None,
        }
    }

    /// What may have come of it here.
    pub(super) fn here(status: Status, output: &str, logs: &str) -> Here {
        Here { status, output: output.into(), logs: logs.into(), gas: 5 }
    }
}
