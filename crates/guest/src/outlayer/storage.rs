//! What storage calls check, fetch and pay for, however the key and the value are passed.

use outlayer_protocol::{
    Limit,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
};

use crate::{
    call::{HostCall, StorageCall},
    fault::Fault,
    host::check_key,
    snapshot::SnapshotError,
    stop::Stop,
    work::Work,
};

/// Opens a call about a key of `length` bytes. `work` is the kind of call.
pub(super) fn open(
    call: &mut impl HostCall,
    length: u64,
    work: fn(u64) -> Work,
) -> Result<(), Stop> {
    call.enter()?;
    // A key that is too long is not read to its end.
    let bytes = length.min(u64::from(MAX_KEY_BYTES) + 1);
    call.charge(Work::Read(bytes))?;
    call.charge(work(bytes))
}

/// Makes the value at `key` known: the snapshot is asked where neither a write nor an earlier read
/// has it. Returns the value's length, `None` when the key is absent.
pub(super) async fn fetch<C>(call: &mut C, key: &[u8]) -> Result<Option<u64>, Stop>
where
    C: StorageCall + Send,
{
    check_key(key)?;
    let length = |value: Option<&[u8]>| value.map(|value| value.len() as u64);
    let storage = &call.host().storage;
    if let Some(known) = storage.known(key) {
        return Ok(length(known));
    }
    storage.admit_read()?;
    call.charge(Work::Fetch)?;
    let value = call.fetch(key).await?;
    let found = length(value.as_deref());
    let bytes = found.unwrap_or_default();
    if bytes > u64::from(MAX_VALUE_BYTES) {
        let error = SnapshotError::too_long(value.map_or(0, |value| value.len()));
        return Err(Fault::Snapshot(error).into());
    }
    // The read is recorded before it is charged: a guest that runs out here has read the value.
    call.host().storage.record_read(key.to_vec(), value);
    call.charge(Work::Fetched(bytes))?;
    Ok(found)
}

/// Removes `key`, which has been checked and paid for. Returns whether it was there.
pub(super) async fn remove<C>(call: &mut C, key: Vec<u8>) -> Result<bool, Stop>
where
    C: StorageCall + Send,
{
    let found = fetch(call, &key).await?;
    call.charge(Work::Removed(found.unwrap_or_default()))?;
    call.host().storage.write(key, None)?;
    Ok(found.is_some())
}

/// Checks and pays for a value of `length` bytes that is to be written.
pub(super) fn pay_value(call: &mut impl HostCall, length: u64) -> Result<(), Stop> {
    if length > u64::from(MAX_VALUE_BYTES) {
        return Err(Stop::limit(Limit::ValueBytes, MAX_VALUE_BYTES));
    }
    call.charge(Work::Read(length))?;
    call.charge(Work::Stored(length))
}
