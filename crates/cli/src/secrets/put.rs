//! `outlayer secrets put`: seals a value to workers and stores it.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Contract};
use outlayer_protocol::{
    AccountId, Bytes, Hash32, HttpAccess,
    code_name::CodeName,
    limits::MAX_VALUE_BYTES,
    methods,
    secrets::{MAX_TERMS_BYTES, Opening, SecretEntry, SecretTerms, entry_key, key_word},
    views::NamedCodeView,
};
use outlayer_secrets::{Recipient, Sealing, random, seal_entry};
use serde_json::json;

use super::{Hidden, check_name, list, opening, recipients, value};
use crate::{
    network::NetworkArgs,
    print,
    storage::{Change, change},
    wallet::WalletArgs,
};

/// Seal a value to workers, and store it in the signing account's namespace
///
/// The value is read from a file or from standard input, sealed here to the keys that the workers
/// publish, and leaves this machine in no other form. Everything else becomes public: the name, the
/// code, the accounts, the hosts, the workers, and a salted commitment to the value. Whoever
/// operates one of the workers can read the value. --dry-run shows what would be stored.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The name of the secret, and of the environment variable in which the guest finds it
    name: String,
    /// Taken so that a value in the wrong place does not become part of a message.
    #[arg(hide = true, num_args = 0..)]
    misplaced: Vec<Hidden>,
    /// The code that may have it: a SHA-256 as 64 hex digits, or OWNER/NAME@VERSION
    #[arg(long = "for", value_name = "CODE")]
    code: String,
    /// The file with the value, of which one line end at its end is left out; - for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    value_file: PathBuf,
    /// The accounts that may request executions with it, such as a dApp's contract; several with
    /// commas between them [default: the account that signs]
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    access: Vec<AccountId>,
    /// The hosts that such a request may list, word for word; several with commas between them
    /// [default: none, so that a request with it has no HTTP]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<String>,
    /// The workers to which it is sealed; several with commas between them [default: all that are
    /// active and publish a key]
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    workers: Vec<AccountId>,
    /// Write value and salt to this new file, for replays
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PutArgs {
    pub(super) async fn run(self) -> anyhow::Result<bool> {
        if !self.misplaced.is_empty() {
            bail!(
                "a value on the command line can be read by other users of this machine, and \
                 stays in the shell's history; give it with --value-file or on standard input"
            );
        }
        check_name(&self.name)?;
        let hosts = unique(self.hosts);
        if !hosts.is_empty() {
            HttpAccess::to(hosts.clone()).check_hosts()?;
        }
        let value = value::read(&self.value_file)?;
        let contract = self.network.contract()?;
        let is_dry = self.wallet.dry_run;
        let wallet = self.wallet.open(&self.network.node, self.json).await?;
        let code_hash = code_hash(&contract, &self.code).await?;
        let recipients = recipients::find(&contract, &unique(self.workers)).await?;
        let opening = Opening { salt: random()?, value };
        let access =
            if self.access.is_empty() { vec![wallet.id.clone()] } else { unique(self.access) };
        let sealing = Sealing {
            contract_id: contract.id(),
            owner_id: &wallet.id,
            name: &self.name,
            version: next_version(&contract, &wallet.id, &self.name).await?,
            code_hash,
            access,
            hosts,
        };
        let entry = seal_entry(sealing, &recipients, &opening)?;
        let stored = checked(&entry)?;
        if !self.json {
            show(&self.name, &wallet.id, &entry.terms, &recipients);
        }
        let kept = self.keep.filter(|_| !is_dry);
        match &kept {
            // Before anything is sent: what is stored could be replayed by nobody.
            Some(path) => opening::keep(path, &self.name, &opening)?,
            None if is_dry => {}
            None => eprintln!(
                "the opening is kept nowhere (--keep FILE): nobody will be able to replay an \
                 execution with this secret"
            ),
        }
        let key = entry_key(&self.name);
        let args = json!({ "key": Bytes(key.clone()), "value": Bytes(stored) });
        let what = Change {
            method: methods::STORAGE_SET,
            key: &key,
            purpose: format!("store the secret {} of {}", self.name, wallet.id),
            args: &args,
        };
        let done = change(&contract, &wallet, what).await.inspect_err(|_| {
            if let Some(path) = &kept {
                eprintln!(
                    "{} has the opening, though the secret may not be stored; remove it when \
                     `outlayer secrets list` does not show its commitment",
                    path.display()
                );
            }
        });
        let Some(done) = done? else {
            return wallet.printed();
        };
        if self.json {
            let mut said = list::terms_json(&self.name, &entry.terms);
            if let Some(fields) = said.as_object_mut() {
                let to = recipients.iter().map(
                    |one| json!({ "worker_id": one.worker_id, "key": key_word(&one.public_key) }),
                );
                fields.insert("recipients".to_owned(), to.collect());
                fields.insert("owner_id".to_owned(), json!(wallet.id));
                fields.insert("kept".to_owned(), json!(kept));
                fields.insert("transaction".to_owned(), json!(done.transaction));
            }
            print::json(&said)?;
            return Ok(true);
        }
        if let Some(path) = &kept {
            print::line("opening", format!("{}, for replays", path.display()));
        }
        print::line("transaction", done.transaction);
        Ok(true)
    }
}

/// Each once, in their order.
fn unique<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut found = Vec::with_capacity(all.len());
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// The hash of the code that was named.
async fn code_hash(contract: &Contract, text: &str) -> anyhow::Result<Hash32> {
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let name = CodeName::parse(text).ok().with_context(|| {
        format!("--for: found {text:?}, expected 64 hex digits or OWNER/NAME@VERSION")
    })?;
    let args = json!({ "name": text });
    let named: Option<NamedCodeView> =
        contract.view(methods::GET_NAMED_CODE, args, At::Optimistic).await?;
    let named = named.with_context(|| format!("{} has no code {text}", contract.id()))?;
    if name.version.is_none() {
        bail!(
            "--for {text}: a name without a version stands for whatever its owner publishes next, \
             which could be code that gives the secret away; the version that it stands for now is \
             {}",
            named.name
        );
    }
    Ok(named.hash)
}

/// One more than the version of the entry that stands there.
async fn next_version(
    contract: &Contract,
    owner_id: &AccountId,
    name: &str,
) -> anyhow::Result<u32> {
    let stored = contract.storage_get(owner_id, &entry_key(name), At::Optimistic).await?;
    match stored.map(|stored| SecretTerms::of_entry(&stored)) {
        None => Ok(1),
        Some(Ok(terms)) => terms.version.checked_add(1).context("the version is the last one"),
        Some(Err(error)) => {
            eprintln!("what stands under {name} is replaced: {error}");
            Ok(1)
        }
    }
}

/// The entry as it is stored, when it is within bounds.
fn checked(entry: &SecretEntry) -> anyhow::Result<Vec<u8>> {
    let terms = borsh::to_vec(&entry.terms)?.len();
    if terms > MAX_TERMS_BYTES {
        bail!(
            "the terms of the secret have {terms} bytes, expected at most {MAX_TERMS_BYTES}: name \
             fewer accounts, hosts or workers"
        );
    }
    let stored = entry.encode();
    if stored.len() > MAX_VALUE_BYTES as usize {
        bail!(
            "the sealed secret has {} bytes, expected at most {MAX_VALUE_BYTES}: name fewer \
             workers",
            stored.len()
        );
    }
    Ok(stored)
}

/// What becomes public, and to which keys the value is sealed.
fn show(name: &str, owner_id: &AccountId, terms: &SecretTerms, recipients: &[Recipient]) {
    list::show_terms(name, owner_id, terms);
    for Recipient { worker_id, public_key } in recipients {
        print::line("  sealed to", format!("{worker_id} {}", key_word(public_key)));
    }
    print::line("public", "all of this; the value is sealed");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(access: usize, recipients: usize, sealed: usize) -> SecretEntry {
        let ids = |count: usize| {
            (0..count).map(|n| format!("{n:0>64}").parse().unwrap()).collect::<Vec<AccountId>>()
        };
        SecretEntry {
            terms: SecretTerms {
                version: 1,
                commitment: Hash32::of(b""),
                code_hash: Hash32::of(b"code"),
                access: ids(access),
                hosts: Vec::new(),
                recipients: ids(recipients),
            },
            sealed: vec![vec![0; sealed].into(); recipients],
        }
    }

    #[test]
    fn an_entry_is_within_the_bounds_of_the_contract() {
        // The longest value, sealed, for fifteen recipients.
        let longest = 32 + 32 + outlayer_protocol::secrets::MAX_SECRET_BYTES as usize + 16;
        assert!(checked(&entry(1, 15, longest)).is_ok());
        let error = checked(&entry(1, 16, longest)).unwrap_err().to_string();
        assert!(error.contains("expected at most 65536: name fewer workers"), "{error}");
        let error = checked(&entry(60, 1, 100)).unwrap_err().to_string();
        assert!(error.starts_with("the terms of the secret have "), "{error}");
    }

    #[test]
    fn each_is_named_once() {
        assert_eq!(unique(vec!["b", "a", "b", "c", "a"]), ["b", "a", "c"]);
    }
}
