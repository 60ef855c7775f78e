//! The host's functions, as OutLayer's executor offers them to a core module or to a component. On
//! any target but Wasm, a stand-in has the same signatures.

#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
mod component;
#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
pub(crate) use component::{
    context, http_fetch, log, plan_call, plan_promise, plan_return, plan_transfer, random_fill,
    storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(all(target_arch = "wasm32", any(feature = "component", target_env = "p2")))]
pub use component::{TRANSFORM_TYPE, transform};

#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
mod module;
#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
pub use module::{alloc, transform};
#[cfg(all(target_arch = "wasm32", not(any(feature = "component", target_env = "p2"))))]
pub(crate) use module::{
    context, http_fetch, log, plan_call, plan_promise, plan_return, plan_transfer, random_fill,
    storage_contains, storage_read, storage_remove, storage_write,
};

#[cfg(not(target_arch = "wasm32"))]
mod stand_in;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use stand_in::{
    context, http_fetch, log, logs, plan, plan_call, plan_promise, plan_return, plan_transfer,
    random_fill, requests, reset, respond, returned, set_context, storage_contains, storage_read,
    storage_remove, storage_write,
};
