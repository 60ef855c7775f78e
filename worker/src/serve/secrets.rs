//! The secrets of requests: found in their owners' namespaces, checked, and opened with this
//! worker's keys.
//!
//! What a key opens leaves this process only in the environment of the child that runs the guest.
//! So nothing here is believed that one node says alone: two endpoints have to agree on the request
//! in a final block, and on the entries of its secrets.

use outlayer_client::{At, ChainError, Contract, Node};
use outlayer_guest::Secrets;
use outlayer_protocol::{
    AccountId,
    machine::{LiveRequest, Phase},
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

impl SecretsError {
    /// Whether it may be otherwise the next time.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Chain(_) | Self::OtherRequest)
    }
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

    /// The contract as two endpoints show it. What a guest with secrets reads is read there: who
    /// chooses what it reads may have it tell them.
    pub(super) fn contract(&self) -> &Contract {
        &self.contract
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
        Ok(Some(Opened::Secrets(Secrets::new(view.request.id(), opened))))
    }

    /// Checks that a final block has this very request.
    async fn check(&self, view: &RequestView) -> Result<(), SecretsError> {
        let request = &view.request;
        let found = self.contract.request(request.id(), At::Final).await?;
        let is_same = found.is_some_and(|found| lasting(found.request) == lasting(request.clone()));
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

/// What does not change of a request while it lives and its round lasts.
fn lasting(mut request: LiveRequest) -> LiveRequest {
    request.phase = Phase::Pending;
    request.claims = None;
    request.upload = None;
    request.closed_locks.clear();
    request.former_uploaders.clear();
    if let Some(agreement) = &mut request.agreement {
        agreement.votes.clear();
        agreement.full_since = None;
    }
    request
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

#[cfg(test)]
mod tests {
    use outlayer_client::testing::{Chain, FakeNode, WORKER};
    use outlayer_protocol::{Hash32, RequestId};
    use outlayer_secrets::{Recipient, Sealing, seal_entry};

    use super::*;
    use crate::{
        SecretsConfig,
        serve::{
            services::Services,
            tests::{config, config_of_this_build},
        },
    };

    const ID: RequestId = 7;
    const NAME: &str = "API_KEY";

    fn id(text: &str) -> AccountId {
        text.parse().unwrap()
    }

    fn opening() -> Opening {
        Opening { salt: [5; 32], value: "hunter2".to_owned() }
    }

    /// The entry of a secret for code and caller of the requests that [`Chain::ask`] makes.
    fn entry(key: &WorkerKey) -> SecretEntry {
        let sealing = Sealing {
            contract_id: &id(outlayer_client::testing::CONTRACT),
            owner_id: &id("keys.near"),
            name: NAME,
            version: 1,
            code_hash: Hash32::of(b"code"),
            access: vec![id("dapp.near")],
            hosts: Vec::new(),
        };
        let recipient = Recipient { worker_id: id(WORKER), public_key: key.public() };
        seal_entry(sealing, &[recipient], &opening()).unwrap()
    }

    /// A chain on which a request waits that was given the secret.
    fn chain(key: &WorkerKey) -> Chain {
        let mut chain = Chain::new(config_of_this_build());
        chain.ask(ID, b"code");
        let view = chain.live.get_mut(&ID).unwrap();
        let entry = entry(key);
        let pin = SecretPin {
            owner_id: id("keys.near"),
            name: NAME.to_owned(),
            version: 1,
            commitment: entry.terms.commitment,
        };
        view.request.secrets = Some(LiveSecrets { pins: vec![pin], recipients: vec![id(WORKER)] });
        chain.storage.insert(entry_key(NAME), entry.encode());
        chain
    }

    /// A worker's opener that asks these nodes.
    fn opener(nodes: &[&FakeNode], key: &WorkerKey, one_endpoint: bool) -> Opener {
        let mut config = config(nodes[0]);
        config.node.endpoints = nodes.iter().map(|node| node.url.as_str().into()).collect();
        config.secrets = SecretsConfig { keys: vec![key.clone()], one_endpoint };
        Opener::new(&config).unwrap().unwrap()
    }

    /// What comes of the request that the first of two chains shows, when `change` was made to that
    /// chain alone or to both.
    async fn opened(
        key: &WorkerKey,
        change: impl Fn(&mut Chain),
        both: bool,
    ) -> Result<Option<Opened>, SecretsError> {
        let [mut first, mut second] = [chain(key), chain(key)];
        second.storage = first.storage.clone();
        second.live = first.live.clone();
        change(&mut first);
        if both {
            second.storage = first.storage.clone();
            second.live = first.live.clone();
        }
        let view = first.live.get(&ID).unwrap().clone();
        let ((first, _first), (second, _second)) = (first.start().await, second.start().await);
        opener(&[&first, &second], key, false).open(&view).await
    }

    #[tokio::test]
    async fn what_two_endpoints_show_is_opened() {
        let key = WorkerKey::generate().unwrap();
        let Ok(Some(Opened::Secrets(secrets))) = opened(&key, |_| (), false).await else {
            panic!()
        };
        assert_eq!(secrets.variables(), [(NAME.to_owned(), "hunter2".to_owned())]);
        assert_eq!(format!("{:?}", Opened::Secrets(secrets)), r#"Secrets(["API_KEY"])"#);
    }

    #[tokio::test]
    async fn what_one_endpoint_makes_up_opens_nothing() {
        let key = WorkerKey::generate().unwrap();
        let lies: [fn(&mut Chain); 4] = [
            // A request that nobody has made, for an input that has the guest tell.
            |chain| {
                let view = chain.live.get_mut(&ID).unwrap();
                view.input = "tell me".into();
                view.request.input_hash = Hash32::of(b"tell me");
            },
            |chain| {
                chain.live.get_mut(&ID).unwrap().request.http =
                    Some(outlayer_protocol::HttpAccess::to(vec!["evil.example".to_owned()]))
            },
            |chain| {
                chain.live.get_mut(&ID).unwrap().request.secrets.as_mut().unwrap().pins[0]
                    .version = 2;
            },
            |chain| {
                let entry = chain.storage.get_mut(&entry_key(NAME)).unwrap();
                *entry.last_mut().unwrap() ^= 1;
            },
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let found = opened(&key, lie, false).await;
            let Err(SecretsError::Chain(ChainError::Disagreement { .. })) = found else {
                panic!("{number}: {found:?}")
            };
        }
    }

    #[tokio::test]
    async fn what_a_guest_with_secrets_reads_is_what_two_endpoints_show() {
        let key = WorkerKey::generate().unwrap();
        let [mut first, second] = [chain(&key), chain(&key)];
        first.storage.insert(b"path".to_vec(), b"/tell".to_vec());
        let mut request = first.live[&ID].request.clone();
        let ((first, _first), (second, _second)) = (first.start().await, second.start().await);
        let mut config = config(&first);
        config.node.endpoints = [&first, &second].map(|node| node.url.as_str().into()).to_vec();
        config.secrets.keys = vec![key];
        let services = Services::new(config).unwrap();
        let read = async |request: &LiveRequest| {
            let contract = services.contract_of(request);
            contract.storage_get(request.namespace(), b"path", At::Height(100)).await
        };
        let found = read(&request).await;
        assert!(matches!(found, Err(ChainError::Disagreement { .. })), "{found:?}");
        request.secrets = None;
        assert_eq!(read(&request).await.unwrap(), Some(b"/tell".to_vec()));
    }

    #[tokio::test]
    async fn terms_that_do_not_allow_it_and_other_keys_open_nothing() {
        let key = WorkerKey::generate().unwrap();
        let gone = opened(&key, |chain| chain.storage.clear(), true).await;
        assert!(matches!(gone, Err(SecretsError::NoEntry { version: 1, .. })), "{gone:?}");
        let caller = |chain: &mut Chain| {
            chain.live.get_mut(&ID).unwrap().request.context.predecessor_id = id("thief.near");
        };
        let denied = opened(&key, caller, true).await;
        let Err(SecretsError::Terms { error: SecretError::Caller { .. }, .. }) = denied else {
            panic!("{denied:?}")
        };
        // Somebody has made the terms wider than what was sealed.
        let widened = |chain: &mut Chain| {
            caller(chain);
            let stored = chain.storage.get_mut(&entry_key(NAME)).unwrap();
            let mut entry = SecretEntry::decode(stored).unwrap();
            entry.terms.access.push(id("thief.near"));
            *stored = entry.encode();
        };
        let sealed = opened(&key, widened, true).await;
        assert!(matches!(sealed, Err(SecretsError::Sealed { .. })), "{sealed:?}");

        let other = WorkerKey::generate().unwrap();
        let mut chain = chain(&key);
        let view = chain.live.get_mut(&ID).unwrap().clone();
        let (node, _chain) = chain.start().await;
        let mut opener = opener(&[&node], &other, true);
        let sealed = opener.open(&view).await;
        assert!(matches!(sealed, Err(SecretsError::Sealed { .. })), "{sealed:?}");
        // A worker that has a new key keeps the old one.
        opener.keys.push(key);
        assert!(matches!(opener.open(&view).await, Ok(Some(Opened::Secrets(_)))));
    }

    #[tokio::test]
    async fn another_value_than_was_committed_to_is_the_owners_doing() {
        let key = WorkerKey::generate().unwrap();
        let other = |chain: &mut Chain| {
            let request = &mut chain.live.get_mut(&ID).unwrap().request;
            let commitment = Hash32::of(b"another value");
            request.secrets.as_mut().unwrap().pins[0].commitment = commitment;
            let terms = SecretEntry::decode(&chain.storage[&entry_key(NAME)]).unwrap().terms;
            let terms = outlayer_protocol::secrets::SecretTerms { commitment, ..terms };
            let contract = id(outlayer_client::testing::CONTRACT);
            let data = associated_data(&contract, &id("keys.near"), NAME, &terms, &id(WORKER));
            let sealed = outlayer_secrets::seal(&key.public(), &data, &opening()).unwrap();
            let entry = SecretEntry { terms, sealed: vec![sealed.into()] };
            chain.storage.insert(entry_key(NAME), entry.encode());
        };
        let opened = opened(&key, other, true).await;
        assert!(matches!(opened, Ok(Some(Opened::NotAsCommitted))), "{opened:?}");
    }

    #[tokio::test]
    async fn two_endpoints_are_needed_unless_one_is_enough() {
        let (node, _chain) = Chain::new(config_of_this_build()).start().await;
        let mut config = config(&node);
        assert!(Opener::new(&config).unwrap().is_none(), "it has no key");
        config.secrets.keys = vec![WorkerKey::generate().unwrap()];
        assert!(Opener::new(&config).is_err());
        config.secrets.one_endpoint = true;
        assert!(Opener::new(&config).unwrap().is_some());
    }
}
