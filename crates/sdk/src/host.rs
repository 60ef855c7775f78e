//! The host's functions, as OutLayer's executor offers them to a core module or to a component. On
//! any target but Wasm, a stand-in has the same signatures.

#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
mod component;
#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
pub(crate) use component::{
    context, log, random_fill, storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
mod module;
#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
pub(crate) use module::{
    context, log, random_fill, storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(not(target_arch = "wasm32"))]
mod stand_in;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use stand_in::{
    context, log, logs, random_fill, reset, set_context, storage_contains, storage_read,
    storage_remove, storage_write,
};
