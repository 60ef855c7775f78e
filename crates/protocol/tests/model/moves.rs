//! Everything that may be tried next: what honest workers send, what the adversary does with the
//! workers that it has, what the requester and the network do, and that time passes.
//!
//! Pausing is not among it. It refuses new requests only, and the machine does not know of it.

use outlayer_protocol::{
    Agreement,
    agreement::Stage,
    machine::{LiveRequest, Phase},
};

use crate::{
    scenario::{Body, Content, Network, Part, Party, Scenario},
    time,
    world::{Decoded, Intent, World},
};

/// One event. Most are receipts; a receipt that the machine refuses changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Blocks pass, up to this height.
    Wait(u64),
    Commit(usize, Intent),
    /// A worker reveals a digest, with the salt of a worker.
    Reveal(usize, Content, usize),
    Resolve(Submission),
    /// A worker sends a part of a body. The rest says how the last part finds the keys.
    Send(Part, Submission),
    /// Somebody closes the request or its shares: a worker, or an account that is not paid for it.
    Close(Option<usize>),
    /// The requester cancels.
    Cancel,
    /// The callback of the resumed yield runs. Where it fails, this never happens.
    Deliver,
    /// The callback runs because the yield has timed out.
    TimeOut,
    Sweep,
}

/// How a body finds the keys of storage that it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finds {
    /// As it read them, and free.
    Free,
    /// A key that the execution read has changed since the round began.
    Changed,
    /// Readers have a key that the body writes.
    Readers,
}

/// A body that a worker submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) worker: usize,
    pub(crate) content: Content,
    /// Whether the worker reveals in the same call.
    pub(crate) with_salt: bool,
    pub(crate) finds: Finds,
}

/// The moves that are tried in a state.
pub(crate) fn moves(scenario: &Scenario, world: &World) -> Vec<Move> {
    let decoded = world.decode();
    let mut all = Vec::new();
    all.extend(time::next_height(scenario, world, &decoded).map(Move::Wait));
    let drawn = drawn(world);
    let closes = [Move::Close(None), Move::Close(Some(scenario.outsider()))];
    match &decoded {
        Decoded::Nothing => {}
        Decoded::Shares(shares) => {
            all.extend(reveals(world, &drawn, &shares.agreement));
            all.extend(resolves(scenario, world, &drawn, &shares.agreement, None));
            all.extend(closes);
        }
        Decoded::Live(request) => {
            let agreement = request.agreement.as_ref().unwrap();
            let pending = request.phase == Phase::Pending;
            all.extend(reveals(world, &drawn, agreement));
            all.extend(resolves(scenario, world, &drawn, agreement, pending.then_some(request)));
            if pending {
                all.extend(commits(scenario, world, &drawn, agreement));
                all.extend(closes);
                all.push(Move::Cancel);
            }
            all.extend(world.resumed.map(|_| Move::Deliver));
            // Where receipts land, no timeout overtakes a resume.
            let lands = scenario.network == Network::Lands && world.resumed.is_some();
            if request.is_expired(world.height) && !lands {
                all.push(Move::TimeOut);
            }
            all.push(Move::Sweep);
        }
    }
    all
}

/// A worker that was drawn, with what it is.
type Drawn = (usize, Party);

/// The workers that were drawn. Of those that differ in nothing that matters, only the first: what
/// the others may do leads to the same states.
fn drawn(world: &World) -> Vec<Drawn> {
    let mut all = Vec::new();
    let seats = world.seats.iter().enumerate();
    let mut seen = Vec::new();
    for (n, seat) in seats {
        let successor = world.successor(n);
        let pair = (*seat, world.workers[n], successor.map(|n| world.workers[n]));
        if !seen.contains(&pair) {
            seen.push(pair);
            all.push((n, seat.holder));
            all.extend(successor.zip(seat.successor));
        }
    }
    all
}

/// An honest worker that has committed.
pub(crate) fn honest_voter(world: &World) -> Option<usize> {
    let is_voter = |worker: &usize| {
        world.workers[*worker].intent.is_some() && world.party(*worker) == Some(Party::Honest)
    };
    (0..world.workers.len()).find(is_voter)
}

/// Honest workers commit to the truth when it is their turn. Faulty ones commit to anything then
/// (to junk only where there is nothing to copy), and try to at any other time. As soon as somebody
/// has revealed the truth, they know it without having executed anything.
fn commits(
    scenario: &Scenario,
    world: &World,
    drawn: &[Drawn],
    agreement: &Agreement,
) -> Vec<Move> {
    let mut all = Vec::new();
    let voter = honest_voter(world);
    let truth = Intent::Of(Content::Truth);
    let is_public =
        world.workers.iter().any(|worker| worker.revealed && worker.intent == Some(truth));
    for &(worker, party) in drawn {
        if world.workers[worker].intent.is_some() {
            continue;
        }
        let in_turn = agreement.place_of(scenario.id(worker), world.height).is_ok();
        let intents = match party {
            Party::Honest => [in_turn.then_some(truth), None, None, None],
            Party::Faulty => [
                Some(truth),
                in_turn.then_some(Intent::Of(Content::Lie)),
                in_turn.then_some(voter.map_or(Intent::Junk, |_| Intent::Copied)),
                is_public.then_some(Intent::Learnt),
            ],
        };
        all.extend(intents.into_iter().flatten().map(|intent| Move::Commit(worker, intent)));
    }
    all
}

/// Honest workers reveal what they have committed to, once, while reveals are taken. Faulty ones
/// try at any time, and then every digest with every salt, also with one that is still secret.
fn reveals(world: &World, drawn: &[Drawn], agreement: &Agreement) -> Vec<Move> {
    let mut all = Vec::new();
    let is_open = agreement.stage(world.height) == Stage::Revealing;
    let voter = honest_voter(world);
    for &(worker, party) in drawn {
        let notes = &world.workers[worker];
        let Some(intent) = notes.intent.filter(|_| !notes.revealed) else {
            continue;
        };
        let own = intent.content().map(|content| Move::Reveal(worker, content, worker));
        match party {
            Party::Honest => all.extend(own.filter(|_| is_open && !notes.landed)),
            Party::Faulty if !is_open => all.extend(own),
            Party::Faulty => {
                let salts = [Some(worker), voter].into_iter().flatten();
                all.extend(salts.flat_map(|salt_of| {
                    [Content::Truth, Content::Lie]
                        .map(|content| Move::Reveal(worker, content, salt_of))
                }));
            }
        }
    }
    all
}

/// Honest workers submit the truth once enough have revealed it, they themselves perhaps with the
/// same call, and perhaps when another body was quicker. Faulty workers, drawn or not, submit
/// anything at any time.
fn resolves(
    scenario: &Scenario,
    world: &World,
    drawn: &[Drawn],
    agreement: &Agreement,
    pending: Option<&LiveRequest>,
) -> Vec<Move> {
    let mut all = Vec::new();
    let truth = scenario.digest(Content::Truth, world.round);
    let reveals = agreement.supporters(truth).len();
    let is_open = agreement.stage(world.height) == Stage::Revealing;
    let contents = [Content::Truth, Content::Lie].into_iter();
    let bodies = contents.flat_map(|content| [(content, false), (content, true)]);
    for &(worker, party) in drawn.iter().chain(&[(scenario.outsider(), Party::Faulty)]) {
        let notes = &world.workers[worker];
        let committed_to = notes.intent.and_then(Intent::content);
        for (content, with_salt) in bodies.clone() {
            let is_possible = match with_salt {
                true => committed_to == Some(content) && !notes.revealed,
                false => pending.is_some(),
            };
            let is_honest = committed_to == Some(content)
                && with_salt != notes.revealed
                && (!with_salt || (is_open && !notes.landed))
                && reveals + usize::from(with_salt) >= scenario.approvals.into();
            if is_possible && (is_honest || party == Party::Faulty) {
                let submission = Submission { worker, content, with_salt, finds: Finds::Free };
                let mut submit = |submission: Submission| match scenario.body {
                    // A worker reveals apart, and only then sends parts.
                    Body::InParts if with_salt => {}
                    Body::InParts => {
                        let parts = [Part::First, Part::Second, Part::Only].into_iter();
                        let wanted = parts.filter(|part| match (party, notes.sends) {
                            // What happens to a body is only found with its last part.
                            _ if *part == Part::First && submission.finds != Finds::Free => false,
                            (Party::Faulty, _) => true,
                            (Party::Honest, Some((mine, _))) => {
                                *part == Part::Second && mine == content
                            }
                            (Party::Honest, None) => {
                                let id = scenario.id(worker);
                                let turn = pending.map(|request| request.turn(id, world.height));
                                *part != Part::Second && turn.is_some_and(|turn| turn.is_ok())
                            }
                        });
                        all.extend(wanted.map(|part| Move::Send(part, submission)));
                    }
                    Body::Small | Body::Waits => all.push(Move::Resolve(submission)),
                };
                submit(submission);
                // The lie touches nothing.
                let touches = pending.is_some() && content == Content::Truth;
                if touches && world.conflicts > 0 {
                    submit(Submission { finds: Finds::Changed, ..submission });
                }
                if touches && world.waits > 0 {
                    submit(Submission { finds: Finds::Readers, ..submission });
                }
            }
        }
    }
    all
}
