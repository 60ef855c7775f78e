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
    linker.func_wrap_async(
        module::MODULE,
        "http_fetch",
        |caller: Caller<'_, State>, (request, length): (u32, u32)| {
            let mut call = ModuleCall(caller);
            Box::new(async move { Ok(module::http_fetch(&mut call, request, length).await?) })
        },
    )?;
    outlayer_guest::module_functions!(functions linker,);
    Ok(())
}
