//! The contract's own state. Everything else is kept in entries of its own, see
//! [`Prefix`](crate::store::Prefix).

// near-sdk generates promise builders for other contracts beside the struct, without documentation.
#![allow(missing_docs)]

use near_sdk::{AccountId, PanicOnDefault, near};
use outlayer_protocol::{Config, Hash32, RequestId};

use crate::{Funds, live_ids::LiveIds, roster::Roster};

/// The layout of all state that this code reads and writes.
pub const LAYOUT: u16 = 3;

/// An announced upgrade.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// SHA-256 of the code to deploy.
    pub code_hash: Hash32,
    /// The first height at which the code may be deployed.
    pub from_height: u64,
}

/// The OutLayer contract. Its metadata (NEP-330) has the version and the repository of the package,
/// and the standards that it implements. A build that knows its revision (`OUTLAYER_REVISION`, see
/// `scripts/wasm`) also says from which sources it was made and how.
#[near(
    contract_state,
    contract_metadata(
        standard(standard = "nep145", version = "1.0.0"),
        standard(standard = "nep297", version = "1.0.0"),
        standard(standard = "nep330", version = "1.3.0")
    )
)]
#[derive(PanicOnDefault)]
pub struct Contract {
    /// The layout of all state, [`LAYOUT`]. It tells a migration what it finds.
    pub(crate) layout: u16,
    /// The account that governs.
    pub(crate) owner_id: AccountId,
    /// The account that becomes the owner when it accepts.
    pub(crate) proposed_owner_id: Option<AccountId>,
    /// Whether new requests are refused.
    pub(crate) paused: bool,
    /// The terms of new requests.
    pub(crate) config: Config,
    /// The id of the next request.
    pub(crate) next_request_id: RequestId,
    /// How many requests are live, and which ids they have.
    pub(crate) live: LiveIds,
    /// How many settled requests have open shares.
    pub(crate) open_shares: u32,
    /// How many workers are registered, and how many of them may be drawn.
    pub(crate) roster: Roster,
    /// Bytes of state that a pot pays for: those of live requests, namespaces, published code and
    /// claimable payments.
    pub(crate) tenant_bytes: u64,
    /// The money that the contract holds, by purpose.
    pub(crate) funds: Funds,
    /// The announced upgrade, if there is one.
    pub(crate) upgrade: Option<Upgrade>,
    /// The first height at which every request accepted so far has ended or can be swept.
    pub(crate) live_until: u64,
    /// The id of the first request since the last migration. Those before may have records in the
    /// former layout.
    pub(crate) former_requests: RequestId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_names_version_source_and_standards() {
        let found: serde_json::Value = serde_json::from_str(CONTRACT_SOURCE_METADATA).unwrap();
        assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(found["link"], env!("CARGO_PKG_REPOSITORY"));
        let standards = found["standards"].as_array().unwrap();
        let names: Vec<_> = standards.iter().map(|one| one["standard"].as_str().unwrap()).collect();
        assert_eq!(names, ["nep145", "nep297", "nep330"]);
    }
}
