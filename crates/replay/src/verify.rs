//! Verifies evidence: executes the guest again, and compares.

use std::sync::Arc;

use outlayer_guest::{Code, Connected, Engine, Engines, Fault, Job, Snapshot};
use outlayer_protocol::{
    AccountId, ExecutionRecord, Hash32,
    events::{ExecutionCompleted, ExecutionRequested},
    http::Transcript,
    views::{RequestView, ViewError},
};

use crate::verdict::{Difference, Replay, Verdict, compare};

/// What the chain shows of a request that was settled with an execution. The code and the storage
/// are the rest of the evidence; [`verify`] takes them apart from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The contract that settled the request. Both events are from receipts on this account.
    pub contract_id: AccountId,
    /// The event with which the contract accepted the request.
    pub requested: ExecutionRequested,
    /// The event with which the contract settled it.
    pub completed: ExecutionCompleted,
    /// The contract's view of the request while it was still live.
    pub view: RequestView,
    /// What the guest exchanged over HTTP, as the workers attest it.
    pub transcript: Transcript,
    /// The height of the block after which the view stood, and the storage.
    pub snapshot_height: u64,
}

/// Evidence that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The view of the request contradicts itself.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The code is not the one that the request names.
    #[error("the code has the SHA-256 {found}, the request names {expected}")]
    Code {
        /// The hash of the bytes that were given.
        found: Hash32,
        /// The hash that the request names.
        expected: Hash32,
    },
    /// The execution ended without a verdict. This says something about this machine or about the
    /// storage that it was given, and nothing about the guest.
    #[error("no verdict: {0}")]
    Fault(#[from] Fault),
}

impl Evidence {
    /// What can be said without executing the guest, for whoever has these engines: `None` when it
    /// must be executed.
    pub fn verdict_without_execution(&self, engines: &Engines) -> Option<Replay> {
        self.judged_or_executed_by(engines).err().map(|verdict| self.replay(verdict))
    }

    /// The engine that must execute the guest, or the verdict that needs no execution.
    fn judged_or_executed_by<'a>(
        &self,
        engines: &'a Engines,
    ) -> Result<&'a Arc<dyn Engine>, Verdict> {
        let request = &self.view.request;
        if !self.requested.is_of(request) {
            let reason = "the contract's view of the request is not what its event says".to_owned();
            return Err(Verdict::Inconclusive { reason });
        }
        engines.of(request).map_err(|unsupported| Verdict::NeedsEngine {
            engine_version: unsupported.needed.version,
            near_config_version: unsupported.needed.near_config_version,
        })
    }

    fn replay(&self, verdict: Verdict) -> Replay {
        Replay {
            completed: Some(self.completed.clone()),
            snapshot_height: Some(self.snapshot_height),
            ..Replay::without_execution(self.requested.request_id, verdict)
        }
    }
}

/// Executes the request of `evidence` with `code`, over the requester's namespace as `storage`
/// gives it, in the engine that it pins, and compares the record's digest with the settled one.
/// This blocks until the guest has ended.
///
/// # Errors
/// [`VerifyError`] when there is nothing to compare.
pub fn verify(
    evidence: &Evidence,
    code: &[u8],
    storage: &mut dyn Snapshot,
    engines: &Engines,
) -> Result<Replay, VerifyError> {
    let view = &evidence.view;
    let engine = match evidence.judged_or_executed_by(engines) {
        Ok(engine) => engine,
        Err(verdict) => return Ok(evidence.replay(verdict)),
    };
    view.check(&evidence.contract_id)?;
    let (code, expected) = (Code::of(code), view.request.code.hash);
    let found = code.hash();
    if found != expected {
        return Err(VerifyError::Code { found, expected });
    }
    let job = Job::of_live(code, &view.request, &view.input);
    let (snapshot, network) = (|key: &[u8]| storage.read(key), evidence.transcript.clone());
    let mut outside = Connected { snapshot, network };
    let execution = match engine.execute(&job, &mut outside) {
        Err(Fault::Fetch(error)) if error.is_mismatch() => {
            let (settled, replayed) =
                (Hash32::of(&evidence.transcript.encode()).to_string(), error.to_string());
            let differs = vec![Difference { part: "transcript", settled, replayed }];
            return Ok(evidence.replay(Verdict::Mismatch { differs }));
        }
        executed => executed?,
    };
    let response = execution.into_response(view.request.id());
    let record = ExecutionRecord::new(&view.request, &response);
    let digest = record.digest();
    Ok(Replay {
        digest: Some(digest),
        record: Some(Box::new(record)),
        ..evidence.replay(compare(&evidence.completed, &digest, &response))
    })
}

#[cfg(test)]
mod tests;
