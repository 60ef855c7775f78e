//! OutLayer's worker: it discovers requests, executes them, and submits the answers.
//!
//! The chain is the queue. A [`Worker`] keeps nothing that it cannot rebuild from the contract's
//! views. So it may be stopped at any point and started again, and any number of workers may serve
//! one contract.
//!
//! This crate is a library. The daemon is the command `outlayer worker run`.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod serve;

pub use serve::{
    BlockSource, ExecutionError, InvalidReplica, NextBlock, Observer, Places, Pulse, Replica,
    SecretsConfig, Stage, Summary, Worker, WorkerConfig, WorkerError,
};
