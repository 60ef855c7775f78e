//! The transition function: which steps a live request takes, and what follows.

use near_account_id::AccountId;

use super::{
    Body, Effect, Input, LiveRequest, Phase, Reason, Refusal, Step, agreement::Support, settle,
};
use crate::{CancelBy, ExecutionRecord, Hash32, ResumePayload, storage::StorageCheck};

/// What the last part of a body brings to its submission.
#[derive(Clone, Debug)]
pub(super) struct LastPart<'a> {
    /// The digest that the parts announced.
    pub(super) digest: Hash32,
    /// What follows from taking the part.
    pub(super) effects: Vec<Effect<'a>>,
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
            StorageCheck::ReadLocked { closable } => {
                if self.approvals > 1 && !self.public_digests.contains(&digest) {
                    self.public_digests.push(digest);
                }
                effects.push(self.close_to_readers(closable));
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

    /// Forgets the body that comes in parts.
    pub(super) fn drop_upload<'a>(&mut self) -> Option<Effect<'a>> {
        let request_id = self.id();
        self.upload.take().map(|upload| Effect::DropParts { request_id, parts: upload.parts })
    }

    /// Closes keys to new readers while an answer waits for the present ones.
    fn close_to_readers<'a>(&mut self, closable: &[Hash32]) -> Effect<'a> {
        let mut locks = closable.to_vec();
        locks.retain(|lock| {
            let known = self.closed_locks.contains(lock);
            // An answer writes no more keys. Another one of the same request may write others.
            let room = self.closed_locks.len() < self.limits.storage_writes as usize;
            if !known && room {
                self.closed_locks.push(*lock);
            }
            known || room
        });
        Effect::CloseToReaders { request_id: self.id(), locks }
    }

    fn resume<'a>(&self, payload: ResumePayload) -> Effect<'a> {
        Effect::Resume { request_id: self.id(), data_id: self.data_id, payload }
    }

    fn cancel<'a>(mut self, by: &AccountId, height: u64) -> Result<Step<'a>, Refusal> {
        let requester = &self.context.predecessor_id;
        let payer = match self.cancel_by {
            CancelBy::Nobody => return Err(self.refuse(Reason::NotCancellable)),
            CancelBy::Requester => None,
            CancelBy::Payer => Some(self.payer()),
        };
        if by != requester && Some(by) != payer {
            return Err(self.refuse(Reason::NotTheRequester {
                found: by.clone(),
                requester: requester.clone(),
                payer: payer.cloned(),
            }));
        }
        self.open(height)?;
        let effects = vec![self.resume(ResumePayload::Cancel)];
        self.phase = Phase::Cancelling;
        Ok(Step::Live(Box::new(self), effects))
    }
}
