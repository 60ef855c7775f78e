//! Storage namespaces: an account's keys and values, and the payment for their bytes (NEP-145).
//!
//! A key takes three entries: the value as it is; a [`Meta`], which is enough where the value
//! itself is not needed, so that comparing a read set costs the same for values of any size; and
//! the key's place in the list that is paged.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{
    Bytes, ExecutionResponse, Hash32, JournalEntry,
    limits::MAX_KEY_BYTES,
    storage::{MAX_REPLACED_BYTES, StorageCheck, first_conflict, touched_keys},
};

use crate::{
    NamespaceError,
    locks::{self, Standing},
    slots::Slots,
    store::{self, Prefix, account_key},
};

/// What an account stores and has paid for. Its encoding has a fixed size.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// The storage deposit.
    pub(crate) deposit: NearToken,
    /// Bytes of state that this record, the values and the list take.
    pub(crate) used_bytes: u64,
    /// How many keys there are.
    pub(crate) keys: u32,
}

impl Namespace {
    /// The part of the deposit that no stored byte needs.
    pub(crate) fn available(&self) -> NearToken {
        self.deposit.saturating_sub(cost(self.used_bytes))
    }

    /// How many bytes the deposit pays for.
    fn paid_bytes(&self) -> u64 {
        let bytes = self.deposit.as_yoctonear() / env::storage_byte_cost().as_yoctonear();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Checks that the deposit pays for the stored bytes.
    pub(crate) fn check_paid(&self, account_id: &AccountId) -> Result<(), NamespaceError> {
        let (used_bytes, paid_bytes, deposit) = (self.used_bytes, self.paid_bytes(), self.deposit);
        if used_bytes > paid_bytes {
            let account_id = account_id.clone();
            return Err(NamespaceError::Unpaid { account_id, used_bytes, paid_bytes, deposit });
        }
        Ok(())
    }
}

/// What is known of a value without reading it. Its encoding has a fixed size.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    /// Place of the key in the list.
    position: u32,
    /// Length of the value.
    bytes: u32,
    /// SHA-256 of the value.
    hash: Hash32,
}

/// Bytes that NEAR counts for an entry besides key and value (`num_extra_bytes_record`).
const ENTRY_BYTES: u64 = 40;
/// Bytes of an encoded [`Meta`].
const META_BYTES: u64 = 4 + 4 + 32;
/// Bytes of a list position in a key.
const POSITION_BYTES: u64 = 4;

/// The longest value that is overwritten, bytes; a longer one is removed first. Overwriting a value
/// costs 32,117,307 gas for each of its bytes, removing it costs 11,531,556 and the price of a
/// removal, which is less for longer values than this.
const CHEAP_TO_OVERWRITE: u32 = 8 << 10;

/// What this many bytes of state cost.
pub(crate) fn cost(bytes: u64) -> NearToken {
    env::storage_byte_cost().saturating_mul(bytes.into())
}

/// Bytes of state that one key takes with its value.
fn key_bytes(account_id: &AccountId, key: &[u8], value_bytes: u64) -> u64 {
    let (prefix, key) = (2 + account_id.as_bytes().len() as u64, key.len() as u64);
    let value = ENTRY_BYTES + prefix + key + value_bytes;
    let meta = ENTRY_BYTES + prefix + key + META_BYTES;
    let slot = ENTRY_BYTES + prefix + POSITION_BYTES + key;
    value + meta + slot
}

/// Bytes of state that an empty namespace takes, for the longest account id.
pub(crate) const MAX_EMPTY_BYTES: u64 = ENTRY_BYTES + 1 + 64 + (16 + 8 + 4);

fn record_key(account_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::Namespace, &[account_id.as_bytes()])
}

fn meta(account_id: &AccountId, key: &[u8]) -> Option<Meta> {
    // NEAR fails on a lookup of a key that is too long to be stored. There is nothing under it.
    if key.len() > MAX_KEY_BYTES as usize {
        return None;
    }
    store::read(&account_key(Prefix::Meta, account_id, key))
}

fn slots(account_id: &AccountId) -> Slots {
    Slots::new(account_key(Prefix::KeySlot, account_id, &[]))
}

/// The value of a key.
pub(crate) fn get(account_id: &AccountId, key: &[u8]) -> Option<Vec<u8>> {
    if key.len() > MAX_KEY_BYTES as usize {
        return None;
    }
    env::storage_read(&account_key(Prefix::Value, account_id, key))
}

/// A page of keys.
pub(crate) fn keys(account_id: &AccountId, from_index: u64, limit: u64) -> Vec<Bytes> {
    let length = find(account_id).map_or(0, |namespace| namespace.keys);
    slots(account_id).page(length, from_index, limit).into_iter().map(Bytes).collect()
}

/// The account's namespace, if it has one.
pub(crate) fn find(account_id: &AccountId) -> Option<Namespace> {
    store::read(&record_key(account_id))
}

/// The account's namespace, or an error that says how to get one.
pub(crate) fn load(account_id: &AccountId) -> Result<Namespace, NamespaceError> {
    find(account_id).ok_or_else(|| NamespaceError::NotRegistered { account_id: account_id.clone() })
}

/// Writes the account's namespace back.
pub(crate) fn save(account_id: &AccountId, namespace: &Namespace) {
    store::write(&record_key(account_id), namespace);
}

/// Deletes the namespace of an account that stores nothing.
pub(crate) fn delete(account_id: &AccountId) {
    store::remove(&record_key(account_id));
}

/// The account's namespace, which is created when there is none.
pub(crate) fn open(account_id: &AccountId) -> Namespace {
    find(account_id).unwrap_or_else(|| {
        let mut namespace = Namespace::default();
        measured(&mut namespace, |namespace| save(account_id, namespace));
        namespace
    })
}

/// Changes state and counts the bytes that the change takes or frees to the namespace.
fn measured(namespace: &mut Namespace, change: impl FnOnce(&mut Namespace)) {
    let before = env::storage_usage();
    change(namespace);
    let after = env::storage_usage();
    namespace.used_bytes = namespace.used_bytes.saturating_add(after).saturating_sub(before);
}

/// Checks that no staged response has locked a key.
pub(crate) fn check_unlocked(account_id: &AccountId, key: &[u8]) -> Result<(), NamespaceError> {
    match locks::find(account_id, key) {
        Some(by) => Err(NamespaceError::Locked { key: key.into(), by }),
        None => Ok(()),
    }
}

/// Sets a value. The caller has checked the key, the value, the lock and the payment, and saves the
/// namespace.
pub(crate) fn set(account_id: &AccountId, namespace: &mut Namespace, key: &[u8], value: &[u8]) {
    measured(namespace, |namespace| {
        let earlier = meta(account_id, key);
        let position = match earlier {
            Some(meta) => meta.position,
            None => slots(account_id).push(&mut namespace.keys, key),
        };
        if earlier.is_some_and(|earlier| earlier.bytes > CHEAP_TO_OVERWRITE) {
            store::remove(&account_key(Prefix::Value, account_id, key));
        }
        let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let meta = Meta { position, bytes, hash: Hash32::of(value) };
        store::write(&account_key(Prefix::Meta, account_id, key), &meta);
        env::storage_write(&account_key(Prefix::Value, account_id, key), value);
    });
}

/// Removes a key, if it is there. The caller has checked the lock, and saves the namespace.
pub(crate) fn remove(account_id: &AccountId, namespace: &mut Namespace, key: &[u8]) {
    let Some(removed) = meta(account_id, key) else {
        return;
    };
    measured(namespace, |namespace| {
        store::remove(&account_key(Prefix::Value, account_id, key));
        store::remove(&account_key(Prefix::Meta, account_id, key));
        let moved = slots(account_id).remove(&mut namespace.keys, removed.position);
        if let Some((moved, other)) = moved.and_then(|key| Some((meta(account_id, &key)?, key))) {
            let meta = Meta { position: removed.position, ..moved };
            store::write(&account_key(Prefix::Meta, account_id, &other), &meta);
        }
    });
}

/// Applies a journal that [`check`] found to fit.
pub(crate) fn apply(account_id: &AccountId, journal: &[JournalEntry]) {
    // An account without a namespace stores nothing, and the only journals that fit there remove
    // keys that do not exist.
    let Some(mut namespace) = find(account_id) else {
        return;
    };
    for JournalEntry { key, value } in journal {
        match value {
            Some(value) => set(account_id, &mut namespace, key, value),
            None => remove(account_id, &mut namespace, key),
        }
    }
    save(account_id, &namespace);
}

/// What applying a journal does to state.
#[derive(Default)]
struct JournalChange {
    /// Bytes of state added.
    added: u64,
    /// Bytes of state freed.
    freed: u64,
    /// Bytes of values that are replaced or removed.
    replaced: u64,
}

fn journal_change(account_id: &AccountId, journal: &[JournalEntry]) -> JournalChange {
    let mut change = JournalChange::default();
    for JournalEntry { key, value } in journal {
        if let Some(meta) = meta(account_id, key) {
            change.freed += key_bytes(account_id, key, meta.bytes.into());
            change.replaced += u64::from(meta.bytes);
        }
        if let Some(value) = value {
            change.added += key_bytes(account_id, key, value.len() as u64);
        }
    }
    change
}

/// Whether a response fits into the namespace as it is now. The locks of the response's own request
/// do not count. `height` is that of the submission, and `None` in the callback.
pub(crate) fn check(
    account_id: &AccountId,
    response: &ExecutionResponse,
    height: Option<u64>,
) -> StorageCheck {
    let mut read_locked = false;
    let mut closable: Vec<Hash32> = Vec::new();
    for touched in touched_keys(&response.reads, &response.journal) {
        match locks::standing(account_id, &touched, response.request_id, height) {
            Standing::Free => {}
            Standing::Excluded => return StorageCheck::Locked(touched.key.clone()),
            Standing::Readers { closable: lock } => {
                read_locked = true;
                closable.extend(lock);
            }
        }
    }
    let hash = |key: &[u8]| meta(account_id, key).map(|meta| meta.hash);
    if let Some(key) = first_conflict(&response.reads, hash) {
        return StorageCheck::Conflict(key.clone());
    }
    if read_locked {
        return StorageCheck::ReadLocked { closable };
    }
    if response.journal.is_empty() {
        return StorageCheck::Fits;
    }
    let namespace = find(account_id).unwrap_or_default();
    let JournalChange { added, freed, replaced } = journal_change(account_id, &response.journal);
    let needed = added.saturating_sub(freed);
    let available = namespace.paid_bytes().saturating_sub(namespace.used_bytes);
    if needed > available {
        return StorageCheck::Exhausted { needed, available };
    }
    if replaced > MAX_REPLACED_BYTES {
        return StorageCheck::Exhausted { needed: replaced, available: MAX_REPLACED_BYTES };
    }
    StorageCheck::Fits
}
