//! Storage calls of guests that run in a store: what they check, fetch and cost.

use std::sync::Arc;

use outlayer_protocol::{
    Limit,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
};
use wasmtime::AsContextMut;

use super::{State, Work, charge, check_key, enter};
use crate::{fault::Fault, snapshot::SnapshotError, verdict::Stop};

/// Opens a call about a key of `length` bytes, which is `work`.
pub(crate) fn open(
    store: &mut impl AsContextMut<Data = State>,
    length: u64,
    work: fn(u64) -> Work,
) -> Result<(), Stop> {
    enter(store)?;
    // A key that is too long is not looked at.
    let bytes = length.min(u64::from(MAX_KEY_BYTES) + 1);
    charge(store, Work::Read(bytes))?;
    charge(store, work(bytes))
}

/// Makes `key` known: asks the snapshot where neither a write nor an earlier read has it. Gives the length of
/// the value.
pub(crate) async fn fetch<S>(store: &mut S, key: &[u8]) -> Result<Option<u64>, Stop>
where
    S: AsContextMut<Data = State> + Send,
{
    check_key(key)?;
    let length = |value: Option<&[u8]>| value.map(|value| value.len() as u64);
    let mailbox = {
        let context = store.as_context();
        let state = context.data();
        if let Some(known) = state.storage.known(key) {
            return Ok(length(known));
        }
        state.storage.admit_read()?;
        Arc::clone(&state.mailbox)
    };
    charge(store, Work::Fetch)?;
    let value = mailbox.fetch(key).await;
    let found = length(value.as_deref());
    let bytes = found.unwrap_or_default();
    if bytes > u64::from(MAX_VALUE_BYTES) {
        let error = SnapshotError::too_long(value.map_or(0, |value| value.len()));
        return Err(Stop::Fault(Fault::Snapshot(error)));
    }
    // The read is recorded before it is charged: whoever runs out here has read the value.
    store.as_context_mut().data_mut().storage.record_read(key.to_vec(), value);
    charge(store, Work::Fetched(bytes))?;
    Ok(found)
}

/// Pays for a value of `length` bytes that is to be written.
pub(crate) fn pay_value(
    store: &mut impl AsContextMut<Data = State>,
    length: u64,
) -> Result<(), Stop> {
    if length > u64::from(MAX_VALUE_BYTES) {
        return Err(Stop::limit(Limit::ValueBytes, MAX_VALUE_BYTES));
    }
    charge(store, Work::Read(length))?;
    charge(store, Work::Stored(length))
}
