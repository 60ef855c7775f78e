//! `outlayer worker register` and `outlayer worker withdraw`: calls that need more than the key of
//! a daemon, because they attach a yoctoNEAR.

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Contract, Keys, Node, Permission, SigningAccount};
use outlayer_protocol::{AccountId, NearToken, methods};
use serde_json::json;

use super::keys::{contract_id, node_config, read_keys};
use crate::{network::block_on, print, settings::Settings};

/// Gas attached to a call.
const GAS: u64 = 50_000_000_000_000;
/// What the contract asks for, so that no function-call key can make these calls.
const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);

/// Register a worker, as the contract's owner; or say what the owner must do
///
/// Only the contract's owner registers workers. Run with the owner's key (--key-file) and the
/// worker's name (--worker), this registers the worker. Run with the worker's own settings, it says
/// what the owner must do.
#[derive(Args, Debug)]
pub(crate) struct WorkerRegisterArgs {
    #[command(flatten)]
    settings: Settings<false>,
    /// The worker to register [default: the account of the key]
    #[arg(long)]
    worker: Option<AccountId>,
    /// What the owner wants to note about it
    #[arg(long)]
    metadata: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The account that signs, and the contract.
fn prepare(settings: &Settings<false>) -> anyhow::Result<(Contract, SigningAccount, Keys)> {
    crate::logs::init("warn");
    let node = Node::new(&node_config(settings)?)?;
    let contract = Contract::new(node.clone(), contract_id(settings)?);
    let (keys, _) = read_keys(settings)?;
    let secret_key = keys.secret_keys.first().cloned().context("no key")?;
    let account = SigningAccount::new(node, keys.account_id.clone(), secret_key);
    Ok((contract, account, keys))
}

/// Calls a method with a yoctoNEAR attached. Gives what it returned.
async fn call(
    contract: &Contract,
    account: &SigningAccount,
    keys: &Keys,
    method: &str,
    args: serde_json::Value,
) -> anyhow::Result<(Vec<u8>, String)> {
    // Asked first, because a node's own words for it are hard to understand.
    let public_keys = keys.public_keys();
    let public_key = public_keys.first().context("no key")?;
    let node = contract.node();
    match node.access_key(account.id(), public_key, At::Optimistic).await? {
        None => bail!("{} does not have the access key {public_key}", account.id()),
        Some(view) if view.permission != Permission::FullAccess => bail!(
            "{public_key} is a function-call key, which cannot attach NEAR, and {method} asks for \
             one yoctoNEAR; give --key-file with a full-access key of {}",
            account.id()
        ),
        Some(_) => {}
    }
    let args = args.to_string().into_bytes();
    let outcome = account.call(contract.id(), method, args, GAS, ONE_YOCTO).await?;
    let transaction = outcome.transaction;
    match outcome.result {
        Ok(returned) => Ok((returned, transaction.to_string())),
        Err(reason) => bail!("{method}, transaction {transaction}: {reason}"),
    }
}

impl WorkerRegisterArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let (contract, account, keys) = prepare(&self.settings)?;
        let worker_id = self.worker.unwrap_or_else(|| account.id().clone());
        let (metadata, as_json) = (self.metadata, self.json);
        block_on(async move {
            let registered = contract.worker(&worker_id, At::Optimistic).await?;
            let owner_id = contract.config(At::Optimistic).await?.owner_id;
            let said = |state: &str, transaction: Option<&str>| {
                json!({
                    "worker_id": worker_id, "contract_id": contract.id(), "owner_id": owner_id,
                    "state": state, "transaction": transaction,
                })
            };
            // With a text to note, the registration is made anew.
            if registered.is_some() && metadata.is_none() {
                if as_json {
                    print::json(&said("registered", None))?;
                } else {
                    print::raw(format_args!("{worker_id} is registered already\n"));
                }
                return Ok(true);
            }
            if owner_id != *account.id() {
                if as_json {
                    print::json(&said("needs_owner", None))?;
                } else {
                    print::raw(format_args!(
                        "{worker_id} is not registered with {contract}. Only the contract's \
                         owner, {owner_id}, registers workers: a worker's answers are paid, so \
                         the owner decides who may give them. Ask the owner to run\n\n    \
                         outlayer worker register --worker {worker_id} --contract {contract} \
                         --key-file OWNER_KEY_FILE --rpc-url URL\n",
                        contract = contract.id(),
                    ));
                }
                return Ok(false);
            }
            let args = json!({ "worker_id": worker_id, "metadata": metadata });
            let (_, transaction) =
                call(&contract, &account, &keys, methods::REGISTER_WORKER, args).await?;
            if as_json {
                print::json(&said("registered", Some(&transaction)))?;
            } else {
                print::raw(format_args!(
                    "{worker_id} is registered now (transaction {transaction})\n"
                ));
            }
            Ok(true)
        })
    }
}

/// Pay the worker's account what it has earned
///
/// Pays the worker's account what it has earned. It needs a full-access key of the account, because
/// the contract asks for a yoctoNEAR.
#[derive(Args, Debug)]
pub(crate) struct WorkerWithdrawArgs {
    #[command(flatten)]
    settings: Settings<false>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WorkerWithdrawArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let (contract, account, keys) = prepare(&self.settings)?;
        let as_json = self.json;
        block_on(async move {
            // A worker that was removed keeps its earnings, and has no registration that shows
            // them: then the contract says whether anything is due.
            let worker = contract.worker(account.id(), At::Optimistic).await?;
            let nothing = NearToken::from_yoctonear(0);
            if worker.is_some_and(|worker| worker.earnings == nothing) {
                if as_json {
                    print::json(&json!({ "withdrawn": nothing, "transaction": null }))?;
                } else {
                    print::raw(format_args!("{} has nothing to withdraw\n", account.id()));
                }
                return Ok(false);
            }
            let method = methods::WITHDRAW_EARNINGS;
            let (returned, transaction) =
                call(&contract, &account, &keys, method, json!({})).await?;
            let amount: NearToken = serde_json::from_slice(&returned)
                .with_context(|| format!("transaction {transaction}: the amount"))?;
            if as_json {
                print::json(&json!({ "withdrawn": amount, "transaction": transaction }))?;
            } else {
                print::line("withdrawn", print::near(amount));
                print::line("to", account.id());
                print::line("transaction", transaction);
            }
            Ok(true)
        })
    }
}
