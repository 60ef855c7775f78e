//! What the owner of a secret does: the terms and the value become an entry.

use outlayer_protocol::{
    AccountId, Hash32,
    secrets::{Opening, SecretEntry, SecretTerms, associated_data},
};

use crate::{SealError, seal};

/// A worker to which a secret is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The worker's account.
    pub worker_id: AccountId,
    /// The key that its metadata publish.
    pub public_key: [u8; 32],
}

/// A secret that is to be sealed, and on which terms.
#[derive(Clone, Debug)]
pub struct Sealing<'a> {
    /// The OutLayer contract.
    pub contract_id: &'a AccountId,
    /// The account in whose namespace the entry will stand.
    pub owner_id: &'a AccountId,
    /// The name of the secret.
    pub name: &'a str,
    /// The version: one more than the last.
    pub version: u32,
    /// The code that may have the value.
    pub code_hash: Hash32,
    /// The accounts that may request an execution with it.
    pub access: Vec<AccountId>,
    /// The hosts that such a request may list.
    pub hosts: Vec<String>,
}

/// The entry that gives the value to these workers on these terms.
///
/// # Errors
/// [`SealError`].
pub fn seal_entry(
    sealing: Sealing<'_>,
    recipients: &[Recipient],
    opening: &Opening,
) -> Result<SecretEntry, SealError> {
    let Sealing { contract_id, owner_id, name, version, code_hash, access, hosts } = sealing;
    let terms = SecretTerms {
        version,
        commitment: opening.commitment(),
        code_hash,
        access,
        hosts,
        recipients: recipients.iter().map(|one| one.worker_id.clone()).collect(),
    };
    let sealed = recipients.iter().map(|recipient| {
        let data = associated_data(contract_id, owner_id, name, &terms, &recipient.worker_id);
        Ok(seal(&recipient.public_key, &data, opening)?.into())
    });
    let sealed = sealed.collect::<Result<Vec<_>, SealError>>()?;
    Ok(SecretEntry { terms, sealed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenError, WorkerKey};

    #[test]
    fn each_recipient_opens_its_own_and_only_under_the_terms_it_was_sealed_for() {
        let id = |name: &str| -> AccountId { name.parse().unwrap() };
        let (contract, owner) = (id("outlayer.near"), id("owner.near"));
        let keys = [(); 2].map(|()| WorkerKey::generate().unwrap());
        let recipients = [("a.near", &keys[0]), ("b.near", &keys[1])]
            .map(|(name, key)| Recipient { worker_id: id(name), public_key: key.public() });
        let opening = Opening { salt: [5; 32], value: "key".to_owned() };
        let sealing = Sealing {
            contract_id: &contract,
            owner_id: &owner,
            name: "API_KEY",
            version: 1,
            code_hash: Hash32::of(b"code"),
            access: vec![id("dapp.near")],
            hosts: vec!["api.example.com".to_owned()],
        };
        let entry = seal_entry(sealing, &recipients, &opening).unwrap();
        assert_eq!(entry.terms.commitment, opening.commitment());
        let open =
            |terms: &SecretTerms, owner: &AccountId, name: &str, worker: usize, key: usize| {
                let worker_id = &recipients[worker].worker_id;
                let data = associated_data(&contract, owner, name, terms, worker_id);
                keys[key].open(&data, entry.sealed_to(worker_id).unwrap())
            };
        let terms = &entry.terms;
        assert_eq!(open(terms, &owner, "API_KEY", 0, 0), Ok(opening.clone()));
        assert_eq!(open(terms, &owner, "API_KEY", 1, 1), Ok(opening));
        assert_eq!(open(terms, &owner, "API_KEY", 0, 1), Err(OpenError::Sealed));
        assert_eq!(open(terms, &id("thief.near"), "API_KEY", 0, 0), Err(OpenError::Sealed));
        assert_eq!(open(terms, &owner, "OTHER", 0, 0), Err(OpenError::Sealed));
        let mut wider = terms.clone();
        wider.hosts.push("evil.example".to_owned());
        assert_eq!(open(&wider, &owner, "API_KEY", 0, 0), Err(OpenError::Sealed));
    }
}
