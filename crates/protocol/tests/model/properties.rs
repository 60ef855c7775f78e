//! What must hold in every state, and what must be possible at all.

use outlayer_protocol::{
    agreement::PAID_VOIDS,
    machine::{Input, SharesStep, Step},
};
use stateright::{Model, Property};

use crate::{
    moves::{self, Move},
    scenario::{Body, Content, Network, Party, Scenario},
    steps, time,
    world::{Decoded, End, Intent, Worker, World},
};

impl Model for Scenario {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        self.seatings().into_iter().map(|seats| World::new(self, seats)).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        actions.extend(moves::moves(self, world));
    }

    fn next_state(&self, world: &World, step: Move) -> Option<World> {
        steps::next(self, world, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always("no flaw is noted", |_, world: &World| world.flaw.is_none()),
            Property::always("every yocto is somewhere, once", every_yocto_is_somewhere_once),
            Property::always("nothing stays behind", nothing_stays_behind),
            Property::always("every state has a way to its end", every_state_has_a_way_to_its_end),
            Property::always("who lands is not counted as lost", who_lands_is_not_counted_as_lost),
            Property::always("who lands is paid", who_lands_is_paid),
            Property::always("a copy is no share", a_copy_is_no_share),
            Property::always("a copy earns no more than a commitment", a_copy_earns_no_more),
            Property::always("everyone is paid what is due", everyone_is_paid_what_is_due),
            Property::always("losses are counted at the end", losses_are_counted_at_the_end),
            Property::sometimes("the truth may settle", |_, world| is_true(world)),
            Property::sometimes("a cancelled request pays", |_, world: &World| {
                world.end == Some(End::Cancelled) && world.workers.iter().any(|one| one.earned > 0)
            }),
        ];
        let lands = self.network == Network::Lands;
        if !lands || self.faulty > 0 {
            all.push(Property::sometimes("a successor may settle", |scenario, world: &World| {
                world.workers[scenario.seats()..].iter().any(|one| one.settled > 0)
            }));
        }
        if self.spares > 0 {
            all.push(Property::sometimes("a late reveal takes its share", |_, world: &World| {
                is_true(world) && world.money.shares > 0 && world.money.payer > 0
            }));
        }
        match self.may_lie() {
            false => all.push(Property::always("a lie never settles", |_, world: &World| {
                world.end != Some(End::Answered(Content::Lie))
            })),
            true => all.push(Property::sometimes("so many may lie", |_, world: &World| {
                world.end == Some(End::Answered(Content::Lie))
            })),
        }
        let has_time = self.windows > self.conflicts;
        if lands && self.faulty <= self.spares && !self.may_lie() {
            all.push(Property::always("the truth settles", |scenario, world: &World| {
                matches!(world.end, None | Some(End::Answered(Content::Truth) | End::Cancelled))
                    || (world.end == Some(End::Disputed) && ended_by_a_void(scenario, world))
            }));
        }
        if self.conflicts > PAID_VOIDS {
            all.push(Property::sometimes("too many voids end as disputed", |scenario, world| {
                ended_by_a_void(scenario, world) && world.round == u32::from(PAID_VOIDS)
            }));
        }
        if !lands || self.faulty > self.spares {
            all.push(Property::sometimes("workers may not agree", |_, world: &World| {
                world.end == Some(End::Disputed)
            }));
        }
        if !has_time {
            all.push(Property::sometimes("a late void ends as disputed", |_, world: &World| {
                world.end == Some(End::Disputed) && world.conflicts == 0 && world.round == 0
            }));
        }
        match self.body {
            Body::Small => {}
            Body::Waits => all.push(Property::sometimes("an answer may wait", |_, world| {
                is_true(world) && world.waits == 0
            })),
            Body::InParts => {
                all.push(Property::sometimes("a turn may pass on", |_, world: &World| {
                    world.workers.iter().any(|worker| worker.had_turn)
                }));
            }
        }
        if self.conflicts > 0 {
            all.push(Property::sometimes("the second round may settle", |_, world| {
                is_true(world) && world.round == 1
            }));
        }
        all
    }
}

/// Whether the request ended as a round was void and no other one might follow: there was no time
/// for one that may be as late as receipts may land, or there have been too many.
fn ended_by_a_void(scenario: &Scenario, world: &World) -> bool {
    let voids = u32::from(scenario.conflicts - world.conflicts);
    let last = world.end == Some(End::Disputed) && voids == world.round + 1;
    let too_many = voids > PAID_VOIDS.into();
    last && (too_many || scenario.windows <= scenario.conflicts)
}

fn is_true(world: &World) -> bool {
    world.end == Some(End::Answered(Content::Truth))
}

fn every_yocto_is_somewhere_once(scenario: &Scenario, world: &World) -> bool {
    let money = &world.money;
    let earned: u128 = world.workers.iter().map(|worker| worker.earned).sum();
    money.deposit + money.shares + money.protocol + money.payer + earned == scenario.deposit()
}

/// What has ended holds neither money nor keys.
fn nothing_stays_behind(_: &Scenario, world: &World) -> bool {
    let kept = world.locked || world.closes_key || world.parts != 0;
    let settled = world.end.is_none() || (world.money.deposit == 0 && !kept);
    settled && (!world.is_over() || world.money.shares == 0)
}

/// From here, somebody who waits long enough can always sweep or close. Nor does the model itself
/// get stuck where something must land before time goes on.
fn every_state_has_a_way_to_its_end(scenario: &Scenario, world: &World) -> bool {
    let decoded = world.decode();
    let goes_on = time::next_height(scenario, world, &decoded).is_some()
        || world.is_over()
        || !scenario.next_states(world).is_empty();
    let ends = match decoded {
        Decoded::Nothing => true,
        Decoded::Live(request) => {
            let height = request.terms.sweep_from.max(world.height);
            let staged = world.staged.map(|content| scenario.body(content, world.round));
            matches!(request.step(Input::Sweep { staged, height }), Ok(Step::Settled(..)))
        }
        Decoded::Shares(shares) => {
            let height = shares.agreement.reveal_until().max(world.height);
            matches!(shares.close(None, height), Ok(SharesStep::Closed(_)))
        }
    };
    goes_on && ends
}

/// The workers that follow the protocol.
fn honest(world: &World) -> impl Iterator<Item = &Worker> {
    let all = world.workers.iter().enumerate();
    all.filter(|(n, _)| world.party(*n) == Some(Party::Honest)).map(|(_, worker)| worker)
}

/// Unless so many lie together that they are believed.
fn who_lands_is_not_counted_as_lost(_: &Scenario, world: &World) -> bool {
    let believed = world.end == Some(End::Answered(Content::Lie));
    let is_late = |worker: &Worker| worker.intent.is_some() && !worker.landed;
    honest(world).all(|worker| worker.lost == 0 || is_late(worker) || believed)
}

/// Once the truth is settled, each honest worker that committed and revealed in time has its share.
fn who_lands_is_paid(_: &Scenario, world: &World) -> bool {
    let has_landed = |worker: &Worker| worker.intent.is_some() && worker.landed;
    honest(world).all(|worker| worker.settled == 1 || !has_landed(worker) || !is_true(world))
}

/// The workers whose commitment in this round was made without knowing the digest.
fn copies(world: &World) -> impl Iterator<Item = &Worker> {
    let is_copy = |worker: &&Worker| {
        matches!(worker.intent, Some(Intent::Junk | Intent::Copied | Intent::Learnt))
    };
    world.workers.iter().filter(is_copy)
}

/// Neither a reveal nor a share nor a credit comes of a commitment that was made without knowing
/// the digest.
fn a_copy_is_no_share(_: &Scenario, world: &World) -> bool {
    copies(world).all(|worker| worker.settled == 0 && !worker.revealed)
}

/// Who has copied is paid for gas that it burns by sending or closing, and for the commitment where
/// nobody can tell what it is of: by a cancellation, and in rounds that were void.
fn a_copy_earns_no_more(scenario: &Scenario, world: &World) -> bool {
    let wages = scenario.wages();
    copies(world).all(|worker| {
        let commitments = u128::from(worker.voids) + u128::from(world.end == Some(End::Cancelled));
        let calls =
            u128::from(worker.submitted) * wages.submit + u128::from(worker.closed) * wages.close;
        worker.earned <= commitments * wages.cancelled + calls
    })
}

/// Whether a worker has revealed what was settled, and may have a share of it.
fn agrees(worker: &Worker, settled: Content) -> bool {
    worker.revealed && worker.intent == Some(Intent::Of(settled))
}

/// A share for a matching reveal, the gas of whoever submitted or closed, and a share without
/// compute for each void round, however the request ends: no more, no less.
fn everyone_is_paid_what_is_due(scenario: &Scenario, world: &World) -> bool {
    let wages = scenario.wages();
    let when = |is_due: bool, amount: u128| if is_due { amount } else { 0 };
    world.workers.iter().all(|worker| {
        let due = match world.end {
            None => return worker.earned == 0,
            Some(End::TimedOut) => 0,
            Some(End::Cancelled) => when(worker.intent.is_some(), wages.cancelled),
            Some(End::Disputed) => when(worker.closed, wages.close),
            Some(End::Answered(content)) => {
                when(agrees(worker, content), scenario.share(content))
                    + when(worker.submitted, wages.submit)
                    + when(worker.closed, wages.close)
            }
        };
        worker.earned == due + u128::from(worker.voids) * wages.cancelled
    })
}

/// Who has committed and then revealed something else, or nothing in time, is counted once, when
/// nothing is open any more. Where nobody knows who lied, only who revealed nothing is.
fn losses_are_counted_at_the_end(_: &Scenario, world: &World) -> bool {
    world.workers.iter().all(|worker| {
        let committed = worker.intent.is_some();
        match world.end.filter(|_| world.is_over()) {
            Some(End::Answered(content)) => {
                let agrees = agrees(worker, content);
                (worker.settled > 0, worker.lost > 0) == (agrees, committed && !agrees)
                    && worker.settled + worker.lost == u8::from(committed)
            }
            Some(End::Disputed) => worker.lost <= u8::from(committed && !worker.revealed),
            Some(End::Cancelled | End::TimedOut) | None => worker.lost == 0,
        }
    })
}
