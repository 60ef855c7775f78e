//! The machine's invariants over random histories.

use super::{agreement::two_of_three, *};
use crate::{claims::MOST_CLAIMS, commitment::Salt, live_request::long_sample, upload::Upload};

const SALT: Salt = [3; 16];

#[derive(Clone, Debug)]
enum Act {
    Claim(usize),
    Commit(usize, bool),
    Reveal(usize, bool),
    /// Who closes, and whether it is a worker.
    Close(usize, bool),
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
        3 => (0..4usize).prop_map(Act::Claim),
        4 => (0..4usize, any::<bool>()).prop_map(|(who, honest)| Act::Commit(who, honest)),
        4 => (0..4usize, any::<bool>()).prop_map(|(who, honest)| Act::Reveal(who, honest)),
        1 => (0..4usize, any::<bool>()).prop_map(|(who, worker)| Act::Close(who, worker)),
        4 => (0..4usize, any::<bool>(), 0..5usize)
            .prop_map(|(who, honest, storage)| Act::Resolve(who, honest, storage)),
        1 => (0..4usize, any::<bool>(), any::<bool>(), 0..5usize)
            .prop_map(|(who, honest, first, storage)| Act::Part(who, honest, first, storage)),
        1 => (0..4usize).prop_map(Act::Cancel),
        2 => (any::<bool>(), 0..5usize)
            .prop_map(|(resumed, storage)| Act::Deliver(resumed, storage)),
        1 => Just(Act::Sweep),
        2 => (0..60u64).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..40)
}

proptest! {
    /// Whatever happens, and in whatever order, a request settles once, every yocto of its deposit
    /// goes somewhere, and only when it settles; and in the end it can always be settled.
    #[test]
    fn every_history_settles_once_and_conserves_the_deposit(
        acts in acts(),
        several in any::<bool>(),
    ) {
        check_history(acts, several)?;
    }
}

fn check_history(acts: Vec<Act>, several: bool) -> Result<(), TestCaseError> {
    let names = ["dapp.near", "a.near", "b.near", "c.near"].map(id);
    let checks = [
        StorageCheck::Fits,
        StorageCheck::Conflict("k".into()),
        StorageCheck::Locked("k".into()),
        read_locked(&[Hash32::of(b"lock")]),
        StorageCheck::Exhausted { needed: 1, available: 0 },
    ];
    let truth = response::sample(7);
    let mut lie = truth.clone();
    lie.output = "lie".into();
    let mut request = if several { two_of_three() } else { long_sample() };
    request.limits.output_bytes = 2 * MIN_PART_BYTES;
    request.keep_result_blocks = 9;
    request.terms.result_reserve = HELD;
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
            Act::Claim(who) => {
                request.clone().step(Input::Claim { worker_id: &names[*who], height })
            }
            Act::Commit(who, honest) => {
                let digest = digest_of(&request, if *honest { &truth } else { &lie });
                let round = request.agreement.as_ref().map_or(0, |agreement| agreement.round);
                let (worker_id, salt) = (&names[*who], &SALT);
                let commitment = commitment(&digest, worker_id, round, salt);
                request.clone().step(Input::Commit { worker_id, round, commitment, height })
            }
            Act::Reveal(who, honest) => {
                let digest = digest_of(&request, if *honest { &truth } else { &lie });
                let (worker_id, salt) = (&names[*who], &SALT);
                request.clone().step(Input::Reveal { worker_id, digest, salt, height })
            }
            Act::Close(who, worker) => {
                let closer = worker.then_some(&names[*who]);
                request.clone().step(Input::Close { closer, height })
            }
            Act::Resolve(who, honest, storage) => {
                let response = if *honest { &truth } else { &lie };
                submitted = Some(response);
                let (body, storage) = (Body::of(response), checks[*storage].clone());
                let (worker_id, digest) = (&names[*who], digest_of(&request, response));
                // With the salt, the call reveals too.
                let salt = (*who % 2 == 0 && several).then_some(&SALT);
                let input = Input::Resolve { worker_id, digest, salt, body, storage, height };
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
                    Phase::Disputing { .. } => ResumePayload::Dispute.encode(),
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
                request.clone().step(Input::Deliver { delivery, height })
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
                let made = next.claims.as_ref().map_or(0, |claims| claims.made.len());
                prop_assert!(made <= MOST_CLAIMS && (made == 0 || !several));
                // A claim changes nothing else.
                let mut before = (*next).clone();
                before.claims.clone_from(&request.claims);
                prop_assert!(!matches!(act, Act::Claim(_)) || before == request);
                if matches!(next.phase, Phase::Staged { .. }) {
                    staged = submitted.cloned().or(staged);
                }
                request = *next;
            }
            Ok(Step::Settled(settlement, effects)) => {
                check_paid(&request, &settlement, &effects, height);
                let parts = [settlement.fee, settlement.held, settlement.refund];
                prop_assert_eq!(total_of(&effects), deposit);
                prop_assert_eq!(
                    parts.map(|part| part.as_yoctonear()).iter().sum::<u128>(),
                    deposit
                );
                let kept = |one: &Effect<'_>| match one {
                    Effect::KeepResult { held, .. } => *held == HELD,
                    _ => false,
                };
                prop_assert!(effects.iter().any(kept), "the result is kept, however it ends");
                check_shares(&effects, height)?;
                let deleted = effects.iter().filter(|one| matches!(one, Effect::Delete { .. }));
                prop_assert_eq!(deleted.count(), 1);
                check_missed(&request, &effects)?;
                let paid = effects.iter().filter(|one| matches!(one, Effect::PayWorker(..)));
                let cancelled = settlement.outcome == Outcome::Cancelled;
                prop_assert!(!cancelled || several || paid.count() <= 1, "one claim at the most");
                let timed_out = settlement.outcome == Outcome::TimedOut;
                prop_assert!(!timed_out || parts[0].as_yoctonear() == 0);
                return Ok(());
            }
        }
    }
    let height = request.terms.sweep_from;
    let step = request.step(Input::Sweep { staged: staged.as_ref(), height }).unwrap();
    prop_assert_eq!(total_of(&settled(step).1), deposit);
    Ok(())
}

/// Who has answered has not missed its claim, and each claim is missed once at the most.
fn check_missed(request: &LiveRequest, effects: &[Effect<'_>]) -> Result<(), TestCaseError> {
    let mut missed: Vec<_> = Vec::new();
    for effect in effects {
        if let Effect::CountMissed(worker_id) = effect {
            prop_assert!(!missed.contains(&worker_id));
            prop_assert!(request.claims.as_ref().is_some_and(|all| all.of(worker_id).is_some()));
            let answered = matches!(&request.phase, Phase::Staged { worker_id: by, .. }
                if by == worker_id);
            prop_assert!(!answered);
            missed.push(worker_id);
        }
    }
    Ok(())
}

/// What is held after a settlement goes somewhere too, down to the last yocto.
fn check_shares(effects: &[Effect<'_>], height: u64) -> Result<(), TestCaseError> {
    let kept = effects.iter().find_map(|effect| match effect {
        Effect::KeepShares(shares) => Some((**shares).clone()),
        _ => None,
    });
    let Some(shares) = kept else {
        return Ok(());
    };
    let (mut open, mut out) = (shares.clone(), 0);
    for worker_id in shares.agreement.voters(|vote| vote.digest.is_none()) {
        match open.clone().reveal(worker_id, shares.digest, &SALT, height) {
            Err(_) => {}
            Ok(SharesStep::Open(next, effects)) => {
                out += total_of(&effects);
                open = *next;
            }
            Ok(SharesStep::Closed(effects)) => {
                out += total_of(&effects);
                prop_assert_eq!(out, shares.held.as_yoctonear());
                return Ok(());
            }
        }
    }
    let until = open.agreement.reveal_until();
    let Ok(SharesStep::Closed(effects)) = open.close(Some(&id("a.near")), until) else {
        return Err(TestCaseError::fail("not closed"));
    };
    prop_assert_eq!(out + total_of(&effects), shares.held.as_yoctonear());
    Ok(())
}
