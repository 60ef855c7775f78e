//! What runs guests, and which of several engines a request needs.

use std::{fmt, sync::Arc};

use outlayer_protocol::machine::LiveRequest;

use crate::{execution::Execution, fault::Fault, job::Job, snapshot::Snapshot, version::EngineId};

/// A deterministic engine, in this process or in another. An [`EngineId`] names what it yields.
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

/// The engines that a program has. A request is executed by the one that it pins, and by no other.
#[derive(Clone)]
pub struct Engines(Vec<(EngineId, Arc<dyn Engine>)>);

/// A request pins an engine that this program does not have. Another program may execute it, this
/// one must not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request needs {needed}; this program has {}", listed(served))]
pub struct UnsupportedEngine {
    /// The engine that the request pins.
    pub needed: EngineId,
    /// The engines that the program has.
    pub served: Vec<EngineId>,
}

fn listed(engines: &[EngineId]) -> String {
    engines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Engines {
    /// The engine of this build, [`EngineId::OWN`].
    pub fn own(engine: Arc<dyn Engine>) -> Self {
        Self(vec![(EngineId::OWN, engine)])
    }

    /// These engines and another one. It takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, id: EngineId, engine: Arc<dyn Engine>) -> Self {
        self.0.retain(|(known, _)| *known != id);
        self.0.push((id, engine));
        self
    }

    /// The names of all engines.
    pub fn ids(&self) -> Vec<EngineId> {
        self.0.iter().map(|(id, _)| *id).collect()
    }

    /// The engine that `request` pins.
    ///
    /// # Errors
    /// [`UnsupportedEngine`] when it is none of these.
    pub fn of(&self, request: &LiveRequest) -> Result<&Arc<dyn Engine>, UnsupportedEngine> {
        let needed = EngineId::from(request);
        let found = self.0.iter().find(|(id, _)| *id == needed).map(|(_, engine)| engine);
        found.ok_or_else(|| UnsupportedEngine { needed, served: self.ids() })
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engines").field(&self.ids()).finish()
    }
}
