//! Why there is no verdict.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{fetch::FetchError, snapshot::SnapshotError};

/// The host could not come to a verdict. Nothing is known about the guest: nothing may be
/// submitted, and another attempt, or another host, may succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The host's own deadline passed. It is a safety net far beyond what the meter allows, and
    /// never decides a bill or an outcome.
    #[error("no verdict within this host's deadline of {0:?}")]
    Deadline(Duration),
    /// The host's native stack ended before the guest's deterministic bound was reached.
    #[error("the guest needed more native stack than this host gives it")]
    NativeStack,
    /// The host could not provide memory that the request's limits allow.
    #[error("this host has no memory left for the guest: {0}")]
    HostMemory(#[source] Cause),
    /// A storage value could not be read.
    #[error("the storage snapshot failed: {0}")]
    Snapshot(#[from] SnapshotError),
    /// Nothing can be said about an HTTP exchange: this host has no network, or a transcript that
    /// is replayed is not that of this execution.
    #[error("an HTTP exchange has no answer: {0}")]
    Fetch(#[from] FetchError),
    /// The job is not one that the contract accepts; the text says what is wrong with it.
    #[error("the job is not one that an accepted request gives: {0}")]
    Job(&'static str),
    /// The process in which the guest ran ended, or broke its word. It was not this one.
    #[error("the process of the guest failed: {0}")]
    Process(String),
    /// The engine failed in a way that says nothing about the guest.
    #[error("the engine failed: {0}")]
    Engine(#[source] Cause),
}

impl Fault {
    /// A failure of the engine.
    pub fn engine(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Engine(Cause::new(error))
    }

    /// The host had no memory, as `error` tells.
    pub fn host_memory(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::HostMemory(Cause::new(error))
    }
}

/// An error of the host's machinery, kept whole so that it can be downcast. It displays as its own
/// text followed by those of its sources.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps `error`, which may be a plain text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }

    /// The error that is kept.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Two causes are equal when they say the same.
impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no module")]
    struct Outer(#[source] SnapshotError);

    #[test]
    fn a_cause_keeps_its_error_and_displays_its_sources() {
        let cause = Cause::new(Outer(SnapshotError("the node is away".to_owned())));
        assert_eq!(cause.to_string(), "no module: the node is away");
        assert!(cause.error().is::<Outer>());
        assert_eq!(Fault::engine("no slot").to_string(), "the engine failed: no slot");
    }
}
