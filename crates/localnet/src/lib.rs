//! An embedded NEAR node for tests, over the published nearcore crates.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chain;
pub mod cli;
pub mod home;
pub mod node;
pub mod rpc;
pub mod runtime;
pub mod spawn;
pub mod state;
pub mod store;

pub use spawn::{Config, Handle, SpawnError, spawn};
