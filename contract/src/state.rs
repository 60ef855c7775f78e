//! The contract's own state; everything else stands in entries of its own, see [`Prefix`](crate::store::Prefix).

// near-sdk generates promise builders for other contracts beside the struct, without documentation.
#![allow(missing_docs)]

use near_sdk::{AccountId, PanicOnDefault, near};
use outlayer_protocol::{Config, Hash32, RequestId};

use crate::Funds;

/// The layout of state that this code reads and writes.
pub const LAYOUT: u16 = 2;

/// An upgrade that is announced.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// SHA-256 of the new code.
    pub code_hash: Hash32,
    /// The first height at which it may be deployed.
    pub from_height: u64,
}

/// The OutLayer contract.
#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Contract {
    /// The layout of all state, [`LAYOUT`]; a migration starts from it.
    pub(crate) layout: u16,
    /// Who governs.
    pub(crate) owner_id: AccountId,
    /// Who becomes the owner on accepting.
    pub(crate) proposed_owner_id: Option<AccountId>,
    /// Whether new requests are refused.
    pub(crate) paused: bool,
    /// Terms of new requests.
    pub(crate) config: Config,
    /// The next request's id.
    pub(crate) next_request_id: RequestId,
    /// How many requests are live.
    pub(crate) live_requests: u32,
    /// How many workers are registered.
    pub(crate) registered_workers: u32,
    /// Bytes of state that are there for live requests, namespaces and published code.
    pub(crate) tenant_bytes: u64,
    /// Money held, by purpose.
    pub(crate) funds: Funds,
    /// The upgrade that is announced.
    pub(crate) upgrade: Option<Upgrade>,
    /// The height from which on every request that was ever accepted has ended or can be swept.
    pub(crate) live_until: u64,
}
