//! A namespace as one execution sees it: the snapshot below, the journal on top.

use std::collections::BTreeMap;

use outlayer_protocol::{
    Bytes, Hash32, JournalEntry, Limit, ReadEntry, ResourceLimits,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
    secrets::is_reserved_key,
};

use crate::{
    stop::Stop,
    verdict::reason::{EMPTY_KEY, RESERVED_KEY},
};

/// Checks a key that a guest names.
///
/// # Errors
/// A [`Stop`] when the key is empty, longer than [`MAX_KEY_BYTES`], or reserved to the owner of the
/// namespace.
pub fn check_key(key: &[u8]) -> Result<(), Stop> {
    match key.len() {
        0 => Err(Stop::Trap(EMPTY_KEY)),
        bytes if bytes > MAX_KEY_BYTES as usize => Err(Stop::key_bytes()),
        _ if is_reserved_key(key) => Err(Stop::Trap(RESERVED_KEY)),
        _ => Ok(()),
    }
}

/// What an execution has read and written.
pub struct Storage {
    reads: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    journal: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    journal_bytes: u64,
    max_reads: u32,
    max_writes: u32,
    max_journal_bytes: u32,
}

impl Storage {
    /// Nothing read and nothing written, within these limits.
    pub fn new(limits: &ResourceLimits) -> Self {
        Self {
            reads: BTreeMap::new(),
            journal: BTreeMap::new(),
            journal_bytes: 0,
            max_reads: limits.storage_reads,
            max_writes: limits.storage_writes,
            max_journal_bytes: limits.journal_bytes,
        }
    }

    /// What the guest sees at `key`: its own last write, or what it read before. `None` when the
    /// snapshot must be asked.
    pub fn known(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let value = self.journal.get(key).or_else(|| self.reads.get(key))?;
        Some(value.as_deref())
    }

    /// Checks that one more key may be read.
    ///
    /// # Errors
    /// [`Stop::Limit`].
    pub fn admit_read(&self) -> Result<(), Stop> {
        if self.reads.len() >= self.max_reads as usize {
            return Err(Stop::limit(Limit::StorageReads, self.max_reads));
        }
        Ok(())
    }

    /// Records the value that the snapshot has at `key`.
    pub fn record_read(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.reads.insert(key, value);
    }

    /// Writes `value` at `key`, or removes the key when there is none.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the value, the number of keys written or the journal is too large.
    pub fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), Stop> {
        if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE_BYTES as usize) {
            return Err(Stop::limit(Limit::ValueBytes, MAX_VALUE_BYTES));
        }
        let key_bytes = key.len() as u64;
        let bytes = |value: &Option<Vec<u8>>| {
            key_bytes + value.as_ref().map_or(0, |value| value.len() as u64)
        };
        let added = bytes(&value);
        let replaced = self.journal.insert(key, value).as_ref().map_or(0, bytes);
        self.journal_bytes = self.journal_bytes + added - replaced;
        if self.journal.len() > self.max_writes as usize {
            return Err(Stop::limit(Limit::StorageWrites, self.max_writes));
        }
        if self.journal_bytes > self.max_journal_bytes.into() {
            return Err(Stop::limit(Limit::JournalBytes, self.max_journal_bytes));
        }
        Ok(())
    }

    /// The read set and the journal, each by ascending key.
    pub fn into_entries(self) -> (Vec<ReadEntry>, Vec<JournalEntry>) {
        let read = |(key, value): (Vec<u8>, Option<Vec<u8>>)| ReadEntry {
            key: Bytes(key),
            value_hash: value.map(|value| Hash32::of(&value)),
        };
        let written = |(key, value): (Vec<u8>, Option<Vec<u8>>)| JournalEntry {
            key: Bytes(key),
            value: value.map(Bytes),
        };
        (
            self.reads.into_iter().map(read).collect(),
            self.journal.into_iter().map(written).collect(),
        )
    }
}
