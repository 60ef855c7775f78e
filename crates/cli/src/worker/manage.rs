//! `outlayer worker register` and `outlayer worker withdraw`: calls that need more than the key of
//! a daemon, because they attach a yoctoNEAR.

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Contract, Keys, Node, Permission, SigningAccount};
use outlayer_protocol::{
    AccountId, NearToken, methods,
    secrets::{key_in_metadata, key_word},
    views::WorkerView,
};
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
    /// What the owner wants to note about it, in place of what is noted; a key for secrets that was
    /// published stays
    #[arg(long)]
    metadata: Option<String>,
    /// The worker's key for secrets, as `outlayer worker secrets-key` shows it; it is published in
    /// the metadata, in place of a former one
    #[arg(long, value_name = "x25519:KEY", value_parser = secrets_key)]
    secrets_key: Option<SecretsKey>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A worker's public key for secrets.
#[derive(Clone, Copy, Debug)]
struct SecretsKey([u8; 32]);

fn secrets_key(text: &str) -> Result<SecretsKey, String> {
    let key = key_in_metadata(text).filter(|key| key_word(key) == text);
    let expected = || "expected x25519: and 64 hex digits, as `outlayer worker secrets-key` shows";
    key.map(SecretsKey).ok_or_else(|| format!("{}, found {text:?}", expected()))
}

/// What is noted about a worker from now on, with its key for secrets as the last word; `None` when
/// nothing changes.
fn noted(
    metadata: Option<String>,
    key: Option<SecretsKey>,
    before: Option<&WorkerView>,
) -> Option<String> {
    if metadata.is_none() && key.is_none() {
        return None;
    }
    let before = before.map_or("", |worker| worker.metadata.as_str());
    let text = metadata.unwrap_or_else(|| before.to_owned());
    let key = key.map(|SecretsKey(key)| key).or_else(|| key_in_metadata(&text));
    let Some(key) = key.or_else(|| key_in_metadata(before)) else { return Some(text) };
    let others = text.split_whitespace().filter(|word| key_in_metadata(word).is_none());
    let words: Vec<String> = others.map(str::to_owned).chain([key_word(&key)]).collect();
    Some(words.join(" "))
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
        let (metadata, key, as_json) = (self.metadata, self.secrets_key, self.json);
        block_on(async move {
            let registered = contract.worker(&worker_id, At::Optimistic).await?;
            let metadata = noted(metadata, key, registered.as_ref());
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
                    let state = match &registered {
                        None => format!("is not registered with {}", contract.id()),
                        Some(_) => "is registered already".to_owned(),
                    };
                    let key = key.map_or_else(String::new, |SecretsKey(key)| {
                        format!(" --secrets-key {}", key_word(&key))
                    });
                    print::raw(format_args!(
                        "{worker_id} {state}. Only the contract's \
                         owner, {owner_id}, registers workers: a worker's answers are paid, so \
                         the owner decides who may give them. Ask the owner to run\n\n    \
                         outlayer worker register --worker {worker_id}{key} --contract {contract} \
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

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(metadata: &str) -> WorkerView {
        WorkerView {
            worker_id: "w.near".parse().unwrap(),
            earnings: NearToken::from_yoctonear(0),
            settled: 0,
            lost: 0,
            missed: 0,
            suspended: false,
            metadata: metadata.to_owned(),
        }
    }

    #[test]
    fn a_key_for_secrets_is_noted_beside_other_words_and_stays() {
        let [one, two] = [[1; 32], [2; 32]].map(|key| (SecretsKey(key), key_word(&key)));
        let before = worker(&format!("Berlin, {} rack 3", one.1));
        let noted = |text: Option<&str>, key, before: Option<&WorkerView>| {
            noted(text.map(str::to_owned), key, before)
        };
        assert_eq!(noted(None, None, Some(&before)), None);
        let changed = noted(None, Some(two.0), Some(&before));
        assert_eq!(changed, Some(format!("Berlin, rack 3 {}", two.1)));
        assert_eq!(noted(Some("Paris"), None, Some(&before)), Some(format!("Paris {}", one.1)));
        assert_eq!(noted(Some("Paris  2"), None, Some(&worker("x"))), Some("Paris  2".to_owned()));
        assert_eq!(noted(None, Some(one.0), None), Some(one.1.clone()));
        assert_eq!(noted(Some(&two.1), None, Some(&before)), Some(two.1));
        assert_eq!(secrets_key(&one.1).unwrap().0, [1; 32]);
        for wrong in ["x25519:1", "a x25519:1", &format!(" {}", one.1), &one.1[7..]] {
            assert!(secrets_key(wrong).is_err(), "{wrong}");
        }
    }
}
