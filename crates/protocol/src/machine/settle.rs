//! How a live request is settled: who is paid, what goes back, what is written.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Delivery, Effect, LiveRequest, OpenShares, Phase, Purse, Step, keep::keep_result};
use crate::{
    Agreement, Compute, ExecutionResponse, Hash32, Outcome, ResumePayload, Settlement,
    agreement::Stage,
    events::{Event, ExecutionCancelled, ExecutionCompleted, ExecutionDisputed, ExecutionTimedOut},
    pricing::{Fee, least_fee, max_fee, protocol_share, response_fee},
    storage::StorageCheck,
};

const NOTHING: NearToken = NearToken::from_yoctonear(0);

/// The callback: settles the staged response, the cancellation, the dispute, or the timeout.
pub(super) fn deliver(request: LiveRequest, delivery: Delivery<'_>, height: u64) -> Step<'_> {
    let response = delivery.staged();
    let (payload, storage) = match delivery {
        Delivery::Resumed { payload, staged } => {
            (ResumePayload::decode(&payload), staged.map(|(_, storage)| storage))
        }
        Delivery::TimedOut { .. } => (None, None),
    };
    match (payload, request.phase.clone(), response.zip(storage)) {
        (
            Some(ResumePayload::Digest(resumed)),
            Phase::Staged { digest, worker_id, output_hash },
            Some((body, storage)),
        ) if resumed == digest => {
            resolved(request, &Answer { digest, worker_id, output_hash, body, storage }, height)
        }
        (Some(ResumePayload::Cancel), Phase::Cancelling, _) => cancelled(request, height),
        (Some(ResumePayload::Dispute), Phase::Disputing { closer }, _) => {
            disputed(request, closer, height)
        }
        // A timeout. Only the contract can resume its yields, and it does so with what the phase
        // says. Were it otherwise, the payer would still get everything back.
        _ => timed_out(request, response, height),
    }
}

/// A staged response and what is known about it.
struct Answer<'a> {
    digest: Hash32,
    worker_id: AccountId,
    output_hash: Hash32,
    body: &'a ExecutionResponse,
    storage: StorageCheck,
}

/// What settling an answer pays, and to whom.
struct Payments {
    effects: Vec<Effect<'static>>,
    workers: Vec<AccountId>,
    /// What is paid now.
    paid: NearToken,
    open: Option<OpenShares>,
}

impl Payments {
    /// What is due for void rounds, however the request ends.
    fn for_voids(request: &LiveRequest) -> Self {
        let mut all = Self { effects: Vec::new(), workers: Vec::new(), paid: NOTHING, open: None };
        let due = request.agreement.iter().flat_map(Agreement::due_for_voids);
        let share = request.least_share();
        due.for_each(|worker_id| all.pay(request, worker_id, share));
        all
    }

    fn pay(&mut self, request: &LiveRequest, worker_id: &AccountId, amount: NearToken) {
        let bps = request.terms.protocol_share_bps;
        // No more is paid than the request can cost, whatever its terms are.
        let amount = amount.min(request.terms.max_fee.saturating_sub(self.paid));
        self.effects.extend(pay_worker(Purse::Deposit, worker_id, amount, bps));
        self.paid = self.paid.saturating_add(amount);
    }
}

/// Pays the worker that sent the body, and a share to each that executed. Where workers that have
/// not revealed yet may still do so, their shares stay open.
fn payments(request: &LiveRequest, answer: &Answer<'_>, height: u64) -> Payments {
    let fee = request.fee(answer.body);
    let mut all = Payments::for_voids(request);
    let Some(agreement) = &request.agreement else {
        all.workers.push(answer.worker_id.clone());
        all.pay(request, &answer.worker_id, fee.submit.saturating_add(fee.share));
        all.effects.push(Effect::CountSettled(answer.worker_id.clone()));
        all.effects.extend(request.count_missed(Some(&answer.worker_id), height));
        return all;
    };
    all.pay(request, &answer.worker_id, fee.submit);
    all.workers = agreement.supporters(answer.digest).into_iter().cloned().collect();
    for worker_id in all.workers.clone() {
        all.pay(request, &worker_id, fee.share);
        all.effects.push(Effect::CountSettled(worker_id));
    }
    match agreement.unrevealed(height) {
        0 => {
            let lost = agreement.lost(answer.digest, request.is_unprovable());
            all.effects.extend(lost.map(|worker_id| Effect::CountLoss(worker_id.clone())));
        }
        open => all.open = Some(open_shares(request, agreement, answer.digest, fee, open)),
    }
    all
}

fn open_shares(
    request: &LiveRequest,
    agreement: &Agreement,
    digest: Hash32,
    fee: Fee,
    open: usize,
) -> OpenShares {
    let mut shares = OpenShares {
        request_id: request.id(),
        payer: request.payer().clone(),
        digest,
        agreement: agreement.clone(),
        unprovable: request.is_unprovable(),
        share: fee.share,
        protocol_share_bps: request.terms.protocol_share_bps,
        close_fee: fee.close,
        held: NOTHING,
    };
    let stake = request.terms.byte_cost.saturating_mul(shares.stored_bytes().into());
    let open = u128::try_from(open).unwrap_or(u128::MAX);
    shares.held = fee.share.saturating_mul(open).saturating_add(fee.close).saturating_add(stake);
    shares
}

fn resolved<'a>(request: LiveRequest, answer: &Answer<'a>, height: u64) -> Step<'a> {
    let body = answer.body;
    let outcome = match &answer.storage {
        StorageCheck::Fits => Outcome::of_response(body),
        StorageCheck::Conflict(_) | StorageCheck::Locked(_) | StorageCheck::ReadLocked { .. } => {
            Outcome::StorageConflict
        }
        StorageCheck::Exhausted { .. } => Outcome::StorageExhausted,
    };
    let Payments { effects: payments, workers, paid, open } = payments(&request, answer, height);
    let held = open.as_ref().map_or(NOTHING, |open| open.held);
    let mut settlement = Settlement {
        request_id: Some(request.id()),
        outcome,
        used: body.used,
        fee: paid,
        held,
        refund: request.deposit().saturating_sub(paid).saturating_sub(held),
        digest: Some(answer.digest),
    };
    let kept = keep_result(&request, &mut settlement, Some(answer.output_hash));
    let event = Event::ExecutionCompleted(ExecutionCompleted {
        request_id: request.id(),
        outcome: settlement.outcome.name().to_owned(),
        digest: answer.digest,
        worker_id: answer.worker_id.clone(),
        workers,
        output_hash: answer.output_hash,
        output_bytes: body.output.len() as u64,
        plan_hash: body.plan_hash(),
        used: settlement.used,
        fee: paid,
        held: settlement.held,
        refund: settlement.refund,
    });

    let mut effects = Vec::new();
    if answer.storage == StorageCheck::Fits && !body.journal.is_empty() {
        let namespace = request.namespace().clone();
        effects.push(Effect::ApplyJournal { namespace, journal: &body.journal });
    }
    effects.push(delete(&request, Some(body)));
    effects.extend(payments);
    effects.extend(kept);
    effects.extend(open.map(|open| Effect::KeepShares(Box::new(open))));
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(event));
    Step::Settled(settlement, effects)
}

fn delete<'a>(request: &LiveRequest, staged: Option<&'a ExecutionResponse>) -> Effect<'a> {
    Effect::Delete {
        request_id: request.id(),
        namespace: request.namespace().clone(),
        staged,
        closed_locks: request.closed_locks.clone(),
        parts: request.upload.as_ref().map_or(0, |upload| upload.parts),
        has_input: request.input_bytes > 0,
        change_fee: request.change_fee(),
    }
}

/// Pays a worker: the protocol gets its share of the amount, and the worker the rest.
pub(super) fn pay_worker(
    from: Purse,
    worker_id: &AccountId,
    amount: NearToken,
    protocol_share_bps: u16,
) -> Vec<Effect<'static>> {
    let protocol = protocol_share(amount, protocol_share_bps);
    let rest = amount.saturating_sub(protocol);
    vec![Effect::PayWorker(from, worker_id.clone(), rest), Effect::PayProtocol(from, protocol)]
}

fn refund<'a>(request: &LiveRequest, amount: NearToken) -> Option<Effect<'a>> {
    (amount > NOTHING).then(|| Effect::Refund(Purse::Deposit, request.payer().clone(), amount))
}

/// A settlement without an answer, of which `fee` is paid, and the effect that keeps it.
fn unanswered<'a>(
    request: &LiveRequest,
    outcome: Outcome,
    fee: NearToken,
) -> (Settlement, Option<Effect<'a>>) {
    let mut settlement = Settlement {
        request_id: Some(request.id()),
        outcome,
        used: Compute::new(request.limits.compute.meter(), 0),
        fee,
        held: NOTHING,
        refund: request.deposit().saturating_sub(fee),
        digest: None,
    };
    let kept = keep_result(request, &mut settlement, None);
    (settlement, kept)
}

/// The request was cancelled: free of charge while no worker has committed or claimed. After that
/// each that has committed is paid the least share, because it has downloaded, compiled and
/// executed. Of those that have claimed, one is paid it: the first in the order whose claim stands.
fn cancelled<'a>(request: LiveRequest, height: u64) -> Step<'a> {
    let mut effects = vec![delete(&request, None)];
    effects.extend(request.count_missed(None, height));
    let (mut payments, share) = (Payments::for_voids(&request), request.least_share());
    let committed = request.agreement.iter().flat_map(|agreement| agreement.voters(|_| true));
    let (id, deadline) = (request.id(), request.terms.deadline);
    let claim =
        request.claims.as_ref().and_then(|claims| claims.first_standing(id, deadline, height));
    for worker_id in committed.chain(claim.map(|claim| &claim.worker_id)) {
        payments.pay(&request, worker_id, share);
    }
    let Payments { effects: payments, paid: fee, .. } = payments;
    effects.extend(payments);
    let (settlement, kept) = unanswered(&request, Outcome::Cancelled, fee);
    effects.extend(kept);
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionCancelled(ExecutionCancelled {
        request_id: request.id(),
        fee,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}

/// The workers could not agree, or not before a key changed: everything goes back, but for void
/// rounds and the gas of the worker that closed the request. Who has not revealed in time is
/// counted; who of the others lied is not known.
fn disputed<'a>(request: LiveRequest, closer: Option<AccountId>, height: u64) -> Step<'a> {
    let mut effects = vec![delete(&request, None)];
    let mut payments = Payments::for_voids(&request);
    if let Some(closer) = closer {
        payments.pay(&request, &closer, request.close_fee());
    }
    let Payments { effects: payments, paid: fee, .. } = payments;
    effects.extend(payments);
    let mut digests = Vec::new();
    if let Some(agreement) = &request.agreement {
        digests = agreement.supported();
        if agreement.stage(height) == Stage::Over {
            let late = agreement.voters(|vote| vote.digest.is_none());
            effects.extend(late.map(|worker_id| Effect::CountLoss(worker_id.clone())));
        }
    }
    let outcome = Outcome::Disputed { digests: digests.clone() };
    let (settlement, kept) = unanswered(&request, outcome, fee);
    effects.extend(kept);
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionDisputed(ExecutionDisputed {
        request_id: request.id(),
        digests,
        approvals: request.approvals(),
        fee,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}

/// Nobody answered: the whole deposit goes back, but for void rounds.
pub(super) fn timed_out(
    request: LiveRequest,
    staged: Option<&ExecutionResponse>,
    height: u64,
) -> Step<'_> {
    let Payments { effects: payments, paid: fee, .. } = Payments::for_voids(&request);
    let (settlement, kept) = unanswered(&request, Outcome::TimedOut, fee);
    let mut effects = vec![delete(&request, staged)];
    // An answer that was taken came in time, whatever has become of it.
    if request.phase == Phase::Pending {
        effects.extend(request.count_missed(None, height));
    }
    effects.extend(payments);
    effects.extend(kept);
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionTimedOut(ExecutionTimedOut {
        request_id: request.id(),
        deadline: request.terms.deadline,
        fee,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}

impl LiveRequest {
    /// What an answer costs. The most that it can cost was computed with the same prices when the
    /// request was accepted, so this cannot fail.
    fn fee(&self, body: &ExecutionResponse) -> Fee {
        response_fee(&self.terms.prices, &self.into(), body).unwrap_or_default()
    }

    /// What a worker is paid for closing the request.
    fn close_fee(&self) -> NearToken {
        max_fee(&self.terms.prices, &self.into()).unwrap_or_default().close
    }

    /// What a worker is due that has executed a request which is then cancelled.
    fn least_share(&self) -> NearToken {
        least_fee(&self.terms.prices, &self.into()).unwrap_or_default()
    }
}
