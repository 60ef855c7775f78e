//! What runs guests.

use std::time::Duration;

use crate::{execution::Execution, fault::Fault, job::Job, snapshot::Snapshot};

/// The deterministic engine that [`ENGINE_VERSION`](crate::ENGINE_VERSION) names, in this process
/// or in another.
pub trait Engine: Send + Sync {
    /// Executes a job over a snapshot. Blocks until the guest has ended.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict.
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault>;

    /// The same, for a caller that has no use for the execution after `time`. An engine that can
    /// end an execution does so then; another one ends when the guest does.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict; [`Fault::Deadline`] when the time was over.
    fn execute_within(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        time: Duration,
    ) -> Result<Execution, Fault> {
        let _ = time;
        self.execute(job, snapshot)
    }
}
