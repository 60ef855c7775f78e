//! What an execution gives.

use outlayer_protocol::{
    Bytes, Compute, ExecutionResponse, Hash32, JournalEntry, ReadEntry, RequestId, Status,
};

use crate::Job;

/// A verdict, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How the execution ended.
    pub status: Status,
    /// What the guest wrote to its standard output, or what a `near` guest's method returned; empty unless it completed.
    pub output: Vec<u8>,
    /// What it used, at most the request's limit.
    pub used: Compute,
    /// What it read from storage, by ascending key, however it ended.
    pub reads: Vec<ReadEntry>,
    /// What it wants to write, by ascending key; empty unless it completed.
    pub journal: Vec<JournalEntry>,
    /// What it wrote to its standard error and to its log, however it ended. Bytes, not text.
    pub logs: Vec<u8>,
}

impl Execution {
    /// The execution of code that was never run: nothing was used.
    pub(crate) fn without_running(job: &Job<'_>, status: Status) -> Self {
        Self {
            status,
            output: Vec::new(),
            used: Compute::new(job.limits.compute.meter(), 0),
            reads: Vec::new(),
            journal: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// The body that answers `request_id`. The logs stay here; the body carries their hash.
    pub fn into_response(self, request_id: RequestId) -> ExecutionResponse {
        let log_hash = self.log_hash();
        let Self { status, output, used, reads, journal, logs: _ } = self;
        ExecutionResponse {
            request_id,
            status,
            output: Bytes(output),
            used,
            reads,
            journal,
            log_hash,
        }
    }

    /// SHA-256 of the logs.
    pub fn log_hash(&self) -> Hash32 {
        Hash32::of(&self.logs)
    }
}
