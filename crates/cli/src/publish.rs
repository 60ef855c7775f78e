//! `outlayer publish`: puts a guest's code into the contract, and gives it a name.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use outlayer_client::{
    CODE_PART_BYTES, CodeCall, ContractCaller, NamedVersion, PublishError, name_code, publish_code,
};
use outlayer_protocol::{AccountId, CodeRef, Hash32, code_name::check_name, methods};
use serde_json::json;

use crate::{
    code_file,
    network::{NetworkArgs, block_on},
    print,
    wallet::{Planned, Wallet, WalletArgs},
};

/// Put a guest's code into the contract, and give it a name
///
/// Code that is there already is not sent again, and a publication that was broken off goes on
/// where it ended. The deposit for its bytes comes back when the code is deleted.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The guest's Wasm
    wasm: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Give the code the next version of this name of yours; requests ask for it as OWNER/NAME
    #[arg(long)]
    name: Option<String>,
    /// Leave the code at this URL, and give the name to it there
    #[arg(long, requires = "name")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PublishArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = code_file::read(&self.wasm)?;
        block_on(async move { self.run(code).await })
    }

    async fn run(self, code: Vec<u8>) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let wallet = self.wallet.clone().open(&self.network.node, self.json).await?;
        let short = self.name.as_deref().map(|name| own_name(name, &wallet)).transpose()?;
        let hash = Hash32::of(&code);
        let mut caller = WalletCaller {
            wallet: &wallet,
            contract_id: contract.id(),
            wasm: &self.wasm,
            in_parts: code.len() > CODE_PART_BYTES,
            transactions: Vec::new(),
        };
        let already = if self.url.is_some() {
            false
        } else {
            let published = publish_code(&contract, &wallet.id, &code, &mut caller).await;
            let published = published.map_err(explained)?;
            if let Some(other) = &published.overtaken_by {
                eprintln!(
                    "{other} has published all of code {hash} first; what the parts of {} cost \
                     comes back with the method delete_code",
                    wallet.id
                );
            }
            published.was_published
        };
        let named = match &short {
            Some(name) => {
                let code = CodeRef { hash, url: self.url.clone() };
                let named = name_code(&contract, &wallet.id, name, &code, &mut caller).await;
                named.map_err(explained)?
            }
            None => None,
        };
        let transactions = caller.transactions;
        if wallet.only_prints() {
            return wallet.printed();
        }
        let named = named.map(|NamedVersion { name, .. }| print::text(name.as_bytes()));
        if self.json {
            print::json(&json!({
                "code_hash": hash, "bytes": code.len(), "was_published": already, "name": named,
                "contract_id": contract.id(), "transactions": transactions,
            }))?;
            return Ok(true);
        }
        print::line("code", hash);
        print::line("bytes", code.len());
        if already {
            print::line("published", "already");
        }
        if let Some(name) = &named {
            print::line("name", name);
        }
        for transaction in &transactions {
            print::line("transaction", transaction);
        }
        Ok(true)
    }
}

/// Makes calls with the account of the command's options, or prints them.
struct WalletCaller<'a> {
    wallet: &'a Wallet,
    contract_id: &'a AccountId,
    /// The file with the code.
    wasm: &'a Path,
    /// Whether the code is sent in several parts, so that progress is shown.
    in_parts: bool,
    /// The hashes of the transactions that were executed.
    transactions: Vec<String>,
}

impl ContractCaller for WalletCaller<'_> {
    type Error = anyhow::Error;

    async fn call(&mut self, call: &CodeCall) -> anyhow::Result<Option<Vec<u8>>> {
        let is_part = call.method == methods::PUBLISH_CODE;
        let planned = Planned {
            purpose: call.purpose.clone(),
            receiver: self.contract_id.clone(),
            actions: vec![call.to_action()],
            code_file: is_part.then(|| self.wasm.to_owned()),
        };
        if is_part && self.in_parts && !self.wallet.only_prints() {
            eprintln!("{}", call.purpose);
        }
        let Some(outcome) = self.wallet.send(&planned).await? else {
            return Ok(None);
        };
        self.transactions.push(outcome.transaction.to_string());
        Ok(Some(outcome.result.map_err(anyhow::Error::msg)?))
    }
}

/// The error of the wallet, with what was being done.
fn explained(error: PublishError<anyhow::Error>) -> anyhow::Error {
    match error.into_callers() {
        Ok((error, doing)) => error.context(doing),
        Err(PublishError::Chain(error)) => error.into(),
        Err(other) => anyhow!("{other}"),
    }
}

/// The name without its owner, who must be the account that signs.
fn own_name(name: &str, wallet: &Wallet) -> anyhow::Result<String> {
    let short = match name.split_once('/') {
        None => name,
        Some((owner, short)) if owner == wallet.id.as_str() => short,
        Some((owner, _)) => bail!(
            "{name} is a name of {owner}, and {} signs; every account gives its own names",
            wallet.id
        ),
    };
    check_name(short)?;
    Ok(short.to_owned())
}
