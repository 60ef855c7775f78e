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
/// `pending_index` gives the borsh of a [`PendingPage`] of them, `list_pending` gives JSON.
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
    /// The id of the request.
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
    /// The only workers that may answer, because its secrets are sealed to them; empty where every
    /// worker may.
    pub recipients: Vec<AccountId>,
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
            recipients: request.secrets.as_ref().map_or_else(Vec::new, |s| s.recipients.clone()),
        }
    }
}

impl PendingEntry {
    /// Whether this account may answer: it is given the request's secrets, or there are none.
    pub fn entitles(&self, worker_id: &AccountId) -> bool {
        self.recipients.is_empty() || self.recipients.contains(worker_id)
    }

    /// Whether the request may still take an answer at this height. Its record says whether it has
    /// one already.
    pub fn is_in_time(&self, height: u64) -> bool {
        height <= self.deadline
    }
}

/// A page of the index.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Debug,
    Default,
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
pub struct PendingPage {
    /// The live requests among those that were looked at, by ascending ids.
    pub entries: Vec<PendingEntry>,
    /// The id from which to ask for the next page; `None` when this is the last.
    pub next_id: Option<RequestId>,
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
    fn an_entry_tells_where_the_code_is_and_until_when_an_answer_is_in_time() {
        let mut other = sample();
        other.code.url = Some("https://code.example".to_owned());
        let entries = [PendingEntry::from(&sample()), PendingEntry::from(&other)];
        assert!(entries[0].published_code && !entries[1].published_code);
        assert!(entries[0].is_in_time(1_200) && !entries[0].is_in_time(1_201));
    }

    #[test]
    fn elements_are_joined_as_borsh_writes_a_list() {
        let elements = [7u64, 9];
        let encoded = elements.map(|element| borsh::to_vec(&element).unwrap());
        assert_eq!(join(&encoded), borsh::to_vec(&elements.to_vec()).unwrap());
        assert_eq!(join(&[]), borsh::to_vec(&Vec::<u64>::new()).unwrap());
    }
}
