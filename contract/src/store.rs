//! Entries of contract state: their keys, and typed reading and writing without a cache.

use near_sdk::{AccountId, env};
use outlayer_codec::{Decode, Encode, Error, Input};

/// The first byte of every key. near-sdk keeps the contract's own state under `STATE`, so none of
/// these is `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Prefix {
    /// Request id -> a short response that is staged, and the live request.
    Request = b'R',
    /// Request id -> live request as layout 2 has it.
    FormerRequest = b'r',
    /// Request id -> the request's input, unless it is empty.
    Input = b'i',
    /// Request id -> staged response, unless it is short.
    Staged = b's',
    /// Request id, number -> a part of a response.
    ResponsePart = b'q',
    /// Position -> the open shares of a settled request, for paging.
    SharesSlot = b'O',
    /// Request id -> position.
    SharesPosition = b'f',
    /// In layout 2: position -> id of a live request.
    FormerLiveSlot = b'l',
    /// In layout 2: request id -> position.
    FormerLivePosition = b'p',
    /// Request id -> result that is kept.
    Result = b'g',
    /// Account -> what its namespace stores and has paid.
    Namespace = b'n',
    /// Account, key -> value, as it is.
    Value = b'v',
    /// Account, key -> metadata, which spares reading the value.
    Meta = b'm',
    /// Account, position -> key, for paging.
    KeySlot = b'k',
    /// Account -> what changing its namespace costs while requests are live that may read it.
    ChangeFee = b'F',
    /// Hash of account and key -> the key's lock.
    Lock = b'h',
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
    /// Code hash, publisher -> code that is being published.
    Publication = b'u',
    /// Code hash -> the code is withdrawn from new requests; the height from which no request that
    /// was made before lives. In layout 2 the height is missing.
    Retired = b't',
    /// Code hash, publisher, number -> a part of the code.
    CodePart = b'b',
    /// Code hash -> the account under which the code's parts are, where another has adopted it.
    CodeOrigin = b'o',
    /// Account -> how many names of code it has and what it has paid for them.
    CodeNames = b'a',
    /// Account, position -> name, for paging.
    CodeNameSlot = b'j',
    /// Account, name -> how many versions there are, and the latest.
    CodeName = b'y',
    /// Account, version, name -> what the version stands for.
    CodeVersion = b'z',
    /// Place -> code that was published or named lately; without a place, how often that was done.
    RecentCode = b'A',
}

/// A key: the prefix, then the segments one after the other.
pub(crate) fn key(prefix: Prefix, segments: &[&[u8]]) -> Vec<u8> {
    let length = segments.iter().map(|segment| segment.len()).sum::<usize>();
    let mut key = Vec::with_capacity(1 + length);
    key.push(prefix as u8);
    segments.iter().for_each(|segment| key.extend_from_slice(segment));
    key
}

/// The length of an account id (at most 64 bytes), as one byte that stands in front of the id in a
/// key where more follows.
pub(crate) fn account_length(account_id: &AccountId) -> [u8; 1] {
    [u8::try_from(account_id.as_bytes().len()).unwrap_or(u8::MAX)]
}

/// A key in which something follows an account id.
pub(crate) fn account_key(prefix: Prefix, account_id: &AccountId, rest: &[u8]) -> Vec<u8> {
    key(prefix, &[&account_length(account_id), account_id.as_bytes(), rest])
}

/// Reads an entry. State that cannot be decoded is the bug of an upgrade: the call fails, and
/// nothing is written.
pub(crate) fn read<T: Decode>(key: &[u8]) -> Option<T> {
    env::storage_read(key).map(|bytes| decode(key, &bytes))
}

/// Decodes what an entry has, or a part of it.
pub(crate) fn decode<T: Decode>(key: &[u8], bytes: &[u8]) -> T {
    let mut input = Input::new(bytes);
    let value = T::decode(&mut input);
    if let Err(error) = input.finish() {
        end(key, error);
    }
    value
}

#[cold]
#[inline(never)]
pub(crate) fn end(key: &[u8], error: Error) -> ! {
    env::panic_str(&format!("the entry {} cannot be read: {error}", key.escape_ascii()))
}

/// Writes an entry.
pub(crate) fn write(key: &[u8], value: &impl Encode) {
    env::storage_write(key, &outlayer_codec::to_vec(value));
}

/// Reads a field that entries of a former layout do not have at their end.
pub(crate) fn or_default<T: Decode + Default>(input: &mut Input<'_>) -> T {
    if input.is_empty() { T::default() } else { T::decode(input) }
}

/// Removes an entry, and says whether it was there.
pub(crate) fn remove(key: &[u8]) -> bool {
    env::storage_remove(key)
}

/// A position as the end of a key: big-endian, so that the order of the keys is that of the
/// positions.
pub(crate) fn position_bytes(position: u32) -> [u8; 4] {
    position.to_be_bytes()
}
