//! Storage namespaces: an account's keys and values, and who pays for their bytes (NEP-145).
//!
//! A key takes three entries: the value as it is, a [`Meta`] that answers for it where the value itself is not needed
//! (so that comparing a read set costs the same for values of any size), and its place in the list that is paged.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{
    Bytes, ExecutionResponse, Hash32, JournalEntry, RefusalCode,
    limits::MAX_KEY_BYTES,
    storage::{
        MAX_REPLACED_BYTES, StorageCheck, StorageError, Touched, first_conflict, touched_keys,
    },
};

use crate::{
    holds::{self, Hold},
    slots::Slots,
    store::{self, Prefix, account_key},
};

/// Why a namespace cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The account has no namespace.
    #[error("{account_id} is not registered: call storage_deposit first")]
    NotRegistered {
        /// The account.
        account_id: AccountId,
    },
    /// A key or value is out of bounds.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A live request holds the key.
    #[error("the key {key:?} is held until {by}")]
    Held {
        /// The key.
        key: Bytes,
        /// By whom.
        by: Hold,
    },
    /// The bytes are not paid for.
    #[error(
        "{account_id} has {used_bytes} bytes stored and a deposit of {} yoctoNEAR, which pays for {paid_bytes}",
        deposit.as_yoctonear()
    )]
    Unpaid {
        /// The account.
        account_id: AccountId,
        /// Bytes stored.
        used_bytes: u64,
        /// Bytes paid for.
        paid_bytes: u64,
        /// Its deposit.
        deposit: NearToken,
    },
    /// Less than registering costs was attached.
    #[error("{} yoctoNEAR attached, registering takes {}", found.as_yoctonear(), needed.as_yoctonear())]
    Registration {
        /// What was attached.
        found: NearToken,
        /// What is needed.
        needed: NearToken,
    },
    /// More is asked for than is free.
    #[error("{} yoctoNEAR asked for, {} free", found.as_yoctonear(), available.as_yoctonear())]
    Withdrawal {
        /// What was asked for.
        found: NearToken,
        /// What no byte needs.
        available: NearToken,
    },
    /// Exactly one yoctoNEAR must be attached, so that only a full-access key can sign this.
    #[error("{} yoctoNEAR attached, expected exactly 1", found.as_yoctonear())]
    OneYocto {
        /// What was attached.
        found: NearToken,
    },
    /// The namespace still has keys.
    #[error("{account_id} still stores {keys} keys: remove them, or unregister with force")]
    NotEmpty {
        /// The account.
        account_id: AccountId,
        /// How many keys.
        keys: u32,
    },
}

impl NamespaceError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::NotRegistered { .. } => RefusalCode::NotRegistered,
            Self::Storage(error) => error.code(),
            Self::Held { .. } => RefusalCode::KeyLocked,
            Self::Unpaid { .. } => RefusalCode::BytesNotPaid,
            Self::Registration { .. } => RefusalCode::RegistrationDeposit,
            Self::Withdrawal { .. } => RefusalCode::WithdrawalTooLarge,
            Self::OneYocto { .. } => RefusalCode::OneYocto,
            Self::NotEmpty { .. } => RefusalCode::NamespaceNotEmpty,
        }
    }
}

/// What an account has stored and paid for. Its encoding has a fixed size.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Paid in.
    pub(crate) deposit: NearToken,
    /// Bytes of state that this record, the values and the list take.
    pub(crate) used_bytes: u64,
    /// How many keys there are.
    pub(crate) keys: u32,
}

impl Account {
    /// What no byte needs.
    pub(crate) fn available(&self) -> NearToken {
        self.deposit.saturating_sub(cost(self.used_bytes))
    }

    fn paid_bytes(&self) -> u64 {
        let bytes = self.deposit.as_yoctonear() / env::storage_byte_cost().as_yoctonear();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Checks that the deposit pays for the bytes.
    pub(crate) fn check_paid(&self, account_id: &AccountId) -> Result<(), NamespaceError> {
        let (used_bytes, paid_bytes, deposit) = (self.used_bytes, self.paid_bytes(), self.deposit);
        if used_bytes > paid_bytes {
            let account_id = account_id.clone();
            return Err(NamespaceError::Unpaid { account_id, used_bytes, paid_bytes, deposit });
        }
        Ok(())
    }
}

/// What is known of a value. Its encoding has a fixed size.
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
/// Encoded size of [`Meta`].
const META_BYTES: u64 = 4 + 4 + 32;
/// Bytes of a list position in a key.
const POSITION_BYTES: u64 = 4;

/// Overwriting a value costs 32,117,307 gas for each of its bytes, removing it first 11,531,556 and a removal: above this
/// many bytes removing is cheaper.
const CHEAP_TO_OVERWRITE: u32 = 8 << 10;

/// What an amount of state costs.
pub(crate) fn cost(bytes: u64) -> NearToken {
    env::storage_byte_cost().saturating_mul(bytes.into())
}

/// Bytes of state that one key with its value takes.
fn key_bytes(account_id: &AccountId, key: &[u8], value_bytes: u64) -> u64 {
    let (prefix, key) = (2 + account_id.as_bytes().len() as u64, key.len() as u64);
    let value = ENTRY_BYTES + prefix + key + value_bytes;
    let meta = ENTRY_BYTES + prefix + key + META_BYTES;
    let slot = ENTRY_BYTES + prefix + POSITION_BYTES + key;
    value + meta + slot
}

/// Bytes of an account's record, for the longest account id.
pub(crate) const MAX_ACCOUNT_BYTES: u64 = ENTRY_BYTES + 1 + 64 + (16 + 8 + 4);

fn record_key(account_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::Namespace, &[account_id.as_bytes()])
}

fn meta(account_id: &AccountId, key: &[u8]) -> Option<Meta> {
    // NEAR refuses to look up a longer key than it would store; there is nothing under it.
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
    let length = find(account_id).map_or(0, |account| account.keys);
    slots(account_id).page(length, from_index, limit).into_iter().map(Bytes).collect()
}

/// The account's record.
pub(crate) fn find(account_id: &AccountId) -> Option<Account> {
    store::read(&record_key(account_id))
}

/// The account's record, or an error that says how to get one.
pub(crate) fn load(account_id: &AccountId) -> Result<Account, NamespaceError> {
    find(account_id).ok_or_else(|| NamespaceError::NotRegistered { account_id: account_id.clone() })
}

/// Writes the record back.
pub(crate) fn save(account_id: &AccountId, account: &Account) {
    store::write(&record_key(account_id), account);
}

/// Deletes the record of an account that stores nothing.
pub(crate) fn delete(account_id: &AccountId) {
    store::remove(&record_key(account_id));
}

/// The account's record, created when there is none.
pub(crate) fn open(account_id: &AccountId) -> Account {
    find(account_id).unwrap_or_else(|| {
        let mut account = Account::default();
        measured(&mut account, |account| save(account_id, account));
        account
    })
}

/// Does something to state and charges the account for the bytes that it took, or frees those that it gave back.
fn measured(account: &mut Account, change: impl FnOnce(&mut Account)) {
    let before = env::storage_usage();
    change(account);
    let after = env::storage_usage();
    account.used_bytes = account.used_bytes.saturating_add(after).saturating_sub(before);
}

/// Refuses to touch a key that a staged response read or writes.
pub(crate) fn check_free(account_id: &AccountId, key: &[u8]) -> Result<(), NamespaceError> {
    match holds::find(account_id, key) {
        Some(by) => Err(NamespaceError::Held { key: key.into(), by }),
        None => Ok(()),
    }
}

/// Sets a value. The caller has checked key, value, holds and payment, and saves the record.
pub(crate) fn set(account_id: &AccountId, account: &mut Account, key: &[u8], value: &[u8]) {
    measured(account, |account| {
        let earlier = meta(account_id, key);
        let position = match earlier {
            Some(meta) => meta.position,
            None => slots(account_id).push(&mut account.keys, key),
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

/// Removes a key, if it is there.
pub(crate) fn remove(account_id: &AccountId, account: &mut Account, key: &[u8]) {
    let Some(removed) = meta(account_id, key) else {
        return;
    };
    measured(account, |account| {
        store::remove(&account_key(Prefix::Value, account_id, key));
        store::remove(&account_key(Prefix::Meta, account_id, key));
        let moved = slots(account_id).remove(&mut account.keys, removed.position);
        if let Some((moved, other)) = moved.and_then(|key| Some((meta(account_id, &key)?, key))) {
            let meta = Meta { position: removed.position, ..moved };
            store::write(&account_key(Prefix::Meta, account_id, &other), &meta);
        }
    });
}

/// Applies a journal that [`check`] found to fit.
pub(crate) fn apply(account_id: &AccountId, journal: &[JournalEntry]) {
    // Without a record nothing is stored, and the only journals that fit remove keys that are not there.
    let Some(mut account) = find(account_id) else {
        return;
    };
    for JournalEntry { key, value } in journal {
        match value {
            Some(value) => set(account_id, &mut account, key, value),
            None => remove(account_id, &mut account, key),
        }
    }
    save(account_id, &account);
}

/// What applying a journal does to state.
#[derive(Default)]
struct JournalChange {
    /// Bytes added.
    added: u64,
    /// Bytes freed.
    freed: u64,
    /// Of the freed ones those of values.
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

/// Where a namespace stands towards a response. Holds of the response's own request do not count.
pub(crate) fn check(account_id: &AccountId, response: &ExecutionResponse) -> StorageCheck {
    let held = |touched: &Touched<'_>| holds::excludes(account_id, touched, response.request_id);
    if let Some(touched) = touched_keys(&response.reads, &response.journal).into_iter().find(held) {
        return StorageCheck::Held(touched.key.clone());
    }
    let hash = |key: &[u8]| meta(account_id, key).map(|meta| meta.hash);
    if let Some(key) = first_conflict(&response.reads, hash) {
        return StorageCheck::Conflict(key.clone());
    }
    if response.journal.is_empty() {
        return StorageCheck::Fits;
    }
    let account = find(account_id).unwrap_or_default();
    let JournalChange { added, freed, replaced } = journal_change(account_id, &response.journal);
    let needed = added.saturating_sub(freed);
    let available = account.paid_bytes().saturating_sub(account.used_bytes);
    if needed > available {
        return StorageCheck::Exhausted { needed, available };
    }
    if replaced > MAX_REPLACED_BYTES {
        return StorageCheck::Exhausted { needed: replaced, available: MAX_REPLACED_BYTES };
    }
    StorageCheck::Fits
}
