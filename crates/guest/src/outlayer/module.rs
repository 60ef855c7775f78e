//! The import module `outlayer`: what a core module has in addition to WASI.
//!
//! Pointers and lengths are `i32`, unsigned. A range outside of the guest's memory is a trap. A
//! function that fills a buffer returns the full length and writes as much as fits; -1 says that
//! the key is absent. A deposit is 16 bytes in memory, little-endian. The promises that another one
//! waits for are `count` numbers of 4 bytes. The last two arguments of `plan_call` are its gas and
//! its weight.
//!
//! | function | signature | |
//! |---|---|---|
//! | `storage_read` | `(key_ptr, key_len, buf_ptr, buf_cap) -> i64` | the value's length, or -1 |
//! | `storage_write` | `(key_ptr, key_len, val_ptr, val_len)` | |
//! | `storage_remove` | `(key_ptr, key_len) -> i32` | 1 when the key was there |
//! | `http_fetch` | `(request_ptr, request_len) -> i64` | the answer's length, or below 0 |
//! | `http_read` | `(buf_ptr, buf_cap) -> i32` | the answer |
//! | `plan_promise` | `(id_ptr, id_len, after_ptr, count) -> i32` | the promise's number |
//! | `plan_call` | `(promise, name_ptr, name_len, args_ptr, args_len, deposit_ptr, i64, i64)` | |
//! | `plan_transfer` | `(promise, deposit_ptr)` | |
//! | `plan_return` | `(promise)` | |
//! | `context_read` | `(buf_ptr, buf_cap) -> i32` | borsh of `ExecutionContext` |
//! | `log` | `(ptr, len)` | adds a line to the log |
//! | `random_fill` | `(ptr, len)` | the stream that `random_get` draws from |
//!
//! # HTTP
//!
//! `http_fetch` takes borsh of an [`HttpRequest`] and keeps borsh of an
//! [`Answered`](outlayer_protocol::http::Answered), whose length it returns and which `http_read`
//! gives, until the next `http_fetch`. A number below 0 says why the exchange is not made: it is
//! the [code](Refusal::code) of a [`Refusal`]. What is no request is a trap.
//!
//! A module may export a transform, which reduces each answer before it enters the transcript, so
//! that workers that were answered differently agree:
//!
//! | export | signature | |
//! |---|---|---|
//! | `outlayer_transform` | `(ptr, len) -> i64` | address × 2^32 + length; 0 when it fails |
//! | `outlayer_alloc` | `(len) -> i32` | an address with room for so many bytes |
//!
//! The bytes at `ptr`, for which `outlayer_alloc` has given the room, are borsh of the
//! [`HttpRequest`] and, behind it, of the [`HttpResponse`](outlayer_protocol::http::HttpResponse)
//! with the headers that may be kept. What it answers is borsh of an `HttpResponse` in the
//! [kept form](outlayer_protocol::http::HttpResponse::is_kept_form). It runs in an instance of its
//! own, in which `_start` does not run, and which may call nothing of the host.

use outlayer_protocol::http::HttpRequest;

use super::{http, plan, storage};
use crate::{
    call::{FetchCall, MemoryCall, StorageCall},
    fault::Fault,
    host::{PlannedCall, check_key},
    http::{MAX_REQUEST_BYTES, Refusal},
    memory,
    stop::Stop,
    verdict::reason::NO_REQUEST,
    work::Work,
};

/// The name of the import module.
pub const MODULE: &str = "outlayer";

/// The export that reduces answers, and the one that makes room for what it is given.
pub const TRANSFORM: &str = "outlayer_transform";
/// See [`TRANSFORM`].
pub const ALLOC: &str = "outlayer_alloc";

/// Bytes of the number of a promise.
const DEPENDENCY_BYTES: u32 = 4;
/// Bytes of a deposit.
const DEPOSIT_BYTES: u32 = 16;

/// Reads a value into the guest's buffer.
///
/// # Errors
/// A [`Stop`] for a key that is not one, an exceeded limit, a trap, or a snapshot that fails.
pub async fn storage_read<C>(
    call: &mut C,
    key: u32,
    key_len: u32,
    buffer: u32,
    capacity: u32,
) -> Result<i64, Stop>
where
    C: MemoryCall + StorageCall + Send,
{
    let key = read_key(call, key, key_len, Work::StorageRead)?;
    let Some(length) = storage::fetch(call, &key).await? else {
        return Ok(-1);
    };
    call.charge(Work::Found(length))?;
    call.charge(Work::Write(length.min(capacity.into())))?;
    let (bytes, host) = call.memory()?;
    let value = host.storage.known(&key).flatten().unwrap_or_default();
    memory::write_clipped(bytes, buffer, capacity, value)?;
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

/// Removes a key.
///
/// # Errors
/// As [`storage_read`].
pub async fn storage_remove<C>(call: &mut C, key: u32, key_len: u32) -> Result<u32, Stop>
where
    C: MemoryCall + StorageCall + Send,
{
    let key = read_key(call, key, key_len, Work::StorageRemove)?;
    Ok(storage::remove(call, key).await?.into())
}

/// Writes a value.
///
/// # Errors
/// A [`Stop`] for a key that is not one, an exceeded limit, or a trap.
pub fn storage_write(
    call: &mut impl MemoryCall,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> Result<(), Stop> {
    let key = read_key(call, key, key_len, Work::StorageWrite)?;
    storage::pay_value(call, value_len.into())?;
    let (bytes, host) = call.memory()?;
    let value = memory::bytes(bytes, value, value_len)?.to_vec();
    host.storage.write(key, Some(value))
}

/// Makes an exchange over HTTP, and keeps the answer for [`http_read`].
///
/// # Errors
/// A [`Stop`] for an exceeded limit, a trap, or a network that fails.
pub async fn http_fetch<C>(call: &mut C, request: u32, request_len: u32) -> Result<i64, Stop>
where
    C: MemoryCall + FetchCall + Send,
{
    call.enter()?;
    call.host().exchanges.answer = Vec::new();
    if !call.host().exchanges.is_permitted() {
        return Ok(Refusal::Denied.code());
    }
    // A request that is too long is not read to its end.
    call.charge(Work::Read(request_len.min(MAX_REQUEST_BYTES + 1).into()))?;
    if request_len > MAX_REQUEST_BYTES {
        return Ok(Refusal::BodyBytes.code());
    }
    let (bytes, _) = call.memory()?;
    let request = memory::bytes(bytes, request, request_len)?;
    let request: HttpRequest = borsh::from_slice(request).map_err(|_| Stop::Trap(NO_REQUEST))?;
    let answered = match http::exchange(call, request).await? {
        Ok(answered) => answered,
        Err(refusal) => return Ok(refusal.code()),
    };
    let answer = borsh::to_vec(&answered).map_err(Fault::engine)?;
    let length = i64::try_from(answer.len()).unwrap_or(i64::MAX);
    call.host().exchanges.answer = answer;
    Ok(length)
}

/// Writes what [`http_fetch`] has kept into the guest's buffer.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn http_read(call: &mut impl MemoryCall, buffer: u32, capacity: u32) -> Result<u32, Stop> {
    call.enter()?;
    let length = call.host().exchanges.answer.len();
    call.charge(Work::Write((length as u64).min(capacity.into())))?;
    let (bytes, host) = call.memory()?;
    memory::write_clipped(bytes, buffer, capacity, &host.exchanges.answer)?;
    Ok(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Plans a promise. Gives its number.
///
/// # Errors
/// A [`Stop`] for what no plan holds, an exceeded limit, or a trap.
pub fn plan_promise(
    call: &mut impl MemoryCall,
    receiver: u32,
    receiver_len: u32,
    after: u32,
    count: u32,
) -> Result<u32, Stop> {
    let length = u64::from(count).saturating_mul(DEPENDENCY_BYTES.into());
    plan::open_promise(call, receiver_len.into(), length, count.into())?;
    let (bytes, host) = call.memory()?;
    let length = u32::try_from(length).map_err(|_| memory::OUT_OF_BOUNDS)?;
    let (numbers, _) = memory::bytes(bytes, after, length)?.as_chunks();
    let after = plan::dependencies(numbers.iter().map(|number| u32::from_le_bytes(*number)))?;
    host.plan.promise(memory::bytes(bytes, receiver, receiver_len)?, after)
}

/// Plans a call of a function.
///
/// # Errors
/// As [`plan_promise`].
#[expect(clippy::too_many_arguments, reason = "the function has as many parameters")]
pub fn plan_call(
    call: &mut impl MemoryCall,
    promise: u32,
    method: u32,
    method_len: u32,
    args: u32,
    args_len: u32,
    deposit: u32,
    gas: u64,
    weight: u64,
) -> Result<(), Stop> {
    plan::open_call(call, method_len.into(), args_len.into(), DEPOSIT_BYTES.into())?;
    let (bytes, host) = call.memory()?;
    let planned = PlannedCall {
        method: memory::bytes(bytes, method, method_len)?,
        args: memory::bytes(bytes, args, args_len)?,
        deposit: memory::read_u128(bytes, deposit)?,
        gas,
        weight,
    };
    host.plan.call(promise, &planned)
}

/// Plans a transfer.
///
/// # Errors
/// As [`plan_promise`].
pub fn plan_transfer(call: &mut impl MemoryCall, promise: u32, deposit: u32) -> Result<(), Stop> {
    plan::open_transfer(call, DEPOSIT_BYTES.into())?;
    let (bytes, host) = call.memory()?;
    host.plan.transfer(promise, memory::read_u128(bytes, deposit)?)
}

/// Returns the result of a planned promise.
///
/// # Errors
/// As [`plan_promise`].
pub fn plan_return(call: &mut impl MemoryCall, promise: u32) -> Result<(), Stop> {
    call.enter()?;
    call.host().plan.returns(promise)
}

/// Writes the context into the guest's buffer.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn context_read(call: &mut impl MemoryCall, buffer: u32, capacity: u32) -> Result<u32, Stop> {
    let length = call.host().context_bytes.len();
    call.enter()?;
    call.charge(Work::Write((length as u64).min(capacity.into())))?;
    let (bytes, host) = call.memory()?;
    memory::write_clipped(bytes, buffer, capacity, &host.context_bytes)?;
    Ok(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Adds a line to the log.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn log(call: &mut impl MemoryCall, line: u32, length: u32) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Read(length.into()))?;
    call.charge(Work::Log(length.into()))?;
    let (bytes, host) = call.memory()?;
    host.logs.write(memory::bytes(bytes, line, length)?)?;
    host.logs.write(b"\n")
}

/// Fills the guest's buffer with random bytes.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn random_fill(call: &mut impl MemoryCall, buffer: u32, length: u32) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Random(length.into()))?;
    let (bytes, host) = call.memory()?;
    host.random.fill(memory::bytes_mut(bytes, buffer, length)?);
    Ok(())
}

/// Opens a call about a key and copies the key. `work` is the kind of call.
fn read_key(
    call: &mut impl MemoryCall,
    pointer: u32,
    length: u32,
    work: fn(u64) -> Work,
) -> Result<Vec<u8>, Stop> {
    storage::open(call, length.into(), work)?;
    let (bytes, _) = call.memory()?;
    let key = memory::bytes(bytes, pointer, length)?;
    check_key(key)?;
    Ok(key.to_vec())
}
