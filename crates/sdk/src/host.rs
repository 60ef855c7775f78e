//! The host's functions, as OutLayer's executor offers them to a core module or to a component. On
//! any target but Wasm, a stand-in has the same signatures.

#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
mod component;
#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
pub(crate) use component::{
    context, log, plan_call, plan_promise, plan_return, plan_transfer, random_fill,
    storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
mod module;
#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
pub(crate) use module::{
    context, log, plan_call, plan_promise, plan_return, plan_transfer, random_fill,
    storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(not(target_arch = "wasm32"))]
mod stand_in;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use stand_in::{
    context, log, logs, plan, plan_call, plan_promise, plan_return, plan_transfer, random_fill,
    reset, returned, set_context, storage_contains, storage_read, storage_remove, storage_write,
};
