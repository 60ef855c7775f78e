//! Several workers: commitments, reveals, disputes and shares.

use super::*;
use crate::{
    agreement::{AgreementError, BODY_BLOCKS, PAID_VOIDS, REVEAL_BLOCKS},
    commitment::Salt,
    live_request,
};

/// The height at which the sample was requested.
const REQUESTED: u64 = 1_000;
/// A height at which the holders of the seats commit, and then reveal.
const EARLY: u64 = REQUESTED + 5;
const TURN: u64 = 25;
const SALT: Salt = [7; 16];

/// A request for two approvals and one spare. The seats are those of `a`, `b` and `c`, and their
/// successors are `d`, `e` and `f`.
pub(super) fn two_of_three() -> LiveRequest {
    let drawn = ["a.near", "b.near", "c.near", "d.near", "e.near", "f.near"].map(id).to_vec();
    let mut request = live_request::sample_of(2, drawn);
    if let Some(agreement) = &mut request.agreement {
        agreement.turn_blocks = TURN;
    }
    request
}

fn lie_body() -> ExecutionResponse {
    ExecutionResponse { output: "lie".into(), ..response::sample(7) }
}

fn try_commit(
    request: &LiveRequest,
    worker: &str,
    digest: Hash32,
    height: u64,
) -> Result<LiveRequest, Refusal> {
    let (worker, round) = (id(worker), request.agreement.as_ref().unwrap().round);
    let commitment = commitment(&digest, &worker, round, &SALT);
    let input = Input::Commit { worker_id: &worker, round, commitment, height };
    request.clone().step(input).map(|step| live(step).0)
}

fn commit(request: LiveRequest, worker: &str, digest: Hash32) -> LiveRequest {
    try_commit(&request, worker, digest, EARLY).unwrap()
}

fn try_reveal(
    request: &LiveRequest,
    worker: &str,
    digest: Hash32,
    height: u64,
) -> Result<LiveRequest, Refusal> {
    let input = Input::Reveal { worker_id: account(worker), digest, salt: &SALT, height };
    request.clone().step(input).map(|step| live(step).0)
}

fn reveal(request: LiveRequest, worker: &str, digest: Hash32) -> LiveRequest {
    try_reveal(&request, worker, digest, EARLY).unwrap()
}

/// A request to which these workers have committed.
fn committed(votes: [(&str, Hash32); 3]) -> LiveRequest {
    votes.iter().fold(two_of_three(), |request, (worker, digest)| commit(request, worker, *digest))
}

fn error_of(refusal: Refusal) -> AgreementError {
    match refusal.reason {
        Reason::Agreement(error) => error,
        other => panic!("{other}"),
    }
}

/// What a worker is paid for closing a request.
fn close_fee(request: &LiveRequest) -> NearToken {
    crate::pricing::max_fee(&request.terms.prices, &request.into()).unwrap().close
}

/// What all workers are paid.
fn earned(effects: &[Effect<'_>]) -> NearToken {
    let amounts = effects.iter().filter_map(|effect| match effect {
        Effect::PayWorker(_, _, amount) => Some(*amount),
        _ => None,
    });
    amounts.fold(NearToken::from_yoctonear(0), NearToken::saturating_add)
}

/// An amount without the protocol's share.
fn net(amount: NearToken) -> NearToken {
    let bps = two_of_three().terms.protocol_share_bps;
    amount.saturating_sub(crate::pricing::protocol_share(amount, bps))
}

fn paid<'a>(effects: &'a [Effect<'_>]) -> Vec<&'a str> {
    let workers = effects.iter().filter_map(|effect| match effect {
        Effect::PayWorker(_, worker_id, _) => Some(worker_id.as_str()),
        _ => None,
    });
    workers.collect()
}

fn shares_of(effects: &[Effect<'_>]) -> OpenShares {
    let shares = effects.iter().find_map(|effect| match effect {
        Effect::KeepShares(shares) => Some((**shares).clone()),
        _ => None,
    });
    shares.unwrap()
}

fn closed(step: SharesStep) -> Vec<Effect<'static>> {
    match step {
        SharesStep::Closed(effects) => effects,
        SharesStep::Open(shares, _) => panic!("open: {shares:?}"),
    }
}

#[test]
fn two_reveals_settle_and_the_third_worker_takes_its_share_afterwards() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(request, "a.near", truth);
    let error = submit(request.clone(), "a.near", &body, EARLY).unwrap_err();
    assert_eq!(error, refused(Reason::TooFewReveals { digest: truth, needed: 2, found: 1 }));
    // The second reveal and the body come in one call.
    let resolve = Input::Resolve {
        worker_id: account("b.near"),
        digest: truth,
        salt: Some(&SALT),
        body: Body::of(&body),
        storage: StorageCheck::Fits,
        height: EARLY,
    };
    let (request, _) = live(request.step(resolve).unwrap());
    assert!(matches!(&request.phase, Phase::Staged { worker_id, .. } if *worker_id == "b.near"));

    let deposit = request.deposit().as_yoctonear();
    let (settlement, effects) =
        settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    assert_eq!(paid(&effects), ["b.near", "a.near", "b.near"]);
    assert_eq!(total_of(&effects), deposit);
    let [fee, held, refund] =
        [settlement.fee, settlement.held, settlement.refund].map(|part| part.as_yoctonear());
    assert_eq!(fee + held + refund, deposit);

    let shares = shares_of(&effects);
    assert_eq!(shares.held.as_yoctonear(), held);
    let step = shares.clone().reveal(&id("c.near"), truth, &SALT, EARLY + 2).unwrap();
    let effects = closed(step);
    // Its share, and what closing is paid, as nothing is open any more.
    let close = shares.close_fee;
    assert_eq!(earned(&effects), net(shares.share.saturating_add(close)));
    assert_eq!(paid(&effects), ["c.near"]);
    assert_eq!(total_of(&effects), held);
    assert!(effects.contains(&Effect::CountSettled(id("c.near"))));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::CountLoss(_))));
}

#[test]
fn a_reveal_while_the_answer_waits_is_paid_with_the_settlement() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(reveal(request, "a.near", truth), "b.near", truth);
    let (request, _) = live(submit(request, "carrier.near", &body, EARLY).unwrap());
    let request = reveal(request, "c.near", truth);
    let (settlement, effects) =
        settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    // Any worker may send the body. It is paid for that, and for nothing else.
    assert_eq!(paid(&effects), ["carrier.near", "a.near", "b.near", "c.near"]);
    assert_eq!(settlement.held, NearToken::from_yoctonear(0));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::KeepShares(_))));
}

#[test]
fn a_liar_and_a_silent_worker_earn_nothing_and_are_counted_at_the_end() {
    let body = response::sample(7);
    let (truth, lie) = (digest_of(&two_of_three(), &body), digest_of(&two_of_three(), &lie_body()));
    let request = committed([("a.near", truth), ("b.near", lie), ("c.near", truth)]);
    let request = reveal(request, "b.near", lie);
    let error = submit(request.clone(), "b.near", &lie_body(), EARLY).unwrap_err();
    assert!(matches!(error.reason, Reason::TooFewReveals { found: 1, .. }));
    let request = reveal(reveal(request, "a.near", truth), "c.near", truth);
    let (request, _) = live(submit(request, "a.near", &body, EARLY).unwrap());
    let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    assert_eq!(paid(&effects), ["a.near", "a.near", "c.near"]);
    assert!(effects.contains(&Effect::CountLoss(id("b.near"))));

    // The third one is silent: its share goes back when its time is over, and it is counted.
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(reveal(request, "a.near", truth), "b.near", truth);
    let (request, _) = live(submit(request, "a.near", &body, EARLY).unwrap());
    let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::CountLoss(_))));
    let shares = shares_of(&effects);
    let until = EARLY + REVEAL_BLOCKS;
    assert_eq!(
        shares.clone().close(None, until - 1).unwrap_err(),
        refused(Reason::SharesOpen { until, height: until - 1 })
    );
    assert!(matches!(
        error_of(shares.clone().reveal(&id("c.near"), truth, &SALT, until).unwrap_err()),
        AgreementError::TooLateToReveal { .. }
    ));
    let held = shares.held;
    for (closer, expected) in [(None, vec![]), (Some(id("d.near")), vec!["d.near"])] {
        let effects = closed(shares.clone().close(closer.as_ref(), until).unwrap());
        assert_eq!(paid(&effects), expected);
        assert_eq!(total_of(&effects), held.as_yoctonear());
        assert!(effects.contains(&Effect::CountLoss(id("c.near"))));
        assert!(effects.contains(&Effect::DropShares(7)));
    }
}

#[test]
fn when_no_digest_can_get_enough_reveals_the_last_reveal_ends_the_request() {
    let digests = ["one", "two", "three"].map(|text| Hash32::of(text.as_bytes()));
    let [one, two, three] = digests;
    let request = committed([("a.near", one), ("b.near", two), ("c.near", three)]);
    let request = reveal(request, "a.near", one);
    // Two are left, and could still agree with the first.
    assert_eq!(
        request.clone().step(Input::Close { closer: None, height: EARLY }).unwrap_err(),
        refused(Reason::NotHopeless { approvals: 2, height: EARLY })
    );
    let request = reveal(request, "b.near", two);
    assert_eq!(request.phase, Phase::Pending);
    let request = reveal(request, "c.near", three);
    assert_eq!(request.phase, Phase::Disputing { closer: None });
    let error = submit(request.clone(), "a.near", &response::sample(7), EARLY).unwrap_err();
    assert_eq!(error, refused(Reason::AlreadyDisputed));
    let deposit = request.deposit();
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, EARLY + 1));
    let Outcome::Disputed { digests } = &settlement.outcome else { panic!("{settlement:?}") };
    let supported: Vec<_> = digests.iter().map(|one| (one.digest, &one.workers[..])).collect();
    assert_eq!(
        supported,
        [(one, &[id("a.near")][..]), (two, &[id("b.near")][..]), (three, &[id("c.near")][..])]
    );
    assert_eq!(settlement.refund, deposit);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::CountLoss(_))));
}

#[test]
fn anyone_closes_a_request_whose_workers_stay_away_and_a_worker_is_paid_for_it() {
    let truth = Hash32::of(b"truth");
    let over = REQUESTED + 2 * TURN;
    let request = commit(two_of_three(), "a.near", truth);
    let early = request.clone().step(Input::Close { closer: None, height: over - 1 });
    assert!(matches!(early.unwrap_err().reason, Reason::NotHopeless { .. }));
    // One commitment cannot become two reveals.
    let close = Input::Close { closer: Some(account("f.near")), height: over };
    let (disputing, _) = live(request.step(close).unwrap());
    let (deposit, close_fee) = (disputing.deposit(), close_fee(&disputing));
    let (settlement, effects) = settled(deliver(disputing, None, StorageCheck::Fits, over + 1));
    assert_eq!(settlement.fee, close_fee);
    assert_eq!(paid(&effects), ["f.near"]);
    assert_eq!(total_of(&effects), deposit.as_yoctonear());

    // With two commitments there is hope until the time for reveals is over.
    let request = commit(commit(two_of_three(), "a.near", truth), "b.near", truth);
    let request = try_reveal(&request, "a.near", truth, over).unwrap();
    let until = over + REVEAL_BLOCKS;
    let early = request.clone().step(Input::Close { closer: None, height: until - 1 });
    assert!(matches!(early.unwrap_err().reason, Reason::NotHopeless { .. }));
    let (disputing, _) = live(request.step(Input::Close { closer: None, height: until }).unwrap());
    let (settlement, effects) = settled(deliver(disputing, None, StorageCheck::Fits, until + 1));
    assert_eq!(settlement.refund, deposit);
    // Who was silent is counted, who revealed is not.
    assert!(effects.contains(&Effect::CountLoss(id("b.near"))));
    assert!(!effects.contains(&Effect::CountLoss(id("a.near"))));
}

/// The others stayed away, so the request is closed while the one honest worker still reveals.
#[test]
fn who_reveals_in_time_is_not_counted_even_when_the_dispute_was_closed_before() {
    let truth = Hash32::of(b"truth");
    let over = REQUESTED + 2 * TURN;
    let until = over + REVEAL_BLOCKS;
    let request = commit(two_of_three(), "a.near", truth);
    let (request, _) = live(request.step(Input::Close { closer: None, height: over }).unwrap());
    assert_eq!(request.phase, Phase::Disputing { closer: None });
    let request = try_reveal(&request, "a.near", truth, until - 1).unwrap();
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, until));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::CountLoss(_))));
    let Outcome::Disputed { digests } = settlement.outcome else { panic!("{settlement:?}") };
    assert_eq!(digests.len(), 1);
}

/// Two workers send the last reveal that is needed together with the body. The second one's body
/// comes too late, and its reveal does not.
#[test]
fn the_reveal_of_a_worker_whose_body_comes_second_is_taken() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let resolve = |request: LiveRequest, worker| {
        let (step, _) = live(request.step(Input::Resolve {
            worker_id: account(worker),
            digest: truth,
            salt: Some(&SALT),
            body: Body::of(&body),
            storage: StorageCheck::Fits,
            height: EARLY,
        })?);
        Ok::<_, Refusal>(step)
    };
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = resolve(reveal(request, "a.near", truth), "b.near").unwrap();
    let request = resolve(request, "c.near").unwrap();
    assert!(matches!(&request.phase, Phase::Staged { worker_id, .. } if *worker_id == "b.near"));
    let error = error_of(resolve(request.clone(), "c.near").unwrap_err());
    assert!(matches!(error, AgreementError::AlreadyRevealed { .. }));
    let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    assert_eq!(paid(&effects), ["b.near", "a.near", "b.near", "c.near"]);
}

#[test]
fn only_who_holds_a_seat_commits_and_only_once() {
    let digest = Hash32::of(b"digest");
    let request = commit(two_of_three(), "a.near", digest);
    let error =
        |worker, height| error_of(try_commit(&request, worker, digest, height).unwrap_err());
    assert_eq!(error("eve.near", EARLY), AgreementError::NoSeat { worker_id: id("eve.near") });
    let taken = |worker| AgreementError::SeatTaken { worker_id: id(worker), by: id("a.near") };
    assert_eq!(error("a.near", EARLY), taken("a.near"));
    let passes_on = REQUESTED + TURN;
    let not_yet =
        |height| AgreementError::NotYet { worker_id: id("e.near"), until: passes_on, height };
    assert_eq!(error("e.near", EARLY), not_yet(EARLY));
    assert_eq!(error("e.near", passes_on - 1), not_yet(passes_on - 1));

    // Then the seats that are not used pass on.
    assert_eq!(error("d.near", passes_on), taken("d.near"));
    assert_eq!(
        error("b.near", passes_on),
        AgreementError::PassedOn { worker_id: id("b.near"), since: passes_on, height: passes_on }
    );
    let later = try_commit(&request, "e.near", digest, passes_on).unwrap();
    let over = passes_on + TURN;
    assert!(try_commit(&later, "f.near", digest, over - 1).is_ok());
    let error = error_of(try_commit(&later, "f.near", digest, over).unwrap_err());
    assert_eq!(error, AgreementError::CommitmentsClosed { until: over, height: over });
}

#[test]
fn without_successors_there_is_one_turn() {
    let digest = Hash32::of(b"digest");
    let mut request = two_of_three();
    request.agreement.as_mut().unwrap().drawn.truncate(3);
    let over = REQUESTED + TURN;
    assert!(try_commit(&request, "a.near", digest, over - 1).is_ok());
    let error = error_of(try_commit(&request, "a.near", digest, over).unwrap_err());
    assert_eq!(error, AgreementError::CommitmentsClosed { until: over, height: over });

    // With one, the others keep their seats for its turn too.
    let mut request = two_of_three();
    request.agreement.as_mut().unwrap().drawn.truncate(4);
    assert!(try_commit(&request, "b.near", digest, over).is_ok());
    let error = error_of(try_commit(&request, "a.near", digest, over).unwrap_err());
    assert!(matches!(error, AgreementError::PassedOn { .. }));
}

#[test]
fn nothing_is_revealed_while_anyone_may_commit_and_nobody_commits_after_that() {
    let digest = Hash32::of(b"digest");
    let request = commit(commit(two_of_three(), "a.near", digest), "b.near", digest);
    let over = REQUESTED + 2 * TURN;
    let error = error_of(try_reveal(&request, "a.near", digest, over - 1).unwrap_err());
    let (seats, found, from) = (3, 2, over);
    assert_eq!(error, AgreementError::TooEarlyToReveal { seats, found, from, height: over - 1 });
    let revealed = try_reveal(&request, "a.near", digest, over).unwrap();
    let error = error_of(try_commit(&revealed, "f.near", digest, over).unwrap_err());
    assert!(matches!(error, AgreementError::CommitmentsClosed { .. }));
    let error = error_of(try_reveal(&revealed, "a.near", digest, over).unwrap_err());
    assert_eq!(error, AgreementError::AlreadyRevealed { worker_id: id("a.near"), digest });
    let error = error_of(try_reveal(&revealed, "f.near", digest, over).unwrap_err());
    assert_eq!(error, AgreementError::NotCommitted { worker_id: id("f.near"), round: 0 });
    let until = over + REVEAL_BLOCKS;
    let error = error_of(try_reveal(&revealed, "b.near", digest, until).unwrap_err());
    assert_eq!(error, AgreementError::TooLateToReveal { until, height: until });
}

#[test]
fn a_copied_commitment_cannot_be_revealed() {
    let digest = Hash32::of(b"digest");
    let request = commit(two_of_three(), "a.near", digest);
    let copied = request.agreement.as_ref().unwrap().votes[0].commitment;
    let input =
        Input::Commit { worker_id: account("b.near"), round: 0, commitment: copied, height: EARLY };
    let (request, _) = live(request.step(input).unwrap());
    let request = commit(request, "c.near", digest);
    let error = error_of(try_reveal(&request, "b.near", digest, EARLY).unwrap_err());
    assert!(matches!(error, AgreementError::WrongReveal { .. }));
}

#[test]
fn a_changed_key_voids_the_round_and_each_seat_commits_again() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let agreed = agreed(two_of_three(), truth);
    let (request, effects) = void(agreed, EARLY + 3);
    assert!(matches!(&effects[..], [Effect::Emit(Event::RoundVoided(_))]));
    let agreement = request.agreement.clone().unwrap();
    assert_eq!((agreement.round, agreement.snapshot_height), (1, EARLY + 3));
    assert!(agreement.votes.is_empty() && request.phase == Phase::Pending);
    // A commitment to the round before is not taken.
    let worker = id("a.near");
    let old = commitment(&truth, &worker, 0, &SALT);
    let input = Input::Commit { worker_id: &worker, round: 0, commitment: old, height: EARLY + 3 };
    let error = error_of(request.clone().step(input).unwrap_err());
    assert_eq!(error, AgreementError::Round { found: 0, expected: 1 });
    let height = EARLY + 3;
    let again = ["a.near", "b.near", "c.near"]
        .iter()
        .fold(request, |request, worker| try_commit(&request, worker, truth, height).unwrap());
    let again = try_reveal(&again, "a.near", truth, height).unwrap();
    let again = try_reveal(&again, "b.near", truth, height).unwrap();
    assert!(submit(again, "a.near", &body, height).is_ok());
}

/// A request with a digest that `a.near` and `b.near` have revealed, and `c.near` has committed to.
fn agreed(request: LiveRequest, truth: Hash32) -> LiveRequest {
    let height = request.agreement.as_ref().unwrap().since + 5;
    let request = ["a.near", "b.near", "c.near"]
        .iter()
        .fold(request, |request, worker| try_commit(&request, worker, truth, height).unwrap());
    let request = try_reveal(&request, "a.near", truth, height).unwrap();
    try_reveal(&request, "b.near", truth, height).unwrap()
}

/// Has `a.near` send a body when a key has changed.
fn void(request: LiveRequest, height: u64) -> (LiveRequest, Vec<Effect<'static>>) {
    let body = Box::leak(Box::new(response::sample(7)));
    let conflict = StorageCheck::Conflict("k".into());
    let step = check_and_submit(request, "a.near", body, conflict, height).unwrap();
    assert_eq!(step.taken(), Taken::Pending);
    live(step)
}

fn least_share(request: &LiveRequest) -> NearToken {
    crate::pricing::least_fee(&request.terms.prices, &request.into()).unwrap()
}

#[test]
fn a_round_that_is_void_too_late_for_another_one_ends_the_request_and_is_paid() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = agreed(two_of_three(), truth);
    // There must be time for both turns, the reveals and the body.
    let last = request.terms.deadline - 2 * TURN - REVEAL_BLOCKS - BODY_BLOCKS;
    assert_eq!(void(request.clone(), last).0.agreement.unwrap().round, 1);
    // Without successors there is one turn.
    let mut alone = request.clone();
    alone.agreement.as_mut().unwrap().drawn.truncate(3);
    assert_eq!(void(alone, last + TURN).0.agreement.unwrap().round, 1);
    let (request, effects) = void(request, last + 1);
    assert!(matches!(&effects[..], [Effect::Resume { payload: ResumePayload::Dispute, .. }]));
    let (settlement, effects) =
        settled(deliver(request.clone(), None, StorageCheck::Fits, last + 2));
    let Outcome::Disputed { digests } = &settlement.outcome else { panic!("{settlement:?}") };
    assert_eq!((digests.len(), digests[0].digest), (1, truth));
    assert_eq!(digests[0].workers, ["a.near", "b.near"]);
    assert_eq!(paid(&effects), ["a.near", "b.near", "c.near"]);
    assert_eq!(settlement.fee, least_share(&request).saturating_mul(3));
    assert_eq!(total_of(&effects), request.deposit().as_yoctonear());
}

#[test]
fn a_void_round_is_paid_however_the_request_ends() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let (request, _) = void(agreed(two_of_three(), truth), EARLY + 3);
    let (least, height) = (least_share(&request), EARLY + 4);
    let voids = least.saturating_mul(3);
    let workers = ["a.near", "b.near", "c.near"];
    let ends = |request: &LiveRequest, body: Option<&'static ExecutionResponse>, height| {
        let step = deliver(request.clone(), body, StorageCheck::Fits, height);
        let (settlement, effects) = settled(step);
        assert_eq!(total_of(&effects), request.deposit().as_yoctonear());
        assert_eq!(paid(&effects)[..3], workers, "{settlement:?}");
        let others: Vec<_> =
            paid(&effects)[3..].iter().map(|worker| (*worker).to_owned()).collect();
        (settlement, others)
    };
    // One that is cancelled pays the commitments of this round besides.
    let begun = try_commit(&request, "b.near", truth, height).unwrap();
    let cancel = Input::Cancel { by: account("dapp.near"), height };
    let (cancelled, _) = live(begun.step(cancel).unwrap());
    let (settlement, others) = ends(&cancelled, None, height + 1);
    assert_eq!((settlement.outcome, settlement.fee), (Outcome::Cancelled, least.saturating_mul(4)));
    assert_eq!(others, ["b.near"]);
    // Nobody comes to the next round, and a worker closes it.
    let over = request.agreement.as_ref().unwrap().reveal_from();
    let close = Input::Close { closer: Some(account("x.near")), height: over };
    let (disputed, _) = live(request.clone().step(close).unwrap());
    let (settlement, others) = ends(&disputed, None, over + 1);
    assert_eq!(settlement.fee, voids.saturating_add(close_fee(&request)));
    assert_eq!(others, ["x.near"]);
    // Nobody closes it, and its callback runs or fails.
    let timed_out = Delivery::TimedOut { staged: None };
    for input in [
        Input::Deliver { delivery: timed_out, height: request.terms.deadline + 1 },
        Input::Sweep { staged: None, height: request.terms.sweep_from },
    ] {
        let (settlement, effects) = settled(request.clone().step(input).unwrap());
        assert_eq!((settlement.outcome, settlement.fee), (Outcome::TimedOut, voids));
        assert_eq!(paid(&effects), workers);
        assert_eq!(total_of(&effects), request.deposit().as_yoctonear());
    }
    // The next round settles it.
    let again = agreed(request.clone(), truth);
    let again = try_reveal(&again, "c.near", truth, height + 5).unwrap();
    let (again, _) = live(submit(again, "a.near", &body, height + 6).unwrap());
    let body = Box::leak(Box::new(body));
    let (settlement, others) = ends(&again, Some(body), height + 7);
    assert_eq!(others, ["a.near", "a.near", "b.near", "c.near"]);
    assert!(settlement.fee <= request.terms.max_fee, "{settlement:?}");
}

#[test]
fn a_round_that_is_void_after_those_that_are_paid_for_ends_the_request_and_is_paid_too() {
    let truth = digest_of(&two_of_three(), &response::sample(7));
    let (mut request, mut height) = (two_of_three(), EARLY);
    for round in 1..=PAID_VOIDS {
        height += 8;
        request = void(agreed(request, truth), height).0;
        assert_eq!(request.agreement.as_ref().unwrap().round, u32::from(round));
    }
    let (request, effects) = void(agreed(request, truth), height + 8);
    assert!(matches!(&effects[..], [Effect::Resume { payload: ResumePayload::Dispute, .. }]));
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, height + 9));
    assert!(matches!(settlement.outcome, Outcome::Disputed { .. }), "{settlement:?}");
    let rounds = u128::from(PAID_VOIDS) + 1;
    let least = least_share(&two_of_three());
    assert_eq!(settlement.fee, least.saturating_mul(3 * rounds));
    assert_eq!(total_of(&effects), two_of_three().deposit().as_yoctonear());
}

#[test]
fn a_void_round_pays_nobody_that_has_revealed_another_digest() {
    let (truth, lie) =
        (digest_of(&two_of_three(), &response::sample(7)), Hash32::of(b"another digest"));
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", lie)]);
    let request = reveal(reveal(request, "a.near", truth), "c.near", lie);
    let (request, _) = void(reveal(request, "b.near", truth), EARLY + 3);
    let agreement = request.agreement.unwrap();
    assert_eq!(agreement.due_for_voids().collect::<Vec<_>>(), ["a.near", "b.near"]);
}

#[test]
fn the_last_reveal_is_paid_for_closing_the_shares_whatever_it_reveals() {
    let body = response::sample(7);
    let (truth, lie) = (digest_of(&two_of_three(), &body), Hash32::of(b"another digest"));
    for is_unprovable in [false, true] {
        let request = committed([("a.near", truth), ("b.near", truth), ("c.near", lie)]);
        let request = reveal(reveal(request, "a.near", truth), "b.near", truth);
        let (request, _) = live(submit(request, "a.near", &body, EARLY).unwrap());
        let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
        let shares = OpenShares { unprovable: is_unprovable, ..shares_of(&effects) };
        let (close, held) = (shares.close_fee, shares.held);
        // It cannot reveal the truth that it has learnt meanwhile.
        let error = shares.clone().reveal(&id("c.near"), truth, &SALT, EARLY + 2).unwrap_err();
        assert!(matches!(error_of(error), AgreementError::WrongReveal { .. }));
        let effects = closed(shares.reveal(&id("c.near"), lie, &SALT, EARLY + 2).unwrap());
        assert_eq!((paid(&effects), earned(&effects)), (vec!["c.near"], net(close)));
        assert_eq!(total_of(&effects), held.as_yoctonear());
        assert!(!effects.contains(&Effect::CountSettled(id("c.near"))));
        assert_eq!(effects.contains(&Effect::CountLoss(id("c.near"))), !is_unprovable);
    }
}

#[test]
fn a_locked_key_refuses_the_body_and_leaves_the_reveals() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(reveal(request, "a.near", truth), "b.near", truth);
    let locked = StorageCheck::Locked("k".into());
    let error = check_and_submit(request.clone(), "a.near", &body, locked, EARLY).unwrap_err();
    assert_eq!(error, refused(Reason::KeyLocked { key: "k".into() }));
    assert!(submit(request, "b.near", &body, EARLY).is_ok());
}

#[test]
fn a_body_with_another_digest_than_the_worker_says_is_refused() {
    let body = response::sample(7);
    let (found, expected) = (Hash32::of(b"another request"), digest_of(&sample(), &body));
    let input = Input::Resolve {
        worker_id: account("w.near"),
        digest: found,
        salt: None,
        body: Body::of(&body),
        storage: StorageCheck::Fits,
        height: IN_TIME,
    };
    let error = sample().step(input).unwrap_err();
    assert_eq!(error, refused(Reason::DigestDiffers { found, expected }));
}

#[test]
fn cancelling_pays_each_worker_that_has_committed_the_least_share() {
    let digest = Hash32::of(b"any");
    let request = commit(commit(two_of_three(), "a.near", digest), "b.near", digest);
    let cancel = Input::Cancel { by: account("dapp.near"), height: EARLY };
    let (request, _) = live(request.step(cancel).unwrap());
    let deposit = request.deposit();
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, EARLY + 1));
    assert_eq!(paid(&effects), ["a.near", "b.near"]);
    assert!(settlement.fee > NearToken::from_yoctonear(0));
    assert_eq!(total_of(&effects), deposit.as_yoctonear());
    assert!(!effects.contains(&Effect::CountSettled(id("a.near"))));
}

#[test]
fn a_request_for_one_approval_takes_neither_commitment_nor_reveal_nor_close() {
    let (worker, digest) = (account("a.near"), Hash32::of(b""));
    let inputs = [
        Input::Commit { worker_id: worker, round: 0, commitment: digest, height: IN_TIME },
        Input::Reveal { worker_id: worker, digest, salt: &SALT, height: IN_TIME },
        Input::Close { closer: Some(worker), height: IN_TIME },
    ];
    for input in inputs {
        let error = sample().step(input).unwrap_err();
        assert_eq!(error, refused(Reason::CommitmentNotNeeded));
    }
}

#[test]
fn a_reveal_counts_that_came_with_a_body_which_must_wait_and_a_conflict_voids_the_round() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(request, "a.near", truth);
    let resolve = |request: &LiveRequest, salt: Option<&'static Salt>, storage| {
        request.clone().step(Input::Resolve {
            worker_id: account("b.near"),
            digest: truth,
            salt,
            body: Body::of(&body),
            storage,
            height: EARLY,
        })
    };
    let locked = resolve(&request, Some(&SALT), StorageCheck::Locked("k".into())).unwrap_err();
    assert_eq!(locked, refused(Reason::KeyLocked { key: "k".into() }));
    let voided = resolve(&request, Some(&SALT), StorageCheck::Conflict("k".into())).unwrap();
    assert_eq!(voided.taken(), Taken::Pending);
    assert_eq!(live(voided).0.agreement.unwrap().round, 1);

    let lock = locks()[0];
    let waits = resolve(&request, Some(&SALT), read_locked(&[lock])).unwrap();
    assert_eq!(waits.taken(), Taken::Wait);
    let (request, effects) = live(waits);
    let [Effect::Emit(Event::DigestRevealed(revealed)), closing_keys] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((revealed.worker_id.as_str(), closing_keys), ("b.near", &closing(&[lock])));
    assert_eq!(request.agreement.as_ref().unwrap().supporters(truth), ["a.near", "b.near"]);

    // The same body comes again. What it has revealed is known, and is not revealed again.
    let again = resolve(&request, Some(&SALT), StorageCheck::Fits).unwrap_err();
    assert!(matches!(error_of(again), AgreementError::AlreadyRevealed { .. }));
    let staged = resolve(&request, None, StorageCheck::Fits).unwrap();
    assert_eq!(staged.taken(), Taken::Staged);
    let (request, effects) = live(staged);
    assert!(matches!(effects[0], Effect::Resume { .. }));
    let (_, effects) = settled(deliver(request, Some(&body), StorageCheck::Fits, EARLY + 1));
    assert_eq!(opened(&effects), [lock]);
    assert_eq!(paid(&effects), ["b.near", "a.near", "b.near"]);
}

#[test]
fn a_dispute_opens_the_locks_that_were_closed_for_the_request() {
    let body = response::sample(7);
    let truth = digest_of(&two_of_three(), &body);
    let request = committed([("a.near", truth), ("b.near", truth), ("c.near", truth)]);
    let request = reveal(reveal(request, "a.near", truth), "b.near", truth);
    let lock = locks()[0];
    let waits = check_and_submit(request, "a.near", &body, read_locked(&[lock]), EARLY).unwrap();
    let (request, _) = live(waits);
    // A key changes after all, and nobody comes to the next round.
    let conflict = StorageCheck::Conflict("k".into());
    let (request, _) = live(check_and_submit(request, "a.near", &body, conflict, EARLY).unwrap());
    let height = request.agreement.as_ref().unwrap().reveal_until();
    let (request, _) = live(request.step(Input::Close { closer: None, height }).unwrap());
    let (settlement, effects) = settled(deliver(request, None, StorageCheck::Fits, height + 1));
    assert!(matches!(settlement.outcome, Outcome::Disputed { .. }));
    assert_eq!(opened(&effects), [lock]);
}
