//! How time passes. The machine compares heights with a few boundaries, and remembers the height of
//! the last commitment and that of a void. So the model stops only in the last block before each
//! boundary and in the first block after it. What happens between the two happens as it does at one
//! of them.

use outlayer_protocol::{
    Agreement,
    agreement::{BODY_BLOCKS, Stage},
    machine::{LiveRequest, Phase},
    upload::TURN_BLOCKS,
};

use crate::{
    scenario::{Content, Network, Party, Scenario},
    world::{Decoded, World},
};

/// The height of the next stop; `None` when there is none, or when an honest worker or the network
/// still owes something that must land before it.
pub(crate) fn next_height(scenario: &Scenario, world: &World, decoded: &Decoded) -> Option<u64> {
    let boundaries = match decoded {
        Decoded::Nothing => Vec::new(),
        Decoded::Shares(shares) => vec![shares.agreement.reveal_until()],
        Decoded::Live(request) => boundaries(world, request),
    };
    let stops = boundaries.into_iter().flat_map(|boundary| [boundary - 1, boundary]);
    let next = stops.filter(|stop| *stop > world.height).min()?;
    let owed = scenario.network == Network::Lands
        && match decoded {
            Decoded::Nothing => false,
            Decoded::Shares(shares) => owes_reveal(world, &shares.agreement, next),
            Decoded::Live(request) => owes(scenario, world, request, next),
        };
    (!owed).then_some(next)
}

fn boundaries(world: &World, request: &LiveRequest) -> Vec<u64> {
    let agreement = request.agreement.as_ref().unwrap();
    let (from, until) = (agreement.reveal_from(), agreement.reveal_until());
    let mut all = vec![request.terms.deadline + 1, request.terms.sweep_from];
    if request.phase == Phase::Pending && agreement.stage(world.height) == Stage::Committing {
        all.extend([agreement.passes_on_at(), from]);
    }
    if request.phase != Phase::Cancelling {
        all.push(until);
    }
    if request.phase == Phase::Pending {
        all.push(until + BODY_BLOCKS);
        if world.conflicts > 0 {
            // From here on no other round begins.
            let round = agreement.latest_end(world.height) - world.height;
            all.push(request.terms.deadline + 1 - round);
        }
        if let Some(upload) = &request.upload {
            all.extend([1, 2].map(|turns| upload.since + turns * TURN_BLOCKS));
        }
    }
    all
}

/// Whether something must land before the height `next`.
fn owes(scenario: &Scenario, world: &World, request: &LiveRequest, next: u64) -> bool {
    let agreement = request.agreement.as_ref().unwrap();
    match request.phase {
        Phase::Pending => {
            owes_commitment(scenario, world, agreement, next)
                || owes_reveal(world, agreement, next)
                || owes_body(scenario, world, agreement, next)
        }
        Phase::Staged { .. } | Phase::Disputing { .. } => {
            owes_reveal(world, agreement, next) || next > request.terms.deadline
        }
        Phase::Cancelling => next > request.terms.deadline,
    }
}

fn owes_commitment(scenario: &Scenario, world: &World, agreement: &Agreement, next: u64) -> bool {
    let may = |worker| agreement.place_of(scenario.id(worker), world.height).is_ok();
    world.seats.iter().enumerate().any(|(n, seat)| {
        let end = if seat.successor.is_some() {
            agreement.passes_on_at()
        } else {
            agreement.reveal_from()
        };
        let holder = seat.holder == Party::Honest && next >= end && may(n);
        let successor = world.successor(n).filter(|_| seat.successor == Some(Party::Honest));
        holder || successor.is_some_and(|n| next >= agreement.reveal_from() && may(n))
    })
}

fn owes_reveal(world: &World, agreement: &Agreement, next: u64) -> bool {
    let stage = agreement.stage(world.height);
    stage == Stage::Revealing
        && next >= agreement.reveal_until()
        && agreement.votes.iter().any(|vote| {
            let worker = usize::from(vote.drawn);
            world.party(worker) == Some(Party::Honest) && !world.workers[worker].landed
        })
}

fn owes_body(scenario: &Scenario, world: &World, agreement: &Agreement, next: u64) -> bool {
    let truth = scenario.digest(Content::Truth, world.round);
    next >= agreement.reveal_until() + BODY_BLOCKS
        && agreement.supporters(truth).len() >= scenario.approvals.into()
}
