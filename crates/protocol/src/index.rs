//! The index of live requests: what a worker must know of each to decide whether to look at it.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode, Error, Input};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Agreement, Claims, CodeRef, Compute, EngineVersion, ExecutionContext, GuestKind, RequestId,
    ResourceLimits,
    live_request::{LiveRequest, Terms},
    secrets::LiveSecrets,
};

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

/// What of a live request makes its entry: the first fields of [`LiveRequest`], in their order.
#[derive(Decode)]
struct Head {
    context: ExecutionContext,
    terms: Terms,
    code: CodeRef,
    kind: Option<GuestKind>,
    limits: ResourceLimits,
    secrets: Option<LiveSecrets>,
    agreement: Option<Agreement>,
    claims: Option<Claims>,
}

impl From<Head> for PendingEntry {
    fn from(head: Head) -> Self {
        let Head { context, terms, code, kind, limits, secrets, agreement, claims } = head;
        Self {
            request_id: context.request_id,
            block_height: context.block_height,
            deadline: terms.deadline,
            engine_version: terms.engine_version,
            near_config_version: terms.near_config_version,
            approvals: agreement.map_or(1, |agreement| agreement.approvals),
            published_code: code.url.is_none(),
            kind,
            compute: limits.compute,
            payer: terms.payer,
            claims,
            recipients: secrets.map_or_else(Vec::new, |secrets| secrets.recipients),
        }
    }
}

impl From<&LiveRequest> for PendingEntry {
    fn from(request: &LiveRequest) -> Self {
        Self::from(Head {
            context: request.context.clone(),
            terms: request.terms.clone(),
            code: request.code.clone(),
            kind: request.kind,
            limits: request.limits,
            secrets: request.secrets.clone(),
            agreement: request.agreement.clone(),
            claims: request.claims.clone(),
        })
    }
}

impl PendingEntry {
    /// The entry of the [`LiveRequest`] of which this is the encoding, and how many of its bytes
    /// were decoded. What may be long, such as the guest's arguments, is behind them.
    ///
    /// # Errors
    /// When the bytes do not start as a live request does.
    pub fn of_record(record: &[u8]) -> Result<(Self, usize), Error> {
        let mut input = Input::new(record);
        let entry = Head::decode(&mut input).into();
        let decoded = record.len().saturating_sub(input.left());
        input.error().map_or(Ok((entry, decoded)), Err)
    }

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
    fn an_entry_is_read_from_the_first_bytes_of_a_record() {
        let mut request = sample();
        request.code.url = Some("https://code.example".to_owned());
        request.kind = Some(GuestKind::Near);
        request.args = vec!["long".repeat(1_000)];
        let record = outlayer_codec::to_vec(&request);
        let (entry, decoded) = PendingEntry::of_record(&record).unwrap();
        assert_eq!(entry, PendingEntry::from(&request));
        assert!(decoded + 4_000 < record.len(), "{decoded} of {}", record.len());
        assert_eq!(PendingEntry::of_record(&record[..decoded]), Ok((entry, decoded)));
        assert_eq!(PendingEntry::of_record(&record[..decoded - 1]), Err(Error::TooShort));
    }

    #[test]
    fn elements_are_joined_as_borsh_writes_a_list() {
        let elements = [7u64, 9];
        let encoded = elements.map(|element| borsh::to_vec(&element).unwrap());
        assert_eq!(join(&encoded), borsh::to_vec(&elements.to_vec()).unwrap());
        assert_eq!(join(&[]), borsh::to_vec(&Vec::<u64>::new()).unwrap());
    }
}
