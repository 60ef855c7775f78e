//! Why the test kit cannot do what it was asked to do.

use std::{path::PathBuf, time::Duration};

use near_workspaces::AccountId;
use outlayer_protocol::Hash32;
use outlayer_wasm_build::BuildError;

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the test kit cannot do what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command `outlayer` is not at hand, or not the right one.
    #[error("the command `outlayer`: {0}")]
    Program(String),
    /// A process does not start, or has ended.
    #[error("{name}: {reason}{log}")]
    Process {
        /// Which process.
        name: String,
        /// What happened to it.
        reason: String,
        /// The last lines that it wrote to standard error, after a line end; empty when there are
        /// none.
        log: String,
    },
    /// The node cannot be asked, or does not do what it is asked.
    #[error("{what}: {}", causes(.source))]
    Node {
        /// What was asked of the node.
        what: String,
        /// What near-workspaces says.
        source: Box<near_workspaces::error::Error>,
    },
    /// A transaction failed, or a contract refused the call.
    #[error("{what} failed: {reason}")]
    Call {
        /// The method that was called.
        what: String,
        /// The failure, as the node says it.
        reason: String,
    },
    /// What a contract returned is not what was expected of it.
    #[error("{what}: {reason}")]
    Answer {
        /// Which answer.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("after {after:?} {what}")]
    Patience {
        /// What did not happen.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The workers of this test have ended, so that nobody can answer.
    #[error("the worker {account} has ended: {reason}{log}")]
    Worker {
        /// The worker's account.
        account: AccountId,
        /// How its process ended.
        reason: String,
        /// The last lines of its log, after a line end.
        log: String,
    },
    /// The contract's Wasm in this package is not the one that its hash was taken of.
    #[error("the contract's Wasm has the SHA-256 {found}, expected {expected}")]
    ContractHash {
        /// The hash of the bytes.
        found: Hash32,
        /// The hash that stands beside them.
        expected: String,
    },
    /// A contract or guest could not be built.
    #[error("building {}: {reason}", .package.display())]
    Build {
        /// The folder of the package.
        package: PathBuf,
        /// What is wrong.
        reason: Box<BuildError>,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn call(what: &str, reason: impl ToString) -> Self {
        Self::Call { what: what.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn answer(what: &str, reason: impl ToString) -> Self {
        Self::Answer { what: what.to_owned(), reason: reason.to_string() }
    }
}

/// An error of near-workspaces with its causes, because its own text often is only the first.
fn causes(error: &near_workspaces::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Says what was asked of the node when it did not do it.
pub(crate) trait Asked<T> {
    fn asked(self, what: &str) -> Result<T>;
}

impl<T> Asked<T> for std::result::Result<T, near_workspaces::error::Error> {
    fn asked(self, what: &str) -> Result<T> {
        self.map_err(|source| Error::Node { what: what.to_owned(), source: Box::new(source) })
    }
}
