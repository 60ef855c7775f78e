//! What the integration tests and the demo stand on: a node, the deployed contracts, a worker.
//!
//! The node is whatever `NEAR_SANDBOX_BIN_PATH` names, by default the workspace's own localnet; nothing here
//! knows which one answers.

#![deny(missing_docs)]

pub mod artifacts;
pub mod guests;
pub mod node;
pub mod testbed;

pub use testbed::Testbed;
