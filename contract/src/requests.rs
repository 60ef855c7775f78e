//! Live requests. The record, the input and a staged response (whole or in parts) are kept apart
//! from each other, so that a step loads only what it needs. The index of the requests is there for
//! paging, and so is the list of what a settled request may leave: its open shares.

use near_sdk::env;
use outlayer_codec::Error;
use outlayer_protocol::{
    Bytes, ExecutionResponse, RequestId,
    index::PendingEntry,
    machine::{CompleteBody, LiveRequest, OpenShares, Phase},
};

use crate::{
    Contract, ContractError, change_fee,
    migration::requests::Former,
    slots::Slots,
    store::{self, Prefix},
};

fn key(prefix: Prefix, request_id: RequestId) -> Vec<u8> {
    store::key(prefix, &[&request_id.to_be_bytes()])
}

fn live() -> Slots {
    Slots::new(store::key(Prefix::LiveSlot, &[]))
}

fn open_shares() -> Slots {
    Slots::new(store::key(Prefix::SharesSlot, &[]))
}

/// Takes a request out of a list whose elements start with the id of their request. `positions` is
/// where their positions are kept.
fn unlist(list: &Slots, length: &mut u32, positions: Prefix, request_id: RequestId) {
    let position_key = key(positions, request_id);
    if let Some(position) = store::read(&position_key) {
        store::remove(&position_key);
        let moved = list.remove(length, position);
        if let Some(moved) = moved.as_deref().and_then(listed_id) {
            store::write(&key(positions, moved), &position);
        }
    }
}

/// The request with this id, if it is live.
pub(crate) fn find(request_id: RequestId) -> Option<LiveRequest> {
    let former = || store::read::<Former>(&key(Prefix::FormerRequest, request_id)).map(Into::into);
    store::read(&key(Prefix::Request, request_id)).or_else(former)
}

/// Appends the borsh of `Option<RequestView>` to `list`, from the stored bytes of the record and
/// the input, which are not decoded. It is `None` when there is no record of the present layout.
pub(crate) fn append_view(list: &mut Vec<u8>, request_id: RequestId) {
    let Some(record) = env::storage_read(&key(Prefix::Request, request_id)) else {
        list.push(0);
        return;
    };
    let Bytes(input) = input(request_id);
    list.push(1);
    list.extend_from_slice(&record);
    list.extend_from_slice(&u32::try_from(input.len()).unwrap_or(u32::MAX).to_le_bytes());
    list.extend_from_slice(&input);
}

/// The input of a live request.
pub(crate) fn input(request_id: RequestId) -> Bytes {
    env::storage_read(&key(Prefix::Input, request_id)).unwrap_or_default().into()
}

/// The staged response, if there is one.
pub(crate) fn staged(request: &LiveRequest) -> Option<ExecutionResponse> {
    match (&request.phase, &request.upload) {
        (Phase::Staged { .. }, None) => store::read(&key(Prefix::Staged, request.id())),
        // Decoding cannot fail: it succeeded when the response was submitted.
        (Phase::Staged { .. }, Some(upload)) => {
            assemble(request.id(), upload.total_bytes, upload.parts, &[]).ok()
        }
        (Phase::Pending | Phase::Cancelling | Phase::Disputing { .. }, _) => None,
    }
}

/// The id in an entry of the index of layout 2, which has nothing else.
fn former_id(entry: &[u8]) -> Option<RequestId> {
    entry.try_into().ok().map(RequestId::from_be_bytes)
}

/// The id of the request whose entry in the index, or whose open shares, this is.
pub(crate) fn listed_id(entry: &[u8]) -> Option<RequestId> {
    former_id(entry).or_else(|| PendingEntry::id_of(entry))
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
    assemble(request.id(), total_bytes, body.kept_parts(), body.last_bytes())
}

/// Decodes the response whose encoding is `parts` parts of state and then `rest`.
fn assemble(
    request_id: RequestId,
    total_bytes: u32,
    parts: u32,
    rest: &[u8],
) -> Result<ExecutionResponse, Error> {
    let mut body = Vec::with_capacity(total_bytes as usize);
    for number in 0..parts {
        body.append(&mut env::storage_read(&part_key(request_id, number)).unwrap_or_default());
    }
    body.extend_from_slice(rest);
    outlayer_codec::from_slice(&body)
}

/// Keeps a response until the callback.
pub(crate) fn stage(response: &ExecutionResponse) {
    store::write(&key(Prefix::Staged, response.request_id), response);
}

/// The open shares of a settled request, if it has any.
pub(crate) fn shares(request_id: RequestId) -> Option<OpenShares> {
    let position = store::read(&key(Prefix::SharesPosition, request_id))?;
    // Decoding cannot fail: this contract has written the entry.
    outlayer_codec::from_slice(&open_shares().get(position)?).ok()
}

/// Replaces a live request's entry in the index.
pub(crate) fn relist(entry: &PendingEntry) {
    if let Some(position) = store::read(&key(Prefix::LivePosition, entry.request_id)) {
        live().set(position, &outlayer_codec::to_vec(entry));
    }
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
        unlist(&open_shares(), &mut self.open_shares, Prefix::SharesPosition, request_id);
    }

    /// A page of the open shares: encoded [`OpenShares`].
    pub(crate) fn page_shares(&self, from_index: u64, limit: u64) -> Vec<Vec<u8>> {
        open_shares().page(self.open_shares, from_index, limit)
    }

    /// Writes the new state of a request.
    pub(crate) fn save_request(&self, request: &LiveRequest) {
        self.delete_former(request.id());
        store::write(&key(Prefix::Request, request.id()), request);
    }

    /// Deletes the record of a request that is from before the last migration.
    fn delete_former(&self, request_id: RequestId) {
        if request_id < self.former_requests {
            store::remove(&key(Prefix::FormerRequest, request_id));
        }
    }

    /// The live request, or an error that says whether it is over or to come.
    pub(crate) fn load_request(&self, request_id: RequestId) -> Result<LiveRequest, ContractError> {
        let next = self.next_request_id;
        find(request_id).ok_or(if request_id < next {
            ContractError::Settled { request_id }
        } else {
            ContractError::UnknownRequest { request_id, next }
        })
    }

    /// Keeps a new request and its input, and lists it.
    pub(crate) fn add_request(&mut self, request: &LiveRequest, input: &[u8]) {
        let request_id = request.id();
        self.for_tenant(|contract| {
            contract.save_request(request);
            change_fee::raise(request.namespace(), request.change_fee());
            // An empty entry would cost as much gas as any other.
            if !input.is_empty() {
                env::storage_write(&key(Prefix::Input, request_id), input);
            }
            let entry = outlayer_codec::to_vec(&PendingEntry::from(request));
            let position = live().push(&mut contract.live_requests, &entry);
            store::write(&key(Prefix::LivePosition, request_id), &position);
        });
    }

    /// Deletes everything that is kept of a request. `parts` is how many parts of a response there
    /// are.
    pub(crate) fn delete_request(&mut self, request_id: RequestId, parts: u32) {
        drop_parts(request_id, parts);
        self.delete_former(request_id);
        for prefix in [Prefix::Request, Prefix::Input, Prefix::Staged] {
            store::remove(&key(prefix, request_id));
        }
        unlist(&live(), &mut self.live_requests, Prefix::LivePosition, request_id);
    }

    /// A page of the index of live requests: encoded [`PendingEntry`]s.
    pub(crate) fn page_pending(&self, from_index: u64, limit: u64) -> Vec<Vec<u8>> {
        let entries = live().page(self.live_requests, from_index, limit).into_iter();
        entries
            .filter_map(|entry| match former_id(&entry) {
                Some(request_id) => {
                    Some(outlayer_codec::to_vec(&PendingEntry::from(&find(request_id)?)))
                }
                None => Some(entry),
            })
            .collect()
    }
}
