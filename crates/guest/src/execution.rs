//! What comes of an execution.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_protocol::{
    Bytes, Compute, ExecutionResponse, Hash32, JournalEntry, Plan, ReadEntry, RequestId, Status,
    http::Transcript,
};

use crate::{backtrace::Backtrace, job::Job};

/// A verdict, and everything that belongs to it. Its encoding, which programs of former releases
/// read, leaves plan, transcript and backtrace out.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Execution {
    /// How the execution ended.
    pub status: Status,
    /// What the guest wrote to its standard output, or what a `near` guest's method returned. Empty
    /// unless the guest completed.
    pub output: Vec<u8>,
    /// The fuel or gas that it used, at most the request's limit.
    pub used: Compute,
    /// What it read from storage, by ascending key, however it ended.
    pub reads: Vec<ReadEntry>,
    /// What it wants to write, by ascending key. Empty unless the guest completed.
    pub journal: Vec<JournalEntry>,
    /// What it would have its caller do. Nothing unless the guest completed.
    #[borsh(skip)]
    pub plan: Plan,
    /// Its HTTP exchanges, however it ended.
    #[borsh(skip)]
    pub transcript: Transcript,
    /// What it wrote to its standard error and to its log, however it ended. Not necessarily UTF-8.
    pub logs: Vec<u8>,
    /// Where the guest was when it trapped or its stack ended, as far as the engine knows. It is
    /// for the operator's log, and belongs to no response.
    #[borsh(skip)]
    pub backtrace: Backtrace,
}

impl Execution {
    /// The execution of code that was never run: nothing was used.
    pub fn without_running(job: &Job<'_>, status: Status) -> Self {
        Self {
            status,
            output: Vec::new(),
            used: Compute::new(job.limits.compute.meter(), 0),
            reads: Vec::new(),
            journal: Vec::new(),
            plan: Plan::default(),
            transcript: Transcript::default(),
            logs: Vec::new(),
            backtrace: Backtrace::default(),
        }
    }

    /// The body that answers `request_id`. It carries the hash of the logs, not the logs
    /// themselves.
    pub fn into_response(self, request_id: RequestId) -> ExecutionResponse {
        let log_hash = self.log_hash();
        let Self { status, output, used, reads, journal, plan, transcript, logs: _, backtrace: _ } =
            self;
        ExecutionResponse {
            request_id,
            status,
            output: Bytes(output),
            used,
            reads,
            journal,
            log_hash,
            plan: plan.encode(),
            transcript: transcript.encode(),
        }
    }

    /// SHA-256 of the logs.
    pub fn log_hash(&self) -> Hash32 {
        Hash32::of(&self.logs)
    }
}
