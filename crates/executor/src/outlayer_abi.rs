//! The import module `outlayer`: what a core module has besides WASI.
//!
//! Pointers and lengths are `i32`, unsigned. A range outside of the guest's memory is a trap. A function that fills a buffer
//! returns the full length and writes as much as fits.
//!
//! | function | signature | |
//! |---|---|---|
//! | `storage_read` | `(key_ptr, key_len, buf_ptr, buf_cap) -> i64` | the value's length, or -1 when the key is absent |
//! | `storage_write` | `(key_ptr, key_len, val_ptr, val_len)` | |
//! | `storage_remove` | `(key_ptr, key_len) -> i32` | 1 when the key was there |
//! | `context_read` | `(buf_ptr, buf_cap) -> i32` | borsh of `ExecutionContext` |
//! | `log` | `(ptr, len)` | a line for the log |
//! | `random_fill` | `(ptr, len)` | the stream that `random_get` draws from |

use wasmtime::{Caller, Linker, Result};

use crate::{
    host::{State, Work, charge, check_key, enter, memory, namespace},
    verdict::Stop,
};

/// The module's name.
pub(crate) const MODULE: &str = "outlayer";

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "storage_read",
        |mut caller: Caller<'_, State>, (key, key_len, buffer, capacity)| {
            Box::new(async move { storage_read(&mut caller, key, key_len, buffer, capacity).await })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "storage_remove",
        |mut caller: Caller<'_, State>, (key, key_len)| {
            Box::new(async move { storage_remove(&mut caller, key, key_len).await })
        },
    )?;
    linker.func_wrap(MODULE, "storage_write", storage_write)?;
    linker.func_wrap(MODULE, "context_read", context_read)?;
    linker.func_wrap(MODULE, "log", log)?;
    linker.func_wrap(MODULE, "random_fill", random_fill)?;
    Ok(())
}

async fn storage_read(
    caller: &mut Caller<'_, State>,
    key: u32,
    key_len: u32,
    buffer: u32,
    capacity: u32,
) -> Result<i64> {
    let key = read_key(caller, key, key_len, Work::StorageRead)?;
    let Some(length) = namespace::fetch(caller, &key).await? else {
        return Ok(-1);
    };
    charge(caller, Work::Found(length))?;
    charge(caller, Work::Write(length.min(capacity.into())))?;
    let (bytes, state) = memory::split(caller)?;
    let value = state.storage.known(&key).flatten().unwrap_or_default();
    memory::write_clipped(bytes, buffer, capacity, value)?;
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

async fn storage_remove(caller: &mut Caller<'_, State>, key: u32, key_len: u32) -> Result<u32> {
    let key = read_key(caller, key, key_len, Work::StorageRemove)?;
    let found = namespace::fetch(caller, &key).await?;
    charge(caller, Work::Removed(found.unwrap_or_default()))?;
    caller.data_mut().storage.write(key, None)?;
    Ok(found.is_some().into())
}

fn storage_write(
    mut caller: Caller<'_, State>,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> Result<()> {
    let key = read_key(&mut caller, key, key_len, Work::StorageWrite)?;
    namespace::pay_value(&mut caller, value_len.into())?;
    let (bytes, state) = memory::split(&mut caller)?;
    let value = memory::bytes(bytes, value, value_len)?.to_vec();
    Ok(state.storage.write(key, Some(value))?)
}

fn context_read(mut caller: Caller<'_, State>, buffer: u32, capacity: u32) -> Result<u32> {
    let length = caller.data().context.len();
    enter(&mut caller)?;
    charge(&mut caller, Work::Write((length as u64).min(capacity.into())))?;
    let (bytes, state) = memory::split(&mut caller)?;
    memory::write_clipped(bytes, buffer, capacity, &state.context)?;
    Ok(u32::try_from(length).unwrap_or(u32::MAX))
}

fn log(mut caller: Caller<'_, State>, line: u32, length: u32) -> Result<()> {
    enter(&mut caller)?;
    charge(&mut caller, Work::Read(length.into()))?;
    charge(&mut caller, Work::Log(length.into()))?;
    let (bytes, state) = memory::split(&mut caller)?;
    state.logs.write(memory::bytes(bytes, line, length)?)?;
    Ok(state.logs.write(b"\n")?)
}

fn random_fill(mut caller: Caller<'_, State>, buffer: u32, length: u32) -> Result<()> {
    enter(&mut caller)?;
    charge(&mut caller, Work::Random(length.into()))?;
    let (bytes, state) = memory::split(&mut caller)?;
    state.random.fill(memory::bytes_mut(bytes, buffer, length)?);
    Ok(())
}

/// Opens a call about a key, which is `work`, and copies the key.
fn read_key(
    caller: &mut Caller<'_, State>,
    pointer: u32,
    length: u32,
    work: fn(u64) -> Work,
) -> Result<Vec<u8>, Stop> {
    namespace::open(caller, length.into(), work)?;
    let (bytes, _) = memory::split(caller)?;
    let key = memory::bytes(bytes, pointer, length)?;
    check_key(key)?;
    Ok(key.to_vec())
}
