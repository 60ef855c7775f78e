//! Runs guests on a JavaScript engine: the second of two engines on which an execution gives the
//! same status, output and fuel.
//!
//! This is the host of core WASI guests under the fuel meter, built to WebAssembly. It prepares a
//! guest's module (`outlayer_guest::prepare`), answers what the guest calls
//! (`outlayer_guest::preview1` and `outlayer_guest::outlayer`), and comes to the verdict. What it
//! does not do is to run the guest: `js/engine.mjs` gives the prepared module to the JavaScript
//! engine that runs this host too, and hands each call of the guest over. Neither can see the
//! other's memory, so the guest's memory is copied here before a call, and back after it.
//!
//! A JavaScript engine tells less than a verdict does, and lets no host forbid that a memory grows.
//! So the module tells some things by itself (`prepare::meter::instrument_telling`). Where nobody
//! can tell, because the engine's own stack or memory ends first, or because the engine refuses a
//! module, there is no verdict.
//!
//! [`Task`] is what is to be executed, and [`Answer`] what came of it; both are passed as borsh.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod call;
mod ended;
pub mod exports;
mod functions;
mod module;
mod running;
mod wire;

pub use wire::{Answer, Task};
