//! Agreement of several workers: who executes, who has committed, and what they have revealed.
//!
//! A request that asks for `k` approvals and `s` spares has `n = k + s` seats. Workers are drawn
//! for them ([`crate::seats`]): one for each seat, and as far as there are enough workers, a
//! successor for each. A round goes through three stages:
//!
//! 1. **Committing.** Who holds a seat executes the request on the storage of one block, and
//!    commits to the digest of its record with a secret salt. A seat that is not used passes to its
//!    successor after one turn.
//! 2. **Revealing**, once all seats have committed or the last turn is over. No commitment is taken
//!    any more, so nothing that is revealed can be copied. A worker opens its commitment.
//! 3. **Over**, [`REVEAL_BLOCKS`] later: no reveal is taken any more.
//!
//! A body is taken as soon as `k` workers have revealed its digest. When no digest can get there
//! any more, the request ends as disputed. When a key that the execution read has changed, the
//! round is void and another one begins, or the request ends as disputed: after [`PAID_VOIDS`]
//! rounds, or if there is no time for another one. Who has committed in a void round is paid for it
//! when the request ends.

use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use outlayer_codec::{Decode, Encode};
use outlayer_json::ToJson;
use serde::{Deserialize, Serialize};

use crate::{
    Hash32, RefusalCode,
    commitment::{Salt, commitment},
    outcome::Supported,
};

/// How many blocks reveals are taken.
pub const REVEAL_BLOCKS: u64 = 30;
/// Blocks besides the time of the execution that a turn has, for finding the request and for the
/// commitment to land.
pub const LANDING_BLOCKS: u64 = 10;
/// Blocks that must be left after the last reveal, for the body to land.
pub const BODY_BLOCKS: u64 = 20;
/// After how many void rounds another one begins, for which every request pays beforehand that may
/// have one: each of them is paid for, however the request ends. The round that is void after these
/// ends the request, and is paid out of the shares that nobody is due then. Each round adds a share
/// without compute for every seat to the deposit, and keys that change twice while a request lives
/// will change again.
pub const PAID_VOIDS: u8 = 1;

/// The commitment that a seat's holder has made, and what it turned out to be of.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct Vote {
    /// The worker, as a place in [`Agreement::drawn`].
    pub drawn: u8,
    /// The commitment, see [`commitment`].
    pub commitment: Hash32,
    /// The digest that was revealed; `None` while none is.
    pub digest: Option<Hash32>,
}

/// The agreement on the answer to one request.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
    Deserialize,
)]
pub struct Agreement {
    /// How many workers must agree.
    pub approvals: u8,
    /// How many seats there are.
    pub seats: u8,
    /// How many blocks a worker has to use its seat.
    pub turn_blocks: u64,
    /// The workers that were drawn: the holders of the seats, then their successors. The successor
    /// of seat `i` is the worker `seats + i`.
    pub drawn: Vec<AccountId>,
    /// The round, from 0.
    pub round: u32,
    /// Storage is read as it stood after the block of this height.
    pub snapshot_height: u64,
    /// The height at which the round began.
    pub since: u64,
    /// The height at which the last seat was used, when all are.
    pub full_since: Option<u64>,
    /// The commitments of this round, in the order in which they were made.
    pub votes: Vec<Vote>,
    /// The workers that are due a share without compute for a void round, as places in
    /// [`Self::drawn`], once for each such round.
    pub voided: Vec<u8>,
}

/// What a round takes at some height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Commitments are taken.
    Committing,
    /// Reveals are taken.
    Revealing,
    /// Neither is taken any more.
    Over,
}

/// Why a commitment or a reveal is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// The worker was not drawn.
    #[error("{worker_id} has no seat")]
    NoSeat {
        /// The worker.
        worker_id: AccountId,
    },
    /// The seat has passed on, or has not come to this worker.
    #[error(
        "the seat of {worker_id} is another worker's until block {until}, this is block {height}"
    )]
    NotYet {
        /// The worker.
        worker_id: AccountId,
        /// The first height at which the worker holds the seat.
        until: u64,
        /// The height of the current block.
        height: u64,
    },
    /// The worker had the seat and did not use it.
    #[error("the seat of {worker_id} has passed on at block {since}, this is block {height}")]
    PassedOn {
        /// The worker.
        worker_id: AccountId,
        /// The height at which the seat has passed on.
        since: u64,
        /// The height of the current block.
        height: u64,
    },
    /// The seat is used.
    #[error("the seat of {worker_id} is used: {by} has committed")]
    SeatTaken {
        /// The worker.
        worker_id: AccountId,
        /// Who has committed: the worker itself, or the other one of the same seat.
        by: AccountId,
    },
    /// The commitment is to another round.
    #[error("this is round {expected}, the commitment is to round {found}")]
    Round {
        /// The round that the worker names.
        found: u32,
        /// The round that runs.
        expected: u32,
    },
    /// Commitments are no longer taken.
    #[error("commitments were taken until block {until}, this is block {height}")]
    CommitmentsClosed {
        /// The first height at which none was taken.
        until: u64,
        /// The height of the current block.
        height: u64,
    },
    /// The worker has not committed in this round.
    #[error("{worker_id} has not committed in round {round}")]
    NotCommitted {
        /// The worker.
        worker_id: AccountId,
        /// The round that runs.
        round: u32,
    },
    /// Reveals are not taken yet.
    #[error(
        "reveals are taken once {seats} have committed or from block {from} on; {found} have, and \
         this is block {height}"
    )]
    TooEarlyToReveal {
        /// How many seats there are.
        seats: u8,
        /// How many have committed.
        found: usize,
        /// The height from which reveals are taken at the latest.
        from: u64,
        /// The height of the current block.
        height: u64,
    },
    /// Reveals are no longer taken.
    #[error("reveals were taken until block {until}, this is block {height}")]
    TooLateToReveal {
        /// The first height at which none was taken.
        until: u64,
        /// The height of the current block.
        height: u64,
    },
    /// The worker has revealed already.
    #[error("{worker_id} has revealed {digest} already")]
    AlreadyRevealed {
        /// The worker.
        worker_id: AccountId,
        /// What it has revealed.
        digest: Hash32,
    },
    /// Digest and salt do not give the commitment.
    #[error("the digest {digest} and the salt give the commitment {found}, expected {expected}")]
    WrongReveal {
        /// The digest.
        digest: Hash32,
        /// The commitment that digest and salt give.
        found: Hash32,
        /// The commitment that was made.
        expected: Hash32,
    },
}

impl AgreementError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::NoSeat { .. } => RefusalCode::NoSeat,
            Self::NotYet { .. } => RefusalCode::SeatNotYet,
            Self::PassedOn { .. } => RefusalCode::SeatPassedOn,
            Self::SeatTaken { .. } => RefusalCode::SeatTaken,
            Self::Round { .. } => RefusalCode::WrongRound,
            Self::CommitmentsClosed { .. } => RefusalCode::CommitmentsClosed,
            Self::NotCommitted { .. } => RefusalCode::NotCommitted,
            Self::TooEarlyToReveal { .. } => RefusalCode::TooEarlyToReveal,
            Self::TooLateToReveal { .. } => RefusalCode::TooLateToReveal,
            Self::AlreadyRevealed { .. } => RefusalCode::AlreadyRevealed,
            Self::WrongReveal { .. } => RefusalCode::WrongReveal,
        }
    }
}

impl Agreement {
    /// The agreement of a request that is made at `height`, among these workers.
    pub fn new(
        approvals: u8,
        seats: u8,
        turn_blocks: u64,
        drawn: Vec<AccountId>,
        height: u64,
    ) -> Self {
        Self {
            approvals,
            seats,
            turn_blocks: turn_blocks.max(1),
            drawn,
            round: 0,
            snapshot_height: height,
            since: height,
            full_since: None,
            votes: Vec::new(),
            voided: Vec::new(),
        }
    }

    fn successor_of(&self, seat: usize) -> Option<&AccountId> {
        self.drawn.get(usize::from(self.seats).saturating_add(seat))
    }

    /// The height at which the seats that have a successor pass on.
    pub fn passes_on_at(&self) -> u64 {
        self.since.saturating_add(self.turn_blocks)
    }

    /// The height at which the last turn is over of a round that begins at `since`.
    fn turns_end(&self, since: u64) -> u64 {
        let turns = if self.successor_of(0).is_some() { 2 } else { 1 };
        since.saturating_add(self.turn_blocks.saturating_mul(turns))
    }

    /// The height by which a round that begins at `height` has ended, however late everything lands
    /// in its phase.
    pub fn latest_end(&self, height: u64) -> u64 {
        self.turns_end(height).saturating_add(REVEAL_BLOCKS + BODY_BLOCKS)
    }

    /// The first height at which reveals are taken: that of the last commitment when all seats are
    /// used, and otherwise the end of the last turn.
    pub fn reveal_from(&self) -> u64 {
        self.full_since.unwrap_or_else(|| self.turns_end(self.since))
    }

    /// The first height at which no reveal is taken any more.
    pub fn reveal_until(&self) -> u64 {
        self.reveal_from().saturating_add(REVEAL_BLOCKS)
    }

    /// What the round takes at this height.
    pub fn stage(&self, height: u64) -> Stage {
        if height < self.reveal_from() {
            Stage::Committing
        } else if height < self.reveal_until() {
            Stage::Revealing
        } else {
            Stage::Over
        }
    }

    /// The account of a vote's worker. A vote is only made by a worker that was drawn.
    pub fn voter(&self, vote: &Vote) -> Option<&AccountId> {
        self.drawn.get(usize::from(vote.drawn))
    }

    /// The vote of a worker in this round.
    pub fn vote_of(&self, worker_id: &AccountId) -> Option<&Vote> {
        self.votes.iter().find(|vote| self.voter(vote) == Some(worker_id))
    }

    /// The workers of all votes that `chosen` takes, in the order of their commitments.
    pub fn voters(&self, chosen: impl Fn(&Vote) -> bool) -> impl Iterator<Item = &AccountId> {
        self.votes.iter().filter(move |vote| chosen(vote)).filter_map(|vote| self.voter(vote))
    }

    /// The workers that are due a share without compute for a void round, once for each.
    pub fn due_for_voids(&self) -> impl Iterator<Item = &AccountId> {
        self.voided.iter().filter_map(|place| self.drawn.get(usize::from(*place)))
    }

    /// The workers that have revealed `digest`, in the order of their commitments.
    pub fn supporters(&self, digest: Hash32) -> Vec<&AccountId> {
        self.voters(|vote| vote.digest == Some(digest)).collect()
    }

    /// Every digest that was revealed, with its supporters.
    pub fn supported(&self) -> Vec<Supported> {
        let mut all: Vec<Supported> = Vec::new();
        for digest in self.votes.iter().filter_map(|vote| vote.digest) {
            if all.iter().all(|one| one.digest != digest) {
                let workers = self.supporters(digest).into_iter().cloned().collect();
                all.push(Supported { digest, workers });
            }
        }
        all
    }

    /// How many votes may still be revealed at this height.
    pub fn unrevealed(&self, height: u64) -> usize {
        match self.stage(height) {
            Stage::Over => 0,
            _ => self.votes.iter().filter(|vote| vote.digest.is_none()).count(),
        }
    }

    /// Whether no digest can get enough reveals any more.
    pub fn is_hopeless(&self, height: u64) -> bool {
        if self.stage(height) == Stage::Committing {
            return false;
        }
        let most = self.supported().iter().map(|one| one.workers.len()).max().unwrap_or(0);
        most.saturating_add(self.unrevealed(height)) < usize::from(self.approvals)
    }

    /// Whether a worker may commit at this height. Gives its place among those drawn.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn place_of(&self, worker_id: &AccountId, height: u64) -> Result<u8, AgreementError> {
        let worker = || worker_id.clone();
        let Some(place) = self.drawn.iter().position(|drawn| drawn == worker_id) else {
            return Err(AgreementError::NoSeat { worker_id: worker() });
        };
        if self.stage(height) != Stage::Committing {
            return Err(AgreementError::CommitmentsClosed { until: self.reveal_from(), height });
        }
        let seats = usize::from(self.seats);
        let seat = place.checked_rem(seats).unwrap_or(place);
        let by = self.voters(|vote| usize::from(vote.drawn).checked_rem(seats) == Some(seat));
        if let Some(by) = by.last() {
            return Err(AgreementError::SeatTaken { worker_id: worker(), by: by.clone() });
        }
        let passes_on_at = self.passes_on_at();
        if place >= seats && height < passes_on_at {
            return Err(AgreementError::NotYet {
                worker_id: worker(),
                until: passes_on_at,
                height,
            });
        }
        if place < seats && height >= passes_on_at && self.successor_of(seat).is_some() {
            let (worker_id, since) = (worker(), passes_on_at);
            return Err(AgreementError::PassedOn { worker_id, since, height });
        }
        u8::try_from(place).map_err(|_| AgreementError::NoSeat { worker_id: worker() })
    }

    /// Whether this is what `first` has come to: the same workers were drawn for the same seats.
    pub fn is_continuation_of(&self, first: &Self) -> bool {
        let drawn = |of: &Self| (of.approvals, of.seats, of.turn_blocks);
        drawn(self) == drawn(first) && self.drawn == first.drawn && self.since >= first.since
    }

    /// The workers that lost when `digest` was settled: those that did not reveal in time, and
    /// those that revealed another digest, unless what the guest saw is `unprovable`.
    pub(crate) fn lost(
        &self,
        digest: Hash32,
        unprovable: bool,
    ) -> impl Iterator<Item = &AccountId> {
        self.voters(move |vote| vote.digest.is_none_or(|found| !unprovable && found != digest))
    }

    /// Takes a commitment.
    ///
    /// # Errors
    /// [`AgreementError`]; nothing has changed then.
    pub(crate) fn commit(
        &mut self,
        worker_id: &AccountId,
        round: u32,
        commitment: Hash32,
        height: u64,
    ) -> Result<(), AgreementError> {
        if round != self.round {
            return Err(AgreementError::Round { found: round, expected: self.round });
        }
        let drawn = self.place_of(worker_id, height)?;
        self.votes.push(Vote { drawn, commitment, digest: None });
        if self.votes.len() >= usize::from(self.seats) {
            self.full_since = Some(height);
        }
        Ok(())
    }

    /// Takes a reveal.
    ///
    /// # Errors
    /// [`AgreementError`]; nothing has changed then.
    pub(crate) fn reveal(
        &mut self,
        worker_id: &AccountId,
        digest: Hash32,
        salt: &Salt,
        height: u64,
    ) -> Result<(), AgreementError> {
        let (round, found, stage) = (self.round, self.votes.len(), self.stage(height));
        let (seats, from, until) = (self.seats, self.reveal_from(), self.reveal_until());
        let Self { drawn, votes, .. } = self;
        let by = |vote: &&mut Vote| drawn.get(usize::from(vote.drawn)) == Some(worker_id);
        let Some(vote) = votes.iter_mut().find(by) else {
            return Err(AgreementError::NotCommitted { worker_id: worker_id.clone(), round });
        };
        if let Some(digest) = vote.digest {
            return Err(AgreementError::AlreadyRevealed { worker_id: worker_id.clone(), digest });
        }
        match stage {
            Stage::Committing => {
                return Err(AgreementError::TooEarlyToReveal { seats, found, from, height });
            }
            Stage::Over => return Err(AgreementError::TooLateToReveal { until, height }),
            Stage::Revealing => {}
        }
        let (found, expected) = (commitment(&digest, worker_id, round, salt), vote.commitment);
        if found != expected {
            return Err(AgreementError::WrongReveal { digest, found, expected });
        }
        vote.digest = Some(digest);
        Ok(())
    }

    /// Notes whom a round is due to that is void although enough workers have revealed `digest`:
    /// all that have committed, but for those that have revealed another digest.
    pub(crate) fn owe_for_void(&mut self, digest: Hash32) {
        let due = self.votes.iter().filter(|vote| vote.digest.is_none_or(|found| found == digest));
        self.voided.extend(due.map(|vote| vote.drawn));
    }

    /// Whether another round may follow one that is void at this height.
    pub(crate) fn may_begin_again(&self, height: u64, deadline: u64) -> bool {
        self.round < PAID_VOIDS.into() && self.latest_end(height) <= deadline
    }

    /// Begins the next round on the storage of this block.
    pub(crate) fn begin_again(&mut self, height: u64) {
        self.round = self.round.saturating_add(1);
        self.snapshot_height = height;
        self.since = height;
        self.full_since = None;
        self.votes.clear();
    }
}
