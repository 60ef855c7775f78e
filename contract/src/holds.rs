//! Keys that a staged response reads or writes: held from the resume to the settlement, so that nothing changes under it.
//!
//! Readers share a key: none of them changes it, so they cannot be in each other's way. A writer has it alone.

use std::fmt;

use near_sdk::{AccountId, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId,
    storage::{Touched, touched_keys},
};

use crate::store::{self, Prefix, account_length};

/// Who holds a key.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The request whose staged response writes it.
    Writer(RequestId),
    /// So many requests whose staged responses read it.
    Readers(u32),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(request_id) => write!(f, "request {request_id} is settled"),
            Self::Readers(1) => f.write_str("a request that read it is settled"),
            Self::Readers(count) => write!(f, "{count} requests that read it are settled"),
        }
    }
}

/// A hash, so that a hold has the same size whatever the key.
pub(crate) fn hold_key(account_id: &AccountId, key: &[u8]) -> Vec<u8> {
    let hash = Hash32::of_parts(&[&account_length(account_id), account_id.as_bytes(), key]);
    store::key(Prefix::Hold, &[&hash.0])
}

/// Who holds a key.
pub(crate) fn find(account_id: &AccountId, key: &[u8]) -> Option<Hold> {
    store::read(&hold_key(account_id, key))
}

/// Whether somebody else than `own` holds a key so that it cannot be touched.
pub(crate) fn excludes(account_id: &AccountId, touched: &Touched<'_>, own: RequestId) -> bool {
    match find(account_id, touched.key) {
        None => false,
        Some(Hold::Writer(request_id)) => request_id != own,
        Some(Hold::Readers(_)) => touched.written,
    }
}

/// Holds every key that a response touches; none of them is excluded.
pub(crate) fn hold(account_id: &AccountId, response: &ExecutionResponse) {
    for Touched { key, written } in touched_keys(&response.reads, &response.journal) {
        let key = hold_key(account_id, key);
        let hold = if written {
            Hold::Writer(response.request_id)
        } else {
            match store::read(&key) {
                Some(Hold::Readers(count)) => Hold::Readers(count.saturating_add(1)),
                _ => Hold::Readers(1),
            }
        };
        store::write(&key, &hold);
    }
}

/// Releases them.
pub(crate) fn release(account_id: &AccountId, response: &ExecutionResponse) {
    for Touched { key, written } in touched_keys(&response.reads, &response.journal) {
        let key = hold_key(account_id, key);
        match if written { None } else { store::read(&key) } {
            Some(Hold::Readers(count)) if count > 1 => {
                store::write(&key, &Hold::Readers(count.saturating_sub(1)));
            }
            _ => {
                store::remove(&key);
            }
        }
    }
}
