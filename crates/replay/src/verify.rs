//! Verifies evidence: executes the guest again, and compares.

use std::sync::Arc;

use outlayer_guest::{Code, Connected, Engine, Engines, Fault, Job, Replayed, Secrets, Snapshot};
use outlayer_protocol::{
    AccountId, ExecutionRecord, Hash32,
    events::{ExecutionCompleted, ExecutionRequested},
    http::Transcript,
    views::{RequestView, ViewError},
};

use crate::{
    secrets::{OpeningError, Openings},
    verdict::{Difference, Replay, Verdict, compare},
};

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
    /// An opening of a secret is not what the request pins.
    #[error(transparent)]
    Opening(OpeningError),
    /// The execution ended without a verdict. This says something about this machine or about the
    /// storage that it was given, and nothing about the guest.
    #[error("no verdict: {0}")]
    Fault(#[from] Fault),
}

impl Evidence {
    /// What can be said without executing the guest, for whoever has these engines and openings:
    /// `None` when it must be executed.
    ///
    /// # Errors
    /// [`VerifyError::Opening`].
    pub fn verdict_without_execution(
        &self,
        engines: &Engines,
        openings: &Openings,
    ) -> Result<Option<Replay>, VerifyError> {
        Ok(match self.next(engines, openings)? {
            Next::Execute(..) => None,
            Next::Judged(verdict) => Some(self.replay(verdict)),
        })
    }

    fn next<'a>(&self, engines: &'a Engines, openings: &Openings) -> Result<Next<'a>, VerifyError> {
        let request = &self.view.request;
        if !self.requested.is_of(request) {
            let reason = "the contract's view of the request is not what its event says".to_owned();
            return Ok(Next::Judged(Verdict::Inconclusive { reason }));
        }
        let engine = match engines.of(request) {
            Ok(engine) => engine,
            Err(unsupported) => {
                return Ok(Next::Judged(Verdict::NeedsEngine {
                    engine_version: unsupported.needed.version,
                    near_config_version: unsupported.needed.near_config_version,
                }));
            }
        };
        match openings.of(request) {
            Ok(secrets) => Ok(Next::Execute(engine, secrets)),
            Err(OpeningError::Missing { names }) => {
                Ok(Next::Judged(Verdict::SecretNeeded { names }))
            }
            Err(error) => Err(VerifyError::Opening(error)),
        }
    }

    fn replay(&self, verdict: Verdict) -> Replay {
        Replay {
            completed: Some(self.completed.clone()),
            snapshot_height: Some(self.snapshot_height),
            ..Replay::without_execution(self.requested.request_id, verdict)
        }
    }
}

/// What comes next with evidence.
enum Next<'a> {
    /// The guest is executed in this engine, with these secrets.
    Execute(&'a Arc<dyn Engine>, Option<Secrets>),
    /// No execution is needed for the verdict.
    Judged(Verdict),
}

/// Executes the request of `evidence` with `code`, over the requester's namespace as `storage`
/// gives it, with the secrets that it pins, in the engine that it pins, and compares the record's
/// digest with the settled one. This blocks until the guest has ended.
///
/// # Errors
/// [`VerifyError`] when there is nothing to compare.
pub fn verify(
    evidence: &Evidence,
    code: &[u8],
    storage: &mut dyn Snapshot,
    engines: &Engines,
    openings: &Openings,
) -> Result<Replay, VerifyError> {
    let view = &evidence.view;
    let (engine, secrets) = match evidence.next(engines, openings)? {
        Next::Execute(engine, secrets) => (engine, secrets),
        Next::Judged(verdict) => return Ok(evidence.replay(verdict)),
    };
    view.check(&evidence.contract_id)?;
    let (code, expected) = (Code::of(code), view.request.code.hash);
    let found = code.hash();
    if found != expected {
        return Err(VerifyError::Code { found, expected });
    }
    let given = secrets.as_ref().map_or(&[][..], Secrets::variables);
    let job = Job { secrets: given, ..Job::of_live(code, &view.request, &view.input) };
    let network = Replayed::new(evidence.transcript.clone(), secrets.as_ref());
    let mut outside = Connected { snapshot: |key: &[u8]| storage.read(key), network };
    let execution = match engine.execute(&job, &mut outside) {
        Err(Fault::Fetch(error)) if error.is_mismatch() => {
            let (settled, replayed) =
                (Hash32::of(&evidence.transcript.encode()).to_string(), error.to_string());
            let differs = vec![Difference { part: "transcript", settled, replayed }];
            return Ok(evidence.replay(Verdict::Mismatch { differs }));
        }
        executed => executed?,
    };
    let request_id = view.request.id();
    let response = match &secrets {
        Some(secrets) => secrets.response(execution, request_id),
        None => execution.into_response(request_id),
    };
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
