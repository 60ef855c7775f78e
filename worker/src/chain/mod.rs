//! The chain as the worker sees it: the only module that knows JSON-RPC.
//!
//! [`Node`] asks a node (bounded answers, retries with backoff), [`Contract`] types the OutLayer contract's
//! views, [`Account`] signs and sends calls, [`trace`] reads what a transaction did. A node is not
//! trusted: every answer has a size limit and is parsed into a type or refused.

mod account;
mod contract;
mod error;
mod node;
mod retry;
pub mod trace;
mod transport;

#[cfg(test)]
mod tests;

pub use account::{Account, CallOutcome, SendError};
pub use contract::Contract;
pub use error::ChainError;
pub use near_crypto::SecretKey;
pub use node::{At, Block, Node, NodeConfig};
pub use retry::Backoff;
pub(crate) use transport::chain_of;

/// A block's or a transaction's hash, base58 in text.
pub use near_primitives::hash::CryptoHash;
