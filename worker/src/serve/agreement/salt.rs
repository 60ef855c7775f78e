//! The salts of a worker's commitments.
//!
//! A salt must be secret until its reveal, and the worker must still have it when it is started
//! again in between. So it is derived from the worker's secret key, which is the one secret that
//! the worker keeps.

use outlayer_client::SecretKey;
use outlayer_protocol::{
    AccountId, Hash32, RequestId,
    commitment::{SALT_BYTES, Salt},
};

/// Derives the salts of one account at one contract.
pub(crate) struct Salts {
    secret: Hash32,
    contract_id: AccountId,
}

impl Salts {
    /// The salts of the account with this key.
    pub(crate) fn new(secret_key: &SecretKey, contract_id: AccountId) -> Self {
        let key = secret_key.to_string();
        let secret = Hash32::of_parts(&[b"outlayer:salts", key.as_bytes()]);
        Self { secret, contract_id }
    }

    /// The salt of the commitment to this digest.
    pub(crate) fn salt(&self, request_id: RequestId, round: u32, digest: &Hash32) -> Salt {
        let Hash32(hash) = Hash32::of_parts(&[
            b"outlayer:salt",
            &self.secret.0,
            &request_id.to_le_bytes(),
            &round.to_le_bytes(),
            &digest.0,
            self.contract_id.as_bytes(),
        ]);
        let mut salt = [0; SALT_BYTES];
        salt.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        salt
    }
}

#[cfg(test)]
mod tests {
    use near_crypto::KeyType;

    use super::*;

    fn salts(seed: &str, contract: &str) -> Salts {
        Salts::new(&SecretKey::from_seed(KeyType::ED25519, seed), contract.parse().unwrap())
    }

    #[test]
    fn a_salt_comes_back_and_is_of_one_key_contract_request_round_and_digest() {
        let (digest, other) = (Hash32::of(b"digest"), Hash32::of(b"other"));
        let mine = salts("a", "outlayer.near");
        let all = [
            mine.salt(7, 0, &digest),
            mine.salt(8, 0, &digest),
            mine.salt(7, 1, &digest),
            mine.salt(7, 0, &other),
            salts("b", "outlayer.near").salt(7, 0, &digest),
            salts("a", "other.near").salt(7, 0, &digest),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(!all[..n].contains(one), "{n}");
        }
        assert_eq!(salts("a", "outlayer.near").salt(7, 0, &digest), all[0]);
    }
}
