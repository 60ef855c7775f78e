//! What may happen to a live request, and what follows.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Commitment, LiveRequest, Phase, Reason, Refusal, settle};
use crate::{
    ExecutionRecord, ExecutionResponse, Hash32, ResponsePart, ResumePayload, Settlement,
    events::{Event, ExecutionDisputed},
    record::commitment,
    storage::StorageCheck,
};

/// What the yield's callback found as its promise result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// The yield was resumed with this payload.
    Resumed(&'a [u8]),
    /// It timed out.
    TimedOut,
}

/// A body that is submitted.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The body.
    pub response: &'a ExecutionResponse,
    /// SHA-256 of its output, by whoever can take it at the least cost: a node does it for a contract.
    pub output_hash: Hash32,
    /// Whether it has come in parts.
    pub in_parts: bool,
}

impl<'a> Body<'a> {
    /// A body that comes whole.
    pub fn whole(response: &'a ExecutionResponse) -> Self {
        Self { response, output_hash: Hash32::of(&response.output), in_parts: false }
    }
}

/// Something that happens to a live request.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A registered worker commits to a digest (requests with several approvals).
    Commit {
        /// The worker.
        worker_id: &'a AccountId,
        /// Its commitment.
        hash: Hash32,
        /// The block's height.
        height: u64,
    },
    /// A registered worker sends a part of a body. When the body is complete with it, a [`Resolve`](Self::Resolve) follows
    /// at once, or the part is not taken.
    Part {
        /// The worker.
        worker_id: &'a AccountId,
        /// The part.
        part: &'a ResponsePart,
        /// The block's height.
        height: u64,
    },
    /// A registered worker submits a body.
    Resolve {
        /// The worker.
        worker_id: &'a AccountId,
        /// The body.
        body: Body<'a>,
        /// Where the namespace stands towards it.
        storage: StorageCheck,
        /// The block's height.
        height: u64,
    },
    /// Somebody asks to take the request back.
    Cancel {
        /// Who.
        by: &'a AccountId,
        /// The block's height.
        height: u64,
    },
    /// The yield's callback runs.
    Deliver {
        /// Its promise result.
        delivery: Delivery<'a>,
        /// The staged body, if there is one, and where the namespace stands towards it now.
        staged: Option<(&'a ExecutionResponse, StorageCheck)>,
    },
    /// Anyone clears a request whose callback failed.
    Sweep {
        /// The block's height.
        height: u64,
    },
}

/// What the contract does when a step is taken, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep the part that was sent, under this number.
    KeepPart(u32),
    /// Delete so many parts, all that there are.
    DropParts(u32),
    /// Keep the submitted body.
    Stage,
    /// Hold the keys that the submitted body reads or writes.
    Hold,
    /// Resume the yield. When the node answers that there is nothing to resume, the whole step is undone.
    Resume(ResumePayload),
    /// Apply the staged body's journal to the namespace.
    ApplyJournal,
    /// Delete the record, the input and a staged body, whole or in parts, and release the keys it held.
    Delete,
    /// Credit a worker's earnings.
    PayWorker(AccountId, NearToken),
    /// Credit the protocol's share.
    PayProtocol(NearToken),
    /// Transfer to the payer; what bounces becomes claimable.
    Refund(AccountId, NearToken),
    /// Count a commitment to a digest that lost.
    CountLoss(AccountId),
    /// Emit an event.
    Emit(Event),
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request lives on in this state.
    Live(Box<LiveRequest>, Vec<Effect>),
    /// It is settled.
    Settled(Settlement, Vec<Effect>),
}

/// Commitments kept for a request of `approvals`: enough that some may lie.
pub(super) fn most_commitments(approvals: u8) -> usize {
    usize::from(approvals).saturating_mul(3)
}

/// How the commitments stand towards a digest.
pub(super) enum Standing {
    /// These workers are enough, or none are asked for and this one submits.
    Agreed(Vec<AccountId>),
    /// These are too few.
    Disputed(Vec<AccountId>),
}

impl LiveRequest {
    /// Takes one step.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn step(self, input: Input<'_>) -> Result<Step, Refusal> {
        match input {
            Input::Commit { worker_id, hash, height } => self.commit(worker_id, hash, height),
            Input::Part { worker_id, part, height } => self.take_part(worker_id, part, height),
            Input::Resolve { worker_id, body, storage, height } => {
                self.resolve(worker_id, body, &storage, height)
            }
            Input::Cancel { by, height } => self.cancel(by, height),
            Input::Deliver { delivery, staged } => Ok(settle::deliver(self, delivery, staged)),
            Input::Sweep { height } => self.sweep(height),
        }
    }

    /// The refusal of a step for this reason.
    pub(super) fn refuse(&self, reason: impl Into<Reason>) -> Refusal {
        Refusal { request_id: self.id(), reason: reason.into() }
    }

    pub(super) fn open(&self, height: u64) -> Result<(), Refusal> {
        let reason = match &self.phase {
            Phase::Staged { digest, worker_id, .. } => {
                Reason::AlreadyStaged { digest: *digest, worker_id: worker_id.clone() }
            }
            Phase::Cancelling => Reason::AlreadyCancelled,
            Phase::Pending if height > self.terms.deadline => {
                Reason::Expired { deadline: self.terms.deadline, height }
            }
            Phase::Pending => return Ok(()),
        };
        Err(self.refuse(reason))
    }

    fn commit(mut self, worker_id: &AccountId, hash: Hash32, height: u64) -> Result<Step, Refusal> {
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

    fn resolve(
        mut self,
        worker_id: &AccountId,
        body: Body<'_>,
        storage: &StorageCheck,
        height: u64,
    ) -> Result<Step, Refusal> {
        self.open(height)?;
        let Body { response, output_hash, in_parts } = body;
        let promised = self.promised(worker_id, in_parts)?;
        response.validate(self.id(), &self.limits).map_err(|error| self.refuse(error))?;
        let digest = ExecutionRecord::with_output_hash(&self, response, output_hash).digest();
        if let Some(expected) = promised.filter(|expected| *expected != digest) {
            return Err(self.refuse(Reason::UploadDigest { found: digest, expected }));
        }
        let needed = self.approvals;
        let winners = match self.standing(digest, worker_id)? {
            Standing::Agreed(winners) => winners,
            Standing::Disputed(supporters) => {
                return Ok(self.dispute(digest, worker_id, &supporters));
            }
        };
        match storage {
            StorageCheck::Held(key) if needed == 1 => {
                return Err(self.refuse(Reason::KeyLocked { key: key.clone() }));
            }
            StorageCheck::Held(_) => {
                // It may come again, but it is public now: nobody else gets behind it.
                if !self.public_digests.contains(&digest) {
                    self.public_digests.push(digest);
                }
                return Ok(Step::Live(Box::new(self), Vec::new()));
            }
            StorageCheck::Conflict(key) if needed == 1 => {
                return Err(self.refuse(Reason::ReadConflict { key: key.clone() }));
            }
            StorageCheck::Conflict(_) => {
                // The truth of the time of the commitments: they are void, and may be made again.
                self.commitments.clear();
                self.public_digests.clear();
                let dropped = self.drop_upload().into_iter().collect();
                return Ok(Step::Live(Box::new(self), dropped));
            }
            // Whether the namespace can pay is settled in the callback, where it is an outcome.
            StorageCheck::Fits | StorageCheck::Exhausted { .. } => {}
        }
        let mut effects = Vec::new();
        if !in_parts {
            effects.extend(self.drop_upload());
            effects.push(Effect::Stage);
        }
        effects.extend([Effect::Hold, Effect::Resume(ResumePayload::Digest(digest))]);
        self.phase = Phase::Staged { digest, worker_id: worker_id.clone(), winners, output_hash };
        Ok(Step::Live(Box::new(self), effects))
    }

    /// How the commitments stand towards a body with this digest.
    pub(super) fn standing(
        &self,
        digest: Hash32,
        worker_id: &AccountId,
    ) -> Result<Standing, Refusal> {
        let (needed, found) = (self.approvals, self.commitments.len());
        if needed > 1 && found < usize::from(needed) {
            return Err(self.refuse(Reason::TooFewCommitments { needed, found }));
        }
        let winners = self.winners(&digest, worker_id);
        if winners.is_empty() {
            return Err(self.refuse(Reason::NobodyCommitted { digest }));
        }
        if winners.len() >= usize::from(needed) {
            return Ok(Standing::Agreed(winners));
        }
        if self.public_digests.contains(&digest) {
            return Err(self.refuse(Reason::AlreadyDisputed { digest }));
        }
        Ok(Standing::Disputed(winners))
    }

    /// Who stands behind `digest`: those whose commitments match, or the submitter where none are asked for.
    fn winners(&self, digest: &Hash32, submitter: &AccountId) -> Vec<AccountId> {
        if self.approvals < 2 {
            return vec![submitter.clone()];
        }
        let matching =
            self.commitments.iter().filter(|one| one.hash == commitment(digest, &one.worker_id));
        matching.map(|one| one.worker_id.clone()).collect()
    }

    /// Drops a body that too few commitments support. The others may still agree on another one: a single liar cannot
    /// keep a request from being settled.
    pub(super) fn dispute(
        mut self,
        digest: Hash32,
        worker_id: &AccountId,
        supporters: &[AccountId],
    ) -> Step {
        self.public_digests.push(digest);
        let committed = self.commitments.iter().map(|one| one.worker_id.clone());
        let event = Event::ExecutionDisputed(ExecutionDisputed {
            request_id: self.id(),
            digest,
            worker_id: worker_id.clone(),
            supporters: supporters.to_vec(),
            opponents: committed.filter(|id| !supporters.contains(id)).collect(),
            approvals: self.approvals,
        });
        Step::Live(Box::new(self), vec![Effect::Emit(event)])
    }

    fn cancel(mut self, by: &AccountId, height: u64) -> Result<Step, Refusal> {
        if *by != self.context.predecessor_id && *by != self.terms.payer {
            return Err(self.refuse(Reason::NotTheRequester {
                found: by.clone(),
                requester: self.context.predecessor_id.clone(),
                payer: self.terms.payer.clone(),
            }));
        }
        self.open(height)?;
        self.phase = Phase::Cancelling;
        Ok(Step::Live(Box::new(self), vec![Effect::Resume(ResumePayload::Cancel)]))
    }

    fn sweep(self, height: u64) -> Result<Step, Refusal> {
        if height < self.terms.sweep_from {
            let from = self.terms.sweep_from;
            return Err(self.refuse(Reason::TooEarlyToSweep { from, height }));
        }
        Ok(settle::timed_out(self))
    }
}
