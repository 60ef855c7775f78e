//! The transition function: which steps a live request takes, and what follows.

use near_account_id::AccountId;

use super::{
    Body, Commitment, Effect, Input, LiveRequest, Phase, Reason, Refusal, Step, settle,
    upload::LastPart,
};
use crate::{
    ExecutionRecord, Hash32, ResumePayload,
    commitment::commitment,
    events::{Event, ExecutionDisputed},
    storage::StorageCheck,
};

/// Commitments kept for a request of `approvals`: enough that some may lie.
pub(super) fn most_commitments(approvals: u8) -> usize {
    usize::from(approvals).saturating_mul(3)
}

/// How many commitments support a digest.
pub(super) enum Support {
    /// These workers are enough, or none are asked for and this one submits.
    Enough(Vec<AccountId>),
    /// These are too few.
    TooFew(Vec<AccountId>),
}

impl LiveRequest {
    /// Takes one step.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn step<'a>(self, input: Input<'a>) -> Result<Step<'a>, Refusal> {
        match input {
            Input::Commit { worker_id, hash, height } => self.commit(worker_id, hash, height),
            Input::Resolve { worker_id, body, storage, height } => {
                self.open(height)?;
                self.submit(worker_id, body, &storage, None)
            }
            Input::Cancel { by, height } => self.cancel(by, height),
            Input::Deliver(delivery) => Ok(settle::deliver(self, delivery)),
            Input::Sweep { staged, height } => {
                let from = self.terms.sweep_from;
                if height < from {
                    return Err(self.refuse(Reason::TooEarlyToSweep { from, height }));
                }
                Ok(settle::timed_out(self, staged))
            }
        }
    }

    /// The refusal of a step for this reason.
    pub(super) fn refuse(&self, reason: impl Into<Reason>) -> Refusal {
        Refusal { request_id: self.id(), reason: reason.into() }
    }

    /// Checks that the request still waits for an answer at this height.
    pub(super) fn open(&self, height: u64) -> Result<(), Refusal> {
        let reason = match &self.phase {
            Phase::Staged { digest, worker_id, .. } => {
                Reason::AlreadyStaged { digest: *digest, worker_id: worker_id.clone() }
            }
            Phase::Cancelling => Reason::AlreadyCancelled,
            Phase::Pending if self.is_expired(height) => {
                Reason::Expired { deadline: self.terms.deadline, height }
            }
            Phase::Pending => return Ok(()),
        };
        Err(self.refuse(reason))
    }

    fn commit<'a>(
        mut self,
        worker_id: &AccountId,
        hash: Hash32,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        self.open(height)?;
        let (found, most) = (self.commitments.len(), most_commitments(self.approvals));
        if self.approvals < 2 {
            return Err(self.refuse(Reason::CommitmentNotNeeded));
        }
        if self.commitments.iter().any(|earlier| earlier.worker_id == *worker_id) {
            return Err(self.refuse(Reason::AlreadyCommitted { worker_id: worker_id.clone() }));
        }
        let copied = |digest: &&Hash32| commitment(digest, worker_id) == hash;
        if let Some(digest) = self.public_digests.iter().find(copied) {
            let (worker_id, digest) = (worker_id.clone(), *digest);
            return Err(self.refuse(Reason::CommitmentToPublicBody { worker_id, digest }));
        }
        if found >= most {
            return Err(self.refuse(Reason::CommitmentsClosed { found, most }));
        }
        self.commitments.push(Commitment { worker_id: worker_id.clone(), hash });
        Ok(Step::Live(Box::new(self), Vec::new()))
    }

    /// Submits a body to an open request: whole, or completed by its last part.
    pub(super) fn submit<'a>(
        mut self,
        worker_id: &AccountId,
        body: Body<'a>,
        storage: &StorageCheck,
        last_part: Option<LastPart<'a>>,
    ) -> Result<Step<'a>, Refusal> {
        let Body { response, output_hash } = body;
        response.validate(self.id(), &self.limits).map_err(|error| self.refuse(error))?;
        let digest = ExecutionRecord::with_output_hash(&self, response, output_hash).digest();
        let in_parts = last_part.is_some();
        let mut effects = match last_part {
            Some(LastPart { digest: expected, .. }) if expected != digest => {
                return Err(self.refuse(Reason::UploadDigest { found: digest, expected }));
            }
            Some(last_part) => last_part.effects,
            None => Vec::new(),
        };
        let winners = match self.support(digest, worker_id)? {
            Support::Enough(winners) => winners,
            Support::TooFew(supporters) => {
                effects.push(self.dispute(digest, worker_id, &supporters));
                return Ok(Step::Live(Box::new(self), effects));
            }
        };
        match storage {
            StorageCheck::Locked(key) if self.approvals == 1 => {
                return Err(self.refuse(Reason::KeyLocked { key: key.clone() }));
            }
            StorageCheck::Locked(_) => {
                // The body may come again. It is public now, so no other worker may commit to it.
                if !self.public_digests.contains(&digest) {
                    self.public_digests.push(digest);
                }
                return Ok(Step::Live(Box::new(self), effects));
            }
            StorageCheck::Conflict(key) if self.approvals == 1 => {
                return Err(self.refuse(Reason::ReadConflict { key: key.clone() }));
            }
            StorageCheck::Conflict(_) => {
                // The commitments were true when they were made. They are void, and may be made
                // again.
                self.commitments.clear();
                self.public_digests.clear();
                effects.extend(self.drop_upload());
                return Ok(Step::Live(Box::new(self), effects));
            }
            // Whether the namespace can pay is decided in the callback, where it is an outcome.
            StorageCheck::Fits | StorageCheck::Exhausted { .. } => {}
        }
        if !in_parts {
            effects.extend(self.drop_upload());
            effects.push(Effect::Stage(response));
        }
        effects.push(Effect::Lock { namespace: self.namespace().clone(), response });
        effects.push(self.resume(ResumePayload::Digest(digest)));
        self.phase = Phase::Staged { digest, worker_id: worker_id.clone(), winners, output_hash };
        Ok(Step::Live(Box::new(self), effects))
    }

    fn resume<'a>(&self, payload: ResumePayload) -> Effect<'a> {
        Effect::Resume { request_id: self.id(), data_id: self.data_id, payload }
    }

    /// How many commitments support a body with this digest.
    pub(super) fn support(
        &self,
        digest: Hash32,
        worker_id: &AccountId,
    ) -> Result<Support, Refusal> {
        let (needed, found) = (self.approvals, self.commitments.len());
        if needed > 1 && found < usize::from(needed) {
            return Err(self.refuse(Reason::TooFewCommitments { needed, found }));
        }
        let winners = self.winners(&digest, worker_id);
        if winners.is_empty() {
            return Err(self.refuse(Reason::NobodyCommitted { digest }));
        }
        if winners.len() >= usize::from(needed) {
            return Ok(Support::Enough(winners));
        }
        if self.public_digests.contains(&digest) {
            return Err(self.refuse(Reason::AlreadyDisputed { digest }));
        }
        Ok(Support::TooFew(winners))
    }

    /// The workers that are paid for `digest`: those whose commitments match it, or the submitter
    /// where no commitments are asked for.
    fn winners(&self, digest: &Hash32, submitter: &AccountId) -> Vec<AccountId> {
        if self.approvals < 2 {
            return vec![submitter.clone()];
        }
        self.supporters(digest).into_iter().cloned().collect()
    }

    /// Drops a body that too few commitments support. The others may still agree on another one: a
    /// single liar cannot keep a request from being settled.
    pub(super) fn dispute<'a>(
        &mut self,
        digest: Hash32,
        worker_id: &AccountId,
        supporters: &[AccountId],
    ) -> Effect<'a> {
        self.public_digests.push(digest);
        let committed = self.commitments.iter().map(|one| one.worker_id.clone());
        Effect::Emit(Event::ExecutionDisputed(ExecutionDisputed {
            request_id: self.id(),
            digest,
            worker_id: worker_id.clone(),
            supporters: supporters.to_vec(),
            opponents: committed.filter(|id| !supporters.contains(id)).collect(),
            approvals: self.approvals,
        }))
    }

    fn cancel<'a>(mut self, by: &AccountId, height: u64) -> Result<Step<'a>, Refusal> {
        if *by != self.context.predecessor_id && by != self.payer() {
            return Err(self.refuse(Reason::NotTheRequester {
                found: by.clone(),
                requester: self.context.predecessor_id.clone(),
                payer: self.payer().clone(),
            }));
        }
        self.open(height)?;
        let effects = vec![self.resume(ResumePayload::Cancel)];
        self.phase = Phase::Cancelling;
        Ok(Step::Live(Box::new(self), effects))
    }
}
