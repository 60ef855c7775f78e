//! What the host keeps for one execution, whichever way the guest calls it.

mod bounds;
mod clock;
mod descriptors;
mod exchanges;
mod plan;
mod program;
mod random;
mod storage;
mod streams;

use outlayer_protocol::{Compute, ExecutionContext, Limit, Plan, Status};

pub use bounds::Bounds;
pub use clock::{CLOCK_STEP_NANOS, Clock};
pub use descriptors::{Descriptors, Stream};
pub use exchanges::Exchanges;
pub use plan::{PlannedCall, Planner};
pub use program::Program;
pub use random::RandomStream;
pub use storage::{Storage, check_key};
pub use streams::Sink;

use crate::{backtrace::Backtrace, execution::Execution, fault::Fault, job::Job, stop::Stop};

/// The host of one execution.
pub struct Host {
    /// The memory and tables that the guest has, and may have.
    pub bounds: Bounds,
    /// The virtual clock.
    pub clock: Clock,
    /// The one source of randomness.
    pub random: RandomStream,
    /// The requester's namespace as the guest sees it.
    pub storage: Storage,
    /// Its HTTP exchanges.
    pub exchanges: Exchanges,
    /// What the guest would have its caller do.
    pub plan: Planner,
    /// Arguments, environment and input.
    pub program: Program,
    /// The standard output.
    pub output: Sink,
    /// The log, which is also the standard error.
    pub logs: Sink,
    /// What the guest is told about its request.
    pub context: ExecutionContext,
    /// Borsh of the context.
    pub context_bytes: Vec<u8>,
    calls: u64,
    calls_left: u64,
}

impl Host {
    /// The host of `job`, at its beginning.
    ///
    /// # Errors
    /// [`Fault::Engine`] when the context cannot be serialised.
    pub fn new(job: &Job<'_>) -> Result<Self, Fault> {
        let limits = job.limits;
        Ok(Self {
            bounds: Bounds::new(limits),
            clock: Clock::new(job.context.block_timestamp),
            random: RandomStream::new(job.context.random_seed),
            storage: Storage::new(limits),
            exchanges: Exchanges::new(job.http),
            plan: Planner::new(limits.plan_bytes),
            program: Program::new(job),
            output: Sink::new(Limit::OutputBytes, limits.output_bytes),
            logs: Sink::new(Limit::LogBytes, limits.log_bytes),
            context: job.context.clone(),
            context_bytes: borsh::to_vec(job.context).map_err(Fault::engine)?,
            calls: limits.host_calls,
            calls_left: limits.host_calls,
        })
    }

    /// Names and values of the environment variables: those of the context, then the request's own.
    pub fn environment(&self) -> &[(String, String)] {
        self.program.environment(&self.context)
    }

    /// Counts a call of a host function.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the request allows no more of them.
    pub fn count_call(&mut self) -> Result<(), Stop> {
        match self.calls_left.checked_sub(1) {
            Some(left) => {
                self.calls_left = left;
                Ok(())
            }
            None => Err(Stop::limit(Limit::HostCalls, self.calls)),
        }
    }

    /// The execution that ended with `status` and has used this much. Output, writes and plan count
    /// only when the guest completed.
    pub fn into_execution(self, status: Status, used: Compute) -> Execution {
        let completed = status == Status::Completed;
        let (reads, journal) = self.storage.into_entries();
        Execution {
            status,
            output: if completed { self.output.into_bytes() } else { Vec::new() },
            used,
            reads,
            journal: if completed { journal } else { Vec::new() },
            plan: if completed { self.plan.into_plan() } else { Plan::default() },
            transcript: self.exchanges.into_transcript(),
            logs: self.logs.into_bytes(),
            backtrace: Backtrace::default(),
        }
    }
}
