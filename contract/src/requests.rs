//! Live requests. The record, the input and a staged response (whole or in parts) are kept apart
//! from each other, so that a step loads only what it needs; only a short response is kept with the
//! record. The index of the requests is read from the records themselves
//! ([`live_ids`](crate::live_ids)). What a settled request may leave, its open shares, is listed.

use near_sdk::env;
use outlayer_codec::{Encode as _, Error};
use outlayer_protocol::{
    Bytes, ExecutionResponse, RequestId,
    index::{PendingEntry, PendingPage},
    machine::{CompleteBody, LiveRequest, OpenShares, Phase},
};

use crate::{
    Contract, ContractError, change_fee,
    migration::requests::{Former, staged_body},
    slots::Slots,
    store::{self, Prefix},
};

/// How many bytes of records a page of the index decodes before it ends. A node lets a view burn
/// 300 Tgas, and by the gas tests, reading and decoding a byte burns at most 0.2 Ggas.
const PAGE_BYTES: usize = 1_500_000;
/// To read so many bytes, which are not decoded, burns less than to decode one.
const READ_BYTES: usize = 12;
/// What an id without a record counts for: looking for it burns about as much as so many bytes.
const ABSENT_BYTES: usize = 1_200;
/// What a record of layout 2 counts for, which is decoded whole: about as much as the longest has.
const LONGEST_RECORD: usize = 9_000;

fn key(prefix: Prefix, request_id: RequestId) -> Vec<u8> {
    store::key(prefix, &[&request_id.to_be_bytes()])
}

fn open_shares() -> Slots {
    Slots::new(store::key(Prefix::SharesSlot, &[]))
}

/// A live request as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) request: LiveRequest,
    /// The encoding of the staged response, where it is short. Otherwise it is empty.
    short_body: Vec<u8>,
}

/// Divides the entry of a live request: the short response that is staged, and the record. The
/// response comes first, behind its length.
pub(crate) fn divide(entry: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = entry.split_first_chunk().unwrap_or((&[0; 2], entry));
    rest.split_at_checked(u16::from_le_bytes(*length).into()).unwrap_or((&[], rest))
}

/// The request with this id, if it is live.
pub(crate) fn find(request_id: RequestId) -> Option<LiveRequest> {
    Some(find_stored(request_id)?.request)
}

/// The request with this id and what is staged with it, if it is live.
pub(crate) fn find_stored(request_id: RequestId) -> Option<Stored> {
    let entry_key = key(Prefix::Request, request_id);
    match env::storage_read(&entry_key) {
        Some(entry) => {
            let (short_body, record) = divide(&entry);
            let request = store::decode(&entry_key, record);
            Some(Stored { request, short_body: short_body.to_vec() })
        }
        None => Some(Stored { request: find_former(request_id)?, short_body: Vec::new() }),
    }
}

/// The request with this id, if it is live and from before the last migration.
fn find_former(request_id: RequestId) -> Option<LiveRequest> {
    Some(store::read::<Former>(&key(Prefix::FormerRequest, request_id))?.into())
}

/// The entry in the index of the request with this id, if it is live, and how many bytes looking
/// for it counts for.
fn index_entry(request_id: RequestId) -> (Option<PendingEntry>, usize) {
    let entry_key = key(Prefix::Request, request_id);
    match env::storage_read(&entry_key) {
        Some(entry) => match PendingEntry::of_record(divide(&entry).1) {
            Ok((found, decoded)) => (Some(found), decoded.saturating_add(entry.len() / READ_BYTES)),
            Err(error) => store::end(&entry_key, error),
        },
        None => match find_former(request_id) {
            Some(former) => (Some(PendingEntry::from(&former)), LONGEST_RECORD),
            None => (None, ABSENT_BYTES),
        },
    }
}

/// Appends the borsh of `Option<RequestView>` to `list`, from the stored bytes of the record and
/// the input, which are not decoded. It is `None` when there is no record of the present layout.
pub(crate) fn append_view(list: &mut Vec<u8>, request_id: RequestId) {
    let Some(entry) = env::storage_read(&key(Prefix::Request, request_id)) else {
        list.push(0);
        return;
    };
    let Bytes(input) = input(request_id);
    list.push(1);
    list.extend_from_slice(divide(&entry).1);
    list.extend_from_slice(&u32::try_from(input.len()).unwrap_or(u32::MAX).to_le_bytes());
    list.extend_from_slice(&input);
}

/// The input of a live request.
pub(crate) fn input(request_id: RequestId) -> Bytes {
    env::storage_read(&key(Prefix::Input, request_id)).unwrap_or_default().into()
}

impl Stored {
    /// The staged response, if there is one.
    pub(crate) fn staged(&self) -> Option<ExecutionResponse> {
        // Decoding cannot fail: it succeeded when the response was submitted.
        staged_body(&self.staged_bytes()?).ok()
    }

    /// The encoding of the staged response, if there is one.
    pub(crate) fn staged_bytes(&self) -> Option<Vec<u8>> {
        let request = &self.request;
        match (&request.phase, &request.upload) {
            (Phase::Staged { .. }, None) if self.short_body.is_empty() => {
                env::storage_read(&key(Prefix::Staged, request.id()))
            }
            (Phase::Staged { .. }, None) => Some(self.short_body.clone()),
            (Phase::Staged { .. }, Some(upload)) => {
                Some(assemble(request.id(), upload.total_bytes, upload.parts, &[]))
            }
            (Phase::Pending | Phase::Cancelling | Phase::Disputing { .. }, _) => None,
        }
    }
}

/// The id of the request whose open shares these are. It comes first, so the rest is not decoded.
pub(crate) fn id_of_shares(entry: &[u8]) -> Option<RequestId> {
    entry.first_chunk().map(|id| RequestId::from_le_bytes(*id))
}

fn part_key(request_id: RequestId, number: u32) -> Vec<u8> {
    store::key(Prefix::ResponsePart, &[&request_id.to_be_bytes(), &number.to_be_bytes()])
}

/// Keeps a part of a response.
pub(crate) fn keep_part(request_id: RequestId, number: u32, bytes: &[u8]) {
    env::storage_write(&part_key(request_id, number), bytes);
}

/// Deletes all parts of a response; `parts` is how many there are.
pub(crate) fn drop_parts(request_id: RequestId, parts: u32) {
    (0..parts).for_each(|number| {
        store::remove(&part_key(request_id, number));
    });
}

/// The response whose last part has come.
pub(crate) fn complete(body: &CompleteBody<'_>) -> Result<ExecutionResponse, Error> {
    let request = body.request();
    let total_bytes = request.upload.as_ref().map_or(0, |upload| upload.total_bytes);
    let body = assemble(request.id(), total_bytes, body.kept_parts(), body.last_bytes());
    outlayer_codec::from_slice(&body)
}

/// The encoding of the response that is `parts` parts of state and then `rest`.
fn assemble(request_id: RequestId, total_bytes: u32, parts: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(total_bytes as usize);
    for number in 0..parts {
        body.append(&mut env::storage_read(&part_key(request_id, number)).unwrap_or_default());
    }
    body.extend_from_slice(rest);
    body
}

/// Keeps a response until the callback. Gives what of it is kept with the record: a short one
/// whole, and nothing of another.
pub(crate) fn stage(response: &ExecutionResponse) -> Vec<u8> {
    if response.is_short() {
        return outlayer_codec::to_vec(response);
    }
    store::write(&key(Prefix::Staged, response.request_id), response);
    Vec::new()
}

/// The open shares of a settled request, if it has any.
pub(crate) fn shares(request_id: RequestId) -> Option<OpenShares> {
    let position = store::read(&key(Prefix::SharesPosition, request_id))?;
    // Decoding cannot fail: this contract has written the entry.
    outlayer_codec::from_slice(&open_shares().get(position)?).ok()
}

impl Contract {
    /// Keeps open shares, and lists them.
    pub(crate) fn save_shares(&mut self, shares: &OpenShares) {
        let entry = outlayer_codec::to_vec(shares);
        let position_key = key(Prefix::SharesPosition, shares.request_id);
        match store::read(&position_key) {
            Some(position) => open_shares().set(position, &entry),
            None => {
                let position = open_shares().push(&mut self.open_shares, &entry);
                store::write(&position_key, &position);
            }
        }
    }

    /// Deletes the open shares of a request.
    pub(crate) fn drop_shares(&mut self, request_id: RequestId) {
        let position_key = key(Prefix::SharesPosition, request_id);
        if let Some(position) = store::read(&position_key) {
            store::remove(&position_key);
            let moved = open_shares().remove(&mut self.open_shares, position);
            if let Some(moved) = moved.as_deref().and_then(id_of_shares) {
                store::write(&key(Prefix::SharesPosition, moved), &position);
            }
        }
    }

    /// A page of the open shares: encoded [`OpenShares`].
    pub(crate) fn page_shares(&self, from_index: u64, limit: u64) -> Vec<Vec<u8>> {
        open_shares().page(self.open_shares, from_index, limit)
    }

    /// Writes the new state of a request, and the short response that is staged with it.
    pub(crate) fn save_request(&self, request: &LiveRequest, short_body: &[u8]) {
        self.delete_former(request.id());
        let length = u16::try_from(short_body.len()).unwrap_or(0);
        let mut entry = [&length.to_le_bytes(), short_body].concat();
        request.encode(&mut entry);
        env::storage_write(&key(Prefix::Request, request.id()), &entry);
    }

    /// The short response that is staged with a request, encoded.
    pub(crate) fn short_body(&self, request_id: RequestId) -> Vec<u8> {
        let entry = env::storage_read(&key(Prefix::Request, request_id)).unwrap_or_default();
        divide(&entry).0.to_vec()
    }

    /// Deletes the record of a request that is from before the last migration.
    fn delete_former(&self, request_id: RequestId) {
        if request_id < self.former_requests {
            store::remove(&key(Prefix::FormerRequest, request_id));
        }
    }

    /// The live request, or an error that says whether it is over or to come.
    pub(crate) fn load_request(&self, request_id: RequestId) -> Result<LiveRequest, ContractError> {
        Ok(self.load_stored(request_id)?.request)
    }

    /// The live request and what is staged with it, or an error that says whether it is over or to
    /// come.
    pub(crate) fn load_stored(&self, request_id: RequestId) -> Result<Stored, ContractError> {
        let next = self.next_request_id;
        find_stored(request_id).ok_or(if request_id < next {
            ContractError::Settled { request_id }
        } else {
            ContractError::UnknownRequest { request_id, next }
        })
    }

    /// Keeps a new request and its input.
    pub(crate) fn add_request(&mut self, request: &LiveRequest, input: &[u8]) {
        let request_id = request.id();
        self.for_tenant(|contract| {
            contract.live.add();
            contract.save_request(request, &[]);
            change_fee::raise(request.namespace(), request.change_fee());
            // An empty entry would cost as much gas as any other.
            if !input.is_empty() {
                env::storage_write(&key(Prefix::Input, request_id), input);
            }
        });
    }

    /// Deletes everything that is kept of a request. `parts` is how many parts of a response there
    /// are. Removing an entry that is not there would cost as much as removing any other.
    pub(crate) fn delete_request(
        &mut self,
        request_id: RequestId,
        staged: Option<&ExecutionResponse>,
        has_input: bool,
        parts: u32,
    ) {
        drop_parts(request_id, parts);
        self.delete_former(request_id);
        store::remove(&key(Prefix::Request, request_id));
        if has_input {
            store::remove(&key(Prefix::Input, request_id));
        }
        let is_former = request_id < self.former_requests;
        if parts == 0 && staged.is_some_and(|staged| is_former || !staged.is_short()) {
            store::remove(&key(Prefix::Staged, request_id));
        }
        self.live.remove(request_id, self.next_request_id);
    }

    /// A page of the index: the live requests among up to `limit` ids from `from_id` on. It ends
    /// early when it has read much, because a node lets a view burn 300 Tgas. A view cannot ask how
    /// much it has burned.
    pub(crate) fn page_pending(&self, from_id: RequestId, limit: u64) -> PendingPage {
        let mut id = from_id.max(self.live.first);
        let end = id.saturating_add(limit).min(self.next_request_id);
        let (mut entries, mut bytes) = (Vec::new(), 0usize);
        while id < end && bytes < PAGE_BYTES {
            let (entry, counted) = index_entry(id);
            bytes = bytes.saturating_add(counted);
            entries.extend(entry);
            id = id.saturating_add(1);
        }
        PendingPage { entries, next_id: (id < self.next_request_id).then_some(id) }
    }
}
