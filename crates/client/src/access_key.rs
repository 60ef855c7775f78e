//! An access key of an account, and its nonces.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use near_crypto::{InMemorySigner, PublicKey, SecretKey, Signature, Signer};
use outlayer_protocol::AccountId;
use tokio::sync::Mutex;

use crate::{At, ChainError, Node};

/// A key that signs, and what is known of its nonces.
pub(crate) struct AccessKey {
    signer: Signer,
    public_key: PublicKey,
    /// The last nonce that was handed out; `None` until the chain has been asked for it.
    nonce: Mutex<Option<u64>>,
    /// How many calls are signed with it whose outcome is not known yet.
    in_flight: AtomicUsize,
    /// Whether it signs while there are others.
    signs: AtomicBool,
    /// The height of a block after which the account had the key. One that does not have it, and
    /// is older, may be from before the key was added.
    seen_at: AtomicU64,
}

impl AccessKey {
    pub(crate) fn new(id: &AccountId, secret_key: SecretKey) -> Self {
        let signer = InMemorySigner::from_secret_key(id.clone(), secret_key);
        let public_key = signer.public_key();
        let (in_flight, signs) = (AtomicUsize::new(0), AtomicBool::new(true));
        let (nonce, seen_at) = (Mutex::default(), AtomicU64::new(0));
        Self { signer, public_key, nonce, in_flight, signs, seen_at }
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn signs(&self) -> bool {
        self.signs.load(Ordering::Relaxed)
    }

    pub(crate) fn let_sign(&self, signs: bool) {
        self.signs.store(signs, Ordering::Relaxed);
    }

    /// The height of a block after which the account had the key, once its nonce was read.
    pub(crate) fn seen_at(&self) -> u64 {
        self.seen_at.load(Ordering::Relaxed)
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        self.signer.sign(bytes)
    }

    /// Hands out the next nonce. `None` when the account does not have the key.
    pub(crate) async fn next_nonce(
        &self,
        node: &Node,
        id: &AccountId,
    ) -> Result<Option<u64>, ChainError> {
        let mut last = self.nonce.lock().await;
        let used = match *last {
            Some(nonce) => nonce,
            None => match node.access_key_in_block(id, &self.public_key, At::Optimistic).await? {
                (height, Some(key)) => {
                    self.seen_at.store(height, Ordering::Relaxed);
                    key.nonce
                }
                (_, None) => return Ok(None),
            },
        };
        let next = used.saturating_add(1);
        *last = Some(next);
        Ok(Some(next))
    }

    /// Notes that the chain has taken a transaction with this nonce.
    pub(crate) async fn used_up_to(&self, nonce: u64) {
        let mut last = self.nonce.lock().await;
        *last = (*last).max(Some(nonce));
    }

    /// Forgets what is known, so that the chain is asked again.
    pub(crate) async fn forget_nonce(&self) {
        *self.nonce.lock().await = None;
    }
}

/// A key that signs for one call more, until this is dropped.
pub(crate) struct Lease(Arc<AccessKey>);

impl Lease {
    pub(crate) fn new(key: &Arc<AccessKey>) -> Self {
        key.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(key))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Lease {
    type Target = AccessKey;

    fn deref(&self) -> &AccessKey {
        &self.0
    }
}
