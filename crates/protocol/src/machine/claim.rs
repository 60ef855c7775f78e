//! Claims on a request that one worker answers: the rules of [`crate::claims`], applied to a live
//! request.

use near_account_id::AccountId;

use super::{Effect, LiveRequest, Reason, Refusal, Step};
use crate::{
    claims::{Claim, MOST_CLAIMS},
    events::{ClaimNotice, Event},
};

impl LiveRequest {
    /// Takes a worker's claim.
    pub(super) fn claim<'a>(
        mut self,
        worker_id: &AccountId,
        height: u64,
    ) -> Result<Step<'a>, Refusal> {
        self.open(height)?;
        self.check_entitled(worker_id)?;
        let (request_id, deadline) = (self.id(), self.terms.deadline);
        let refuse = |reason| Err(Refusal { request_id, reason });
        let Some(claims) = &mut self.claims else {
            return refuse(Reason::ClaimNotNeeded);
        };
        if claims.of(worker_id).is_some() {
            return refuse(Reason::AlreadyClaimed);
        }
        if claims.made.len() >= MOST_CLAIMS {
            return refuse(Reason::ClaimsFull);
        }
        let claim = Claim { worker_id: worker_id.clone(), height };
        let until = claims.until(&claim, deadline);
        claims.made.push(claim);
        let made = ClaimNotice { request_id, worker_id: worker_id.clone(), until };
        Ok(Step::Live(Box::new(self), vec![Effect::Emit(Event::ClaimMade(made))]))
    }

    /// Counts the claims that were not answered in time.
    pub(super) fn count_missed<'a>(
        &self,
        answered: Option<&AccountId>,
        height: u64,
    ) -> Vec<Effect<'a>> {
        let (request_id, deadline) = (self.id(), self.terms.deadline);
        let Some(claims) = &self.claims else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        for claim in claims.missed(answered, deadline, height) {
            let (worker_id, until) = (claim.worker_id.clone(), claims.until(claim, deadline));
            effects.push(Effect::CountMissed(worker_id.clone()));
            let notice = ClaimNotice { request_id, worker_id, until };
            effects.push(Effect::Emit(Event::ClaimMissed(notice)));
        }
        effects
    }
}
