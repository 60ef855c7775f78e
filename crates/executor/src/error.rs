//! Why there is no executor, and why a guest is not run.

use std::error::Error;

use outlayer_guest::{Cause, Fault};
use outlayer_protocol::Status;

/// The executor cannot be set up on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine cannot be set up: {0}")]
pub struct EngineError(#[source] Cause);

impl EngineError {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Cause::new(error))
    }
}

/// Why a guest is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The verdict on it: every engine of this version rejects the bytes in the same words.
    Verdict(Status),
    /// The host could not prepare it, so there is no verdict.
    Fault(Fault),
}

impl Rejection {
    /// The verdict, or the fault as an error.
    pub(crate) fn into_verdict(self) -> Result<Status, Fault> {
        match self {
            Self::Verdict(status) => Ok(status),
            Self::Fault(fault) => Err(fault),
        }
    }
}

impl From<Status> for Rejection {
    fn from(status: Status) -> Self {
        Self::Verdict(status)
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
