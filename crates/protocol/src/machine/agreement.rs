//! Agreement of several workers: commitments, and the bodies that they support.

use near_account_id::AccountId;

use super::{Commitment, Effect, LiveRequest, Reason, Refusal, Step};
use crate::{
    Hash32,
    commitment::{COMMITMENTS_PER_APPROVAL, commitment},
    events::{Event, ExecutionDisputed},
};

/// The most commitments that are kept for a request of `approvals`: enough that some may lie.
fn most_commitments(approvals: u8) -> usize {
    usize::from(approvals).saturating_mul(COMMITMENTS_PER_APPROVAL.into())
}

/// How many commitments support a digest.
pub(super) enum Support {
    /// These workers are enough, or none are asked for and this one submits.
    Enough(Vec<AccountId>),
    /// These are too few.
    TooFew(Vec<AccountId>),
}

impl LiveRequest {
    /// Takes a worker's commitment to a digest.
    pub(super) fn commit<'a>(
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
}
