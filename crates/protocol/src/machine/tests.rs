//! The rules of the machine, one by one, and its invariants over random histories.

use near_account_id::AccountId;
use near_token::NearToken;
use proptest::prelude::*;

use super::*;
use crate::{
    Bytes, Compute, ExecutionResponse, Hash32, Outcome, ResponsePart, ResumePayload, Status,
    commitment::commitment,
    events::Event,
    live_request::sample,
    response,
    storage::StorageCheck,
    upload::{MIN_PART_BYTES, Upload},
};

const IN_TIME: u64 = 1_100;
const DEADLINE: u64 = 1_200;

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
    request.step(Input::Resolve {
        worker_id: account(worker),
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

fn settled(step: Step<'_>) -> (crate::Settlement, Vec<Effect<'_>>) {
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
) -> Step<'_> {
    let payload = match &request.phase {
        Phase::Staged { digest, .. } => ResumePayload::Digest(*digest).encode(),
        _ => ResumePayload::Cancel.encode(),
    };
    let staged = body.map(|body| (body, storage));
    let delivery = Delivery::Resumed { payload: payload.into(), staged };
    request.step(Input::Deliver(delivery)).unwrap()
}

fn total_of(effects: &[Effect]) -> u128 {
    let amounts = effects.iter().map(|effect| match effect {
        Effect::PayWorker(_, amount) | Effect::PayProtocol(amount) | Effect::Refund(_, amount) => {
            amount.as_yoctonear()
        }
        _ => 0,
    });
    amounts.sum()
}

fn resume<'a>(request: &LiveRequest, payload: ResumePayload) -> Effect<'a> {
    Effect::Resume { request_id: 7, data_id: request.data_id, payload }
}

/// The effect that deletes the sample with this staged response.
fn delete(staged: Option<&ExecutionResponse>) -> Effect<'_> {
    let published_code = Some(Hash32::of(b"code"));
    Effect::Delete {
        request_id: 7,
        namespace: id("dapp.near"),
        staged,
        closed_locks: Vec::new(),
        parts: 0,
        published_code,
        change_fee: sample().terms.max_fee,
    }
}

fn two_approvals() -> LiveRequest {
    LiveRequest { approvals: 2, ..sample() }
}

fn digest_of(request: &LiveRequest, body: &ExecutionResponse) -> Hash32 {
    crate::ExecutionRecord::new(request, body).digest()
}

fn commit(request: LiveRequest, worker: &str, digest: Hash32) -> LiveRequest {
    let worker = id(worker);
    let hash = commitment(&digest, &worker);
    live(request.step(Input::Commit { worker_id: &worker, hash, height: IN_TIME }).unwrap()).0
}

#[test]
fn an_answer_is_staged_and_nothing_is_paid_before_the_callback() {
    let body = response::sample(7);
    let digest = digest_of(&sample(), &body);
    let (request, effects) = live(submit(sample(), "worker.near", &body, DEADLINE).unwrap());
    let locked = Effect::Lock { namespace: id("dapp.near"), response: &body };
    let resumed = resume(&sample(), ResumePayload::Digest(digest));
    assert_eq!(effects, [Effect::Stage(&body), locked, resumed]);

    let deposit = request.deposit();
    let (settlement, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits));
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
        let input = Input::Deliver(Delivery::TimedOut { staged: Some(&body) });
        let (settlement, effects) = settled(request.step(input).unwrap());
        assert_eq!(settlement.outcome, Outcome::TimedOut);
        assert_eq!((settlement.fee, settlement.refund), (NearToken::from_yoctonear(0), deposit));
        let refunded = Effect::Refund(id("dapp.near"), deposit);
        assert_eq!(effects[..2], [delete(Some(&body)), refunded]);
    }
}

#[test]
fn a_writer_that_meets_readers_waits_and_closes_no_more_keys_than_it_may_write() {
    let body = response::sample(7);
    let locks: Vec<_> = (0..6u8).map(|n| Hash32::of(&[n])).collect();
    let read_locked = |range: std::ops::Range<usize>| StorageCheck::ReadLocked {
        closable: locks[range].to_vec(),
    };
    assert_eq!(sample().limits.storage_writes, 4);
    let first = check_and_submit(sample(), "w.near", &body, read_locked(0..2), IN_TIME).unwrap();
    assert_eq!(first.taken(), Taken::Wait);
    let (request, effects) = live(first);
    assert!(request.is_open(IN_TIME));
    let closing = |locks: &[Hash32]| Effect::CloseToReaders { request_id: 7, locks: locks.into() };
    assert_eq!(effects, [closing(&locks[..2])]);
    // A worker that lies about what is written closes no more than that either.
    let second = check_and_submit(request, "w.near", &body, read_locked(1..6), IN_TIME).unwrap();
    assert_eq!(second.taken(), Taken::Wait);
    let (request, effects) = live(second);
    assert_eq!(effects, [closing(&locks[1..4])]);
    assert_eq!(request.closed_locks, locks[..4]);
    let staged = submit(request, "w.near", &body, IN_TIME).unwrap();
    assert_eq!(staged.taken(), Taken::Staged);
    let (_, effects) = settled(deliver(live(staged).0, Some(&body), StorageCheck::Fits));
    let opened = |effect: &Effect| match effect {
        Effect::Delete { closed_locks, .. } => closed_locks == &locks[..4],
        _ => false,
    };
    assert!(effects.iter().any(opened));
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
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits));
    assert_eq!((settlement.outcome, settlement.refund), (Outcome::Cancelled, deposit));
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
}

#[test]
fn cancelling_after_a_commitment_pays_the_least_fee() {
    let request = commit(two_approvals(), "a.near", Hash32::of(b"any"));
    let (request, _) =
        live(request.step(Input::Cancel { by: account("dapp.near"), height: IN_TIME }).unwrap());
    let (deposit, prices) = (request.deposit(), request.terms.prices);
    let least = crate::pricing::least_fee(&prices, &request.limits).unwrap();
    assert!(least > prices.base_fee);
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits));
    assert_eq!(settlement.fee, least);
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
    assert!(!effects.contains(&Effect::CountSettled(id("a.near"))));
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
        let base = request.terms.prices.base_fee;
        let (settlement, effects) = settled(deliver(request, Some(&body), storage));
        assert_eq!(settlement.outcome, outcome);
        assert!(settlement.fee >= base);
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
    let (prices, limits) = (request.terms.prices, request.limits);
    let (settlement, _) = settled(deliver(request, Some(&body), StorageCheck::Fits));
    assert_eq!(settlement.outcome, Outcome::OutOfFuel);
    assert_eq!(settlement.fee, crate::pricing::fee(&prices, &limits, body.used, 5).unwrap());
}

#[test]
fn a_body_for_another_request_is_refused() {
    let error = submit(sample(), "worker.near", &response::sample(8), IN_TIME).unwrap_err();
    assert!(matches!(error, Refusal { request_id: 7, reason: Reason::Response(_) }), "{error}");
}

#[test]
fn two_matching_commitments_settle_and_the_liar_earns_nothing() {
    let body = response::sample(7);
    let truth = digest_of(&two_approvals(), &body);
    let request = commit(two_approvals(), "a.near", truth);
    let error = submit(request.clone(), "a.near", &body, IN_TIME).unwrap_err();
    assert_eq!(error, refused(Reason::TooFewCommitments { needed: 2, found: 1 }));
    let request = commit(request, "liar.near", Hash32::of(b"lie"));
    let request = commit(request, "b.near", truth);
    // Any registered worker may submit the body. The commitments decide who is paid.
    let (request, _) = live(submit(request, "carrier.near", &body, IN_TIME).unwrap());
    let deposit = request.deposit();
    let (settlement, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits));
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
    let paid: Vec<_> =
        effects
            .iter()
            .filter_map(|effect| {
                if let Effect::PayWorker(id, _) = effect { Some(id.as_str()) } else { None }
            })
            .collect();
    assert_eq!(paid, ["a.near", "b.near"]);
    assert!(effects.contains(&Effect::CountLoss(id("liar.near"))));
    assert_eq!(settlement.digest, Some(truth));
}

#[test]
fn a_body_that_falls_short_is_disputed_and_gets_no_more_support() {
    let body = response::sample(7);
    let mut lie = body.clone();
    lie.output = "lie".into();
    let truth = digest_of(&two_approvals(), &body);
    let false_digest = digest_of(&two_approvals(), &lie);
    let request = commit(commit(two_approvals(), "a.near", truth), "liar.near", false_digest);
    let (request, effects) = live(submit(request, "liar.near", &lie, IN_TIME).unwrap());
    let [Effect::Emit(Event::ExecutionDisputed(dispute))] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (&dispute.supporters[..], &dispute.opponents[..]),
        (&[id("liar.near")][..], &[id("a.near")][..])
    );
    // What is public may be copied, so it gets no more support.
    let copycat = id("copycat.near");
    let hash = commitment(&false_digest, &copycat);
    let copied = Input::Commit { worker_id: &copycat, hash, height: IN_TIME };
    assert_eq!(
        request.clone().step(copied).unwrap_err(),
        refused(Reason::CommitmentToPublicBody { worker_id: copycat, digest: false_digest })
    );
    assert_eq!(
        submit(request.clone(), "liar.near", &lie, IN_TIME).unwrap_err(),
        refused(Reason::AlreadyDisputed { digest: false_digest })
    );
    // One liar cannot keep the others from agreeing on the truth.
    let request = commit(request, "b.near", truth);
    let (request, _) = live(submit(request, "b.near", &body, IN_TIME).unwrap());
    let (settlement, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits));
    assert_eq!(settlement.digest, Some(truth));
    assert!(effects.contains(&Effect::CountLoss(id("liar.near"))));
}

#[test]
fn a_body_that_nobody_committed_to_and_commitments_beyond_the_most_are_refused() {
    let body = response::sample(7);
    let mut request = two_approvals();
    for n in 0..6 {
        request = commit(request, &format!("w{n}.near"), Hash32::of(b"other"));
    }
    let digest = digest_of(&request, &body);
    assert_eq!(
        submit(request.clone(), "w0.near", &body, IN_TIME).unwrap_err(),
        refused(Reason::NobodyCommitted { digest })
    );
    let late = id("late.near");
    let seventh =
        Input::Commit { worker_id: &late, hash: commitment(&digest, &late), height: IN_TIME };
    assert_eq!(
        request.step(seventh).unwrap_err(),
        refused(Reason::CommitmentsClosed { found: 6, most: 6 })
    );
}

#[test]
fn commitments_to_an_outdated_truth_are_void() {
    let body = response::sample(7);
    let truth = digest_of(&two_approvals(), &body);
    let request = commit(commit(two_approvals(), "a.near", truth), "b.near", truth);
    let step =
        check_and_submit(request, "a.near", &body, StorageCheck::Conflict("k".into()), IN_TIME)
            .unwrap();
    let (request, effects) = live(step);
    assert!(request.commitments.is_empty() && effects.is_empty());
    commit(request, "a.near", truth);
}

#[test]
fn a_body_that_must_wait_for_a_locked_key_is_public_and_gets_no_more_support() {
    let body = response::sample(7);
    let truth = digest_of(&two_approvals(), &body);
    let request = commit(commit(two_approvals(), "a.near", truth), "b.near", truth);
    let locked = StorageCheck::Locked("k".into());
    let mut request = request;
    for _ in 0..2 {
        let step = check_and_submit(request, "a.near", &body, locked.clone(), IN_TIME).unwrap();
        let (next, effects) = live(step);
        assert!(effects.is_empty() && next.phase == Phase::Pending);
        request = next;
    }
    assert_eq!(request.public_digests, [truth]);
    let lazy = id("lazy.near");
    let hash = commitment(&truth, &lazy);
    let copied = Input::Commit { worker_id: &lazy, hash, height: IN_TIME };
    assert!(matches!(
        request.clone().step(copied).unwrap_err().reason,
        Reason::CommitmentToPublicBody { .. }
    ));
    // When the key is unlocked the body is taken, for those who had committed to it before.
    let (request, _) = live(submit(request, "b.near", &body, IN_TIME).unwrap());
    let Phase::Staged { winners, .. } = &request.phase else { panic!("{:?}", request.phase) };
    assert_eq!(*winners, ["a.near", "b.near"].map(id));
}

#[test]
fn a_request_for_one_approval_takes_no_commitment() {
    let worker = id("a.near");
    let error = sample()
        .step(Input::Commit { worker_id: &worker, hash: Hash32::of(b""), height: IN_TIME })
        .unwrap_err();
    assert_eq!(error, refused(Reason::CommitmentNotNeeded));
}

#[test]
fn at_the_last_height_a_deadline_saturates() {
    let (config, request) = (crate::config::sample(), crate::request::sample());
    let byte_cost = NearToken::from_yoctonear(10_000_000_000_000_000_000);
    let quote = crate::pricing::quote(&config, &request, byte_cost).unwrap();
    let mut context = crate::context::sample();
    context.block_height = u64::MAX - 1;
    let live = LiveRequest::accept(&config, &request, context, quote, Hash32::of(b"")).unwrap();
    assert_eq!((live.terms.deadline, live.terms.sweep_from), (u64::MAX, u64::MAX));
    let body = response::sample(7);
    assert!(submit(live, "worker.near", &body, u64::MAX).is_ok());
}

#[derive(Clone, Debug)]
enum Act {
    Commit(usize, bool),
    Resolve(usize, bool, usize),
    /// A part: who sends it, whether it is of the truth, whether it is the first, and how it fits
    /// into the namespace should it be the last.
    Part(usize, bool, bool, usize),
    Cancel(usize),
    Deliver(bool, usize),
    Sweep,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4usize, any::<bool>()).prop_map(|(who, honest)| Act::Commit(who, honest)),
        (0..4usize, any::<bool>(), 0..5usize)
            .prop_map(|(who, honest, storage)| Act::Resolve(who, honest, storage)),
        (0..4usize, any::<bool>(), any::<bool>(), 0..5usize)
            .prop_map(|(who, honest, first, storage)| Act::Part(who, honest, first, storage)),
        (0..4usize).prop_map(Act::Cancel),
        (any::<bool>(), 0..5usize).prop_map(|(resumed, storage)| Act::Deliver(resumed, storage)),
        Just(Act::Sweep),
        (0..150u64).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..24)
}

proptest! {
    /// Whatever happens, and in whatever order, a request settles once, every yocto of its deposit
    /// goes somewhere, and only when it settles; and in the end it can always be settled.
    #[test]
    fn every_history_settles_once_and_conserves_the_deposit(
        acts in acts(),
        approvals in 1u8..4,
    ) {
        check_history(acts, approvals)?;
    }
}

fn check_history(acts: Vec<Act>, approvals: u8) -> Result<(), TestCaseError> {
    let names = ["dapp.near", "a.near", "b.near", "c.near"].map(id);
    let checks = [
        StorageCheck::Fits,
        StorageCheck::Conflict("k".into()),
        StorageCheck::Locked("k".into()),
        StorageCheck::ReadLocked { closable: vec![Hash32::of(b"lock")] },
        StorageCheck::Exhausted { needed: 1, available: 0 },
    ];
    let truth = response::sample(7);
    let mut lie = truth.clone();
    lie.output = "lie".into();
    let mut request = LiveRequest { approvals, ..sample() };
    request.limits.output_bytes = 2 * MIN_PART_BYTES;
    let deposit = request.deposit().as_yoctonear();
    let (mut height, mut staged): (u64, Option<ExecutionResponse>) = (1_000, None);
    for act in acts {
        let (part, body);
        let mut submitted = None;
        let step = match &act {
            Act::Wait(blocks) => {
                height += blocks;
                continue;
            }
            Act::Commit(who, honest) => {
                let digest = digest_of(&request, if *honest { &truth } else { &lie });
                let hash = commitment(&digest, &names[*who]);
                request.clone().step(Input::Commit { worker_id: &names[*who], hash, height })
            }
            Act::Resolve(who, honest, storage) => {
                let response = if *honest { &truth } else { &lie };
                submitted = Some(response);
                let (body, storage) = (Body::of(response), checks[*storage].clone());
                let input = Input::Resolve { worker_id: &names[*who], body, storage, height };
                request.clone().step(input)
            }
            Act::Part(who, honest, first, storage) => {
                let response = if *honest { &truth } else { &lie };
                // What the bytes of the parts are does not matter here.
                let (offset, length) =
                    if *first { (0, MIN_PART_BYTES) } else { (MIN_PART_BYTES, 1) };
                part = ResponsePart {
                    request_id: 7,
                    digest: digest_of(&request, response),
                    total_bytes: MIN_PART_BYTES + 1,
                    offset,
                    bytes: vec![0; length as usize].into(),
                };
                match request.clone().take_part(&names[*who], &part, height) {
                    Ok(PartTaken::Complete(complete)) => {
                        let upload = complete.request().upload.as_ref();
                        prop_assert!(upload.is_some_and(Upload::is_complete));
                        // A part that is there already submits the whole again.
                        let kept = if complete.last_bytes().is_empty() { 2 } else { 1 };
                        prop_assert_eq!(complete.kept_parts(), kept);
                        submitted = Some(response);
                        complete.submit(Body::of(response), &checks[*storage])
                    }
                    Ok(PartTaken::Step(step)) => Ok(step),
                    Err(refusal) => Err(refusal),
                }
            }
            Act::Cancel(who) => request.clone().step(Input::Cancel { by: &names[*who], height }),
            Act::Deliver(resumed, storage) => {
                let payload = match &request.phase {
                    Phase::Staged { digest, .. } => ResumePayload::Digest(*digest).encode(),
                    Phase::Cancelling => ResumePayload::Cancel.encode(),
                    // A yield is delivered once: resumed, or after its deadline.
                    Phase::Pending if *resumed || height <= request.terms.deadline => continue,
                    Phase::Pending => [9; 33],
                };
                body = staged.clone();
                let delivery = if *resumed {
                    let staged = body.as_ref().map(|body| (body, checks[*storage].clone()));
                    Delivery::Resumed { payload: payload.into(), staged }
                } else {
                    Delivery::TimedOut { staged: body.as_ref() }
                };
                request.clone().step(Input::Deliver(delivery))
            }
            Act::Sweep => request.clone().step(Input::Sweep { staged: None, height }),
        };
        match step {
            Err(_) => {}
            Ok(Step::Live(next, effects)) => {
                prop_assert_eq!(total_of(&effects), 0, "paid before settlement: {:?}", act);
                // There are parts of one body at most, and none besides a body that came whole.
                let dropped = effects.iter().any(|one| matches!(one, Effect::DropParts { .. }));
                let whole = effects.iter().any(|one| matches!(one, Effect::Stage(_)));
                prop_assert!(!whole || next.upload.is_none());
                prop_assert!(!whole || dropped == request.upload.is_some());
                prop_assert!(next.former_uploaders.len() <= names.len());
                if matches!(next.phase, Phase::Staged { .. }) {
                    staged = submitted.cloned().or(staged);
                }
                request = *next;
            }
            Ok(Step::Settled(settlement, effects)) => {
                let (fee, refund) = (settlement.fee, settlement.refund);
                prop_assert_eq!(total_of(&effects), deposit);
                prop_assert_eq!(fee.as_yoctonear() + refund.as_yoctonear(), deposit);
                let deleted = effects.iter().filter(|one| matches!(one, Effect::Delete { .. }));
                prop_assert_eq!(deleted.count(), 1);
                let timed_out = settlement.outcome == Outcome::TimedOut;
                prop_assert!(!timed_out || fee.as_yoctonear() == 0);
                return Ok(());
            }
        }
    }
    let height = request.terms.sweep_from;
    let step = request.step(Input::Sweep { staged: staged.as_ref(), height }).unwrap();
    prop_assert_eq!(total_of(&settled(step).1), deposit);
    Ok(())
}
