//! Speaks to the chain. This is the only crate of the user's command that knows JSON-RPC.
//!
//! * [`Node`] asks a node for blocks and views. Answers are bounded in size, and a question that
//!   fails for a passing reason is asked again.
//! * [`Contract`] gives the OutLayer contract's views typed results.
//! * [`SigningAccount`] signs and sends calls. [`KeyFile`] reads a key of it, [`KeyFiles`] several,
//!   and [`KeyWatch`] notices that they have been changed.
//! * [`NamespaceReader`] reads an account's storage in the contract as it stood after one block.
//! * [`trace`] reads what a transaction did, receipt by receipt.
//!
//! A node is not trusted. Every answer has a size limit, and is parsed into a type or rejected.
//! This crate cannot execute a guest.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access_key;
mod account;
mod contract;
mod error;
mod key_file;
mod keys;
mod namespace;
mod node;
mod outcome;
mod retry;
mod status;
mod text;
pub mod trace;
mod transport;

#[cfg(test)]
mod never_twice;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use account::{SendError, SigningAccount};
pub use contract::{Contract, PendingIndex};
pub use error::{ChainError, TransportError};
pub use key_file::{KeyFile, KeyFileError};
pub use keys::{KeyFiles, KeyWatch, Keys, KeysError};
pub use namespace::{NamespaceReader, ReadError};
pub use near_crypto::{PublicKey, SecretKey};
pub use node::{At, Block, BlockId, Node, NodeConfig};
pub use outcome::CallOutcome;
pub use retry::Backoff;
pub use status::{AccessKeyView, AccountBalance, NodeStatus, Permission};
pub use text::with_causes;

/// The hash of a block or a transaction; base58 as text.
pub use near_primitives::hash::CryptoHash;
