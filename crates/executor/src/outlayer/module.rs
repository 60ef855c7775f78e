//! The import module `outlayer`. [`outlayer_guest::outlayer::module`] describes its functions.

use outlayer_guest::outlayer::module;
use wasmtime::{Caller, Linker, Result};

use crate::{
    call::{ModuleCall, functions},
    state::State,
};

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(
        module::MODULE,
        "storage_read",
        |caller: Caller<'_, State>, (key, key_len, buffer, capacity): (u32, u32, u32, u32)| {
            let mut call = ModuleCall(caller);
            Box::new(async move {
                Ok(module::storage_read(&mut call, key, key_len, buffer, capacity).await?)
            })
        },
    )?;
    linker.func_wrap_async(
        module::MODULE,
        "storage_remove",
        |caller: Caller<'_, State>, (key, key_len): (u32, u32)| {
            let mut call = ModuleCall(caller);
            Box::new(async move { Ok(module::storage_remove(&mut call, key, key_len).await?) })
        },
    )?;
    functions! { linker, module:
        storage_write(key: u32, key_len: u32, value: u32, value_len: u32)
            => (key, key_len, value, value_len);
        context_read(buffer: u32, capacity: u32) => (buffer, capacity);
        log(line: u32, length: u32) => (line, length);
        random_fill(buffer: u32, length: u32) => (buffer, length);
    }
    Ok(())
}
