//! Raw entries of contract state: their keys, and typed reading and writing without a cache.

use borsh::{BorshDeserialize, BorshSerialize};
use near_sdk::{AccountId, env};

/// The first byte of every key. near-sdk keeps the contract's own state under `STATE`, so none of these is `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Prefix {
    /// Request id -> live request.
    Request = b'r',
    /// Request id -> its input.
    Input = b'i',
    /// Request id -> staged response.
    Staged = b's',
    /// Request id, number -> a part of a response.
    Part = b'q',
    /// Position -> request id, for paging.
    LiveSlot = b'l',
    /// Request id -> position.
    LivePosition = b'p',
    /// Account -> its storage account.
    Namespace = b'n',
    /// Account, key -> value, as it is.
    Value = b'v',
    /// Account, key -> what is known of the value without reading it.
    Meta = b'm',
    /// Account, position -> key, for paging.
    KeySlot = b'k',
    /// Hash of account and key -> the request that holds it.
    Hold = b'h',
    /// Account -> registered worker.
    Worker = b'w',
    /// Position -> worker, for paging.
    WorkerSlot = b'x',
    /// Account -> what it has earned.
    Earnings = b'e',
    /// Account -> payments that bounced.
    Claimable = b'c',
    /// Code hash -> published code.
    Code = b'd',
    /// Code hash, publisher -> code being published.
    Upload = b'u',
    /// Code hash -> nothing: the code is withdrawn from new requests.
    Retired = b't',
    /// Code hash, publisher, number -> a piece of the code.
    Chunk = b'b',
}

/// A key: the prefix, and the parts one after the other.
pub(crate) fn key(prefix: Prefix, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(prefix as u8);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// The length of an account id, one byte in front of it in a key where more follows. Ids have at most 64 bytes.
pub(crate) fn account_length(account_id: &AccountId) -> [u8; 1] {
    [u8::try_from(account_id.as_bytes().len()).unwrap_or(u8::MAX)]
}

/// A key in which an account id stands before something else.
pub(crate) fn account_key(prefix: Prefix, account_id: &AccountId, rest: &[u8]) -> Vec<u8> {
    key(prefix, &[&account_length(account_id), account_id.as_bytes(), rest])
}

/// Reads an entry. State that does not decode is a bug of an upgrade: the call ends here, nothing is written.
pub(crate) fn read<T: BorshDeserialize>(key: &[u8]) -> Option<T> {
    env::storage_read(key).map(|bytes| match T::try_from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => {
            env::panic_str(&format!("the entry {} cannot be read: {error}", key.escape_ascii()));
        }
    })
}

/// Writes an entry.
pub(crate) fn write<T: BorshSerialize>(key: &[u8], value: &T) {
    match borsh::to_vec(value) {
        Ok(bytes) => {
            env::storage_write(key, &bytes);
        }
        Err(error) => {
            env::panic_str(&format!("the entry {} cannot be written: {error}", key.escape_ascii()))
        }
    }
}

/// Removes an entry; false when there was none.
pub(crate) fn remove(key: &[u8]) -> bool {
    env::storage_remove(key)
}

/// A position as the end of a key: big-endian, so that keys ascend with it.
pub(crate) fn position_bytes(position: u32) -> [u8; 4] {
    position.to_be_bytes()
}
