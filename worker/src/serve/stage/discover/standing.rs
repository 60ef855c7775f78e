//! Whether this worker may answer at all, and who else does. That is looked at before anything is
//! executed: an answer that cannot be sent costs a machine's time, and delays whoever waits for it.

use std::{sync::Arc, time::Duration};

use outlayer_client::{At, ChainError};
use outlayer_protocol::{AccountId, NearToken, methods};
use tokio::time::Instant;

use super::super::super::services::Services;

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
/// sign from now on; those that may not are looked at again the next time.
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
            several &= permission.may_call(contract_id, methods::RESOLVE_MANY);
            services.account.let_sign(&public_key, true);
            continue;
        }
        services.account.let_sign(&public_key, false);
    }
    services.submitter.allow_several(several);
    if fit > 0 {
        for reason in found {
            tracing::warn!(account = %account_id, %reason, "a key is not used");
        }
        return Ok(Ok(()));
    }
    let (contract_id, method) = (contract_id.clone(), methods::RESOLVE_EXECUTION);
    let found = found.join("; ");
    Ok(Err(Unfit::NoKey { account_id, method, contract_id, needed, found }))
}
