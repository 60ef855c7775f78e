//! Small programs, the kernels, to measure and test the meters with, and a node's contract runtime
//! to compare with.
//!
//! Each kernel ([`corpus`]) does one kind of work. `outlayer-calibrate` measures how gas and fuel
//! relate on them; the executor's tests and benches run them too. [`node`] runs the same bytes
//! through near-vm-runner, as a NEAR node would. [`composition`] has guests of several components,
//! which a node does not run, and [`worst`] those that take long for their fuel. Nothing here
//! depends on the executor.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod composition;
mod corpus;
pub mod node;
pub mod worst;

pub use corpus::{Kernel, KernelError, corpus};
