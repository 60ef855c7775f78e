//! Links the functions that OutLayer gives a guest in addition to WASI: for modules as the import
//! module `outlayer`, for components as the package `outlayer:host`.

pub(crate) mod component;
pub(crate) mod http;
pub(crate) mod module;
