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
}
