//! The index of live requests: what a worker must know of each to decide whether to look at it.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{Claims, Compute, EngineVersion, GuestKind, RequestId, live_request::LiveRequest};

/// A live request in the index. Nothing of it but `claims` changes while the request lives, so the
/// index does not say how far the request has come.
///
/// `pending_index` gives the borsh of a list of them, `list_pending` gives JSON.
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
pub struct PendingEntry {
    /// The id of the request. It comes first, so that the contract finds it without decoding the
    /// rest.
    pub request_id: RequestId,
    /// The height of the block that accepted the request.
    pub block_height: u64,
    /// The last height at which an answer is accepted.
    pub deadline: u64,
    /// The version of the engine that must execute the request.
    pub engine_version: EngineVersion,
    /// The NEAR protocol version whose fees the gas meter uses.
    pub near_config_version: u32,
    /// How many workers must agree.
    pub approvals: u8,
    /// Whether the code is published in the contract. If not, it is at a URL.
    pub published_code: bool,
    /// The kind of guest that the code must be; `None` has the kind detected from its bytes.
    pub kind: Option<GuestKind>,
    /// The most computation that the execution may use.
    pub compute: Compute,
    /// The account that gets refunds.
    pub payer: AccountId,
    /// The workers that have claimed the request; `None` where it takes no claims.
    pub claims: Option<Claims>,
}

impl From<&LiveRequest> for PendingEntry {
    fn from(request: &LiveRequest) -> Self {
        Self {
            request_id: request.id(),
            block_height: request.context.block_height,
            deadline: request.terms.deadline,
            engine_version: request.terms.engine_version,
            near_config_version: request.terms.near_config_version,
            approvals: request.approvals(),
            published_code: request.code.url.is_none(),
            kind: request.kind,
            compute: request.limits.compute,
            payer: request.payer().clone(),
            claims: request.claims.clone(),
        }
    }
}

impl PendingEntry {
    /// Whether the request may still take an answer at this height. Its record says whether it has
    /// one already.
    pub fn is_in_time(&self, height: u64) -> bool {
        height <= self.deadline
    }

    /// The id of the request whose encoded entry this is; `None` when it is too short to be one.
    pub fn id_of(entry: &[u8]) -> Option<RequestId> {
        entry.first_chunk().map(|id| RequestId::from_le_bytes(*id))
    }
}

/// The borsh of a list whose elements are encoded already.
pub fn join(elements: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
    let mut list = count.to_le_bytes().to_vec();
    elements.iter().for_each(|element| list.extend_from_slice(element));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_request::sample;

    #[test]
    fn entries_are_joined_as_borsh_writes_a_list() {
        let mut other = sample();
        other.code.url = Some("https://code.example".to_owned());
        other.kind = Some(GuestKind::Near);
        other.context.request_id = u64::MAX - 1;
        let entries = [PendingEntry::from(&sample()), PendingEntry::from(&other)];
        let encoded = entries.clone().map(|entry| borsh::to_vec(&entry).unwrap());
        let ids = encoded.iter().map(|entry| PendingEntry::id_of(entry).unwrap());
        assert_eq!(ids.collect::<Vec<_>>(), [7, u64::MAX - 1]);
        assert_eq!(join(&encoded), borsh::to_vec(&entries.to_vec()).unwrap());
        assert_eq!(borsh::from_slice::<Vec<PendingEntry>>(&join(&[])).unwrap(), []);
        assert_eq!(PendingEntry::id_of(&[1; 7]), None);
        assert!(entries[0].published_code && !entries[1].published_code);
        assert!(entries[0].is_in_time(1_200) && !entries[0].is_in_time(1_201));
    }
}
