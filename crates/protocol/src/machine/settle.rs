//! How a live request is settled: who is paid, what goes back, what is written.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Delivery, Effect, LiveRequest, Phase, Step};
use crate::{
    Compute, ExecutionResponse, Hash32, Outcome, ResumePayload, Settlement,
    events::{Event, ExecutionCancelled, ExecutionCompleted, ExecutionTimedOut},
    pricing::{Fee, least_fee, protocol_share, response_fee},
    storage::StorageCheck,
};

const NOTHING: NearToken = NearToken::from_yoctonear(0);

/// The callback: settles the staged response, the cancellation, or the timeout.
pub(super) fn deliver(request: LiveRequest, delivery: Delivery<'_>) -> Step<'_> {
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
            Phase::Staged { digest, worker_id, winners, output_hash },
            Some((body, storage)),
        ) if resumed == digest => {
            resolved(request, &Answer { digest, worker_id, winners, output_hash, body, storage })
        }
        (Some(ResumePayload::Cancel), Phase::Cancelling, _) => cancelled(request),
        // A timeout. Only the contract can resume its yields, and it does so with what the phase
        // says. Were it otherwise, the payer would still get everything back.
        _ => timed_out(request, response),
    }
}

/// A staged response and what is known about it.
struct Answer<'a> {
    digest: Hash32,
    worker_id: AccountId,
    winners: Vec<AccountId>,
    output_hash: Hash32,
    body: &'a ExecutionResponse,
    storage: StorageCheck,
}

fn resolved<'a>(request: LiveRequest, answer: &Answer<'a>) -> Step<'a> {
    let body = answer.body;
    let outcome = match &answer.storage {
        StorageCheck::Fits => Outcome::of_response(body),
        StorageCheck::Conflict(_) | StorageCheck::Locked(_) => Outcome::StorageConflict,
        StorageCheck::Exhausted { .. } => Outcome::StorageExhausted,
    };
    // The maximum was computed with the same prices when the request was accepted, so this cannot
    // fail.
    let due = response_fee(&request.terms.prices, &(&request).into(), body).unwrap_or_default();
    let (fee, payments) = pay(&request, &due, &answer.winners, Some(&answer.worker_id));
    let settlement = Settlement {
        request_id: request.id(),
        outcome,
        used: body.used,
        fee,
        refund: request.deposit().saturating_sub(fee),
        digest: Some(answer.digest),
    };
    let losers = request
        .commitments
        .iter()
        .map(|one| &one.worker_id)
        .filter(|id| !answer.winners.contains(id));
    let event = Event::ExecutionCompleted(ExecutionCompleted {
        request_id: request.id(),
        outcome: settlement.outcome.name().to_owned(),
        digest: answer.digest,
        worker_id: answer.worker_id.clone(),
        workers: answer.winners.clone(),
        output_hash: answer.output_hash,
        output_bytes: body.output.len() as u64,
        used: settlement.used,
        fee,
        refund: settlement.refund,
    });

    let mut effects = Vec::new();
    if answer.storage == StorageCheck::Fits && !body.journal.is_empty() {
        let namespace = request.namespace().clone();
        effects.push(Effect::ApplyJournal { namespace, journal: &body.journal });
    }
    effects.push(delete(&request, Some(body)));
    effects.extend(payments);
    effects.extend(answer.winners.iter().map(|id| Effect::CountSettled(id.clone())));
    effects.extend(losers.map(|id| Effect::CountLoss(id.clone())));
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(event));
    Step::Settled(settlement, effects)
}

fn delete<'a>(request: &LiveRequest, staged: Option<&'a ExecutionResponse>) -> Effect<'a> {
    Effect::Delete {
        request_id: request.id(),
        namespace: request.namespace().clone(),
        staged,
        parts: request.upload.as_ref().map_or(0, |upload| upload.parts),
        published_code: request.published_code(),
    }
}

/// Pays the workers. Each of `workers` gets a share, as far as there are shares, and the submitter
/// the price of sending the response. Gives the sum of what is paid.
fn pay<'a>(
    request: &LiveRequest,
    due: &Fee,
    workers: &[AccountId],
    submitter: Option<&AccountId>,
) -> (NearToken, Vec<Effect<'a>>) {
    let mut due_to: Vec<_> =
        workers.iter().take(due.shares.into()).map(|id| (id, due.share)).collect();
    match (submitter, due_to.iter_mut().find(|(id, _)| Some(*id) == submitter)) {
        (_, Some((_, amount))) => *amount = amount.saturating_add(due.submit),
        (Some(id), None) => due_to.push((id, due.submit)),
        (None, None) => {}
    }
    let (mut fee, mut protocol) = (NOTHING, NOTHING);
    let mut effects = Vec::new();
    for (id, amount) in due_to {
        let share = protocol_share(amount, request.terms.protocol_share_bps);
        fee = fee.saturating_add(amount);
        protocol = protocol.saturating_add(share);
        effects.push(Effect::PayWorker(id.clone(), amount.saturating_sub(share)));
    }
    effects.push(Effect::PayProtocol(protocol));
    (fee, effects)
}

fn refund<'a>(request: &LiveRequest, amount: NearToken) -> Option<Effect<'a>> {
    (amount > NOTHING).then(|| Effect::Refund(request.payer().clone(), amount))
}

/// The request was cancelled: free of charge while no worker has committed. After that each worker
/// that has committed is due the least fee, because it has downloaded, compiled and executed.
fn cancelled<'a>(request: LiveRequest) -> Step<'a> {
    let workers: Vec<_> = request.commitments.iter().map(|one| one.worker_id.clone()).collect();
    let asked = (&request).into();
    let share = least_fee(&request.terms.prices, &asked).unwrap_or_default();
    let due = Fee { share, shares: asked.seats(), ..Fee::default() };
    let (fee, payments) = if workers.is_empty() {
        (NOTHING, Vec::new())
    } else {
        pay(&request, &due, &workers, None)
    };
    let settlement = Settlement {
        request_id: request.id(),
        outcome: Outcome::Cancelled,
        used: Compute::new(request.limits.compute.meter(), 0),
        fee,
        refund: request.deposit().saturating_sub(fee),
        digest: None,
    };
    let mut effects = vec![delete(&request, None)];
    effects.extend(payments);
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionCancelled(ExecutionCancelled {
        request_id: request.id(),
        fee,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}

/// Nobody answered: the whole deposit goes back.
pub(super) fn timed_out(request: LiveRequest, staged: Option<&ExecutionResponse>) -> Step<'_> {
    let settlement = Settlement {
        request_id: request.id(),
        outcome: Outcome::TimedOut,
        used: Compute::new(request.limits.compute.meter(), 0),
        fee: NOTHING,
        refund: request.deposit(),
        digest: None,
    };
    let mut effects = vec![delete(&request, staged)];
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionTimedOut(ExecutionTimedOut {
        request_id: request.id(),
        deadline: request.terms.deadline,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}
