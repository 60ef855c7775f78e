//! Why a request cannot be replayed.

use outlayer_client::{ChainError, CryptoHash};
use outlayer_modules::CodeError;
use outlayer_protocol::{AccountId, RequestId};
use tokio::task::JoinError;

use crate::verify::VerifyError;

/// Evidence that cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The chain cannot be asked, or the node does not have the transaction or the block.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction did not make the request.
    #[error(
        "transaction {transaction} made no such request of {contract}; its requests: {found:?}"
    )]
    NoRequest {
        /// The transaction's hash.
        transaction: CryptoHash,
        /// The contract that was named.
        contract: AccountId,
        /// The requests that the transaction did make of this contract.
        found: Vec<RequestId>,
    },
    /// The transaction made several requests, and the question names none of them.
    #[error("the transaction made the requests {found:?}; name one of them")]
    Several {
        /// The requests that the transaction made.
        found: Vec<RequestId>,
    },
}

/// A replay that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The evidence cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The code cannot be had.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The evidence cannot be judged.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The engine panicked, which is a defect of this program.
    #[error("the engine panicked: {0}")]
    Panic(#[from] JoinError),
}
