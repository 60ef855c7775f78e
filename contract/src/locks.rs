//! Locks of storage keys. The keys that a staged response reads or writes are locked from the
//! resume to the settlement, so that nothing changes them in between.
//!
//! Readers share a key: none of them changes it, so they do not affect each other. A writer has it
//! alone. So that a steady stream of readers does not keep a writer out forever, a writer that must
//! wait for readers closes the key to new ones, for [`CLOSED_BLOCKS`] at the most. The key stays
//! open as long before it can be closed again.

use std::fmt;

use near_sdk::{AccountId, env, near};
use outlayer_protocol::{
    ExecutionResponse, Hash32, RequestId,
    storage::{CLOSED_BLOCKS, Touched, touched_keys},
};

use crate::store::{self, Prefix, account_length};

/// The lock of a key.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The staged response of this request writes the key.
    Writer(RequestId),
    /// The staged responses of requests read the key, or a writer waits for it.
    Readers {
        /// How many responses read it; 0 where the last one is settled and the writer has not come
        /// yet.
        count: u32,
        /// Whether a writer waits. The locks of layout 2 do not say so.
        #[borsh(deserialize_with = "store::or_default")]
        closed: Option<Closed>,
    },
}

/// A key is closed to new readers.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The request whose answer waits for the readers.
    pub by: RequestId,
    /// The first height at which the key is open again.
    pub until: u64,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(request_id) => write!(f, "request {request_id} is settled"),
            Self::Readers { count: 1, .. } => f.write_str("a request that read it is settled"),
            Self::Readers { count, .. } => write!(f, "{count} requests that read it are settled"),
        }
    }
}

/// What a lock means for one use of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The key may be used.
    Free,
    /// A writer has the key, or it is closed to new readers.
    Excluded,
    /// The use writes the key, and readers have it.
    Readers {
        /// The name of the lock, where it can be closed to new readers now.
        closable: Option<Hash32>,
    },
}

fn name(account_id: &AccountId, key: &[u8]) -> Hash32 {
    Hash32::of_parts(&[&account_length(account_id), account_id.as_bytes(), key])
}

fn key_of(name: &Hash32) -> Vec<u8> {
    store::key(Prefix::Lock, &[&name.0])
}

/// Where the lock of a key is kept: under a hash, so that a lock has the same size whatever the
/// key.
pub(crate) fn lock_key(account_id: &AccountId, key: &[u8]) -> Vec<u8> {
    key_of(&name(account_id, key))
}

/// The lock that keeps a key as it is, if there is one.
pub(crate) fn find(account_id: &AccountId, key: &[u8]) -> Option<Lock> {
    store::read(&lock_key(account_id, key))
        .filter(|lock| !matches!(lock, Lock::Readers { count: 0, .. }))
}

/// What a key's lock means for this use of it by the request `own`. At `height`, new readers are
/// kept from keys that are closed to them; `None` is for a response that has its locks already.
pub(crate) fn standing(
    account_id: &AccountId,
    touched: &Touched<'_>,
    own: RequestId,
    height: Option<u64>,
) -> Standing {
    let name = name(account_id, touched.key);
    match store::read(&key_of(&name)) {
        Some(Lock::Writer(request_id)) if request_id != own => Standing::Excluded,
        Some(Lock::Readers { count, closed }) if touched.written && count > 0 => {
            let open = |closed: Closed| closed.until.saturating_add(CLOSED_BLOCKS);
            let closable = height.unwrap_or_default() >= closed.map_or(0, open);
            Standing::Readers { closable: closable.then_some(name) }
        }
        Some(Lock::Readers { closed: Some(Closed { by, until }), .. })
            if !touched.written && by != own && height.is_some_and(|height| height < until) =>
        {
            Standing::Excluded
        }
        _ => Standing::Free,
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
                Some(Lock::Readers { count, closed }) => {
                    Lock::Readers { count: count.saturating_add(1), closed }
                }
                _ => Lock::Readers { count: 1, closed: None },
            }
        };
        store::write(&key, &lock);
    }
}

/// Keeps a lock that is still needed: by other readers, or by a writer that waits.
fn release(key: &[u8], lock: Lock) {
    if lock == (Lock::Readers { count: 0, closed: None }) {
        store::remove(key);
    } else {
        store::write(key, &lock);
    }
}

/// Unlocks every key that a response has locked.
pub(crate) fn unlock(account_id: &AccountId, response: &ExecutionResponse) {
    for Touched { key, written } in touched_keys(&response.reads, &response.journal) {
        let key = lock_key(account_id, key);
        match if written { None } else { store::read(&key) } {
            Some(Lock::Readers { count, closed }) => {
                release(&key, Lock::Readers { count: count.saturating_sub(1), closed });
            }
            _ => {
                store::remove(&key);
            }
        }
    }
}

/// Closes locks to new readers, because an answer to the request `by` waits. The bytes of a lock
/// that is left without readers are part of that request's reserve.
pub(crate) fn close(by: RequestId, locks: &[Hash32]) {
    let until = env::block_height().saturating_add(CLOSED_BLOCKS);
    for key in locks.iter().map(key_of) {
        if let Some(Lock::Readers { count, .. }) = store::read(&key) {
            store::write(&key, &Lock::Readers { count, closed: Some(Closed { by, until }) });
        }
    }
}

/// Opens the locks that were closed for the request `by`, which has ended.
pub(crate) fn reopen(by: RequestId, locks: &[Hash32]) {
    for key in locks.iter().map(key_of) {
        if let Some(Lock::Readers { count, closed: Some(closed) }) = store::read(&key)
            && closed.by == by
        {
            release(&key, Lock::Readers { count, closed: None });
        }
    }
}
