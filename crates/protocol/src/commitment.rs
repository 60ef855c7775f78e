//! Commitments: what a worker promises before any digest is public.

use near_account_id::AccountId;

use crate::Hash32;

/// Length of a commitment's salt, bytes.
pub const SALT_BYTES: usize = 16;

/// The secret with which a worker hides the digest that it commits to. There are few digests that
/// an execution is likely to give; without a salt, a worker could try them all against another's
/// commitment, and copy what it finds without executing anything.
pub type Salt = [u8; SALT_BYTES];

/// What a worker commits to: `sha256("outlayer:commit" || digest || worker_id || round || salt)`,
/// with the round as 4 bytes little-endian. The account in it makes a copied commitment worthless,
/// and the round makes one of an earlier round so.
pub fn commitment(digest: &Hash32, worker_id: &AccountId, round: u32, salt: &Salt) -> Hash32 {
    let round = round.to_le_bytes();
    Hash32::of_parts(&[b"outlayer:commit", &digest.0, worker_id.as_bytes(), &round, salt])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_of_one_digest_worker_round_and_salt() {
        let [a, b]: [AccountId; 2] = ["a.near", "b.near"].map(|id| id.parse().unwrap());
        let digest = Hash32::of(b"digest");
        let all = [
            commitment(&digest, &a, 0, &[1; SALT_BYTES]),
            commitment(&Hash32::of(b"other"), &a, 0, &[1; SALT_BYTES]),
            commitment(&digest, &b, 0, &[1; SALT_BYTES]),
            commitment(&digest, &a, 1, &[1; SALT_BYTES]),
            commitment(&digest, &a, 0, &[2; SALT_BYTES]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(!all[..n].contains(one), "{n}");
        }
        let mut preimage = b"outlayer:commit".to_vec();
        preimage.extend(digest.0);
        preimage.extend(b"a.near");
        preimage.extend([0; 4]);
        preimage.extend([1; SALT_BYTES]);
        assert_eq!(all[0], Hash32::of(&preimage));
    }
}
