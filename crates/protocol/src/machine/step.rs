//! The transition function: which steps a live request takes, and what follows.

use near_account_id::AccountId;

use super::{Body, Effect, Input, LiveRequest, Phase, Reason, Refusal, Step, settle};
use crate::{
    CancelBy, ExecutionRecord, Hash32, ResumePayload, commitment::Salt, storage::StorageCheck,
};

/// What is known of a body before it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Announced<'a> {
    /// The digest that the worker has computed.
    pub(super) digest: Hash32,
    /// Whether the body came in parts.
    pub(super) in_parts: bool,
    /// What follows from what came with the body: a reveal, or the last part.
    pub(super) effects: Vec<Effect<'a>>,
}

impl LiveRequest {
    /// Takes one step.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn step<'a>(self, input: Input<'a>) -> Result<Step<'a>, Refusal> {
        match input {
            Input::Commit { worker_id, round, commitment, height } => {
                self.commit(worker_id, round, commitment, height)
            }
            Input::Reveal { worker_id, digest, salt, height } => {
                self.reveal(worker_id, digest, salt, height)
            }
            Input::Claim { worker_id, height } => self.claim(worker_id, height),
            Input::Close { closer, height } => self.close(closer, height),
            Input::Resolve { worker_id, digest, salt, body, storage, height } => {
                // Another body was quicker, or none is wanted any more. The reveal that came with
                // this one counts all the same.
                let is_over = matches!(self.phase, Phase::Staged { .. } | Phase::Disputing { .. });
                if let Some(salt) = salt.filter(|_| is_over) {
                    return self.reveal(worker_id, digest, salt, height);
                }
                self.open(height)?;
                self.check_entitled(worker_id)?;
                self.resolve(worker_id, digest, salt, body, &storage, height)
            }
            Input::Cancel { by, height } => self.cancel(by, height),
            Input::Deliver { delivery, height } => Ok(settle::deliver(self, delivery, height)),
            Input::Sweep { staged, height } => {
                let from = self.terms.sweep_from;
                if height < from {
                    return Err(self.refuse(Reason::TooEarlyToSweep { from, height }));
                }
                Ok(settle::timed_out(self, staged, height))
            }
        }
    }

    /// Submits a whole body, and where the worker gives its salt, reveals its digest first.
    fn resolve<'a>(
        mut self,
        worker_id: &AccountId,
        digest: Hash32,
        salt: Option<&Salt>,
        body: Body<'a>,
        storage: &StorageCheck,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        let effects = match salt {
            Some(salt) => vec![self.take_reveal(worker_id, digest, salt, height)?],
            None => Vec::new(),
        };
        let announced = Announced { digest, in_parts: false, effects };
        self.submit(worker_id, body, storage, announced, height)
    }

    /// Submits a body to an open request: whole, or completed by its last part.
    pub(super) fn submit<'a>(
        mut self,
        worker_id: &AccountId,
        body: Body<'a>,
        storage: &StorageCheck,
        announced: Announced<'a>,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        let Body { response, output_hash } = body;
        response
            .validate(self.id(), &self.limits, self.http_limits())
            .map_err(|error| self.refuse(error))?;
        let digest = ExecutionRecord::with_output_hash(&self, response, output_hash).digest();
        let Announced { digest: found, in_parts, mut effects } = announced;
        if found != digest {
            let expected = digest;
            return Err(self.refuse(Reason::DigestDiffers { found, expected }));
        }
        self.check_support(digest)?;
        match storage {
            StorageCheck::Locked(key) => {
                return Err(self.refuse(Reason::KeyLocked { key: key.clone() }));
            }
            StorageCheck::ReadLocked { closable } => {
                // What came with the body counts: a reveal, or the last part.
                effects.push(self.close_to_readers(closable));
                return Ok(Step::Live(Box::new(self), effects));
            }
            StorageCheck::Conflict(key) if self.agreement.is_none() => {
                return Err(self.refuse(Reason::ReadConflict { key: key.clone() }));
            }
            // What the workers agree on was true when they executed.
            StorageCheck::Conflict(_) => return self.void_round(effects, digest, height),
            // Whether the namespace can pay is decided in the callback, where it is an outcome.
            StorageCheck::Fits | StorageCheck::Exhausted { .. } => {}
        }
        effects.insert(0, self.resume(ResumePayload::Digest(digest)));
        if !in_parts {
            effects.extend(self.drop_upload());
            effects.push(Effect::Stage(response));
        }
        effects.push(Effect::Lock { namespace: self.namespace().clone(), response });
        self.phase = Phase::Staged { digest, worker_id: worker_id.clone(), output_hash };
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

    pub(super) fn resume<'a>(&self, payload: ResumePayload) -> Effect<'a> {
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
