//! Whether this worker may answer at all, and who else does. That is looked at before anything is
//! executed: an answer that cannot be sent costs a machine's time, and delays whoever waits for it.

use std::{sync::Arc, time::Duration};

use outlayer_client::{At, ChainError};
use outlayer_protocol::{AccountId, NearToken, methods};
use tokio::{sync::watch, time::Instant};

use super::{super::super::services::Services, Look};

/// What gas is bought at, at the least, since protocol version 85, yoctoNEAR. What is not burned is
/// returned later.
const GAS_PRICE: u128 = 1_000_000_000;

/// Why this worker serves nothing now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("{account_id} is no registered worker, or is suspended")]
    NoWorker { account_id: AccountId },
    #[error("{account_id} does not exist")]
    NoAccount { account_id: AccountId },
    #[error("{account_id} has {found} to spend, and one answer may cost up to {needed}")]
    Poor { account_id: AccountId, found: NearToken, needed: NearToken },
    #[error(
        "no key of {account_id} may call {method} of {contract_id} with an allowance of {needed} \
         or more: {found}"
    )]
    NoKey {
        account_id: AccountId,
        method: &'static str,
        contract_id: AccountId,
        needed: NearToken,
        found: String,
    },
}

/// The most registered workers that are read.
const MOST_WORKERS: usize = 1_000;
/// How old may be what was seen of the account's balance and keys.
const STANDING_AGE: Duration = Duration::from_secs(60);
/// How old the list of registered workers may be.
pub(crate) const ROSTER_AGE: Duration = Duration::from_secs(10);

/// How this worker stands among the others, as it was last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The workers that are registered and not suspended, and when they were read.
    roster: Option<(Instant, Arc<Vec<AccountId>>)>,
    /// When the account's balance and keys were looked at, and why they do not do.
    fit: Option<(Instant, Result<(), Unfit>)>,
}

/// Looks at how this worker stands, whenever there are requests, and tells it.
pub(crate) async fn watch(services: &Services, told: watch::Sender<Option<Standing>>) {
    let (mut standing, mut looks) = (Standing::default(), services.looks());
    // The sender lives as long as the services.
    while looks.changed().await.is_ok() {
        let has_requests = |look: &Arc<Look>| !look.pending.is_empty();
        if looks.borrow_and_update().as_ref().is_some_and(has_requests) {
            standing.refresh(services).await;
            told.send_replace(Some(standing.clone()));
        }
    }
}

impl Standing {
    /// Looks at what was not seen lately. A node that does not say how things stand changes
    /// nothing.
    pub(crate) async fn refresh(&mut self, services: &Services) {
        if let Err(error) = self.read_roster(services).await {
            tracing::warn!(%error, "the registered workers cannot be read");
            return;
        }
        let age = |fit: &Result<(), Unfit>| if fit.is_ok() { STANDING_AGE } else { ROSTER_AGE };
        if self.fit.as_ref().is_some_and(|(seen, fit)| seen.elapsed() < age(fit)) {
            return;
        }
        match check(services).await {
            Ok(fit) => self.fit = Some((Instant::now(), fit)),
            Err(error) => {
                tracing::warn!(%error, "the account's balance and keys cannot be looked at");
            }
        }
    }

    async fn read_roster(&mut self, services: &Services) -> Result<(), ChainError> {
        let config = &services.config;
        if self.roster.as_ref().is_some_and(|(read, _)| read.elapsed() < ROSTER_AGE) {
            return Ok(());
        }
        let workers = services.contract.workers(MOST_WORKERS, config.discover_at).await?;
        let active: Vec<_> =
            workers.into_iter().filter(|one| !one.suspended).map(|one| one.worker_id).collect();
        // Until this worker is registered, the list is read at every look.
        let is_active = active.contains(&config.account_id);
        self.roster = is_active.then(|| (Instant::now(), Arc::new(active)));
        Ok(())
    }

    /// The workers that serve, this one among them, or why this one does not.
    pub(crate) fn fit(&self, account_id: &AccountId) -> Result<Arc<Vec<AccountId>>, Unfit> {
        let Some((_, roster)) = &self.roster else {
            return Err(Unfit::NoWorker { account_id: account_id.clone() });
        };
        match &self.fit {
            Some((_, Err(unfit))) => Err(unfit.clone()),
            _ => Ok(Arc::clone(roster)),
        }
    }
}

/// Looks at the account's balance and at its keys. The keys that may answer are the only ones that
/// sign from now on; those that may not are looked at again the next time. Gas is paid for in
/// advance, so no more calls are under way than the balance and the keys' allowances pay for, each
/// with all the gas that a call may have.
async fn check(services: &Services) -> Result<Result<(), Unfit>, ChainError> {
    let (node, account_id) = (services.contract.node(), services.account.id());
    let account_id = account_id.clone();
    let needed = NearToken::from_yoctonear(u128::from(services.config.gas) * GAS_PRICE);
    let Some(balance) = node.balance(&account_id, At::Optimistic).await? else {
        return Ok(Err(Unfit::NoAccount { account_id }));
    };
    if balance.free() < needed {
        return Ok(Err(Unfit::Poor { account_id, found: balance.free(), needed }));
    }
    let contract_id = services.contract.id();
    let (mut found, mut several) = (Vec::new(), true);
    let mut fit = 0usize;
    // How many calls the allowances pay for; `None` where one has no bound.
    let mut allowed = Some(0u128);
    let calls = |amount: NearToken| amount.as_yoctonear() / needed.as_yoctonear().max(1);
    for public_key in services.account.public_keys() {
        let key = node.access_key(&account_id, &public_key, At::Optimistic).await?;
        let permission = match key {
            None => {
                found.push(format!("{public_key} does not exist"));
                continue;
            }
            Some(key) => key.permission,
        };
        if !permission.may_call(contract_id, methods::RESOLVE_EXECUTION) {
            found.push(format!("{public_key} may not call it"));
        } else if permission.allowance().is_some_and(|allowance| allowance < needed) {
            let allowance = permission.allowance().unwrap_or(needed);
            found.push(format!("{public_key} has an allowance of {allowance}"));
        } else {
            fit += 1;
            let more = permission.allowance().map(calls);
            allowed = allowed.zip(more).map(|(sum, more)| sum.saturating_add(more));
            several &= permission.may_call(contract_id, methods::RESOLVE_MANY);
            services.account.let_sign(&public_key, true);
            continue;
        }
        services.account.let_sign(&public_key, false);
    }
    services.submitter.allow_several(several);
    if fit > 0 {
        let affordable = calls(balance.free()).min(allowed.unwrap_or(u128::MAX));
        services.submitter.afford(usize::try_from(affordable).unwrap_or(usize::MAX));
        services.submitter.resize(fit);
        for reason in found {
            tracing::warn!(account = %account_id, %reason, "a key is not used");
        }
        return Ok(Ok(()));
    }
    let (contract_id, method) = (contract_id.clone(), methods::RESOLVE_EXECUTION);
    let found = found.join("; ");
    Ok(Err(Unfit::NoKey { account_id, method, contract_id, needed, found }))
}

#[cfg(test)]
mod tests {
    use near_crypto::{KeyType, SecretKey};
    use outlayer_client::testing::{Answer, CONTRACT, FakeNode, unknown_access_key};
    use serde_json::{Value, json};

    use super::*;
    use crate::serve::tests::config;

    const NEAR: u128 = 10u128.pow(24);
    /// What one call may cost, yoctoNEAR.
    const CALL: u128 = 3 * NEAR / 10;
    const NO_HASH: &str = "11111111111111111111111111111111";

    fn function_call(allowance: Option<u128>, methods: &[&str]) -> Value {
        json!({ "FunctionCall": {
            "allowance": allowance.map(|amount| amount.to_string()),
            "receiver_id": CONTRACT, "method_names": methods
        } })
    }

    /// The services of a worker whose account has so much, and keys with these permissions; `None`
    /// for one that the account does not have.
    async fn services(balance: u128, permissions: Vec<Option<Value>>) -> (FakeNode, Services) {
        let keys = 0..permissions.len();
        let keys = keys.map(|key| SecretKey::from_seed(KeyType::ED25519, &key.to_string()));
        let keys: Vec<_> = keys.collect();
        let public: Vec<_> = keys.iter().map(|key| key.public_key().to_string()).collect();
        let node = FakeNode::start(move |_, params| match params["request_type"].as_str() {
            Some("view_account") => Answer::Result(json!({
                "amount": balance.to_string(), "locked": "0", "code_hash": NO_HASH,
                "storage_usage": 200, "storage_paid_at": 0, "block_height": 100,
                "block_hash": NO_HASH
            })),
            Some("view_access_key") => {
                let key = params["public_key"].as_str().unwrap();
                let index = public.iter().position(|one| one == key).unwrap();
                match &permissions[index] {
                    None => unknown_access_key(key, 100),
                    Some(permission) => Answer::Result(json!({
                        "nonce": 1, "permission": permission, "block_height": 100,
                        "block_hash": NO_HASH
                    })),
                }
            }
            other => panic!("unexpected {other:?}"),
        })
        .await;
        let mut config = config(&node);
        let mut keys = keys.into_iter();
        config.secret_key = keys.next().unwrap();
        config.more_keys = keys.collect();
        let services = Services::new(config).unwrap();
        (node, services)
    }

    async fn checked(permission: Option<Value>) -> Result<(), Unfit> {
        let (_node, services) = services(10 * NEAR, vec![permission]).await;
        check(&services).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_that_cannot_answer_does_not_do_and_the_reason_is_named() {
        let resolve = methods::RESOLVE_EXECUTION;
        let cases = [
            (None, "does not exist"),
            (Some(function_call(None, &["other"])), "may not call it"),
            (Some(function_call(Some(CALL - 1), &[resolve])), "has an allowance of"),
        ];
        for (permission, expected) in cases {
            let unfit = checked(permission).await.unwrap_err();
            assert!(matches!(unfit, Unfit::NoKey { .. }), "{unfit}");
            assert!(unfit.to_string().contains(expected), "{unfit}");
        }
        for permission in [json!("FullAccess"), function_call(Some(CALL), &[resolve])] {
            assert_eq!(checked(Some(permission)).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn several_answers_share_a_call_when_every_key_that_signs_may_make_it() {
        let resolve = methods::RESOLVE_EXECUTION;
        let (full, one) = (json!("FullAccess"), function_call(None, &[resolve]));
        for (keys, expected) in [
            (vec![Some(full.clone()), Some(full.clone())], true),
            (vec![Some(full.clone()), Some(one)], false),
            // One that the account does not have does not sign.
            (vec![Some(full), None], true),
        ] {
            let (_node, services) = services(10 * NEAR, keys).await;
            assert_eq!(check(&services).await.unwrap(), Ok(()));
            assert_eq!(services.submitter.allows_several(), expected);
        }
    }

    #[tokio::test]
    async fn other_keys_make_as_many_more_or_fewer_calls() {
        let (_node, services) = services(100 * NEAR, vec![Some(json!("FullAccess"))]).await;
        let worker = crate::Worker::of(services);
        let places = || worker.services().submitter.places_in_flight();
        for (keys, expected) in [(1, 32), (3, 96), (2, 64)] {
            let keys = 0..keys;
            let keys = keys.map(|key| SecretKey::from_seed(KeyType::ED25519, &key.to_string()));
            worker.replace_keys(keys);
            assert_eq!(places(), expected);
        }
    }

    #[tokio::test]
    async fn no_more_calls_are_under_way_than_balance_and_allowances_pay_for() {
        let full = || Some(json!("FullAccess"));
        let allowing = |calls| Some(function_call(Some(calls * CALL), &[]));
        for (balance, keys, expected) in [
            (100 * NEAR, vec![full()], 32),
            (100 * NEAR, vec![full(), full()], 64),
            (100 * NEAR, vec![full(), None], 32),
            (5 * CALL + 1, vec![full(), full()], 5),
            (100 * NEAR, vec![allowing(3), allowing(4)], 7),
            (100 * NEAR, vec![allowing(3), full()], 64),
        ] {
            let (_node, services) = services(balance, keys).await;
            assert_eq!(check(&services).await.unwrap(), Ok(()));
            assert_eq!(services.submitter.places_in_flight(), expected);
        }
    }
}
