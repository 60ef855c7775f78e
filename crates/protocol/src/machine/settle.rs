//! How a live request is settled: who is paid, what goes back, what is written.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Delivery, Effect, LiveRequest, Phase, Step};
use crate::{
    Compute, ExecutionResponse, Hash32, Outcome, ResumePayload, Settlement,
    events::{Event, ExecutionCancelled, ExecutionCompleted, ExecutionTimedOut},
    pricing::{least_fee, response_fee, split_fee},
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
        StorageCheck::Conflict(_) | StorageCheck::Locked(_) | StorageCheck::ReadLocked { .. } => {
            Outcome::StorageConflict
        }
        StorageCheck::Exhausted { .. } => Outcome::StorageExhausted,
    };
    // The maximum was computed with the same prices when the request was accepted, so this cannot
    // fail. If it did, the maximum would be right.
    let fee = response_fee(&request.terms.prices, &request.limits, request.input_bytes, body)
        .unwrap_or(request.terms.max_fee)
        .min(request.terms.max_fee);
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
    effects.extend(pay(&request, fee, &answer.winners, &answer.worker_id));
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
        closed_locks: request.closed_locks.clone(),
        parts: request.upload.as_ref().map_or(0, |upload| upload.parts),
        published_code: request.published_code(),
        change_fee: request.change_fee(),
    }
}

/// Divides the fee. What does not divide evenly goes to `preferred` if it is one of the workers,
/// and to the first of them otherwise.
fn pay<'a>(
    request: &LiveRequest,
    fee: NearToken,
    workers: &[AccountId],
    preferred: &AccountId,
) -> Vec<Effect<'a>> {
    let count = u32::try_from(workers.len()).unwrap_or(u32::MAX);
    let shares = split_fee(fee, request.terms.protocol_share_bps, count);
    let first = if workers.contains(preferred) { Some(preferred) } else { workers.first() };
    let mut effects: Vec<_> = workers
        .iter()
        .map(|id| {
            let extra = if Some(id) == first { shares.remainder } else { NOTHING };
            Effect::PayWorker(id.clone(), shares.each.saturating_add(extra))
        })
        .collect();
    effects.push(Effect::PayProtocol(shares.protocol));
    effects
}

fn refund<'a>(request: &LiveRequest, amount: NearToken) -> Option<Effect<'a>> {
    (amount > NOTHING).then(|| Effect::Refund(request.payer().clone(), amount))
}

/// The request was cancelled: free of charge while no worker has committed, and for the least fee
/// after that, because whoever has committed has downloaded, compiled and executed.
fn cancelled<'a>(request: LiveRequest) -> Step<'a> {
    let workers: Vec<_> = request.commitments.iter().map(|one| one.worker_id.clone()).collect();
    let fee = match workers.first() {
        Some(_) => least_fee(&request.terms.prices, &request.limits)
            .unwrap_or(request.terms.max_fee)
            .min(request.terms.max_fee),
        None => NOTHING,
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
    if let Some(first) = workers.first() {
        effects.extend(pay(&request, fee, &workers, first));
    }
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
