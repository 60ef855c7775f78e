//! Speaks to the chain. This is the only crate of the user's command that knows JSON-RPC.
//!
//! * [`Node`] asks for blocks and views. It may have several endpoints: those that fail or lag are
//!   asked last, and two may have to agree. Answers are bounded in size and time, and a question
//!   that fails for a passing reason is asked again.
//! * [`Contract`] gives the OutLayer contract's views typed results.
//! * [`SigningAccount`] signs and sends calls. [`KeyFile`] reads a key of it, [`KeyFiles`] several,
//!   and [`KeyWatch`] notices that they have been changed. NEAR's command lines leave keys in a
//!   folder ([`credential_paths`]) or in the system's [`Keychain`].
//! * [`publish_code`] puts code into the contract, and goes on where an earlier attempt ended;
//!   [`name_code`] gives it a name.
//! * [`NamespaceReader`] reads an account's storage in the contract as it stood after one block.
//! * [`trace`] reads what a transaction did, receipt by receipt; [`RequestTrace`] reads the
//!   requests that it made, [`money()`] where their money went, and [`locate()`] finds it by a
//!   request's id.
//!
//! A node is not trusted. Every answer has a size limit, and is parsed into a type or rejected. A
//! node's URL is a secret: errors and logs show an [`EndpointUrl`], which prints its host alone.
//! This crate cannot execute a guest.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access_key;
mod account;
mod action;
mod chunks;
mod contract;
mod credentials;
mod endpoints;
mod error;
mod health;
mod key_file;
mod keys;
mod locate;
mod money;
mod namespace;
mod network;
mod node;
mod outcome;
mod publication;
mod quorum;
mod request_trace;
mod retry;
mod status;
mod text;
pub mod trace;
mod transport;
mod url;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod never_twice;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use account::{SendError, SigningAccount};
pub use action::Action;
pub use contract::{Contract, PendingIndex};
pub use credentials::{
    Keychain, KeychainError, credential_paths, credentials_folder, write_credential,
};
pub use error::{ChainError, TransportError};
pub use health::EndpointHealth;
pub use key_file::{InvalidKey, KeyFile, KeyFileError, parse_secret_key};
pub use keys::{KeyFiles, KeyWatch, Keys, KeysError};
pub use locate::{LocateError, Located, locate};
pub use money::{Money, money};
pub use namespace::{NamespaceReader, ReadError};
pub use near_crypto::{KeyType, PublicKey, SecretKey};
pub use network::Network;
pub use node::{At, Block, BlockId, Node, NodeConfig};
pub use outcome::CallOutcome;
pub use publication::{
    AccountCaller, CODE_PART_BYTES, CallError, CodeCall, ContractCaller, NamedVersion, Publication,
    PublishError, name_code, publish_code,
};
pub use request_trace::{RequestTrace, SettledTrace};
pub use retry::Backoff;
pub use status::{AccessKeyView, AccountBalance, AccountCode, NodeStatus, Permission};
pub use text::with_causes;
pub use url::{EndpointUrl, InvalidUrl};

/// The hash of a block or a transaction; base58 as text.
pub use near_primitives::hash::CryptoHash;
