//! What this host is given and what it answers.

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_guest::{Execution, Job};
use outlayer_protocol::{ExecutionContext, GuestKind, Plan, ResourceLimits};

/// A [`Job`] with the storage that it reads.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct Task {
    /// The guest's bytes.
    pub code: Vec<u8>,
    /// The kind that the code must be of; `None` takes whatever it is.
    pub kind: Option<GuestKind>,
    /// The request's arguments.
    pub args: Vec<String>,
    /// The request's own environment variables.
    pub env: Vec<(String, String)>,
    /// What the guest reads from its standard input.
    pub input: Vec<u8>,
    /// What the guest may use.
    pub limits: ResourceLimits,
    /// Where and by whom the execution was requested.
    pub context: ExecutionContext,
    /// Keys and values of the namespace. What is not there is absent.
    pub storage: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Task {
    /// A job, with the keys and values that it may read.
    pub fn new(job: &Job<'_>, storage: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self {
            code: job.code.bytes().to_vec(),
            kind: job.kind,
            args: job.args.to_vec(),
            env: job.variables().cloned().collect(),
            input: job.input.to_vec(),
            limits: *job.limits,
            context: job.context.clone(),
            storage,
        }
    }
}

/// What came of a task.
#[derive(BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// A verdict, with the plan. No engine tells a backtrace here.
    Verdict(Box<Execution>, Plan),
    /// There is no verdict: this engine cannot decide. The text says why.
    CannotDecide(String),
}
