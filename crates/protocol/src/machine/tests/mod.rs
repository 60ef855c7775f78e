//! The rules of the machine, one by one: here what any request has, in `agreement` what several
//! workers do, in `claims` what one does whose execution takes long, and in `history` the
//! invariants over random histories.

mod agreement;
mod claims;
mod history;

use near_account_id::AccountId;
use near_token::NearToken;
use proptest::prelude::*;

use super::*;
use crate::{
    Bytes, Compute, ExecutionResponse, Hash32, Outcome, ResponsePart, ResumePayload, Settlement,
    Status, commitment::commitment, events::Event, kept_result::MAX_KEPT_OUTPUT_BYTES,
    live_request::sample, pricing::response_fee, response, storage::StorageCheck,
    upload::MIN_PART_BYTES,
};

const IN_TIME: u64 = 1_100;
const DEADLINE: u64 = 1_200;
/// What is held for a result that is kept.
const HELD: NearToken = NearToken::from_yoctonear(5);

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// An account that the effects of a step may borrow until the test ends.
fn account(name: &str) -> &'static AccountId {
    Box::leak(Box::new(id(name)))
}

fn refused(reason: Reason) -> Refusal {
    Refusal { request_id: 7, reason }
}

fn submit<'a>(
    request: LiveRequest,
    worker: &str,
    body: &'a ExecutionResponse,
    height: u64,
) -> Result<Step<'a>, Refusal> {
    check_and_submit(request, worker, body, StorageCheck::Fits, height)
}

fn check_and_submit<'a>(
    request: LiveRequest,
    worker: &str,
    body: &'a ExecutionResponse,
    storage: StorageCheck,
    height: u64,
) -> Result<Step<'a>, Refusal> {
    let digest = digest_of(&request, body);
    request.step(Input::Resolve {
        worker_id: account(worker),
        digest,
        salt: None,
        body: Body::of(body),
        storage,
        height,
    })
}

fn live(step: Step<'_>) -> (LiveRequest, Vec<Effect<'_>>) {
    match step {
        Step::Live(request, effects) => (*request, effects),
        Step::Settled(settlement, _) => panic!("settled: {settlement:?}"),
    }
}

fn settled(step: Step<'_>) -> (Settlement, Vec<Effect<'_>>) {
    match step {
        Step::Settled(settlement, effects) => (settlement, effects),
        Step::Live(request, _) => panic!("still {:?}", request.phase),
    }
}

/// Runs the callback with the payload that the phase says the yield was resumed with.
fn deliver(
    request: LiveRequest,
    body: Option<&ExecutionResponse>,
    storage: StorageCheck,
    height: u64,
) -> Step<'_> {
    let payload = match &request.phase {
        Phase::Staged { digest, .. } => ResumePayload::Digest(*digest).encode(),
        Phase::Disputing { .. } => ResumePayload::Dispute.encode(),
        _ => ResumePayload::Cancel.encode(),
    };
    let staged = body.map(|body| (body, storage));
    let delivery = Delivery::Resumed { payload: payload.into(), staged };
    let step = request.clone().step(Input::Deliver { delivery, height }).unwrap();
    if let Step::Settled(settlement, effects) = &step {
        check_paid(&request, settlement, effects, height);
    }
    step
}

/// What is told later of the payments is what they were.
fn check_paid(request: &LiveRequest, settlement: &Settlement, effects: &[Effect<'_>], height: u64) {
    let completed = effects.iter().find_map(|effect| match effect {
        Effect::Emit(Event::ExecutionCompleted(completed)) => Some(completed),
        _ => None,
    });
    let paid = request.paid(settlement, completed, height).unwrap();
    assert_eq!(paid, Paid::of(effects), "{settlement:?}");
    assert_eq!(paid.total(), settlement.fee);
}

fn total_of(effects: &[Effect]) -> u128 {
    let amounts = effects.iter().map(|effect| match effect {
        Effect::PayWorker(_, _, amount)
        | Effect::PayProtocol(_, amount)
        | Effect::Refund(_, _, amount) => amount.as_yoctonear(),
        Effect::KeepShares(shares) => shares.held.as_yoctonear(),
        Effect::KeepResult { held, .. } => held.as_yoctonear(),
        _ => 0,
    });
    amounts.sum()
}

fn resume<'a>(request: &LiveRequest, payload: ResumePayload) -> Effect<'a> {
    Effect::Resume { request_id: 7, data_id: request.data_id, payload }
}

/// The effect that deletes the sample with this staged response.
fn delete(staged: Option<&ExecutionResponse>) -> Effect<'_> {
    Effect::Delete {
        request_id: 7,
        namespace: id("dapp.near"),
        staged,
        closed_locks: Vec::new(),
        parts: 0,
        has_input: true,
        change_fee: sample().terms.max_fee,
    }
}

fn digest_of(request: &LiveRequest, body: &ExecutionResponse) -> Hash32 {
    crate::ExecutionRecord::new(request, body).digest()
}

#[test]
fn an_answer_is_staged_and_nothing_is_paid_before_the_callback() {
    let body = response::sample(7);
    let digest = digest_of(&sample(), &body);
    let (request, effects) = live(submit(sample(), "worker.near", &body, DEADLINE).unwrap());
    let locked = Effect::Lock { namespace: id("dapp.near"), response: &body };
    let resumed = resume(&sample(), ResumePayload::Digest(digest));
    assert_eq!(effects, [resumed, Effect::Stage(&body), locked]);

    let deposit = request.deposit();
    let (settlement, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, IN_TIME));
    assert_eq!(settlement.outcome, Outcome::Completed { output: "output".into() });
    assert_eq!(settlement.digest, Some(digest));
    assert_eq!(
        settlement.fee.as_yoctonear() + settlement.refund.as_yoctonear(),
        deposit.as_yoctonear()
    );
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
    let applied = Effect::ApplyJournal { namespace: id("dapp.near"), journal: &body.journal };
    assert_eq!(effects[..2], [applied, delete(Some(&body))]);
    assert!(effects.contains(&Effect::CountSettled(id("worker.near"))));
    let Some(Effect::Emit(Event::ExecutionCompleted(event))) = effects.last() else {
        panic!("{effects:?}")
    };
    assert_eq!(event.digest, digest);
}

#[test]
fn a_block_after_the_deadline_is_too_late() {
    let error = submit(sample(), "worker.near", &response::sample(7), DEADLINE + 1).unwrap_err();
    assert_eq!(error, refused(Reason::Expired { deadline: DEADLINE, height: DEADLINE + 1 }));
}

#[test]
fn a_request_is_open_until_it_is_answered_or_cancelled_or_its_deadline_has_passed() {
    let is_open = |request: &LiveRequest, height| {
        let entry = crate::index::PendingEntry::from(request);
        assert_eq!(entry.is_in_time(height), !request.is_expired(height));
        assert_eq!(request.open(height).is_ok(), request.is_open(height));
        request.is_open(height)
    };
    assert!(is_open(&sample(), DEADLINE) && !is_open(&sample(), DEADLINE + 1));
    let body = response::sample(7);
    let (staged, _) = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap());
    assert!(!is_open(&staged, IN_TIME));
    let cancel = Input::Cancel { by: account("dapp.near"), height: IN_TIME };
    let (cancelling, _) = live(sample().step(cancel).unwrap());
    assert!(!is_open(&cancelling, IN_TIME));
}

#[test]
fn a_second_answer_and_a_late_cancel_are_refused_while_one_is_staged() {
    let body = response::sample(7);
    let (request, _) = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap());
    let error = submit(request.clone(), "other.near", &body, IN_TIME).unwrap_err();
    let Reason::AlreadyStaged { worker_id, .. } = error.reason else { panic!("{error}") };
    assert_eq!(worker_id, "worker.near");
    let requester = request.context.predecessor_id.clone();
    let error = request.step(Input::Cancel { by: &requester, height: IN_TIME }).unwrap_err();
    assert!(matches!(error.reason, Reason::AlreadyStaged { .. }));
}

#[test]
fn a_timeout_refunds_everything_from_every_phase() {
    let body = response::sample(7);
    let staged = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap()).0;
    let cancelling =
        live(sample().step(Input::Cancel { by: &id("dapp.near"), height: IN_TIME }).unwrap()).0;
    for request in [sample(), staged, cancelling] {
        let deposit = request.deposit();
        let input = Input::Deliver {
            delivery: Delivery::TimedOut { staged: Some(&body) },
            height: DEADLINE + 1,
        };
        let (settlement, effects) = settled(request.step(input).unwrap());
        assert_eq!(settlement.outcome, Outcome::TimedOut);
        assert_eq!((settlement.fee, settlement.refund), (NearToken::from_yoctonear(0), deposit));
        let refunded = Effect::Refund(Purse::Deposit, id("dapp.near"), deposit);
        assert_eq!(effects[..2], [delete(Some(&body)), refunded]);
    }
}

/// The locks of six keys, of which the sample may write four.
fn locks() -> Vec<Hash32> {
    assert_eq!(sample().limits.storage_writes, 4);
    (0..6u8).map(|n| Hash32::of(&[n])).collect()
}

fn read_locked(closable: &[Hash32]) -> StorageCheck {
    StorageCheck::ReadLocked { closable: closable.to_vec() }
}

fn closing<'a>(locks: &[Hash32]) -> Effect<'a> {
    Effect::CloseToReaders { request_id: 7, locks: locks.into() }
}

/// The locks that a settlement opens.
fn opened<'e>(effects: &'e [Effect<'_>]) -> &'e [Hash32] {
    let closed = effects.iter().find_map(|effect| match effect {
        Effect::Delete { closed_locks, .. } => Some(closed_locks),
        _ => None,
    });
    closed.unwrap()
}

#[test]
fn a_writer_that_meets_readers_waits_and_closes_no_more_keys_than_it_may_write() {
    let (body, locks) = (response::sample(7), locks());
    let wait = |request, range: std::ops::Range<usize>| {
        let check = read_locked(&locks[range]);
        let step = check_and_submit(request, "w.near", &body, check, IN_TIME).unwrap();
        assert_eq!(step.taken(), Taken::Wait);
        live(step)
    };
    let (request, effects) = wait(sample(), 0..2);
    assert!(request.is_open(IN_TIME));
    assert_eq!(effects, [closing(&locks[..2])]);
    // A worker that lies about what is written closes no more than that either.
    let (request, effects) = wait(request, 1..6);
    assert_eq!(effects, [closing(&locks[1..4])]);
    assert_eq!(request.closed_locks, locks[..4]);
    let staged = submit(request, "w.near", &body, IN_TIME).unwrap();
    assert_eq!(staged.taken(), Taken::Staged);
    let step = deliver(live(staged).0, Some(&body), StorageCheck::Fits, IN_TIME);
    assert_eq!(opened(&settled(step).1), &locks[..4]);
}

#[test]
fn locks_that_were_closed_for_a_request_are_opened_however_it_ends() {
    let (body, locks) = (response::sample(7), locks());
    let check = read_locked(&locks[..2]);
    let step = check_and_submit(sample(), "w.near", &body, check, IN_TIME).unwrap();
    let waiting = live(step).0;
    let cancel = Input::Cancel { by: account("dapp.near"), height: IN_TIME };
    let cancelling = live(waiting.clone().step(cancel).unwrap()).0;
    let cancelled = deliver(cancelling, None, StorageCheck::Fits, IN_TIME);
    let delivery = Delivery::TimedOut { staged: None };
    let timed_out = waiting.clone().step(Input::Deliver { delivery, height: DEADLINE + 1 });
    let height = waiting.terms.sweep_from;
    let swept = waiting.step(Input::Sweep { staged: None, height });
    for step in [cancelled, timed_out.unwrap(), swept.unwrap()] {
        assert_eq!(opened(&settled(step).1), &locks[..2]);
    }
}

#[test]
fn a_request_says_who_may_cancel_it() {
    use crate::CancelBy;
    let may = |cancel_by, by: &str| {
        let mut request = LiveRequest { cancel_by, ..sample() };
        request.terms.payer = id("payer.near");
        request.step(Input::Cancel { by: account(by), height: IN_TIME }).map(|_| ())
    };
    for by in ["dapp.near", "payer.near", "eve.near"] {
        let nobody = may(CancelBy::Nobody, by).unwrap_err();
        assert_eq!(nobody, refused(Reason::NotCancellable));
    }
    let refused = |by: &str, payer: Option<&str>| {
        refused(Reason::NotTheRequester {
            found: id(by),
            requester: id("dapp.near"),
            payer: payer.map(id),
        })
    };
    assert_eq!(may(CancelBy::Requester, "dapp.near"), Ok(()));
    let error = may(CancelBy::Requester, "payer.near").unwrap_err();
    assert_eq!(error, refused("payer.near", None));
    assert_eq!(error.to_string(), "request 7: it can be cancelled by dapp.near, not by payer.near");
    assert_eq!(may(CancelBy::Payer, "dapp.near"), Ok(()));
    assert_eq!(may(CancelBy::Payer, "payer.near"), Ok(()));
    let error = may(CancelBy::Payer, "eve.near").unwrap_err();
    assert_eq!(error, refused("eve.near", Some("payer.near")));
    assert!(error.to_string().contains("by dapp.near or payer.near, not by eve.near"));
}

#[test]
fn a_cancellation_is_free_while_nobody_committed() {
    let error = sample().step(Input::Cancel { by: &id("eve.near"), height: IN_TIME }).unwrap_err();
    assert!(matches!(error.reason, Reason::NotTheRequester { found, .. } if found == "eve.near"));
    let (request, effects) =
        live(sample().step(Input::Cancel { by: account("dapp.near"), height: IN_TIME }).unwrap());
    assert_eq!(effects, [resume(&sample(), ResumePayload::Cancel)]);
    let deposit = request.deposit();
    let error = submit(request.clone(), "worker.near", &response::sample(7), IN_TIME).unwrap_err();
    assert_eq!(error, refused(Reason::AlreadyCancelled));
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, IN_TIME));
    assert_eq!((settlement.outcome, settlement.refund), (Outcome::Cancelled, deposit));
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
}

#[test]
fn a_sweep_waits_and_then_refunds_whatever_the_phase() {
    let body = response::sample(7);
    let staged = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap()).0;
    let from = staged.terms.sweep_from;
    let error = staged.clone().step(Input::Sweep { staged: None, height: from - 1 }).unwrap_err();
    assert_eq!(error, refused(Reason::TooEarlyToSweep { from, height: from - 1 }));
    let sweep = Input::Sweep { staged: Some(&body), height: from };
    let (settlement, effects) = settled(staged.step(sweep).unwrap());
    assert!(effects.contains(&delete(Some(&body))));
    assert_eq!(settlement.outcome, Outcome::TimedOut);
    assert_eq!(total_of(&effects), settlement.refund.as_yoctonear());
}

#[test]
fn a_changed_or_locked_key_refuses_the_answer_while_there_is_time() {
    let body = response::sample(7);
    let key = Bytes::from("k");
    let conflict =
        check_and_submit(sample(), "w.near", &body, StorageCheck::Conflict(key.clone()), IN_TIME);
    assert_eq!(conflict.unwrap_err(), refused(Reason::ReadConflict { key: key.clone() }));
    let locked =
        check_and_submit(sample(), "w.near", &body, StorageCheck::Locked(key.clone()), IN_TIME);
    assert_eq!(locked.unwrap_err(), refused(Reason::KeyLocked { key }));
}

#[test]
fn storage_that_does_not_fit_at_settlement_is_an_outcome_that_writes_nothing_and_pays() {
    let body = response::sample(7);
    for (storage, outcome) in [
        (StorageCheck::Conflict("k".into()), Outcome::StorageConflict),
        (StorageCheck::Exhausted { needed: 9, available: 3 }, Outcome::StorageExhausted),
    ] {
        let (request, _) = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap());
        let due = response_fee(&request.terms.prices, &(&request).into(), &body).unwrap();
        let (settlement, effects) = settled(deliver(request, Some(&body), storage, IN_TIME));
        assert_eq!(settlement.outcome, outcome);
        assert_eq!(settlement.fee, due.total());
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::ApplyJournal { .. })));
    }
}

#[test]
fn a_guests_fault_pays_for_what_it_burned() {
    let mut body = response::sample(7);
    body.output = Bytes::default();
    body.journal.clear();
    body.status = Status::OutOfFuel;
    body.used = Compute::Fuel(100_000_000);
    let (request, _) = live(submit(sample(), "worker.near", &body, IN_TIME).unwrap());
    let due = response_fee(&request.terms.prices, &(&request).into(), &body).unwrap();
    let (settlement, _) = settled(deliver(request, Some(&body), StorageCheck::Fits, IN_TIME));
    assert_eq!(settlement.outcome, Outcome::OutOfFuel);
    assert_eq!(settlement.fee, due.total());
}

#[test]
fn a_body_for_another_request_is_refused() {
    let error = submit(sample(), "worker.near", &response::sample(8), IN_TIME).unwrap_err();
    assert!(matches!(error, Refusal { request_id: 7, reason: Reason::Response(_) }), "{error}");
}

#[test]
fn a_result_is_kept_with_as_much_of_its_output_as_is_allowed() {
    let most = MAX_KEPT_OUTPUT_BYTES as usize;
    for (bytes, kept, is_whole) in [(0, 0, true), (most, most, true), (most + 1, most, false)] {
        let mut request = LiveRequest { keep_result_blocks: 9, ..sample() };
        request.limits.output_bytes = MAX_KEPT_OUTPUT_BYTES + 1;
        request.terms.result_reserve = HELD;
        let body = ExecutionResponse { output: vec![b'o'; bytes].into(), ..response::sample(7) };
        let (request, _) = live(submit(request, "worker.near", &body, IN_TIME).unwrap());
        let payer = request.payer().clone();
        let (settlement, effects) =
            settled(deliver(request, Some(&body), StorageCheck::Fits, IN_TIME));
        let cut = Outcome::Completed { output: vec![b'o'; kept].into() };
        let expected = Effect::KeepResult {
            request_id: 7,
            settlement: Box::new(Settlement { outcome: cut, ..settlement.clone() }),
            output_hash: Some(Hash32::of(&body.output)),
            output_is_whole: is_whole,
            payer,
            blocks: 9,
            held: HELD,
        };
        assert!(effects.contains(&expected), "{bytes}: {effects:?}");
        assert_eq!(settlement.outcome, Outcome::Completed { output: body.output });
    }
}

#[test]
fn at_the_last_height_a_deadline_saturates() {
    let (config, mut request) = (crate::config::sample(), crate::request::sample());
    request.limits = request.limits.with_storage(8, 4, 4 << 10);
    let byte_cost = NearToken::from_yoctonear(10_000_000_000_000_000_000);
    let quote = crate::pricing::quote(&config, &request, None, 100, byte_cost).unwrap();
    let mut context = crate::context::sample();
    context.block_height = u64::MAX - 1;
    let code = sample().code.into();
    let live =
        LiveRequest::accept(&config, &request, code, context, quote, Hash32::of(b"")).unwrap();
    assert_eq!((live.terms.deadline, live.terms.sweep_from), (u64::MAX, u64::MAX));
    let body = response::sample(7);
    assert!(submit(live, "worker.near", &body, u64::MAX).is_ok());
}
