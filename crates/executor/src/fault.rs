//! Why there is no executor, or no verdict.

use std::time::Duration;

use crate::SnapshotError;

/// The executor cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the engine cannot be set up: {0}")]
pub struct EngineError(pub(crate) String);

/// The host could not come to a verdict. Nothing is known about the guest: nothing may be submitted,
/// and another attempt, or another host, may succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The host's own deadline passed. It is a safety net far beyond what the meter allows, never a bill or an outcome.
    #[error("no verdict within this host's deadline of {0:?}")]
    Deadline(Duration),
    /// The host's native stack ended before the guest's deterministic bound was reached.
    #[error("the guest needed more native stack than this host gives it")]
    NativeStack,
    /// The host could not give memory that the request's limits allow.
    #[error("this host has no memory left for the guest: {0}")]
    HostMemory(String),
    /// A storage value could not be had.
    #[error("the storage snapshot failed: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The job is none that the contract accepts.
    #[error("the job is not one that an accepted request gives: {0}")]
    Job(&'static str),
    /// The engine failed in a way that says nothing about the guest.
    #[error("the engine failed: {0}")]
    Engine(String),
}
