//! How a live request is settled: who is paid, what goes back, what is written.

use near_account_id::AccountId;
use near_token::NearToken;

use super::{Delivery, Effect, LiveRequest, Phase, Step};
use crate::{
    Compute, ExecutionResponse, Hash32, Outcome, ResumePayload, Settlement,
    events::{Event, ExecutionCancelled, ExecutionCompleted, ExecutionTimedOut},
    pricing::{response_fee, split_fee},
    storage::StorageCheck,
};

const NOTHING: NearToken = NearToken::from_yoctonear(0);

/// The callback: settles the staged response, the cancellation, or the timeout.
pub(super) fn deliver(
    request: LiveRequest,
    delivery: Delivery<'_>,
    staged: Option<(&ExecutionResponse, StorageCheck)>,
) -> Step {
    let payload = match delivery {
        Delivery::Resumed(bytes) => ResumePayload::decode(bytes),
        Delivery::TimedOut => None,
    };
    match (payload, request.phase.clone(), staged) {
        (
            Some(ResumePayload::Digest(resumed)),
            Phase::Staged { digest, worker_id, winners, output_hash },
            Some((body, storage)),
        ) if resumed == digest => {
            resolved(request, &Answer { digest, worker_id, winners, output_hash, body, storage })
        }
        (Some(ResumePayload::Cancel), Phase::Cancelling, _) => cancelled(request),
        // A timeout. The contract is the only account that can resume its yields, and it never resumes one with
        // anything but what the phase says; were it otherwise, the payer would still be made whole.
        _ => timed_out(request),
    }
}

struct Answer<'a> {
    digest: Hash32,
    worker_id: AccountId,
    winners: Vec<AccountId>,
    output_hash: Hash32,
    body: &'a ExecutionResponse,
    storage: StorageCheck,
}

fn resolved(request: LiveRequest, answer: &Answer<'_>) -> Step {
    let outcome = match &answer.storage {
        StorageCheck::Fits => Outcome::of_response(answer.body),
        StorageCheck::Conflict(_) | StorageCheck::Held(_) => Outcome::StorageConflict,
        StorageCheck::Exhausted { .. } => Outcome::StorageExhausted,
    };
    // The maximum was computed with the same prices when the request was accepted, so this cannot fail; the
    // maximum would be right if it did.
    let fee =
        response_fee(&request.terms.prices, &request.limits, request.input_bytes, answer.body)
            .unwrap_or(request.terms.max_fee)
            .min(request.terms.max_fee);
    let applies = answer.storage == StorageCheck::Fits && !answer.body.journal.is_empty();
    let settlement = Settlement {
        request_id: request.id(),
        outcome,
        used: answer.body.used,
        fee,
        refund: request.deposit().saturating_sub(fee),
        digest: Some(answer.digest),
    };
    let losers = request
        .commitments
        .iter()
        .map(|one| &one.worker_id)
        .filter(|id| !answer.winners.contains(id));
    let losses: Vec<_> = losers.map(|id| Effect::CountLoss(id.clone())).collect();
    let event = Event::ExecutionCompleted(ExecutionCompleted {
        request_id: request.id(),
        outcome: settlement.outcome.name().to_owned(),
        digest: answer.digest,
        worker_id: answer.worker_id.clone(),
        workers: answer.winners.clone(),
        output_hash: answer.output_hash,
        output_bytes: answer.body.output.len() as u64,
        used: settlement.used,
        fee,
        refund: settlement.refund,
    });

    let mut effects = Vec::new();
    if applies {
        effects.push(Effect::ApplyJournal);
    }
    effects.push(Effect::Delete);
    effects.extend(pay(&request, fee, &answer.winners, &answer.worker_id));
    effects.extend(losses);
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(event));
    Step::Settled(settlement, effects)
}

/// Divides the fee; `first` (one of the workers, or the first of them) gets what does not divide evenly.
fn pay(
    request: &LiveRequest,
    fee: NearToken,
    workers: &[AccountId],
    first: &AccountId,
) -> Vec<Effect> {
    let count = u32::try_from(workers.len()).unwrap_or(u32::MAX);
    let shares = split_fee(fee, request.terms.protocol_share_bps, count);
    let lucky = if workers.contains(first) { Some(first) } else { workers.first() };
    let mut effects: Vec<_> = workers
        .iter()
        .map(|id| {
            let extra = if Some(id) == lucky { shares.remainder } else { NOTHING };
            Effect::PayWorker(id.clone(), shares.each.saturating_add(extra))
        })
        .collect();
    effects.push(Effect::PayProtocol(shares.protocol));
    effects
}

fn refund(request: &LiveRequest, amount: NearToken) -> Option<Effect> {
    (amount > NOTHING).then(|| Effect::Refund(request.terms.payer.clone(), amount))
}

/// The requester took it back: free while nobody has committed, the base fee once somebody has.
fn cancelled(request: LiveRequest) -> Step {
    let workers: Vec<_> = request.commitments.iter().map(|one| one.worker_id.clone()).collect();
    let fee = match workers.first() {
        Some(_) => request.terms.prices.base_fee.min(request.terms.max_fee),
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
    let mut effects = vec![Effect::Delete];
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

/// Nobody answered: everything goes back.
pub(super) fn timed_out(request: LiveRequest) -> Step {
    let settlement = Settlement {
        request_id: request.id(),
        outcome: Outcome::TimedOut,
        used: Compute::new(request.limits.compute.meter(), 0),
        fee: NOTHING,
        refund: request.deposit(),
        digest: None,
    };
    let mut effects = vec![Effect::Delete];
    effects.extend(refund(&request, settlement.refund));
    effects.push(Effect::Emit(Event::ExecutionTimedOut(ExecutionTimedOut {
        request_id: request.id(),
        deadline: request.terms.deadline,
        refund: settlement.refund,
    })));
    Step::Settled(settlement, effects)
}
