//! The host: the functions that OutLayer's executor offers to a Wasm module, or on any other target
//! a stand-in with the same signatures.

#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{
    context, log, random_fill, storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(not(target_arch = "wasm32"))]
mod stand_in;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use stand_in::{
    context, log, logs, random_fill, reset, set_context, storage_contains, storage_read,
    storage_remove, storage_write,
};
