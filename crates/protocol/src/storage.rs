//! The keys and values of a namespace: what an execution read, what it wants to write, and whether
//! that still fits.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Hash32, RefusalCode,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
    secrets::is_reserved_key,
};

/// A key that the execution read, and what it found in its snapshot.
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
pub struct ReadEntry {
    /// The key that was read.
    pub key: Bytes,
    /// SHA-256 of the value; `None` when the key was absent.
    pub value_hash: Option<Hash32>,
}

/// A new value of a key, or its removal.
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
pub struct JournalEntry {
    /// The key that is written or removed.
    pub key: Bytes,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

impl JournalEntry {
    /// Bytes of key and value together, which is what `journal_bytes` counts.
    pub fn bytes(&self) -> u64 {
        self.key.len() as u64 + self.value.as_ref().map_or(0, |value| value.len() as u64)
    }
}

/// Bytes of all keys and values of a journal.
pub fn journal_bytes(journal: &[JournalEntry]) -> u64 {
    journal.iter().map(JournalEntry::bytes).sum()
}

/// Why a read set or journal is not one that an execution gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A key is empty or too long.
    #[error("a storage key has {found} bytes, expected 1 to {MAX_KEY_BYTES}")]
    KeyBytes {
        /// Its length, bytes.
        found: usize,
    },
    /// A value is too long.
    #[error("a storage value has {found} bytes, expected at most {MAX_VALUE_BYTES}")]
    ValueBytes {
        /// Its length, bytes.
        found: usize,
    },
    /// A guest would have read or written a key that only the owner of the namespace may use.
    #[error("the key {found:?} is the owner's: no guest reads or writes it")]
    Reserved {
        /// The key.
        found: Bytes,
    },
    /// The keys do not ascend. They must, so that one set has one encoding.
    #[error("the keys of the {list} must ascend without repetition, found {found:?} out of place")]
    Order {
        /// The list with the wrong order: "read set" or "journal".
        list: &'static str,
        /// The first key that is out of place.
        found: Bytes,
    },
}

impl StorageError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::KeyBytes { .. } => RefusalCode::StorageKeyBytes,
            Self::ValueBytes { .. } => RefusalCode::StorageValueBytes,
            Self::Order { .. } => RefusalCode::StorageKeyOrder,
            Self::Reserved { .. } => RefusalCode::StorageKeyReserved,
        }
    }
}

/// Checks the length of a key.
///
/// # Errors
/// [`StorageError::KeyBytes`].
pub fn check_key(key: &[u8]) -> Result<(), StorageError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES as usize {
        return Err(StorageError::KeyBytes { found: key.len() });
    }
    Ok(())
}

/// Checks the length of a value.
///
/// # Errors
/// [`StorageError::ValueBytes`].
pub fn check_value(value: &[u8]) -> Result<(), StorageError> {
    if value.len() > MAX_VALUE_BYTES as usize {
        return Err(StorageError::ValueBytes { found: value.len() });
    }
    Ok(())
}

fn check_order<'a>(
    list: &'static str,
    keys: impl Iterator<Item = &'a Bytes>,
) -> Result<(), StorageError> {
    let mut last: Option<&Bytes> = None;
    for key in keys {
        check_key(key)?;
        if is_reserved_key(key) {
            return Err(StorageError::Reserved { found: key.clone() });
        }
        if last.is_some_and(|last| last >= key) {
            return Err(StorageError::Order { list, found: key.clone() });
        }
        last = Some(key);
    }
    Ok(())
}

/// Checks the form of a read set.
///
/// # Errors
/// [`StorageError`] for a key out of bounds or out of order.
pub fn check_read_set(reads: &[ReadEntry]) -> Result<(), StorageError> {
    check_order("read set", reads.iter().map(|read| &read.key))
}

/// Checks the form of a journal.
///
/// # Errors
/// [`StorageError`] for a key or value out of bounds or a key out of order.
pub fn check_journal(journal: &[JournalEntry]) -> Result<(), StorageError> {
    check_order("journal", journal.iter().map(|entry| &entry.key))?;
    journal.iter().filter_map(|entry| entry.value.as_ref()).try_for_each(|value| check_value(value))
}

/// The most bytes of values that one journal may replace or remove, since a settlement reads them
/// all in one receipt.
pub const MAX_REPLACED_BYTES: u64 = 1 << 20;

/// How many blocks a key stays closed to new readers after a writer was told to wait for the
/// present ones. These are settled one or two blocks later, so the writer has time to come again.
/// Afterwards the key is open to readers for as long at least, so that writers do not starve them
/// in turn.
///
/// A writer is in time if it comes again while the key is closed, and the rest of the time does not
/// matter then, because its settlement opens the key. A writer that never comes again costs readers
/// the whole time. Measured with a new reader in every block, by how many blocks pass until the
/// writer's worker comes again: how many blocks the writer waits, and how many of the readers of
/// 100 blocks are told to wait.
///
/// | closed for | 1 | 3 | 6 | 12 | 30 | never |
/// |--:|--|--|--|--|--|--|
/// | 2 | starves | starves | starves | starves | starves | 1 reader |
/// | 5 | 2, 3 readers | 3, 4 readers | starves | starves | starves | 4 readers |
/// | 10 | 2, 3 readers | 3, 4 readers | 6, 7 readers | starves | starves | 9 readers |
/// | 20 | 2, 3 readers | 3, 4 readers | 6, 7 readers | 12, 13 readers | starves | 19 readers |
/// | 40 | 2, 3 readers | 3, 4 readers | 6, 7 readers | 12, 13 readers | 30, 31 readers | 39 |
///
/// A worker comes again after a look and a transaction, which takes some 3 to 6 blocks, and twice
/// that while the network is busy.
pub const CLOSED_BLOCKS: u64 = 20;

/// A key that a response reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched<'a> {
    /// The key itself.
    pub key: &'a Bytes,
    /// Whether the response writes or removes the key. If not, it only reads it.
    pub written: bool,
}

/// The keys that a response reads or writes, each once, in ascending order. Both lists must ascend,
/// as those of a valid response do.
pub fn touched_keys<'a>(reads: &'a [ReadEntry], journal: &'a [JournalEntry]) -> Vec<Touched<'a>> {
    let mut keys = Vec::with_capacity(reads.len().saturating_add(journal.len()));
    let mut reads = reads.iter().map(|read| &read.key).peekable();
    for JournalEntry { key, .. } in journal {
        while let Some(key) = reads.next_if(|read| *read < key) {
            keys.push(Touched { key, written: false });
        }
        let _ = reads.next_if(|read| *read == key);
        keys.push(Touched { key, written: true });
    }
    keys.extend(reads.map(|key| Touched { key, written: false }));
    keys
}

/// The first key that was read and has another value now. `current` gives the SHA-256 of a key's
/// value now.
pub fn first_conflict(
    reads: &[ReadEntry],
    mut current: impl FnMut(&[u8]) -> Option<Hash32>,
) -> Option<&Bytes> {
    reads.iter().find(|read| current(&read.key) != read.value_hash).map(|read| &read.key)
}

/// Whether a response fits into its namespace, as the contract has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageCheck {
    /// Every key that was read is unchanged, no key is locked, and the journal fits.
    Fits,
    /// This key was read and has changed since.
    Conflict(Bytes),
    /// This key is locked by the staged response of another request, or closed to new readers
    /// because a writer waits for it.
    Locked(Bytes),
    /// The response writes keys that staged responses of other requests read. Nothing else stands
    /// against it.
    ReadLocked {
        /// The locks of those keys that can be closed to new readers now, each named by the hash
        /// under which the contract keeps it.
        closable: Vec<Hash32>,
    },
    /// The owner of the namespace has not paid for all bytes that the journal adds, or the journal
    /// replaces more than [`MAX_REPLACED_BYTES`] bytes of values.
    Exhausted {
        /// Bytes that the journal adds, or bytes of values that it replaces.
        needed: u64,
        /// Bytes that are paid for and free, or that may be replaced.
        available: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: Option<&str>) -> ReadEntry {
        ReadEntry { key: key.into(), value_hash: value.map(|value| Hash32::of(value.as_bytes())) }
    }

    #[test]
    fn only_a_key_that_was_read_and_changed_conflicts() {
        let now = |key: &[u8]| match key {
            b"a" => Some(Hash32::of(b"1")),
            b"b" => Some(Hash32::of(b"2")),
            _ => None,
        };
        assert_eq!(first_conflict(&[read("a", Some("1")), read("c", None)], now), None);
        assert_eq!(
            first_conflict(&[read("a", Some("1")), read("b", Some("old"))], now),
            Some(&"b".into())
        );
        assert_eq!(first_conflict(&[read("a", None)], now), Some(&"a".into()));
        assert_eq!(first_conflict(&[read("c", Some(""))], now), Some(&"c".into()));
    }

    #[test]
    fn a_set_has_one_encoding() {
        assert_eq!(check_read_set(&[read("a", None), read("b", None)]), Ok(()));
        assert!(matches!(
            check_read_set(&[read("b", None), read("a", None)]),
            Err(StorageError::Order { list: "read set", .. })
        ));
        let entry = |key: &str| JournalEntry { key: key.into(), value: None };
        assert!(matches!(
            check_journal(&[entry("a"), entry("a")]),
            Err(StorageError::Order { list: "journal", .. })
        ));
        assert_eq!(check_journal(&[entry("")]), Err(StorageError::KeyBytes { found: 0 }));
        let long = JournalEntry {
            key: "a".into(),
            value: Some(vec![0; MAX_VALUE_BYTES as usize + 1].into()),
        };
        assert_eq!(check_journal(&[long]), Err(StorageError::ValueBytes { found: 65_537 }));
    }

    #[test]
    fn touched_keys_are_a_sorted_union() {
        let reads = [read("a", None), read("c", None)];
        let journal = [
            JournalEntry { key: "b".into(), value: None },
            JournalEntry { key: "c".into(), value: None },
        ];
        let keys = touched_keys(&reads, &journal);
        let keys: Vec<_> = keys.iter().map(|one| (&one.key[..], one.written)).collect();
        assert_eq!(keys, [(&b"a"[..], false), (b"b", true), (b"c", true)]);
    }
}
