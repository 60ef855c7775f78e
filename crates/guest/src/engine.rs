//! What runs guests.

use crate::{execution::Execution, fault::Fault, job::Job, snapshot::Snapshot};

/// The deterministic engine that [`ENGINE_VERSION`](crate::ENGINE_VERSION) names, in this process
/// or in another.
pub trait Engine: Send + Sync {
    /// Executes a job over a snapshot. Blocks until the guest has ended.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict.
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault>;

    /// The same, for a caller that has no use for the execution any more once `is_over` says so. An
    /// engine that can end an execution does so soon after; another one ends when the guest does.
    ///
    /// # Errors
    /// A [`Fault`] when there is no verdict; [`Fault::Deadline`] when the execution was ended.
    fn execute_until(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Execution, Fault> {
        let _ = is_over;
        self.execute(job, snapshot)
    }
}
