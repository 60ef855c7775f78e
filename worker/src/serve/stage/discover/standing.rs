//! Whether this worker may answer at all. That is looked at before anything is executed: an answer
//! that cannot be sent costs a machine's time, and delays whoever waits for it.

use outlayer_client::{At, ChainError};
use outlayer_protocol::{AccountId, NearToken, methods};

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

/// Looks at the account's balance and at its keys. The keys that may answer are the only ones that
/// sign from now on; those that may not are looked at again the next time.
pub(crate) async fn check(services: &Services) -> Result<Result<(), Unfit>, ChainError> {
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
