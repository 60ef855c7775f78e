//! Commitments: what a worker promises before any body is public.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use serde::{Deserialize, Serialize};

use crate::Hash32;

/// How many commitments a request takes for each approval that it asks for.
pub(crate) const COMMITMENTS_PER_APPROVAL: u8 = 3;

/// A worker's promise that its execution gave a certain digest, made before any body was public.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Commitment {
    /// The account of the worker that made the promise.
    pub worker_id: AccountId,
    /// `sha256(digest || worker_id)`, see [`commitment`].
    pub hash: Hash32,
}

/// What a worker commits to before any body is public: `sha256(digest || worker_id)`. The account
/// in it makes a copied commitment worthless.
pub fn commitment(digest: &Hash32, worker_id: &AccountId) -> Hash32 {
    Hash32::of_parts(&[&digest.0, worker_id.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_of_one_worker() {
        let digest = Hash32::of(b"digest");
        let [a, b] = ["a.near", "b.near"].map(|id| commitment(&digest, &id.parse().unwrap()));
        assert_ne!(a, b);
    }
}
