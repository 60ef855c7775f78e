//! The workers to which a secret is sealed, and the keys that they publish.

use anyhow::{Context as _, bail};
use outlayer_client::{At, Contract};
use outlayer_protocol::{
    AccountId,
    secrets::{MAX_RECIPIENTS, key_in_metadata},
    views::WorkerView,
};
use outlayer_secrets::Recipient;

/// How many workers are looked at, at most.
const MOST_WORKERS: usize = 10_000;

/// The workers that were named, or all that are active and publish a key.
pub(super) async fn find(
    contract: &Contract,
    named: &[AccountId],
) -> anyhow::Result<Vec<Recipient>> {
    if named.is_empty() {
        return all(contract.workers(MOST_WORKERS, At::Optimistic).await?);
    }
    if named.len() > MAX_RECIPIENTS as usize {
        bail!("{} workers are named, a secret is sealed to at most {MAX_RECIPIENTS}", named.len());
    }
    let mut found = Vec::with_capacity(named.len());
    for worker_id in named {
        let worker = contract.worker(worker_id, At::Optimistic).await?.with_context(|| {
            format!("{worker_id} is not registered as a worker with {}", contract.id())
        })?;
        if worker.suspended {
            eprintln!("{worker_id} is suspended: it answers nothing until that ends");
        }
        found.push(one(&worker)?);
    }
    Ok(found)
}

/// A worker that was named.
fn one(worker: &WorkerView) -> anyhow::Result<Recipient> {
    let worker_id = worker.worker_id.clone();
    let public_key = key_in_metadata(&worker.metadata).with_context(|| {
        format!(
            "{worker_id} publishes no key for secrets: its operator makes one with `outlayer \
             worker secrets-key`, and the contract's owner registers it"
        )
    })?;
    Ok(Recipient { worker_id, public_key })
}

/// All of these that are active and publish a key.
fn all(workers: Vec<WorkerView>) -> anyhow::Result<Vec<Recipient>> {
    let registered = workers.len();
    let active = workers.into_iter().filter(|worker| !worker.suspended);
    let found: Vec<Recipient> = active.filter_map(|worker| one(&worker).ok()).collect();
    if found.is_empty() {
        bail!(
            "none of the {registered} registered workers is active and publishes a key for \
             secrets; `outlayer worker secrets-key` makes one"
        );
    }
    if found.len() > MAX_RECIPIENTS as usize {
        bail!(
            "{} active workers publish a key, and a secret is sealed to at most {MAX_RECIPIENTS}; \
             choose some with --workers",
            found.len()
        );
    }
    Ok(found)
}

/// Why a recipient cannot answer at present; `None` when it can.
pub(super) fn trouble(worker: Option<&WorkerView>) -> Option<&'static str> {
    match worker {
        None => Some("not registered"),
        Some(worker) if worker.suspended => Some("suspended"),
        Some(worker) if key_in_metadata(&worker.metadata).is_none() => Some("publishes no key"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{NearToken, secrets::key_word};

    use super::*;

    fn worker(name: &str, metadata: &str, suspended: bool) -> WorkerView {
        WorkerView {
            worker_id: name.parse().unwrap(),
            earnings: NearToken::from_yoctonear(0),
            settled: 0,
            lost: 0,
            missed: 0,
            suspended,
            metadata: metadata.to_owned(),
        }
    }

    #[test]
    fn without_names_a_secret_is_for_all_that_are_active_and_have_a_key() {
        let key = key_word(&[7; 32]);
        let workers = vec![
            worker("a.near", &format!("Berlin {key}"), false),
            worker("b.near", "Paris", false),
            worker("c.near", &key, true),
            worker("d.near", &key, false),
        ];
        let found = all(workers.clone()).unwrap();
        let names: Vec<_> = found.iter().map(|one| one.worker_id.as_str()).collect();
        assert_eq!((names, found[0].public_key), (vec!["a.near", "d.near"], [7; 32]));
        let troubles: Vec<_> = workers.iter().map(|worker| trouble(Some(worker))).collect();
        assert_eq!(troubles, [None, Some("publishes no key"), Some("suspended"), None]);
        assert_eq!(trouble(None), Some("not registered"));

        let error = one(&workers[1]).unwrap_err().to_string();
        assert!(error.starts_with("b.near publishes no key for secrets: "), "{error}");
        let error = all(workers[1..3].to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("none of the 2 registered workers is active"), "{error}");
        let many = (0..17).map(|n| worker(&format!("w{n}.near"), &key, false)).collect();
        let error = all(many).unwrap_err().to_string();
        assert!(error.starts_with("17 active workers publish a key"), "{error}");
    }
}
