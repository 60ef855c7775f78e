//! Who was paid how much when a request was settled, for those who account for its money later.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Delivery, Effect, LiveRequest, Purse, Step, settle};
use crate::{Compute, Outcome, ResumePayload, Settlement, events::ExecutionCompleted, pricing};

/// How the fee of a settled request was divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// The workers that were paid, and what each of them earned, yoctoNEAR.
    pub workers: Vec<(AccountId, NearToken)>,
    /// The protocol's share of all these payments, yoctoNEAR.
    pub protocol: NearToken,
}

impl Paid {
    /// What these effects pay out of a deposit.
    pub(super) fn of(effects: &[Effect<'_>]) -> Self {
        let mut paid = Self::default();
        for effect in effects {
            match effect {
                Effect::PayWorker(Purse::Deposit, worker_id, amount) => {
                    let known = paid.workers.iter_mut().find(|(known, _)| known == worker_id);
                    match known {
                        Some((_, sum)) => *sum = sum.saturating_add(*amount),
                        None => paid.workers.push((worker_id.clone(), *amount)),
                    }
                }
                Effect::PayProtocol(Purse::Deposit, amount) => {
                    paid.protocol = paid.protocol.saturating_add(*amount);
                }
                _ => {}
            }
        }
        paid
    }

    /// All of it, which is the settlement's fee.
    pub fn total(&self) -> NearToken {
        let amounts = self.workers.iter().map(|(_, amount)| *amount);
        amounts.fold(self.protocol, NearToken::saturating_add)
    }
}

impl LiveRequest {
    /// How the fee of `settlement` was divided, which ended the request in the block at `height`.
    /// The request is as it was before that block, and `completed` is the event with which the
    /// contract settled an answer. `None` when these do not belong together.
    pub fn paid(
        &self,
        settlement: &Settlement,
        completed: Option<&ExecutionCompleted>,
        height: u64,
    ) -> Option<Paid> {
        let paid = match completed {
            Some(completed) => self.paid_for_answer(settlement, completed)?,
            None => self.paid_without_answer(&settlement.outcome, height)?,
        };
        (paid.total() == settlement.fee).then_some(paid)
    }

    /// The event does not have the bytes of the journal, on which only the payment for submitting
    /// depends: it is what the shares leave of the fee.
    fn paid_for_answer(
        &self,
        settlement: &Settlement,
        completed: &ExecutionCompleted,
    ) -> Option<Paid> {
        let bps = self.terms.protocol_share_bps;
        let pay = |worker_id: &AccountId, amount| {
            settle::pay_worker(Purse::Deposit, worker_id, amount, bps)
        };
        let Some(agreement) = &self.agreement else {
            return Some(Paid::of(&pay(&completed.worker_id, settlement.fee)));
        };
        let limit = self.limits.compute;
        let used = Compute::new(limit.meter(), settlement.used.amount().min(limit.amount()));
        let share = pricing::fee(&self.terms.prices, &self.into(), used, 0).ok()?.share;
        let least = pricing::least_fee(&self.terms.prices, &self.into()).ok()?;
        let mut effects: Vec<_> =
            agreement.due_for_voids().flat_map(|worker_id| pay(worker_id, least)).collect();
        let voids = least.checked_mul(u128::try_from(agreement.voided.len()).ok()?)?;
        let count = u128::try_from(completed.workers.len()).ok()?;
        let shares = share.checked_mul(count)?.checked_add(voids)?;
        let submit = settlement.fee.checked_sub(shares)?;
        effects.extend(pay(&completed.worker_id, submit));
        effects.extend(completed.workers.iter().flat_map(|worker_id| pay(worker_id, share)));
        Some(Paid::of(&effects))
    }

    /// Without an answer, the callback is repeated: the request and the height alone decide.
    fn paid_without_answer(&self, outcome: &Outcome, height: u64) -> Option<Paid> {
        let resumed = |payload: ResumePayload| Delivery::Resumed {
            payload: payload.encode().into(),
            staged: None,
        };
        let delivery = match outcome {
            Outcome::Cancelled => resumed(ResumePayload::Cancel),
            Outcome::Disputed { .. } => resumed(ResumePayload::Dispute),
            _ => Delivery::TimedOut { staged: None },
        };
        match settle::deliver(self.clone(), delivery, height) {
            Step::Settled(_, effects) => Some(Paid::of(&effects)),
            Step::Live(..) => None,
        }
    }
}
