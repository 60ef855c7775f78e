//! What a guest is told about the block and the call that asked for its execution.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Hash32, RequestId, json};

/// Where and by whom an execution was requested. All of it comes from the requesting receipt, so
/// every worker and every replay sees the same.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
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
pub struct ExecutionContext {
    /// The id of the request.
    pub request_id: RequestId,
    /// The account of the OutLayer contract.
    pub contract_id: AccountId,
    /// Height of the block that accepted the request.
    pub block_height: u64,
    /// Timestamp of that block, nanoseconds since the Unix epoch (a decimal string in JSON).
    #[serde(with = "json::u64_string")]
    #[cfg_attr(feature = "abi", schemars(with = "String"))]
    pub block_timestamp: u64,
    /// Height of the epoch of that block.
    pub epoch_height: u64,
    /// The seed of the guest's randomness, see [`random_seed`].
    pub random_seed: Hash32,
    /// The account that signed the transaction.
    pub signer_id: AccountId,
    /// The account that called `request_execution`, which owns the storage namespace.
    pub predecessor_id: AccountId,
    /// What was attached to the call, yoctoNEAR.
    pub attached_deposit: NearToken,
}

/// `sha256(request_id as u64 little-endian || block_seed)`, where `block_seed` is what
/// `env::random_seed()` gives in the requesting receipt.
///
/// This is nearcore's `create_random_seed(action_hash, block_seed)` with the request in place of
/// the action. The seed is public as soon as the request is made: a worker can withhold an answer,
/// but cannot choose one.
pub fn random_seed(request_id: RequestId, block_seed: &[u8; 32]) -> Hash32 {
    Hash32::of_parts(&[&request_id.to_le_bytes(), block_seed])
}

impl ExecutionContext {
    /// The context of an execution that nobody has asked for, which only compiles the code. All
    /// accounts in it are `account_id`.
    pub fn of_no_request(account_id: AccountId) -> Self {
        Self {
            request_id: 0,
            contract_id: account_id.clone(),
            block_height: 0,
            block_timestamp: 0,
            epoch_height: 0,
            random_seed: Hash32::default(),
            signer_id: account_id.clone(),
            predecessor_id: account_id,
            attached_deposit: NearToken::from_yoctonear(0),
        }
    }

    /// The environment variables that the system sets for every WASI guest, in this order. A
    /// request's own variables come after them and cannot have the same names.
    pub fn env(&self) -> Vec<(String, String)> {
        let values = [
            self.request_id.to_string(),
            self.contract_id.to_string(),
            self.block_height.to_string(),
            self.block_timestamp.to_string(),
            self.epoch_height.to_string(),
            self.random_seed.to_string(),
            self.signer_id.to_string(),
            self.predecessor_id.to_string(),
            self.attached_deposit.as_yoctonear().to_string(),
        ];
        let fixed =
            [("TZ", "UTC"), ("LANG", "C")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let context =
            CONTEXT_VARIABLES.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value));
        fixed.into_iter().chain(context).collect()
    }
}

/// Names of the variables that carry the context, in the order of [`ExecutionContext`]'s fields.
pub const CONTEXT_VARIABLES: [&str; 9] = [
    "OUTLAYER_REQUEST_ID",
    "OUTLAYER_CONTRACT_ID",
    "OUTLAYER_BLOCK_HEIGHT",
    "OUTLAYER_BLOCK_TIMESTAMP",
    "OUTLAYER_EPOCH_HEIGHT",
    "OUTLAYER_RANDOM_SEED",
    "OUTLAYER_SIGNER_ID",
    "OUTLAYER_PREDECESSOR_ID",
    "OUTLAYER_ATTACHED_DEPOSIT",
];

/// Whether the system sets this environment variable itself: `TZ`, `LANG`, and every name that
/// starts with `OUTLAYER_`.
pub fn is_reserved_variable(name: &str) -> bool {
    name == "TZ" || name == "LANG" || name.starts_with("OUTLAYER_")
}

#[cfg(test)]
pub(crate) fn sample() -> ExecutionContext {
    ExecutionContext {
        request_id: 7,
        contract_id: "outlayer.near".parse().unwrap(),
        block_height: 1_000,
        block_timestamp: 1_763_942_400_000_000_000,
        epoch_height: 16,
        random_seed: random_seed(7, &[9; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_millinear(500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_the_hash_of_request_id_and_block_seed() {
        let mut preimage = 1u64.to_le_bytes().to_vec();
        preimage.extend([5; 32]);
        assert_eq!(random_seed(1, &[5; 32]), Hash32::of(&preimage));
        assert_ne!(random_seed(1, &[5; 32]), random_seed(2, &[5; 32]));
    }

    #[test]
    fn every_variable_of_the_context_is_reserved_and_present_once() {
        let env = sample().env();
        assert_eq!(env.len(), 2 + CONTEXT_VARIABLES.len());
        for (name, value) in &env {
            assert!(is_reserved_variable(name), "{name}");
            assert!(!value.is_empty(), "{name}");
            assert_eq!(env.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
        assert!(!is_reserved_variable("OUTLAY"));
    }

    #[test]
    fn json_keeps_nanoseconds_exact() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(json["block_timestamp"], "1763942400000000000");
        assert_eq!(json["attached_deposit"], "500000000000000000000000");
        assert_eq!(serde_json::from_value::<ExecutionContext>(json).unwrap(), sample());
    }
}
