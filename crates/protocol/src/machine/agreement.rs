//! Agreement of several workers: the rules of [`crate::agreement`], applied to a live request.

use near_account_id::AccountId;

use super::{Effect, LiveRequest, Phase, Reason, Refusal, Step};
use crate::{
    Agreement, Hash32, ResumePayload,
    commitment::Salt,
    events::{CommitmentMade, DigestRevealed, Event, RoundVoided},
};

impl LiveRequest {
    fn agreement(&mut self) -> Result<&mut Agreement, Refusal> {
        let request_id = self.id();
        let none = Refusal { request_id, reason: Reason::CommitmentNotNeeded };
        self.agreement.as_mut().ok_or(none)
    }

    /// Takes a worker's commitment to a digest.
    pub(super) fn commit<'a>(
        mut self,
        worker_id: &AccountId,
        round: u32,
        commitment: Hash32,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        self.open(height)?;
        let request_id = self.id();
        let taken = self.agreement()?.commit(worker_id, round, commitment, height);
        taken.map_err(|error| Refusal { request_id, reason: error.into() })?;
        let worker_id = worker_id.clone();
        let event = Event::CommitmentMade(CommitmentMade { request_id, worker_id, round });
        Ok(Step::Live(Box::new(self), vec![Effect::Emit(event)]))
    }

    /// Takes a worker's reveal, also while an answer or a dispute waits for settlement: who reveals
    /// in time must not be counted as lost. When no digest can get enough reveals any more, the
    /// request ends as disputed.
    pub(super) fn reveal<'a>(
        mut self,
        worker_id: &AccountId,
        digest: Hash32,
        salt: &Salt,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        if !matches!(self.phase, Phase::Staged { .. } | Phase::Disputing { .. }) {
            self.open(height)?;
        }
        let mut effects = vec![self.take_reveal(worker_id, digest, salt, height)?];
        if self.phase == Phase::Pending && self.is_hopeless(height) {
            effects.push(self.dispute(None));
        }
        Ok(Step::Live(Box::new(self), effects))
    }

    /// Notes a reveal.
    pub(super) fn take_reveal<'a>(
        &mut self,
        worker_id: &AccountId,
        digest: Hash32,
        salt: &Salt,
        height: u64,
    ) -> Result<Effect<'a>, Refusal> {
        let request_id = self.id();
        let agreement = self.agreement()?;
        let round = agreement.round;
        let taken = agreement.reveal(worker_id, digest, salt, height);
        taken.map_err(|error| Refusal { request_id, reason: error.into() })?;
        let worker_id = worker_id.clone();
        let event = DigestRevealed { request_id, worker_id, digest, round };
        Ok(Effect::Emit(Event::DigestRevealed(event)))
    }

    /// Ends a request on which no agreement is possible any more.
    pub(super) fn close<'a>(
        mut self,
        closer: Option<&AccountId>,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        self.open(height)?;
        let Agreement { approvals, .. } = *self.agreement()?;
        if !self.is_hopeless(height) {
            return Err(self.refuse(Reason::NotHopeless { approvals, height }));
        }
        let effects = vec![self.dispute(closer.cloned())];
        Ok(Step::Live(Box::new(self), effects))
    }

    fn is_hopeless(&self, height: u64) -> bool {
        self.agreement.as_ref().is_some_and(|agreement| agreement.is_hopeless(height))
    }

    fn dispute<'a>(&mut self, closer: Option<AccountId>) -> Effect<'a> {
        self.phase = Phase::Disputing { closer };
        self.resume(ResumePayload::Dispute)
    }

    /// Checks that enough workers have revealed the digest of a body.
    pub(super) fn check_support(&self, digest: Hash32) -> Result<(), Refusal> {
        let Some(agreement) = &self.agreement else {
            return Ok(());
        };
        let (needed, found) = (agreement.approvals, agreement.supporters(digest).len());
        if found < usize::from(needed) {
            return Err(self.refuse(Reason::TooFewReveals { digest, needed, found }));
        }
        Ok(())
    }

    /// Voids the round: what was agreed on is outdated, and may be agreed on again. If no round may
    /// follow, the request ends as disputed instead, so that nobody waits for its deadline.
    /// `effects` are those of what came with the body, whose digest is agreed on.
    pub(super) fn void_round<'a>(
        mut self,
        mut effects: Vec<Effect<'a>>,
        digest: Hash32,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        let (request_id, deadline) = (self.id(), self.terms.deadline);
        effects.extend(self.drop_upload());
        let agreement = self.agreement()?;
        agreement.owe_for_void(digest);
        if !agreement.may_begin_again(height, deadline) {
            effects.insert(0, self.dispute(None));
            return Ok(Step::Live(Box::new(self), effects));
        }
        agreement.begin_again(height);
        let Agreement { round, snapshot_height, .. } = *agreement;
        let event = RoundVoided { request_id, round, snapshot_height };
        effects.push(Effect::Emit(Event::RoundVoided(event)));
        Ok(Step::Live(Box::new(self), effects))
    }
}
