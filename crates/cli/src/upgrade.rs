//! `outlayer upgrade`: announces new code of the contract, and deploys it when its time has come.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use clap::Args;
use outlayer_client::{AccountCode, Action, At, Contract};
use outlayer_protocol::{Hash32, NearToken, methods};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    contract_wasm::{self, ContractWasm},
    exit::{self, Exit},
    network::{NetworkArgs, block_on},
    print,
    wallet::{Planned, WalletArgs, call},
};

/// Tgas attached to the announcement.
const PROPOSE_TGAS: u64 = 50;
/// Gas attached to the upgrade, in units of gas.
const UPGRADE_GAS: u64 = 300_000_000_000_000;
const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);
/// How often the height is asked for.
const POLL: Duration = Duration::from_secs(2);

/// Announce new code for the contract, and deploy it when its time has come
///
/// An upgrade takes two calls of the owner. The first announces the code's hash; the second deploys
/// the code, 400 blocks later at the soonest, and not before every request that was live then has
/// ended. The command makes whichever is next: run it again when the time has come, or give --wait.
/// The contract migrates its state, and stays as it is if it cannot. Nothing is sent when the
/// contract has this code already; the exit code is 1 then.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The new Wasm of the contract [default: the one that is part of this command]
    wasm: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Announce other code than the one that is announced
    #[arg(long)]
    replace: bool,
    /// Wait until the upgrade can be made, and make it
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result of `get_upgrade`.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Announced {
    code_hash: Hash32,
    from_height: u64,
}

async fn announced(contract: &Contract) -> anyhow::Result<Option<Announced>> {
    Ok(contract.view(methods::GET_UPGRADE, json!({}), At::Optimistic).await?)
}

impl UpgradeArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let wasm = contract_wasm::read(self.wasm.as_deref())?;
        block_on(async move { self.run(wasm).await })
    }

    async fn run(self, wasm: ContractWasm) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let hash = wasm.hash;
        let deployed = contract.node().account_code(contract.id(), At::Optimistic).await?;
        if deployed == Some(AccountCode::Hash(hash)) {
            return self.unchanged(&contract, hash).await;
        }
        let wallet = self.wallet.clone().open(&self.network.node, self.json).await?;
        let owner_id = contract.config(At::Optimistic).await?.owner_id;
        if owner_id != wallet.id {
            bail!(
                "{} is owned by {owner_id}, and {} signs; give --account {owner_id}, or a key of \
                 it with --key-file",
                contract.id(),
                wallet.id
            );
        }
        let mut upgrade = announced(&contract).await?;
        if let Some(other) = upgrade.as_ref().filter(|one| one.code_hash != hash)
            && !self.replace
        {
            bail!(
                "other code is announced, {}, from block {}; give --replace to announce {hash} \
                 in its place",
                other.code_hash,
                other.from_height
            );
        }
        if upgrade.as_ref().is_none_or(|one| one.code_hash != hash) {
            let args = json!({ "code_hash": hash });
            let purpose = format!("announce the upgrade to {}, {hash}", wasm.name());
            let method = methods::PROPOSE_UPGRADE;
            let propose = call(purpose, contract.id(), method, &args, PROPOSE_TGAS, ONE_YOCTO);
            if wallet.send(&propose).await?.is_some() {
                upgrade = announced(&contract).await?;
            }
        }
        let make = Planned {
            purpose: "deploy the announced code, and migrate the state".to_owned(),
            receiver: contract.id().clone(),
            actions: vec![Action::Call {
                method: methods::UPGRADE.to_owned(),
                args: wasm.code,
                gas: UPGRADE_GAS,
                deposit: ONE_YOCTO,
            }],
            code_file: wasm.file,
        };
        if wallet.only_prints() {
            wallet.send(&make).await?;
            return wallet.printed();
        }
        let Some(upgrade) = upgrade else {
            bail!("the announcement was sent, and the node does not show it yet; run this again");
        };
        let height = self.height_reached(&contract, &upgrade).await?;
        if height.saturating_add(1) < upgrade.from_height {
            self.show(&contract, &upgrade, height, None).await?;
            return exit::with(Some(Exit::NotSettled));
        }
        let outcome = wallet.send(&make).await?;
        let transaction = outcome.map(|outcome| outcome.transaction.to_string());
        self.show(&contract, &upgrade, height, transaction).await?;
        Ok(true)
    }

    /// The newest height, which is high enough for the upgrade when the command waits.
    async fn height_reached(
        &self,
        contract: &Contract,
        upgrade: &Announced,
    ) -> anyhow::Result<u64> {
        loop {
            let height = contract.node().block(At::Optimistic).await?.height;
            if !self.wait || height.saturating_add(1) >= upgrade.from_height {
                return Ok(height);
            }
            let left = upgrade.from_height.saturating_sub(height);
            eprintln!("{left} blocks are left until block {}", upgrade.from_height);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Says that there is nothing to do, and which other code is announced nevertheless.
    async fn unchanged(&self, contract: &Contract, hash: Hash32) -> anyhow::Result<bool> {
        let version = contract_wasm::deployed_version(contract).await;
        let other = announced(contract).await?.filter(|one| one.code_hash != hash);
        if self.json {
            print::json(&json!({
                "contract_id": contract.id(), "code_hash": hash, "version": version,
                "state": "unchanged", "announced": other,
            }))?;
            return Ok(false);
        }
        print::line("contract", contract.id());
        print::line("code", hash);
        if let Some(version) = version {
            print::line("version", version);
        }
        print::raw("the contract has this code already; nothing was sent\n");
        if let Some(other) = other {
            print::line(
                "announced",
                format!("other code, {}, from block {} on", other.code_hash, other.from_height),
            );
        }
        Ok(false)
    }

    async fn show(
        &self,
        contract: &Contract,
        upgrade: &Announced,
        height: u64,
        transaction: Option<String>,
    ) -> anyhow::Result<()> {
        let made = transaction.is_some();
        // Before the upgrade, the contract says the version of the code that it has still.
        let version = if made { contract_wasm::deployed_version(contract).await } else { None };
        if self.json {
            return print::json(&json!({
                "contract_id": contract.id(), "code_hash": upgrade.code_hash,
                "version": version, "from_height": upgrade.from_height, "height": height,
                "state": if made { "upgraded" } else { "announced" },
                "transaction": transaction,
            }));
        }
        print::line("contract", contract.id());
        print::line("code", upgrade.code_hash);
        if let Some(version) = version {
            print::line("version", version);
        }
        if let Some(transaction) = transaction {
            print::line("upgraded", format!("in transaction {transaction}"));
            return Ok(());
        }
        print::line(
            "announced",
            format!("it can be made from block {} on; now it is {height}", upgrade.from_height),
        );
        print::raw("run the same command again then, or give --wait\n");
        Ok(())
    }
}
