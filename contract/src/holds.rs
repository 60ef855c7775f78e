//! Keys that a staged response read or writes: held from the resume to the settlement, so that nothing changes under it.

use near_sdk::AccountId;
use outlayer_protocol::{ExecutionResponse, Hash32, RequestId, storage::touched_keys};

use crate::store::{self, Prefix, account_length};

/// A hash, so that a hold has the same size whatever the key.
fn hold_key(account_id: &AccountId, key: &[u8]) -> Vec<u8> {
    let hash = Hash32::of_parts(&[&account_length(account_id), account_id.as_bytes(), key]);
    store::key(Prefix::Hold, &[&hash.0])
}

/// The request that holds a key.
pub(crate) fn holder(account_id: &AccountId, key: &[u8]) -> Option<RequestId> {
    store::read(&hold_key(account_id, key))
}

/// Holds every key that a response touches.
pub(crate) fn hold(account_id: &AccountId, response: &ExecutionResponse) {
    for key in touched_keys(&response.reads, &response.journal) {
        store::write(&hold_key(account_id, key), &response.request_id);
    }
}

/// Releases them.
pub(crate) fn release(account_id: &AccountId, response: &ExecutionResponse) {
    for key in touched_keys(&response.reads, &response.journal) {
        store::remove(&hold_key(account_id, key));
    }
}
