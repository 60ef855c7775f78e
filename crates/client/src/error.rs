//! What can go wrong between this machine and a node.

use std::{str::FromStr, sync::Arc};

use near_primitives::hash::CryptoHash;
use reqwest::{StatusCode, Url};

use crate::text::{clip, with_causes};

/// A question to the chain that has no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// The configured URL of the node cannot be parsed. The message does not show it, because API
    /// keys are often part of it.
    #[error("the node URL is invalid, expected http:// or https:// and a host: {source}")]
    NodeUrl {
        /// What the parser says.
        source: <Url as FromStr>::Err,
    },
    /// The node was not reached, or answered with something other than HTTP 200.
    #[error("{method}: the node at {url} cannot be used: {source}")]
    Transport {
        /// The JSON-RPC method.
        method: String,
        /// The node's URL without credentials, path or query.
        url: String,
        /// What happened.
        source: TransportError,
    },
    /// The node says that it cannot answer now.
    #[error("{method}: the node is not ready: {reason}")]
    Busy {
        /// The JSON-RPC method.
        method: String,
        /// The node's message.
        reason: String,
    },
    /// The answer is larger than [`NodeConfig::max_answer_bytes`](crate::NodeConfig).
    #[error("{method}: the answer has more than the {limit} bytes that are accepted")]
    TooLarge {
        /// The JSON-RPC method.
        method: String,
        /// The most that is accepted, bytes.
        limit: usize,
    },
    /// The answer cannot be parsed as a result of the method.
    #[error("{method}: the answer is not understood: {reason}")]
    Malformed {
        /// The JSON-RPC method, or `contract.method` for a view's result.
        method: String,
        /// What was expected, and the start of what was found.
        reason: String,
    },
    /// The node refused the question.
    #[error("{method}: {reason}")]
    Refused {
        /// The JSON-RPC method.
        method: String,
        /// The node's message.
        reason: String,
    },
    /// The node does not know the block, or has deleted it already.
    #[error("the node does not have block {block}; an archival node keeps old ones ({reason})")]
    UnknownBlock {
        /// The block, as [`At`](crate::At) shows it.
        block: String,
        /// The node's message.
        reason: String,
    },
    /// The node does not know the transaction.
    #[error("the node does not know transaction {hash}; an archival node keeps old ones")]
    UnknownTransaction {
        /// The transaction's hash.
        hash: CryptoHash,
    },
    /// A view method of the contract failed, or does not exist.
    #[error("{contract}.{method}: {reason}")]
    View {
        /// The contract's account.
        contract: String,
        /// The name of the view method.
        method: String,
        /// The contract's panic message, or the node's.
        reason: String,
    },
}

/// Why a node cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// There is no connection, it broke, or the answer did not arrive in time.
    #[error("{}", clip(&with_causes(.0)))]
    Http(#[source] Arc<reqwest::Error>),
    /// The answer has an HTTP status other than 200.
    #[error("HTTP status {0}")]
    Status(StatusCode),
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may contain an API key.
        Self::Http(Arc::new(error.without_url()))
    }
}

impl ChainError {
    /// Whether the same question may be answered a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Busy { .. })
    }
}
