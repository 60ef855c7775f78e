//! What may happen to a live request, and what follows.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Commitment, LiveRequest, Phase, settle};
use crate::{
    ExecutionRecord, ExecutionResponse, Hash32, RequestId, ResumePayload, Settlement,
    events::{Event, ExecutionDisputed},
    record::commitment,
    response::ResponseError,
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
    /// A registered worker submits a body.
    Resolve {
        /// The worker.
        worker_id: &'a AccountId,
        /// The body.
        response: &'a ExecutionResponse,
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
    /// Keep the submitted body, and hold the keys that it reads or writes.
    Stage,
    /// Resume the yield. When the node answers that there is nothing to resume, the whole step is undone.
    Resume(ResumePayload),
    /// Apply the staged body's journal to the namespace.
    ApplyJournal,
    /// Delete the record, the input and a staged body, and release the keys it held.
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

/// Why a step is refused. Nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The deadline has passed.
    #[error(
        "request {request_id} expired: the deadline is block {deadline}, this is block {height}"
    )]
    Expired {
        /// The request.
        request_id: RequestId,
        /// Its last block.
        deadline: u64,
        /// Now.
        height: u64,
    },
    /// A response is staged already.
    #[error(
        "request {request_id} is answered already: digest {digest} by {worker_id} awaits settlement"
    )]
    AlreadyStaged {
        /// The request.
        request_id: RequestId,
        /// The staged digest.
        digest: Hash32,
        /// Its worker.
        worker_id: AccountId,
    },
    /// It is being cancelled.
    #[error("request {request_id} was cancelled and awaits settlement")]
    AlreadyCancelled {
        /// The request.
        request_id: RequestId,
    },
    /// The body cannot be an honest one.
    #[error("request {request_id}: {error}")]
    Response {
        /// The request.
        request_id: RequestId,
        /// Why.
        error: ResponseError,
    },
    /// A key that was read has changed: execute again on a newer snapshot.
    #[error(
        "request {request_id}: the key {key:?} was read and has changed since; execute again on a newer block"
    )]
    ReadConflict {
        /// The request.
        request_id: RequestId,
        /// The key.
        key: crate::Bytes,
    },
    /// A key is held by another request's staged response: wait for its settlement, then execute again.
    #[error(
        "request {request_id}: the key {key:?} is held until another request is settled; execute again after it"
    )]
    KeyHeld {
        /// The request.
        request_id: RequestId,
        /// The key.
        key: crate::Bytes,
    },
    /// Commitments must come first.
    #[error("request {request_id} needs {needed} commitments before a body, {found} stand")]
    TooFewCommitments {
        /// The request.
        request_id: RequestId,
        /// Approvals asked for.
        needed: u8,
        /// Commitments that stand.
        found: usize,
    },
    /// The request asks for one approval only.
    #[error("request {request_id} asks for one approval: submit the body, no commitment is needed")]
    CommitmentNotNeeded {
        /// The request.
        request_id: RequestId,
    },
    /// The worker has committed already.
    #[error("{worker_id} has committed to request {request_id} already")]
    AlreadyCommitted {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
    },
    /// The body with this digest was public before the commitment to it: it could have been copied.
    #[error(
        "{worker_id} commits to {digest} of request {request_id}, whose body is public: that does not count"
    )]
    CommitmentToPublicBody {
        /// The request.
        request_id: RequestId,
        /// The worker.
        worker_id: AccountId,
        /// The digest.
        digest: Hash32,
    },
    /// A body to which nobody has committed.
    #[error("request {request_id}: nobody has committed to {digest}, the digest of this body")]
    NobodyCommitted {
        /// The request.
        request_id: RequestId,
        /// The body's digest.
        digest: Hash32,
    },
    /// The body fell short of the approvals before.
    #[error("request {request_id}: the body with the digest {digest} was disputed before")]
    AlreadyDisputed {
        /// The request.
        request_id: RequestId,
        /// The body's digest.
        digest: Hash32,
    },
    /// Enough commitments stand.
    #[error("request {request_id} takes no more commitments: {found} stand of {most}")]
    CommitmentsClosed {
        /// The request.
        request_id: RequestId,
        /// Commitments that stand.
        found: usize,
        /// The most that are kept.
        most: usize,
    },
    /// Somebody else's request.
    #[error("request {request_id} can be cancelled by {requester} or {payer}, not by {found}")]
    NotTheRequester {
        /// The request.
        request_id: RequestId,
        /// Who asked.
        found: AccountId,
        /// Who requested it.
        requester: AccountId,
        /// Who gets its refunds.
        payer: AccountId,
    },
    /// Too early to sweep.
    #[error("request {request_id} can be swept from block {from} on, this is block {height}")]
    TooEarlyToSweep {
        /// The request.
        request_id: RequestId,
        /// From when on.
        from: u64,
        /// Now.
        height: u64,
    },
}

/// Commitments kept for a request of `approvals`: enough that some may lie.
pub(super) fn most_commitments(approvals: u8) -> usize {
    usize::from(approvals).saturating_mul(3)
}

impl LiveRequest {
    /// Takes one step.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn step(self, input: Input<'_>) -> Result<Step, Refusal> {
        match input {
            Input::Commit { worker_id, hash, height } => self.commit(worker_id, hash, height),
            Input::Resolve { worker_id, response, storage, height } => {
                self.resolve(worker_id, response, &storage, height)
            }
            Input::Cancel { by, height } => self.cancel(by, height),
            Input::Deliver { delivery, staged } => Ok(settle::deliver(self, delivery, staged)),
            Input::Sweep { height } => self.sweep(height),
        }
    }

    fn open(&self, height: u64) -> Result<(), Refusal> {
        let request_id = self.id();
        match &self.phase {
            Phase::Staged { digest, worker_id, .. } => Err(Refusal::AlreadyStaged {
                request_id,
                digest: *digest,
                worker_id: worker_id.clone(),
            }),
            Phase::Cancelling => Err(Refusal::AlreadyCancelled { request_id }),
            Phase::Pending if height > self.terms.deadline => {
                Err(Refusal::Expired { request_id, deadline: self.terms.deadline, height })
            }
            Phase::Pending => Ok(()),
        }
    }

    fn commit(mut self, worker_id: &AccountId, hash: Hash32, height: u64) -> Result<Step, Refusal> {
        self.open(height)?;
        let request_id = self.id();
        let (found, most) = (self.commitments.len(), most_commitments(self.approvals));
        if self.approvals < 2 {
            return Err(Refusal::CommitmentNotNeeded { request_id });
        }
        if self.commitments.iter().any(|earlier| earlier.worker_id == *worker_id) {
            return Err(Refusal::AlreadyCommitted { request_id, worker_id: worker_id.clone() });
        }
        let copied = |digest: &&Hash32| commitment(digest, worker_id) == hash;
        if let Some(digest) = self.public_digests.iter().find(copied) {
            return Err(Refusal::CommitmentToPublicBody {
                request_id,
                worker_id: worker_id.clone(),
                digest: *digest,
            });
        }
        if found >= most {
            return Err(Refusal::CommitmentsClosed { request_id, found, most });
        }
        self.commitments.push(Commitment { worker_id: worker_id.clone(), hash });
        Ok(Step::Live(Box::new(self), Vec::new()))
    }

    fn resolve(
        mut self,
        worker_id: &AccountId,
        response: &ExecutionResponse,
        storage: &StorageCheck,
        height: u64,
    ) -> Result<Step, Refusal> {
        self.open(height)?;
        let request_id = self.id();
        response
            .validate(request_id, &self.limits)
            .map_err(|error| Refusal::Response { request_id, error })?;
        let needed = self.approvals;
        let found = self.commitments.len();
        if needed > 1 && found < usize::from(needed) {
            return Err(Refusal::TooFewCommitments { request_id, needed, found });
        }

        let digest = ExecutionRecord::new(&self, response).digest();
        let winners = self.winners(&digest, worker_id);
        if winners.is_empty() {
            return Err(Refusal::NobodyCommitted { request_id, digest });
        }
        if winners.len() < usize::from(needed) {
            if self.public_digests.contains(&digest) {
                return Err(Refusal::AlreadyDisputed { request_id, digest });
            }
            return Ok(self.dispute(digest, worker_id, &winners));
        }
        match storage {
            StorageCheck::Held(key) if needed == 1 => {
                return Err(Refusal::KeyHeld { request_id, key: key.clone() });
            }
            StorageCheck::Held(_) => {
                // It may come again, but it is public now: nobody else gets behind it.
                if !self.public_digests.contains(&digest) {
                    self.public_digests.push(digest);
                }
                return Ok(Step::Live(Box::new(self), Vec::new()));
            }
            StorageCheck::Conflict(key) if needed == 1 => {
                return Err(Refusal::ReadConflict { request_id, key: key.clone() });
            }
            StorageCheck::Conflict(_) => {
                // The truth of the time of the commitments: they are void, and may be made again.
                self.commitments.clear();
                self.public_digests.clear();
                return Ok(Step::Live(Box::new(self), Vec::new()));
            }
            // Whether the namespace can pay is settled in the callback, where it is an outcome.
            StorageCheck::Fits | StorageCheck::Exhausted { .. } => {}
        }
        self.phase = Phase::Staged { digest, worker_id: worker_id.clone(), winners };
        Ok(Step::Live(
            Box::new(self),
            vec![Effect::Stage, Effect::Resume(ResumePayload::Digest(digest))],
        ))
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
    fn dispute(mut self, digest: Hash32, worker_id: &AccountId, supporters: &[AccountId]) -> Step {
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
        let request_id = self.id();
        if *by != self.context.predecessor_id && *by != self.terms.payer {
            return Err(Refusal::NotTheRequester {
                request_id,
                found: by.clone(),
                requester: self.context.predecessor_id,
                payer: self.terms.payer,
            });
        }
        self.open(height)?;
        self.phase = Phase::Cancelling;
        Ok(Step::Live(Box::new(self), vec![Effect::Resume(ResumePayload::Cancel)]))
    }

    fn sweep(self, height: u64) -> Result<Step, Refusal> {
        if height < self.terms.sweep_from {
            return Err(Refusal::TooEarlyToSweep {
                request_id: self.id(),
                from: self.terms.sweep_from,
                height,
            });
        }
        Ok(settle::timed_out(self))
    }
}
