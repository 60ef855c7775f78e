//! A state of the world: what the contract stores of the request, what it has sent and paid, and
//! what the model notes of the workers to judge that by.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use borsh::BorshSerialize;
use outlayer_protocol::{
    Outcome, ResumePayload, Settlement,
    events::Event,
    machine::{Effect, LiveRequest, OpenShares, Purse, SharesStep, Step},
};

use crate::{
    key::Key,
    scenario::{Body, Content, Party, REQUESTED, Scenario, Seat},
};

/// What the contract stores, encoded. Every step decodes it and encodes what it leaves, so that the
/// contract's code may be exchanged between any two.
#[derive(Clone)]
pub(crate) enum Stored {
    Live(Arc<[u8]>),
    Shares(Arc<[u8]>),
    Nothing,
}

/// A counterexample is read by people, and its moves say how it came about.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live(_) => "Live",
            Self::Shares(_) => "Shares",
            Self::Nothing => "Nothing",
        })
    }
}

/// What is stored, decoded.
pub(crate) enum Decoded {
    Live(Box<LiveRequest>),
    Shares(Box<OpenShares>),
    Nothing,
}

/// What a worker's commitment is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Intent {
    /// A digest, with the worker's own salt.
    Of(Content),
    /// No digest.
    Junk,
    /// What an honest worker's commitment is of: the same bytes.
    Copied,
    /// The truth, as somebody else has revealed it before, with the worker's own salt.
    Learnt,
}

impl Intent {
    /// What the worker can reveal.
    pub(crate) fn content(self) -> Option<Content> {
        match self {
            Self::Of(content) => Some(content),
            Self::Learnt => Some(Content::Truth),
            Self::Junk | Self::Copied => None,
        }
    }
}

/// What the model notes of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Worker {
    /// Its commitment in this round.
    pub(crate) intent: Option<Intent>,
    /// Whether its reveal has come while reveals were taken, whatever became of it.
    pub(crate) landed: bool,
    /// Whether its reveal was taken.
    pub(crate) revealed: bool,
    /// Whether it has sent the body that was staged.
    pub(crate) submitted: bool,
    /// Whether it has closed the request or its shares.
    pub(crate) closed: bool,
    /// In how many void rounds it has committed, and not revealed anything but what was agreed on.
    pub(crate) voids: u8,
    /// How often it was counted as having settled.
    pub(crate) settled: u8,
    /// How often it was counted as having lost.
    pub(crate) lost: u8,
    /// What it was paid, yoctoNEAR.
    pub(crate) earned: u128,
    /// How many parts of what it has sent, while they are kept.
    pub(crate) sends: Option<(Content, u32)>,
    /// Whether it has lost its turn at sending parts.
    pub(crate) had_turn: bool,
}

/// Where the deposit is, yoctoNEAR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Money {
    pub(crate) deposit: u128,
    pub(crate) shares: u128,
    pub(crate) protocol: u128,
    pub(crate) payer: u128,
}

/// How the request was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Answered(Content),
    Cancelled,
    Disputed,
    TimedOut,
}

/// Something that must never happen, noted when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    /// More is paid than there is.
    Overdrawn,
    /// A refund goes to another account than the payer's.
    WrongPayer,
    /// The settlement does not say where the money went.
    WrongSums,
    /// The yield is resumed a second time.
    ResumedTwice,
    /// The request is settled a second time, or without its record being deleted.
    SettledTwice,
    /// A receipt of an honest worker was refused in its phase.
    HonestRefused,
    /// A commitment or a reveal was taken when its time was not, or over.
    OutOfPhase,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seats: Arc<[Seat]>,
    pub(crate) height: u64,
    pub(crate) stored: Stored,
    /// The response that is staged.
    pub(crate) staged: Option<Content>,
    /// Whether keys of storage are locked.
    pub(crate) locked: bool,
    /// What the yield was resumed with.
    pub(crate) resumed: Option<ResumePayload>,
    /// How often a key that the execution reads may still change.
    pub(crate) conflicts: u8,
    /// How often a body may still find readers that it must wait for.
    pub(crate) waits: u8,
    /// Whether a key is closed to new readers for the request.
    pub(crate) closes_key: bool,
    /// The parts that are kept, a bit for each.
    pub(crate) parts: u8,
    pub(crate) round: u32,
    pub(crate) workers: Vec<Worker>,
    pub(crate) money: Money,
    pub(crate) end: Option<End>,
    pub(crate) flaw: Option<Flaw>,
    key: Arc<Key>,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl World {
    /// The request as it was just made.
    pub(crate) fn new(scenario: &Scenario, seats: Arc<[Seat]>) -> Self {
        let successors = seats.iter().filter(|seat| seat.successor.is_some()).count();
        let request = scenario.request(successors);
        let deposit = scenario.deposit();
        let mut world = Self {
            seats,
            height: REQUESTED,
            stored: Stored::Live(encode(&request)),
            staged: None,
            locked: false,
            resumed: None,
            conflicts: scenario.conflicts,
            waits: u8::from(scenario.body == Body::Waits),
            closes_key: false,
            parts: 0,
            round: 0,
            workers: vec![Worker::default(); scenario.outsider() + 1],
            money: Money { deposit, shares: 0, protocol: 0, payer: 0 },
            end: None,
            flaw: None,
            key: Arc::default(),
        };
        world.seal(scenario);
        world
    }

    pub(crate) fn decode(&self) -> Decoded {
        match &self.stored {
            Stored::Live(bytes) => Decoded::Live(Box::new(borsh::from_slice(bytes).unwrap())),
            Stored::Shares(bytes) => Decoded::Shares(Box::new(borsh::from_slice(bytes).unwrap())),
            Stored::Nothing => Decoded::Nothing,
        }
    }

    /// Whether nothing is left of the request.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stored, Stored::Nothing)
    }

    pub(crate) fn blame(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }

    /// Carries out a step of the machine, as the contract does.
    pub(crate) fn carry_out(&mut self, scenario: &Scenario, step: Step<'_>) {
        let (settled, effects) = match step {
            Step::Live(request, effects) => {
                self.stored = Stored::Live(encode(&*request));
                (false, effects)
            }
            Step::Settled(settlement, effects) => {
                self.settle(scenario, &settlement);
                (true, effects)
            }
        };
        self.carry_out_all(scenario, effects);
        if settled && matches!(self.stored, Stored::Live(_)) {
            self.blame(Flaw::SettledTwice);
        }
    }

    /// Carries out what becomes of open shares.
    pub(crate) fn carry_out_shares(&mut self, scenario: &Scenario, step: SharesStep) {
        let effects = match step {
            SharesStep::Open(shares, effects) => {
                self.stored = Stored::Shares(encode(&*shares));
                effects
            }
            SharesStep::Closed(effects) => effects,
        };
        self.carry_out_all(scenario, effects);
    }

    fn settle(&mut self, scenario: &Scenario, settlement: &Settlement) {
        let Settlement { outcome, fee, held, refund, digest, .. } = settlement;
        let sums = [fee, held, refund].map(|amount| amount.as_yoctonear()).iter().sum::<u128>();
        if sums != scenario.deposit() {
            self.blame(Flaw::WrongSums);
        }
        if self.end.is_some() {
            self.blame(Flaw::SettledTwice);
        }
        let is_true = *digest == Some(scenario.digest(Content::Truth, self.round));
        self.end = Some(match outcome {
            Outcome::Cancelled => End::Cancelled,
            Outcome::Disputed { .. } => End::Disputed,
            Outcome::TimedOut => End::TimedOut,
            _ => End::Answered(if is_true { Content::Truth } else { Content::Lie }),
        });
    }

    fn carry_out_all(&mut self, scenario: &Scenario, effects: Vec<Effect<'_>>) {
        for effect in effects {
            match effect {
                Effect::PayWorker(from, id, amount) => {
                    let amount = self.take(from, amount.as_yoctonear());
                    self.workers[scenario.worker(&id)].earned += amount;
                }
                Effect::PayProtocol(from, amount) => {
                    self.money.protocol += self.take(from, amount.as_yoctonear());
                }
                Effect::Refund(from, payer, amount) => {
                    if payer != *scenario.requester() {
                        self.blame(Flaw::WrongPayer);
                    }
                    self.money.payer += self.take(from, amount.as_yoctonear());
                }
                Effect::KeepShares(shares) => {
                    self.money.shares += self.take(Purse::Deposit, shares.held.as_yoctonear());
                    self.stored = Stored::Shares(encode(&*shares));
                }
                Effect::CountSettled(id) => self.workers[scenario.worker(&id)].settled += 1,
                Effect::CountLoss(id) => self.workers[scenario.worker(&id)].lost += 1,
                Effect::DropShares(_) => self.stored = Stored::Nothing,
                Effect::Delete { staged, closed_locks, parts, .. } => {
                    self.locked &= staged.is_none();
                    self.closes_key &= closed_locks.is_empty();
                    self.drop_parts(parts);
                    (self.stored, self.staged) = (Stored::Nothing, None);
                }
                Effect::Lock { response, .. } => {
                    let is_true = response == scenario.body(Content::Truth, self.round);
                    self.staged = Some(if is_true { Content::Truth } else { Content::Lie });
                    self.locked = true;
                }
                Effect::KeepPart { number, .. } => self.parts |= 1 << number,
                Effect::DropParts { parts, .. } => self.drop_parts(parts),
                Effect::CloseToReaders { .. } => self.closes_key = true,
                Effect::Resume { payload, .. } => match self.resumed {
                    Some(_) => self.blame(Flaw::ResumedTwice),
                    None => self.resumed = Some(payload),
                },
                Effect::Emit(Event::DigestRevealed(event)) => {
                    self.workers[scenario.worker(&event.worker_id)].revealed = true;
                }
                Effect::Emit(Event::RoundVoided(event)) => {
                    self.round = event.round;
                    for worker in &mut self.workers {
                        let Worker { voids, settled, lost, earned, .. } = *worker;
                        *worker = Worker { voids, settled, lost, earned, ..Worker::default() };
                    }
                }
                Effect::Emit(_) | Effect::ApplyJournal { .. } | Effect::Stage(_) => {}
                Effect::KeepResult { .. } => panic!("the request keeps no result"),
                Effect::CountMissed(_) => panic!("the request takes no claims"),
            }
        }
    }

    fn take(&mut self, from: Purse, amount: u128) -> u128 {
        let purse = match from {
            Purse::Deposit => &mut self.money.deposit,
            Purse::Shares => &mut self.money.shares,
        };
        match purse.checked_sub(amount) {
            Some(rest) => *purse = rest,
            None => self.blame(Flaw::Overdrawn),
        }
        amount
    }

    fn drop_parts(&mut self, parts: u32) {
        self.parts &= !((1 << parts) - 1);
    }

    /// Brings the notes of parts and the key up to date, once a step is done.
    pub(crate) fn seal(&mut self, scenario: &Scenario) {
        if scenario.body == Body::InParts {
            let request = match self.decode() {
                Decoded::Live(request) => Some(request),
                Decoded::Shares(_) | Decoded::Nothing => None,
            };
            for (n, worker) in self.workers.iter_mut().enumerate() {
                let id = scenario.id(n);
                let upload = request.as_ref().and_then(|request| request.upload.as_ref());
                worker.sends = upload.filter(|upload| upload.worker_id == *id).map(|upload| {
                    let is_true = upload.digest == scenario.digest(Content::Truth, self.round);
                    (if is_true { Content::Truth } else { Content::Lie }, upload.parts)
                });
                let former = request.as_ref().map(|request| &request.former_uploaders);
                worker.had_turn = former.is_some_and(|former| former.contains(id));
            }
        }
        self.key = Arc::new(Key::of(self));
    }

    /// What a worker is that was drawn.
    pub(crate) fn party(&self, worker: usize) -> Option<Party> {
        let seats = self.seats.len();
        match self.seats.get(worker % seats)? {
            seat if worker < seats => Some(seat.holder),
            seat if worker < 2 * seats => seat.successor,
            _ => None,
        }
    }

    /// The number of the worker that may follow on a seat.
    pub(crate) fn successor(&self, seat: usize) -> Option<usize> {
        self.seats[seat].successor.map(|_| self.seats.len() + seat)
    }
}

fn encode(value: &impl BorshSerialize) -> Arc<[u8]> {
    borsh::to_vec(value).unwrap().into()
}
