//! `outlayer secrets list`: the terms of an account's secrets, and which recipients can answer.

use std::collections::BTreeMap;

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::{
    AccountId,
    secrets::{SecretEntry, SecretTerms, name_in_key},
};
use serde_json::{Value, json};

use super::recipients::trouble;
use crate::{network::NetworkArgs, print, storage};

/// Show on which terms an account's secrets are given to guests
///
/// No value is shown, because none can be read. A recipient that is not registered, is suspended,
/// or publishes no key is marked: requests with the secret need as many others as they have seats.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The account whose secrets they are
    #[arg(long, env = "OUTLAYER_ACCOUNT", visible_alias = "account")]
    owner: AccountId,
    #[command(flatten)]
    network: NetworkArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    pub(super) async fn run(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let (mut all, mut known) = (Vec::new(), BTreeMap::new());
        for key in storage::keys(&contract, &self.owner).await? {
            let Some(name) = name_in_key(&key) else { continue };
            let Some(stored) = contract.storage_get(&self.owner, &key, At::Optimistic).await?
            else {
                continue;
            };
            let terms = SecretEntry::decode(&stored).map(|entry| entry.terms);
            let mut troubles = Vec::new();
            for worker_id in terms.iter().flat_map(|terms| &terms.recipients) {
                let trouble = match known.get(worker_id) {
                    Some(trouble) => *trouble,
                    None => trouble(contract.worker(worker_id, At::Optimistic).await?.as_ref()),
                };
                known.insert(worker_id.clone(), trouble);
                troubles.push(trouble);
            }
            all.push((name.to_owned(), terms, troubles));
        }
        all.sort_by(|(one, ..), (next, ..)| one.cmp(next));
        if self.json {
            let shown = all.iter().map(|(name, terms, troubles)| match terms {
                Err(error) => json!({ "name": name, "error": error.to_string() }),
                Ok(terms) => {
                    let mut shown = terms_json(name, terms);
                    shown["recipients"] = with_troubles(terms, troubles);
                    shown
                }
            });
            print::json(&shown.collect::<Vec<_>>())?;
            return Ok(true);
        }
        if all.is_empty() {
            print::raw(format_args!("{} has no secrets\n", self.owner));
        }
        for (name, terms, troubles) in &all {
            let terms = match terms {
                Err(error) => {
                    let name = print::text(name.as_bytes());
                    print::line("secret", format!("{name} of {}: {error}", self.owner));
                    continue;
                }
                Ok(terms) => terms,
            };
            show_terms(name, &self.owner, terms);
            for (worker_id, trouble) in terms.recipients.iter().zip(troubles) {
                let trouble = trouble.map_or_else(String::new, |trouble| format!(", {trouble}"));
                print::line("  sealed to", format!("{worker_id}{trouble}"));
            }
        }
        Ok(true)
    }
}

fn with_troubles(terms: &SecretTerms, troubles: &[Option<&'static str>]) -> Value {
    let shown = terms.recipients.iter().zip(troubles);
    shown
        .map(|(worker_id, trouble)| json!({ "worker_id": worker_id, "trouble": trouble }))
        .collect()
}

/// The terms as JSON, but for the recipients.
pub(super) fn terms_json(name: &str, terms: &SecretTerms) -> Value {
    json!({
        "name": name, "version": terms.version, "commitment": terms.commitment,
        "code_hash": terms.code_hash, "access": terms.access, "hosts": terms.hosts,
    })
}

/// The terms for people, but for the recipients.
pub(super) fn show_terms(name: &str, owner_id: &AccountId, terms: &SecretTerms) {
    let name = print::text(name.as_bytes());
    print::line("secret", format!("{name} of {owner_id}, version {}", terms.version));
    print::line("  commitment", terms.commitment);
    print::line("  for code", terms.code_hash);
    let access: Vec<_> = terms.access.iter().map(|id| id.as_str()).collect();
    print::line("  asked for by", access.join(", "));
    let hosts = match terms.hosts.as_slice() {
        [] => "none: a request with it has no HTTP".to_owned(),
        hosts => print::text(hosts.join(", ").as_bytes()),
    };
    print::line("  hosts", hosts);
}
