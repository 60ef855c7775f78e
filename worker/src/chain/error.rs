//! What can go wrong between the worker and a node.

use near_primitives::hash::CryptoHash;

/// A question to the chain that has no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The node was not reached, or answered with something other than HTTP 200.
    #[error("{method}: the node at {url} cannot be used: {reason}")]
    Transport {
        /// The JSON-RPC method.
        method: String,
        /// The node, without credentials or query.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The node says that it cannot answer now.
    #[error("{method}: the node is not ready: {reason}")]
    Busy {
        /// The JSON-RPC method.
        method: String,
        /// What it says.
        reason: String,
    },
    /// The answer is larger than is accepted.
    #[error("{method}: the answer has more than the {limit} bytes that are accepted")]
    TooLarge {
        /// The JSON-RPC method.
        method: String,
        /// Bytes accepted.
        limit: usize,
    },
    /// The answer is not what the method returns.
    #[error("{method}: the answer is not understood: {reason}")]
    Malformed {
        /// The JSON-RPC method, or the contract's.
        method: String,
        /// What was found.
        reason: String,
    },
    /// The node refused the question.
    #[error("{method}: {reason}")]
    Refused {
        /// The JSON-RPC method.
        method: String,
        /// What it says.
        reason: String,
    },
    /// The node does not know the block, or not any more.
    #[error("the node does not have block {block}; an archival node keeps old ones ({reason})")]
    UnknownBlock {
        /// The block.
        block: String,
        /// What the node says.
        reason: String,
    },
    /// The node does not know the transaction.
    #[error("the node does not know transaction {hash}; an archival node keeps old ones")]
    UnknownTransaction {
        /// The transaction.
        hash: CryptoHash,
    },
    /// A view of the contract failed.
    #[error("{contract}.{method}: {reason}")]
    View {
        /// The contract.
        contract: String,
        /// Its method.
        method: String,
        /// What it says.
        reason: String,
    },
}

impl ChainError {
    /// Whether the same question may be answered a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Busy { .. })
    }
}
