//! What a move does: the machine's own step, carried out as the contract carries it out.

use outlayer_protocol::{
    Hash32,
    agreement::Stage,
    machine::{
        Delivery, Input, LiveRequest, OpenShares, PartTaken, Phase, Refusal, SharesStep, Step,
    },
    storage::StorageCheck,
};

use crate::{
    moves::{Finds, Move, Submission, honest_voter},
    scenario::{Party, Scenario},
    world::{Decoded, Flaw, Intent, World},
};

/// A step that was taken, of the request or of its shares.
enum Taken<'a> {
    Live(Step<'a>),
    Shares(SharesStep),
}

/// The state after a move; `None` when nothing changes.
pub(crate) fn next(scenario: &Scenario, world: &World, step: Move) -> Option<World> {
    let taken = match (step, world.decode()) {
        (Move::Wait(height), _) => {
            let mut next = world.clone();
            next.height = height;
            next.seal(scenario);
            return Some(next);
        }
        (_, Decoded::Nothing) => return None,
        (_, Decoded::Live(request)) => take(scenario, world, *request, step).map(Taken::Live),
        (_, Decoded::Shares(shares)) => {
            take_of_shares(scenario, world, *shares, step).map(Taken::Shares)
        }
    };
    let mut next = match taken {
        Err(_) => refused(world, step)?,
        Ok(taken) => {
            let mut next = world.clone();
            match taken {
                Taken::Live(step) => next.carry_out(scenario, step),
                Taken::Shares(step) => next.carry_out_shares(scenario, step),
            }
            note_taken(world, &mut next, step);
            next
        }
    };
    next.seal(scenario);
    Some(next)
}

fn take<'a>(
    scenario: &'a Scenario,
    world: &World,
    request: LiveRequest,
    step: Move,
) -> Result<Step<'a>, Refusal> {
    let (height, round) = (world.height, world.round);
    let staged = world.staged.map(|content| scenario.body(content, round));
    let input = match step {
        Move::Commit(worker, intent) => {
            let copied = || {
                let voter = scenario.id(honest_voter(world)?);
                Some(request.agreement.as_ref()?.vote_of(voter)?.commitment)
            };
            let commitment = match intent {
                Intent::Junk => Hash32::of(b"junk"),
                Intent::Copied => copied().unwrap(),
                Intent::Of(_) | Intent::Learnt => {
                    scenario.commitment(worker, intent.content().unwrap(), round)
                }
            };
            Input::Commit { worker_id: scenario.id(worker), round, commitment, height }
        }
        Move::Reveal(worker, content, salt_of) => Input::Reveal {
            worker_id: scenario.id(worker),
            digest: scenario.digest(content, round),
            salt: scenario.salt(salt_of, round),
            height,
        },
        Move::Resolve(Submission { worker, content, with_salt, finds }) => Input::Resolve {
            worker_id: scenario.id(worker),
            digest: scenario.digest(content, round),
            salt: with_salt.then(|| scenario.salt(worker, round)),
            body: scenario.submitted(content, round),
            storage: found(finds),
            height,
        },
        Move::Send(part, Submission { worker, content, finds, .. }) => {
            let part = scenario.part(content, round, part);
            return match request.take_part(scenario.id(worker), part, height)? {
                PartTaken::Step(step) => Ok(step),
                PartTaken::Complete(complete) => {
                    complete.submit(scenario.submitted(content, round), &found(finds))
                }
            };
        }
        Move::Close(closer) => {
            Input::Close { closer: closer.map(|worker| scenario.id(worker)), height }
        }
        Move::Cancel => Input::Cancel { by: scenario.requester(), height },
        Move::Deliver => {
            let staged = staged.map(|body| (body, StorageCheck::Fits));
            let payload = world.resumed.unwrap().encode().into();
            Input::Deliver { delivery: Delivery::Resumed { payload, staged }, height }
        }
        Move::TimeOut => Input::Deliver { delivery: Delivery::TimedOut { staged }, height },
        Move::Sweep | Move::Wait(_) => Input::Sweep { staged, height },
    };
    request.step(input)
}

/// What the contract finds of the keys that a body touches.
fn found(finds: Finds) -> StorageCheck {
    match finds {
        Finds::Free => StorageCheck::Fits,
        Finds::Changed => StorageCheck::Conflict("k".into()),
        Finds::Readers => StorageCheck::ReadLocked { closable: vec![Hash32::of(b"lock")] },
    }
}

fn take_of_shares(
    scenario: &Scenario,
    world: &World,
    shares: OpenShares,
    step: Move,
) -> Result<SharesStep, Refusal> {
    let (worker, content, salt_of) = match step {
        Move::Reveal(worker, content, salt_of) => (worker, content, salt_of),
        // The contract takes the reveal that comes with a body, and leaves the body.
        Move::Resolve(Submission { worker, content, .. }) => (worker, content, worker),
        Move::Close(Some(closer)) => return shares.close(Some(scenario.id(closer)), world.height),
        _ => return shares.close(None, world.height),
    };
    let (digest, salt) =
        (scenario.digest(content, world.round), scenario.salt(salt_of, world.round));
    shares.reveal(scenario.id(worker), digest, salt, world.height)
}

/// Notes what a worker has done.
fn note_taken(world: &World, next: &mut World, step: Move) {
    // A void has wiped all notes of the round.
    let same_round = world.round == next.round;
    let stage = match world.decode() {
        Decoded::Live(request) => request.agreement.map(|one| one.stage(world.height)),
        Decoded::Shares(shares) => Some(shares.agreement.stage(world.height)),
        Decoded::Nothing => None,
    };
    let reveals = |n: usize| next.workers[n].revealed && !world.workers[n].revealed;
    let allowed = match step {
        Move::Commit(..) => stage == Some(Stage::Committing),
        _ => stage == Some(Stage::Revealing) || !(0..next.workers.len()).any(reveals),
    };
    if !allowed {
        next.blame(Flaw::OutOfPhase);
    }
    // A late reveal is paid like a close when it closes the shares.
    let closes = matches!(world.decode(), Decoded::Shares(_)) && next.is_over();
    if let Move::Reveal(worker, ..) | Move::Resolve(Submission { worker, .. }) = step
        && closes
    {
        next.workers[worker].closed = true;
    }
    if let Move::Resolve(submission) | Move::Send(_, submission) = step
        && submission.finds == Finds::Changed
    {
        note_void(world, next, submission);
    }
    match step {
        Move::Commit(worker, intent) => next.workers[worker].intent = Some(intent),
        Move::Reveal(worker, ..) => next.workers[worker].landed = true,
        Move::Resolve(Submission { worker, with_salt, finds, .. })
        | Move::Send(_, Submission { worker, with_salt, finds, .. }) => {
            next.conflicts -= u8::from(finds == Finds::Changed);
            next.waits -= u8::from(finds == Finds::Readers);
            let notes = &mut next.workers[worker];
            notes.landed |= with_salt && same_round;
            notes.submitted |= world.staged.is_none() && next.staged.is_some();
        }
        Move::Close(Some(worker)) => next.workers[worker].closed = true,
        _ => {}
    }
}

/// Notes whom a round is due to that is void. Who has sent the body may have revealed with it.
fn note_void(world: &World, next: &mut World, submission: Submission) {
    for (before, after) in world.workers.iter().zip(&mut next.workers) {
        let agrees = before.intent == Some(Intent::Of(submission.content));
        after.voids += u8::from(before.intent.is_some() && (!before.revealed || agrees));
    }
}

/// The state after a receipt was refused, where that is worth a note because the worker is honest.
fn refused(world: &World, step: Move) -> Option<World> {
    let (worker, reveals) = match step {
        Move::Commit(worker, _) => (worker, false),
        Move::Reveal(worker, ..) => (worker, true),
        Move::Resolve(Submission { worker, with_salt, .. }) => (worker, with_salt),
        Move::Send(_, Submission { worker, .. }) => (worker, false),
        _ => return None,
    };
    if world.party(worker) != Some(Party::Honest) {
        return None;
    }
    let mut next = world.clone();
    next.workers[worker].landed |= reveals;
    // Honest workers send nothing that should not be taken, unless the request is over for them.
    let is_over = match world.decode() {
        Decoded::Live(request) => {
            request.phase == Phase::Cancelling || request.is_expired(world.height)
        }
        Decoded::Shares(_) | Decoded::Nothing => false,
    };
    if !is_over {
        next.blame(Flaw::HonestRefused);
    }
    (!is_over || reveals).then_some(next)
}
