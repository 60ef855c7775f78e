//! What host functions do for a guest, and what that costs under each meter.

use crate::{fuel, gas::fees::Fees};

/// Work of a host function, in the terms in which it is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A call, whatever it does.
    Call,
    /// So many bytes are read from the guest's memory.
    Read(u64),
    /// So many bytes are written to the guest's memory.
    Write(u64),
    /// So many random bytes are drawn and written to the guest's memory.
    Random(u64),
    /// So many bytes, which have been read, are added to the log.
    Log(u64),
    /// A storage read of a key of so many bytes begins.
    StorageRead(u64),
    /// A storage write to a key of so many bytes begins.
    StorageWrite(u64),
    /// A storage removal of a key of so many bytes begins.
    StorageRemove(u64),
    /// The snapshot is asked for a value.
    Fetch,
    /// The snapshot gave a value of so many bytes.
    Fetched(u64),
    /// The value that a storage read found has so many bytes.
    Found(u64),
    /// The value that a storage write puts down has so many bytes.
    Stored(u64),
    /// The value that a storage removal takes away has so many bytes.
    Removed(u64),
}

impl Work {
    /// In units of fuel, by the constants of [`fuel`].
    pub(crate) fn fuel(self) -> u64 {
        match self {
            Self::Call => fuel::HOST_CALL,
            Self::Read(bytes) | Self::Write(bytes) | Self::Random(bytes) => {
                bytes.saturating_mul(fuel::HOST_BYTE)
            }
            Self::StorageRead(_) | Self::StorageWrite(_) | Self::StorageRemove(_) => {
                fuel::STORAGE_CALL
            }
            Self::Fetch => fuel::STORAGE_FETCH,
            Self::Fetched(bytes) => bytes.saturating_mul(fuel::STORAGE_FETCH_BYTE),
            // Paid for where the bytes are read, written or fetched.
            Self::Log(_) | Self::Found(_) | Self::Stored(_) | Self::Removed(_) => 0,
        }
    }

    /// In units of gas, by NEAR's fees; see [`gas`](crate::gas) for the table.
    pub(crate) fn gas(self) -> u64 {
        let fees = Fees::get();
        match self {
            Self::Call => fees.base,
            // A transfer of nothing is none.
            Self::Read(0) | Self::Write(0) | Self::Random(0) => 0,
            Self::Read(bytes) => fees.read_memory.of(bytes),
            Self::Write(bytes) => fees.write_memory.of(bytes),
            Self::Random(bytes) => {
                fees.write_memory.of(bytes).saturating_add(fees.sha256.of(bytes))
            }
            Self::Log(bytes) => fees.log.of(bytes),
            Self::StorageRead(key) => fees.storage_read.of(key),
            Self::StorageWrite(key) => fees.storage_write.of(key).saturating_add(fees.trie_nodes),
            Self::StorageRemove(key) => fees.storage_remove.of(key).saturating_add(fees.trie_nodes),
            // NEAR has no snapshot: its fee for a read covers where the value comes from.
            Self::Fetch | Self::Fetched(_) => 0,
            Self::Found(bytes) => fees.found(bytes),
            Self::Stored(bytes) => bytes.saturating_mul(fees.storage_write_value_byte),
            Self::Removed(bytes) => bytes.saturating_mul(fees.storage_remove_value_byte),
        }
    }
}
