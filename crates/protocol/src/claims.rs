//! Claims: how a worker says on chain that it executes a request that takes long.
//!
//! Workers share requests by an order that each of them can compute ([`rank`]). For light work that
//! is enough: the next in the order steps in after a few blocks. An execution that takes longer
//! than that would be begun again by everybody, although the first is at work. So its worker claims
//! it, and the others leave it alone while the claim stands.
//!
//! A claim decides nothing. Answers are taken from whoever sends them first, claimed or not, so a
//! claim shuts nobody out. It delays those who choose to respect it, once for each worker, and at
//! most until it expires: after the time of the execution at the configuration's stated speed.
//! Whoever claims and does not answer in time is counted, and an event says so.
//!
//! The contract does not know whose turn it is, because ranking thousands of workers would cost
//! more than the claim is worth. So it takes a claim from any active worker. The others know the
//! order, and do not respect a claim that was made before its worker's turn. Several claims may
//! stand at once for that reason, up to [`MOST_CLAIMS`].

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Hash32, RequestId};

/// How many blocks compute may take at the stated speed without being worth a claim. Real programs
/// are some ten times as fast as that, so such an execution ends within a few blocks.
pub const LIGHT_BLOCKS: u64 = 20;
/// The most claims that one request takes.
pub const MOST_CLAIMS: usize = 3;

/// The place of a worker in the order of those that serve a request: the lowest comes first. A
/// worker that comes or goes does not change the order of the others.
pub fn rank(worker_id: &AccountId, request_id: RequestId) -> Hash32 {
    Hash32::of_parts(&[worker_id.as_bytes(), &request_id.to_le_bytes()])
}

/// A worker's statement that it executes a request.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct Claim {
    /// The worker.
    pub worker_id: AccountId,
    /// The height of the block in which the claim was made.
    pub height: u64,
}

/// The claims of a request whose execution may take long.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct Claims {
    /// How many blocks a claim stands: as many as the execution takes at the most, and some for
    /// the answer to land.
    pub turn_blocks: u64,
    /// The claims in the order in which they were made, one of each worker.
    pub made: Vec<Claim>,
}

impl Claims {
    /// The first height at which a claim no longer stands. After the deadline none does.
    pub fn until(&self, claim: &Claim, deadline: u64) -> u64 {
        claim.height.saturating_add(self.turn_blocks).min(deadline.saturating_add(1))
    }

    /// The claim of a worker.
    pub fn of(&self, worker_id: &AccountId) -> Option<&Claim> {
        self.made.iter().find(|claim| claim.worker_id == *worker_id)
    }

    /// Of the claims that stand, the one whose worker comes first in the order.
    pub fn first_standing(
        &self,
        request_id: RequestId,
        deadline: u64,
        height: u64,
    ) -> Option<&Claim> {
        let standing = self.made.iter().filter(|claim| height < self.until(claim, deadline));
        standing.min_by_key(|claim| rank(&claim.worker_id, request_id))
    }

    /// The claims that no longer stand, apart from that of the worker that has answered.
    pub fn missed(
        &self,
        answered: Option<&AccountId>,
        deadline: u64,
        height: u64,
    ) -> impl Iterator<Item = &Claim> {
        self.made.iter().filter(move |claim| {
            Some(&claim.worker_id) != answered && height >= self.until(claim, deadline)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn claims() -> Claims {
        let claim = |name: &str, height| Claim { worker_id: id(name), height };
        Claims { turn_blocks: 30, made: vec![claim("a.near", 100), claim("b.near", 110)] }
    }

    #[test]
    fn a_claim_stands_for_its_turn_and_not_beyond_the_deadline() {
        let claims = claims();
        assert_eq!(claims.until(&claims.made[1], 200), 140);
        assert_eq!(claims.until(&claims.made[1], 120), 121);
        assert_eq!(claims.of(&id("b.near")), Some(&claims.made[1]));
        assert_eq!(claims.of(&id("c.near")), None);
    }

    #[test]
    fn of_several_claims_the_first_in_the_order_counts_while_it_stands() {
        let claims = claims();
        let standing = |request_id, height| {
            claims.first_standing(request_id, 200, height).map(|claim| claim.worker_id.clone())
        };
        for request_id in 0..20 {
            let [a, b] = ["a.near", "b.near"].map(|name| rank(&id(name), request_id));
            let first = if a < b { "a.near" } else { "b.near" };
            assert_eq!(standing(request_id, 129), Some(id(first)));
            assert_eq!(standing(request_id, 130), Some(id("b.near")));
            assert_eq!(standing(request_id, 140), None);
        }
    }

    #[test]
    fn who_answered_has_not_missed_its_claim() {
        let claims = claims();
        let missed = |answered: Option<&str>, height| {
            let answered = answered.map(id);
            let missed = claims.missed(answered.as_ref(), 200, height);
            missed.map(|claim| claim.worker_id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(missed(None, 129), [""; 0]);
        assert_eq!(missed(None, 130), ["a.near"]);
        assert_eq!(missed(None, 140), ["a.near", "b.near"]);
        assert_eq!(missed(Some("a.near"), 140), ["b.near"]);
    }
}
