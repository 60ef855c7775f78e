//! What tells two states apart. States with the same key have the same future, but for which of two
//! like seats does what, so only one of them is visited.

use std::fmt;

use outlayer_protocol::{
    agreement::{BODY_BLOCKS, Stage},
    machine::{LiveRequest, Phase},
};

use crate::{
    scenario::{Content, Seat},
    world::{Decoded, End, Flaw, Intent, Money, Worker, World},
};

/// The key of a state. It leaves out the order of the commitments, which decides only in which
/// order workers are paid, and which of the seats of one kind is in which state. Of void rounds it
/// has how many shares are due, and not to whom: no step depends on that, and each of them is paid
/// in the same way.
#[derive(Default, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    phase: u8,
    round: u32,
    clock: Clock,
    conflicts: u8,
    waits: u8,
    closes_key: bool,
    parts: u8,
    staged: Option<Content>,
    locked: bool,
    /// The kind of what the yield was resumed with.
    resumed: Option<u8>,
    money: Money,
    voids: u8,
    end: Option<End>,
    flaw: Option<Flaw>,
    outsider: Worker,
    seats: Vec<(Seat, Worker, Option<Worker>)>,
}

/// What the height still decides. Where no round can begin any more, that is only which boundaries
/// lie behind, and in which order the others come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Clock {
    /// The height, that at which the round began, and that at which reveals end.
    heights: Option<(u64, u64, u64)>,
    /// Whether reveals are taken.
    open: bool,
    /// Whether they are still taken after the deadline.
    outlasts: bool,
    /// Whether the time for the body is not over yet.
    body_due: bool,
    /// Whether it ends after the deadline.
    body_outlasts: bool,
    expired: bool,
    sweepable: bool,
    /// The height at which the turn of the worker began that sends parts.
    turn: Option<u64>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.clock)
    }
}

impl Key {
    pub(crate) fn of(world: &World) -> Self {
        let (phase, clock) = match world.decode() {
            Decoded::Nothing => (0, Clock::default()),
            Decoded::Shares(shares) => {
                let open = shares.agreement.stage(world.height) == Stage::Revealing;
                (1, Clock { open, ..Clock::default() })
            }
            Decoded::Live(request) => (
                match request.phase {
                    Phase::Pending => 2,
                    Phase::Staged { .. } => 3,
                    Phase::Disputing { .. } => 4,
                    Phase::Cancelling => 5,
                },
                Clock::of(world, &request),
            ),
        };
        let notes = |n: usize| Worker { voids: 0, ..world.workers[n] };
        let seat = |(n, seat): (usize, &Seat)| (*seat, notes(n), world.successor(n).map(notes));
        let mut seats: Vec<_> = world.seats.iter().enumerate().map(seat).collect();
        seats.sort_unstable();
        Self {
            phase,
            round: world.round,
            clock,
            conflicts: world.conflicts,
            waits: world.waits,
            closes_key: world.closes_key,
            parts: world.parts,
            staged: world.staged,
            locked: world.locked,
            resumed: world.resumed.map(|payload| payload.encode()[0]),
            money: world.money,
            voids: world.workers.iter().map(|worker| worker.voids).sum(),
            end: world.end,
            flaw: world.flaw,
            outsider: notes(world.workers.len() - 1),
            seats,
        }
    }
}

impl Clock {
    fn of(world: &World, request: &LiveRequest) -> Self {
        let agreement = request.agreement.as_ref().unwrap();
        let (deadline, until) = (request.terms.deadline, agreement.reveal_until());
        let (height, stage) = (world.height, agreement.stage(world.height));
        let mut clock = Self {
            expired: request.is_expired(height),
            sweepable: height >= request.terms.sweep_from,
            ..Self::default()
        };
        if request.phase != Phase::Cancelling {
            clock.open = stage == Stage::Revealing;
            clock.outlasts = until > deadline;
        }
        if request.phase == Phase::Pending {
            clock.body_due = height < until + BODY_BLOCKS;
            clock.body_outlasts = until + BODY_BLOCKS > deadline + 1;
            // The last commitment and a void set boundaries by the height at which they happen. A
            // round is only void when enough have revealed the truth, which reads a key.
            let truth = Some(Content::Truth);
            let is_true = |worker: &&Worker| worker.intent.and_then(Intent::content) == truth;
            let truths = world.workers.iter().filter(is_true).count();
            let may_be_void = world.conflicts > 0 && truths >= agreement.approvals.into();
            let may_set = stage == Stage::Committing || may_be_void;
            clock.turn = request.upload.as_ref().map(|upload| upload.since);
            let may_set = may_set || clock.turn.is_some();
            clock.heights = may_set.then_some((height, agreement.since, until));
        }
        clock
    }
}
