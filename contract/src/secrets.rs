//! The secrets of a request: their entries in the namespaces of their owners are checked, and what
//! the request needs of them is pinned.

use near_sdk::AccountId;
use outlayer_protocol::{
    ExecutionRequest, Hash32,
    secrets::{LiveSecrets, SecretError, SecretPin, SecretRef, SecretTerms, entry_key},
};

use crate::{ContractError, namespace, workers};

fn terms(owner_id: &AccountId, name: &str) -> Result<SecretTerms, SecretError> {
    let entry = namespace::get(owner_id, &entry_key(name)).ok_or(SecretError::Unknown)?;
    SecretTerms::of_entry(&entry)
}

/// The secrets that a request for this code asks for, and the workers to which all of them are
/// sealed and that were active before this block. `None` when it asks for none.
pub(crate) fn pin(
    request: &ExecutionRequest,
    code_hash: Hash32,
    requester: &AccountId,
) -> Result<Option<LiveSecrets>, ContractError> {
    let mut common: Option<Vec<AccountId>> = None;
    let mut pins = Vec::with_capacity(request.secrets.len());
    for secret in &request.secrets {
        let SecretRef { name, .. } = secret;
        let owner_id = secret.owner(requester);
        let refuse =
            |error| ContractError::Secret { owner_id: owner_id.clone(), name: name.clone(), error };
        let terms = terms(owner_id, name).map_err(refuse)?;
        terms.check(code_hash, requester, request.http.as_ref()).map_err(refuse)?;
        let SecretTerms { version, commitment, recipients, .. } = terms;
        pins.push(SecretPin {
            owner_id: owner_id.clone(),
            name: name.clone(),
            version,
            commitment,
        });
        match &mut common {
            Some(common) => common.retain(|id| recipients.contains(id)),
            None => common = Some(recipients),
        }
    }
    let Some(common) = common else {
        return Ok(None);
    };
    let mut recipients = Vec::new();
    for worker_id in common {
        // An owner that lists a worker twice does not get two seats of it.
        if !recipients.contains(&worker_id) && workers::is_active(&worker_id) {
            recipients.push(worker_id);
        }
    }
    let (found, needed) = (recipients.len(), request.seats());
    if found < needed.into() {
        return Err(ContractError::TooFewRecipients { found, needed });
    }
    Ok(Some(LiveSecrets { pins, recipients }))
}
