//! What the integration tests and the demo share: a node, the deployed contracts, a worker.
//!
//! The node is the binary that `NEAR_SANDBOX_BIN_PATH` names, by default the workspace's own
//! localnet. Nothing here depends on which one answers.

#![deny(missing_docs)]

pub mod artifacts;
pub mod faults;
pub mod guests;
pub mod node;
pub mod pace;
pub mod testbed;

pub use testbed::Testbed;
