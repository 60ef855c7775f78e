//! The keys of the recordings. The seed of an ed25519 key is `sha256("golden:" + label)`.

use ed25519_dalek::SigningKey;
use near_crypto::{ED25519SecretKey, SecretKey};
use sha2::{Digest, Sha256};

/// The key with this label.
pub(crate) fn key(label: &str) -> SecretKey {
    let seed: [u8; 32] = Sha256::digest(format!("golden:{label}")).into();
    SecretKey::ED25519(ED25519SecretKey(SigningKey::from_bytes(&seed).to_keypair_bytes()))
}
