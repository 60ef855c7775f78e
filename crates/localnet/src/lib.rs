//! An embedded NEAR node for tests, over the published nearcore crates.
//!
//! [`spawn()`] starts a node within the process, and its [`Handle`] controls and ends it. The
//! `localnet` binary is a drop-in for `near-sandbox`.
//!
//! From the bottom up: [`state`] is a trie of keys and values; [`runtime`] executes transactions
//! and receipts on it; [`chain`] turns that into blocks; [`store`] keeps a chain in a directory;
//! [`node`] runs a chain; [`rpc`] serves a node to clients. [`home`] has the files that a chain is
//! started from.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chain;
pub mod cli;
pub mod config;
pub mod handle;
pub mod home;
mod import;
pub mod node;
mod remote;
pub mod rpc;
pub mod runtime;
pub mod settings;
pub mod spawn;
pub mod state;
pub mod store;

pub use config::Config;
pub use handle::Handle;
pub use spawn::{SpawnError, spawn};
