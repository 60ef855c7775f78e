//! Why a worker does not start, and why an attempt gives no answer.

use std::{io, path::PathBuf};

use outlayer_client::{ChainError, SendError};
use outlayer_fetch::WebError;
use outlayer_guest::{Fault, UnsupportedEngine};
use outlayer_modules::CodeError;
use outlayer_protocol::{Hash32, views::ViewError};
use tokio::task::JoinError;

use super::secrets::SecretsError;

/// A worker that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The node's URL is invalid.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The folder for the worker's notes cannot be used.
    #[error("the folder {} cannot be used for the worker's notes: {source}", folder.display())]
    State {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The folder or the HTTP client of the code store cannot be made.
    #[error("the code store cannot be opened: {0}")]
    Code(#[from] io::Error),
    /// Guests cannot reach the network as they should.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// An execution without a verdict. It says something about this machine or its node, and nothing
/// about the guest.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The request pins an engine that the worker does not have.
    #[error(transparent)]
    Engine(#[from] UnsupportedEngine),
    /// The node's view of the request contradicts itself.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The engine came to no verdict.
    #[error("no verdict: {0}")]
    Fault(#[from] Fault),
    /// The engine panicked, which is a defect of this program.
    #[error("no verdict: the engine panicked: {0}")]
    Panic(#[from] JoinError),
}

/// Why an attempt gave no answer. The request is looked at again while it lives.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the answer cannot be encoded: {0}")]
    Encode(#[from] io::Error),
    #[error("the contract refuses the answer: {reason}")]
    Refused { reason: String },
    #[error(
        "the account's commitment is {found}, this worker's execution gives {expected}: another \
         worker uses the account, or its key has changed since"
    )]
    OtherCommitment { found: Hash32, expected: Hash32 },
    #[error("the request is still {phase} after {blocks} blocks")]
    Unsettled { phase: &'static str, blocks: u32 },
}
