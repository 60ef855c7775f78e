//! The secrets of requests: found in their owners' namespaces, checked, and opened with this worker's
//! keys.
//!
//! What a key opens leaves this process only in the environment of the child that runs the guest.
//! So nothing here is believed that one node says alone: two endpoints have to agree on the request
//! in a final block, and on the entries of its secrets.

use outlayer_client::{At, ChainError, Contract, Node};
use outlayer_guest::Secrets;
use outlayer_protocol::{
    AccountId,
    secrets::{
        LiveSecrets, Opening, SecretEntry, SecretError, SecretPin, associated_data, entry_key,
    },
    views::RequestView,
};
use outlayer_secrets::{OpenError, WorkerKey};

use super::WorkerConfig;

/// Why this worker does not serve a request with secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretsError {
    /// The chain cannot be asked, or the endpoints do not agree.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// This worker has no key.
    #[error("this worker has no key to open secrets with")]
    NoKey,
    /// A final block has another request than the one that was found, or none.
    #[error("the request is not the one that a final block has")]
    OtherRequest,
    /// The entry of the version that the request pins is not there.
    #[error("the secret {name:?} of {owner_id} has no version {version} at the request's block")]
    NoEntry {
        /// The owner.
        owner_id: AccountId,
        /// The name of the secret.
        name: String,
        /// The version that the request pins.
        version: u32,
    },
    /// The terms do not let the request have it. The contract would not have taken it.
    #[error("the terms of the secret {name:?} of {owner_id}: {error}")]
    Terms {
        /// The owner.
        owner_id: AccountId,
        /// The name of the secret.
        name: String,
        /// What they do not allow.
        error: SecretError,
    },
    /// No key of this worker opens it.
    #[error("the secret {name:?} of {owner_id} is not sealed to a key of this worker: {error}")]
    Sealed {
        /// The owner.
        owner_id: AccountId,
        /// The name of the secret.
        name: String,
        /// Why it does not open.
        error: OpenError,
    },
}

/// What came of opening a request's secrets.
#[derive(Debug)]
pub(super) enum Opened {
    /// All opened to what was committed to.
    Secrets(Secrets),
    /// One did not, which is its owner's doing: the execution ends with that.
    NotAsCommitted,
}

/// Opens secrets.
pub(super) struct Opener {
    me: AccountId,
    keys: Vec<WorkerKey>,
    /// The contract as two endpoints show it.
    contract: Contract,
}

impl Opener {
    /// The opener of a worker; `None` for one that has no keys and serves no requests with secrets.
    ///
    /// # Errors
    /// When two endpoints have to agree and there are none.
    pub(super) fn new(config: &WorkerConfig) -> Result<Option<Self>, ChainError> {
        let secrets = &config.secrets;
        if secrets.keys.is_empty() {
            return Ok(None);
        }
        let mut node = config.node.clone();
        if !secrets.one_endpoint {
            node.quorum = 2;
        }
        let contract = Contract::new(Node::new(&node)?, config.contract_id.clone());
        Ok(Some(Self { me: config.account_id.clone(), keys: secrets.keys.clone(), contract }))
    }

    /// Opens the secrets of a request; `None` where it has none.
    pub(super) async fn open(&self, view: &RequestView) -> Result<Option<Opened>, SecretsError> {
        let Some(secrets) = &view.request.secrets else {
            return Ok(None);
        };
        self.check(view).await?;
        let LiveSecrets { pins, .. } = secrets;
        let mut opened = Vec::with_capacity(pins.len());
        for pin in pins {
            match self.open_one(view, pin).await? {
                Some(opening) => opened.push((pin, opening)),
                None => return Ok(Some(Opened::NotAsCommitted)),
            }
        }
        Ok(Some(Opened::Secrets(Secrets::new(opened))))
    }

    /// Checks that a final block has this very request.
    async fn check(&self, view: &RequestView) -> Result<(), SecretsError> {
        let request = &view.request;
        let found = self.contract.request(request.id(), At::Final).await?;
        let is_same = found.is_some_and(|found| {
            let found = found.request;
            // What changes while a request lives is left out.
            found.secrets == request.secrets
                && found.context == request.context
                && found.code == request.code
                && found.http == request.http
                && found.limits == request.limits
                && found.args_env_hash == request.args_env_hash
                && found.input_hash == request.input_hash
        });
        if is_same { Ok(()) } else { Err(SecretsError::OtherRequest) }
    }

    /// The entry that a request pins: as it was after the request's block, or before it when its
    /// owner has changed it in the same block.
    async fn entry(
        &self,
        view: &RequestView,
        pin: &SecretPin,
    ) -> Result<SecretEntry, SecretsError> {
        let SecretPin { owner_id, name, version, commitment } = pin;
        let of = self.contract.node().block(At::Height(view.request.context.block_height)).await?;
        for block in [of.hash, of.prev_hash] {
            let key = entry_key(name);
            let value = self.contract.storage_get(owner_id, &key, At::Hash(block)).await?;
            let entry = value.and_then(|value| SecretEntry::decode(&value).ok());
            if let Some(entry) = entry.filter(|entry| {
                (entry.terms.version, entry.terms.commitment) == (*version, *commitment)
            }) {
                return Ok(entry);
            }
        }
        let (owner_id, name) = (owner_id.clone(), name.clone());
        Err(SecretsError::NoEntry { owner_id, name, version: *version })
    }

    /// What a secret opens to; `None` when that is not what its owner has committed to.
    async fn open_one(
        &self,
        view: &RequestView,
        pin: &SecretPin,
    ) -> Result<Option<Opening>, SecretsError> {
        let SecretPin { owner_id, name, commitment, .. } = pin;
        let entry = self.entry(view, pin).await?;
        let request = &view.request;
        let (code, requester) = (request.code.hash, &request.context.predecessor_id);
        entry.terms.check(code, requester, request.http.as_ref()).map_err(|error| {
            SecretsError::Terms { owner_id: owner_id.clone(), name: name.clone(), error }
        })?;
        let data = associated_data(self.contract.id(), owner_id, name, &entry.terms, &self.me);
        let sealed = entry.sealed_to(&self.me).map_or(&[][..], |sealed| sealed);
        match open_with_any(&self.keys, &data, sealed) {
            Ok(opening) if opening.commitment() == *commitment => Ok(Some(opening)),
            Ok(_) | Err(OpenError::Form | OpenError::Commitment) => Ok(None),
            Err(error) => {
                let (owner_id, name) = (owner_id.clone(), name.clone());
                Err(SecretsError::Sealed { owner_id, name, error })
            }
        }
    }
}

/// Opens with the first key that does: a worker that has a new one keeps the old ones for what was
/// sealed to them.
fn open_with_any(keys: &[WorkerKey], data: &[u8], sealed: &[u8]) -> Result<Opening, OpenError> {
    let mut last = Err(OpenError::Sealed);
    for key in keys {
        last = key.open(data, sealed);
        if last != Err(OpenError::Sealed) {
            break;
        }
    }
    last
}
