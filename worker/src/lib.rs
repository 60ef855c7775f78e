//! OutLayer's worker: discovers requests, executes them, submits the answers.
//!
//! The chain is the queue. A [`Worker`] keeps nothing that it cannot rebuild from the contract's views, so it may be
//! stopped at any point and started again, beside any number of others.
//!
//! * [`chain`]: the node and the contract; the only module that knows JSON-RPC;
//! * [`code`]: a guest's bytes, verified by hash;
//! * [`engine`]: execution on a bounded pool, over a snapshot at one block;
//! * [`serve`]: the worker itself;
//! * [`replay`]: a settled request, executed again from chain data alone;
//! * [`cli`]: the daemon's command line.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chain;
pub mod cli;
pub mod code;
pub mod engine;
pub mod replay;
pub mod serve;

#[cfg(test)]
mod testing;

pub use chain::SecretKey;
pub use serve::{Observer, Stage, Summary, Worker, WorkerConfig, WorkerError};
