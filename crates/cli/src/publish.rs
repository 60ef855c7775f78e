//! `outlayer publish`: puts a guest's code into the contract, and gives it a name.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{Action, At, Contract};
use outlayer_protocol::{
    CodeRef, Hash32, NearToken,
    code_name::check_name,
    methods,
    views::{CodeInfoView, NamedCodeView},
};
use serde_json::{Value, json};

use crate::{
    code_file,
    network::{NetworkArgs, block_on},
    print,
    wallet::{Planned, Wallet, WalletArgs, call},
};

/// How many bytes of code go in one call. Several such parts fit into a transaction's limits.
const PART_BYTES: usize = 300_000;
/// Gas attached to a part, in units of gas.
const PART_GAS: u64 = 300_000_000_000_000;
/// Tgas attached to the naming.
const NAME_TGAS: u64 = 50;
/// NEAR's price of a byte of storage.
const BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));
/// What is attached for the bytes beside the code itself. What it does not cost comes back.
const BESIDE_PART: NearToken = NearToken::from_millinear(100);

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
        let mut transactions = Vec::new();
        let already = if self.url.is_some() {
            false
        } else {
            self.publish(&contract, &wallet, &code, &hash, &mut transactions).await?
        };
        let named = match &short {
            Some(name) => {
                self.give_name(&contract, &wallet, name, &hash, &mut transactions).await?
            }
            None => None,
        };
        if wallet.only_prints() {
            return wallet.printed();
        }
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

    /// Publishes the code in parts. Returns whether it was there already.
    async fn publish(
        &self,
        contract: &Contract,
        wallet: &Wallet,
        code: &[u8],
        hash: &Hash32,
        transactions: &mut Vec<String>,
    ) -> anyhow::Result<bool> {
        let args = json!({ "hash": hash, "publisher_id": wallet.id });
        let info: Option<CodeInfoView> =
            contract.view(methods::GET_CODE_INFO, args, At::Optimistic).await?;
        let total = u32::try_from(code.len()).context("the code is too large")?;
        let mut offset = 0;
        if let Some(info) = info {
            if info.retired {
                bail!(
                    "code {hash} is published, and {} has withdrawn it from new requests; any \
                     account can adopt it with the method adopt_code",
                    info.publisher_id
                );
            }
            if info.published_bytes == info.total_bytes {
                return Ok(true);
            }
            offset = usize::try_from(info.published_bytes)?;
        }
        while let Some(rest) = code.get(offset..).filter(|rest| !rest.is_empty()) {
            let part = rest.get(..PART_BYTES).unwrap_or(rest);
            let price = BYTE_COST.saturating_mul(u128::try_from(part.len())?);
            let args = borsh::to_vec(&(hash, total, u32::try_from(offset)?, part))?;
            let end = offset.saturating_add(part.len());
            let planned = Planned {
                purpose: format!("publish bytes {offset} to {end} of {total}"),
                receiver: contract.id().clone(),
                actions: vec![Action::Call {
                    method: methods::PUBLISH_CODE.to_owned(),
                    args,
                    gas: PART_GAS,
                    deposit: price.saturating_add(BESIDE_PART),
                }],
                code_file: Some(self.wasm.clone()),
            };
            if code.len() > PART_BYTES && !wallet.only_prints() {
                eprintln!("publishing bytes {offset} to {end} of {total}");
            }
            let sent = wallet.send(&planned).await.with_context(|| {
                format!(
                    "{offset} of {total} bytes are published; the same command goes on with the \
                     rest"
                )
            })?;
            transactions.extend(sent.map(|outcome| outcome.transaction.to_string()));
            offset = end;
        }
        Ok(false)
    }

    /// Gives the code the next version of the name, unless it is the newest version already.
    /// Returns the name with the version.
    async fn give_name(
        &self,
        contract: &Contract,
        wallet: &Wallet,
        name: &str,
        hash: &Hash32,
        transactions: &mut Vec<String>,
    ) -> anyhow::Result<Option<String>> {
        let full = format!("{}/{name}", wallet.id);
        let code = CodeRef { hash: *hash, url: self.url.clone() };
        let args = json!({ "name": full });
        let newest: Option<NamedCodeView> =
            contract.view(methods::GET_NAMED_CODE, args, At::Optimistic).await?;
        if let Some(newest) = newest.filter(|one| one.hash == *hash && one.url == self.url) {
            return Ok(Some(print::text(newest.name.as_bytes())));
        }
        let args = json!({ "name": name, "code": code });
        let deposit = NearToken::from_millinear(10);
        let purpose = format!("give the code the next version of {full}");
        let method = methods::NAME_CODE;
        let planned = call(purpose, contract.id(), method, &args, NAME_TGAS, deposit);
        let Some(outcome) = wallet.send(&planned).await? else {
            return Ok(None);
        };
        transactions.push(outcome.transaction.to_string());
        let returned = outcome.result.map_err(anyhow::Error::msg)?;
        let version: Value = serde_json::from_slice(&returned).context("the version")?;
        Ok(Some(format!("{full}@{version}")))
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
