//! What everybody who relies on the contract may want to know besides requests: who governs it and
//! how, who works, which code is there, and which payments bounced.

use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Config, Hash32};

/// The owner has set the terms of later requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct ConfigSet {
    /// The new terms.
    pub config: Config,
}

/// The owner has offered the ownership, or taken the offer back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct OwnerProposed {
    /// The account that may accept; `None` when the offer was taken back.
    pub account_id: Option<AccountId>,
}

/// The ownership has passed to another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct OwnerChanged {
    /// The former owner.
    pub from: AccountId,
    /// The new owner.
    pub to: AccountId,
}

/// The contract was paused or unpaused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct PauseChanged {
    /// Whether new requests are refused from now on.
    pub paused: bool,
}

/// An upgrade was announced, or its announcement taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct UpgradeProposed {
    /// SHA-256 of the announced code; `None` when the announcement was taken back.
    pub code_hash: Option<Hash32>,
    /// The first height at which the announced code may be deployed.
    pub from_height: u64,
}

/// An upgrade was made. It is the new code that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct UpgradeMade {
    /// SHA-256 of the new code; `None` when the former code did not pass it on.
    pub code_hash: Option<Hash32>,
    /// The layout of the state under the new code.
    pub layout: u16,
}

/// The owner has registered a worker, or changed its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct WorkerRegistered {
    /// The worker's account.
    pub worker_id: AccountId,
    /// What the owner has noted about it.
    pub metadata: String,
}

/// The owner has suspended a worker, or lets it work again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct WorkerSuspended {
    /// The worker's account.
    pub worker_id: AccountId,
    /// Whether its answers are refused from now on.
    pub suspended: bool,
}

/// The owner has removed a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct WorkerRemoved {
    /// The worker's account.
    pub worker_id: AccountId,
}

/// A payment came back because its receiver does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct RefundBounced {
    /// The account that was to receive it.
    pub account_id: AccountId,
    /// The amount, yoctoNEAR.
    pub amount: NearToken,
    /// Whether whoever has the account id can claim it. If not, it was too small to be kept, and
    /// went to the protocol.
    pub claimable: bool,
}

/// Code is published in full, or another account has adopted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct CodePublished {
    /// SHA-256 of the code.
    pub hash: Hash32,
    /// The account that pays for the code's bytes.
    pub publisher_id: AccountId,
    /// The size of the code, bytes.
    pub total_bytes: u32,
}

/// Code, or a version of a name, is withdrawn from new requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToJson, Deserialize)]
pub struct CodeRetired {
    /// SHA-256 of the code.
    pub hash: Hash32,
    /// The full name with version; absent when the published code itself is retired, whatever
    /// names it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
