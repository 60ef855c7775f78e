//! Locks of storage keys. The keys that a staged response reads or writes are locked from the
//! resume to the settlement, so that nothing changes them in between.
//!
//! Readers share a key: none of them changes it, so they do not affect each other. A writer has it
//! alone.

use std::fmt;

use near_sdk::{AccountId, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId,
    storage::{Touched, touched_keys},
};

use crate::store::{self, Prefix, account_length};

/// The lock of a key.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The staged response of this request writes the key.
    Writer(RequestId),
    /// The staged responses of this many requests read the key.
    Readers(u32),
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(request_id) => write!(f, "request {request_id} is settled"),
            Self::Readers(1) => f.write_str("a request that read it is settled"),
            Self::Readers(count) => write!(f, "{count} requests that read it are settled"),
        }
    }
}

/// Where the lock of a key is kept: under a hash, so that a lock has the same size whatever the
/// key.
pub(crate) fn lock_key(account_id: &AccountId, key: &[u8]) -> Vec<u8> {
    let hash = Hash32::of_parts(&[&account_length(account_id), account_id.as_bytes(), key]);
    store::key(Prefix::Lock, &[&hash.0])
}

/// The lock of a key, if it is locked.
pub(crate) fn find(account_id: &AccountId, key: &[u8]) -> Option<Lock> {
    store::read(&lock_key(account_id, key))
}

/// Whether a request other than `own` has locked a key against this use of it.
pub(crate) fn excludes(account_id: &AccountId, touched: &Touched<'_>, own: RequestId) -> bool {
    match find(account_id, touched.key) {
        None => false,
        Some(Lock::Writer(request_id)) => request_id != own,
        Some(Lock::Readers(_)) => touched.written,
    }
}

/// Locks every key that a response touches. The caller has checked that no lock excludes it.
pub(crate) fn lock(account_id: &AccountId, response: &ExecutionResponse) {
    for Touched { key, written } in touched_keys(&response.reads, &response.journal) {
        let key = lock_key(account_id, key);
        let lock = if written {
            Lock::Writer(response.request_id)
        } else {
            match store::read(&key) {
                Some(Lock::Readers(count)) => Lock::Readers(count.saturating_add(1)),
                _ => Lock::Readers(1),
            }
        };
        store::write(&key, &lock);
    }
}

/// Unlocks every key that a response has locked.
pub(crate) fn unlock(account_id: &AccountId, response: &ExecutionResponse) {
    for Touched { key, written } in touched_keys(&response.reads, &response.journal) {
        let key = lock_key(account_id, key);
        match if written { None } else { store::read(&key) } {
            Some(Lock::Readers(count)) if count > 1 => {
                store::write(&key, &Lock::Readers(count.saturating_sub(1)));
            }
            _ => {
                store::remove(&key);
            }
        }
    }
}
