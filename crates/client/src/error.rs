//! What can go wrong between this machine and a node.

use std::{sync::Arc, time::Duration};

use near_primitives::hash::CryptoHash;
use reqwest::StatusCode;

use crate::{
    EndpointUrl, Network,
    text::{clip, with_causes},
    url::InvalidUrl,
};

/// A question to the chain that has no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// The configured URL of the node cannot be parsed. The message does not show it, because API
    /// keys are often part of it.
    #[error("the node URL is invalid, expected http:// or https:// and a host: {source}")]
    NodeUrl {
        /// What the parser says.
        source: InvalidUrl,
    },
    /// The endpoints in the configuration do not go together.
    #[error("the configuration of the nodes is invalid: {reason}")]
    Config {
        /// What was found, and what was expected.
        reason: String,
    },
    /// The endpoint serves another network.
    #[error("{url} serves {found}, expected {expected}")]
    WrongNetwork {
        /// The endpoint.
        url: EndpointUrl,
        /// The network that it serves.
        found: Network,
        /// The network of the configuration, or of the other endpoints.
        expected: String,
    },
    /// Two endpoints answer the same question about the same block differently. At least one of
    /// them is wrong.
    #[error(
        "{question}: {first} and {second} disagree: the first says {first_says}, the second \
         {second_says}"
    )]
    Disagreement {
        /// The question, with its block.
        question: String,
        /// An endpoint.
        first: EndpointUrl,
        /// Its answer, or the hash of it.
        first_says: String,
        /// Another endpoint.
        second: EndpointUrl,
        /// Its answer, or the hash of it.
        second_says: String,
    },
    /// Two endpoints must agree, and fewer can be used.
    #[error("{question}: two endpoints must agree, and {usable} can be used: {reason}")]
    NoQuorum {
        /// The question, with its block.
        question: String,
        /// How many have answered.
        usable: usize,
        /// Why the others have not.
        reason: String,
    },
    /// The node was not reached, or answered with something other than HTTP 200.
    #[error("{method}: the node at {url} cannot be used: {source}")]
    Transport {
        /// The JSON-RPC method.
        method: String,
        /// The endpoint.
        url: EndpointUrl,
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
    /// There were more calls than the endpoint takes from this client.
    #[error("it limits the rate of calls{}", again(*retry_after))]
    RateLimited {
        /// For how long it wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// The answer is no JSON-RPC response to the question.
    #[error("expected a JSON-RPC response to the question, but {0}")]
    NoRpc(String),
}

fn again(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(", for another {wait:?}"))
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
        matches!(self, Self::Transport { .. } | Self::Busy { .. } | Self::NoQuorum { .. })
    }

    /// Whether it is certain that the endpoint has not taken up the call. After any other error a
    /// transaction may have reached the chain.
    pub(crate) fn is_before_the_call(&self) -> bool {
        match self {
            Self::Transport { source: TransportError::Http(error), .. } => error.is_connect(),
            _ => self.says_nothing(),
        }
    }

    /// Whether the endpoint would say the same whatever it knows, so that nothing follows from it
    /// about what was asked.
    pub(crate) fn says_nothing(&self) -> bool {
        matches!(
            self,
            Self::NodeUrl { .. }
                | Self::Config { .. }
                | Self::WrongNetwork { .. }
                | Self::Refused { .. }
        )
    }

    /// Of this error and one of another endpoint, the one that says more about what was asked.
    pub(crate) fn or_better(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if self.says_nothing() && !other.says_nothing() => other,
            _ => self,
        }
    }

    /// For how long the endpoint wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Transport { source: TransportError::RateLimited { retry_after }, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}
