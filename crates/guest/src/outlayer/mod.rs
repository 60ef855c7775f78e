//! The functions that OutLayer gives a guest in addition to WASI: storage, HTTP, plan, context,
//! log, randomness.
//!
//! [`module`] is the import module of core modules, which pass pointers and lengths. [`component`]
//! is the package `outlayer:host` of components, which pass values. Both do the same.

pub mod component;
pub mod http;
pub mod module;
mod plan;
mod storage;
