//! What a worker does next about a request on which several must agree. All of it follows from the
//! agreement as it stands on the chain and from what this worker's own execution gave; nothing here
//! asks or sends.
//!
//! A call that only one worker should make (sending the body, closing) goes by an order that each
//! worker can see: the first in it calls at once, and each one after it a few blocks later, should
//! it still be needed.

use outlayer_protocol::{
    AccountId, Agreement, Hash32,
    agreement::{AgreementError, LANDING_BLOCKS, REVEAL_BLOCKS, Stage},
    commitment::{Salt, commitment},
};

/// What this worker's execution gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mine {
    /// The round that it was made in.
    pub(crate) round: u32,
    /// The digest of its record.
    pub(crate) digest: Hash32,
    /// The salt of the commitment to it.
    pub(crate) salt: Salt,
    /// Whether the body may be sent in one call with the reveal. It may not when it is too large
    /// for a transaction, or when such a call was refused: the reveal must not fail with it again.
    pub(crate) with_body: bool,
    /// The height at which enough reveals of the digest were first seen.
    pub(crate) agreed_since: Option<u64>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is nothing to do before this height; `None` means that there never will be.
    Leave(Option<u64>),
    /// Something may be to do soon: look again.
    Wait,
    /// Execute the request on this round's snapshot.
    Execute,
    /// Commit to the digest.
    Commit,
    /// Reveal the digest.
    Reveal,
    /// Send the body.
    Submit {
        /// Whether the same call reveals the digest.
        reveals: bool,
    },
    /// End the request, because no agreement is possible any more.
    Close,
}

/// Decides for one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    pub(crate) me: &'a AccountId,
    /// How many blocks each worker waits for the one before it in an order.
    pub(crate) step_in_blocks: u64,
}

impl Seat<'_> {
    /// What to do about a request that waits for an answer. `mine` is what this worker's last
    /// execution gave; one of an earlier round counts for nothing.
    pub(crate) fn next(&self, agreement: &Agreement, mine: Option<&Mine>, height: u64) -> Next {
        if agreement.is_hopeless(height) {
            return self.close(agreement, height);
        }
        let vote = agreement.vote_of(self.me);
        let mine = mine.filter(|mine| mine.round == agreement.round);
        let Some(mine) = mine else {
            return match agreement.place_of(self.me, height) {
                _ if vote.is_some() => Next::Execute,
                Ok(_) => Next::Execute,
                Err(error) => leave(&error, height),
            };
        };
        let agreed = agreement.supporters(mine.digest).len() >= usize::from(agreement.approvals);
        match (vote, agreement.stage(height)) {
            (None, _) => match agreement.place_of(self.me, height) {
                Ok(_) => Next::Commit,
                Err(_) if agreed => self.submit(agreement, mine, height),
                Err(error) => leave(&error, height),
            },
            (Some(_), Stage::Committing) => Next::Wait,
            (Some(vote), Stage::Revealing) if vote.digest.is_none() => {
                self.reveal(agreement, mine, height)
            }
            (Some(_), Stage::Revealing | Stage::Over) if agreed => {
                self.submit(agreement, mine, height)
            }
            (Some(_), Stage::Revealing | Stage::Over) => Next::Wait,
        }
    }

    /// Who committed first waits for the reveals that its own completes, and sends the body with
    /// it. That is one call less, and no two workers send a body at once. In the second half of the
    /// time for reveals it reveals in any case, as a body may be refused.
    fn reveal(&self, agreement: &Agreement, mine: &Mine, height: u64) -> Next {
        let is_first = agreement.voters(|_| true).next() == Some(self.me);
        let half = agreement.reveal_from().saturating_add(REVEAL_BLOCKS / 2);
        if !is_first || !mine.with_body || height >= half {
            return Next::Reveal;
        }
        let others = agreement.supporters(mine.digest).len();
        if others.saturating_add(1) >= usize::from(agreement.approvals) {
            return Next::Submit { reveals: true };
        }
        let patience = self.turn(agreement.reveal_from(), 1);
        if height < patience { Next::Wait } else { Next::Reveal }
    }

    fn submit(&self, agreement: &Agreement, mine: &Mine, height: u64) -> Next {
        let order = agreement.supporters(mine.digest);
        let place = order.iter().position(|id| *id == self.me).unwrap_or(order.len());
        let since = mine.agreed_since.unwrap_or(height);
        if height < self.turn(since, place) { Next::Wait } else { Next::Submit { reveals: false } }
    }

    /// The request may be closed as soon as too few have committed, or the time for reveals is
    /// over.
    fn close(&self, agreement: &Agreement, height: u64) -> Next {
        let Some(place) = agreement.drawn.iter().position(|id| id == self.me) else {
            return Next::Leave(None);
        };
        let too_few = agreement.votes.len() < usize::from(agreement.approvals);
        let since = if too_few { agreement.reveal_from() } else { agreement.reveal_until() };
        let turn = self.turn(since, place);
        if height < turn { Next::Leave(Some(turn)) } else { Next::Close }
    }

    /// The height at which the worker at this place of an order calls.
    pub(crate) fn turn(&self, since: u64, place: usize) -> u64 {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        since.saturating_add(place.saturating_mul(self.step_in_blocks))
    }
}

/// When to look again at a request that this worker may not commit to now. Another round may begin,
/// or the request may have to be closed.
fn leave(error: &AgreementError, height: u64) -> Next {
    match error {
        AgreementError::NoSeat { .. } => Next::Leave(None),
        AgreementError::NotYet { until, .. } => Next::Leave(Some(*until)),
        _ => Next::Leave(Some(height.saturating_add(LANDING_BLOCKS))),
    }
}

/// Whether `me` has committed to `digest` with this salt and may still reveal it. This needs no
/// execution, so it also holds for a worker that was started again after its commitment.
pub(crate) fn may_reveal(
    agreement: &Agreement,
    me: &AccountId,
    digest: &Hash32,
    salt: &Salt,
    height: u64,
) -> bool {
    agreement.stage(height) == Stage::Revealing
        && agreement.vote_of(me).is_some_and(|vote| {
            vote.digest.is_none()
                && vote.commitment == commitment(digest, me, agreement.round, salt)
        })
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::agreement::Vote;
    use proptest::prelude::*;

    use super::*;
    use crate::serve::tests::hostile;

    const REQUESTED: u64 = 1_000;
    const TURN: u64 = 25;
    const STEP: u64 = 4;
    const SALT: Salt = [7; 16];

    fn id(name: &str) -> AccountId {
        format!("{name}.near").parse().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_agreement_that_a_node_shows_makes_the_decision_panic(
            agreement in hostile::agreement(),
            height in any::<u64>(),
            step_in_blocks in any::<u64>(),
            (round, with_body, agreed_since) in
                (any::<u32>(), any::<bool>(), prop::option::of(any::<u64>())),
        ) {
            let me = id("w0");
            let seat = Seat { me: &me, step_in_blocks };
            seat.next(&agreement, None, height);
            for round in [round, agreement.round] {
                let digest = Hash32([1; 32]);
                let mine = Mine { round, digest, salt: SALT, with_body, agreed_since };
                seat.next(&agreement, Some(&mine), height);
                may_reveal(&agreement, &me, &digest, &SALT, height);
            }
        }
    }

    /// Two of three must agree. The seats are those of `a`, `b` and `c`, their successors `d`, `e`
    /// and `f`.
    fn two_of_three() -> Agreement {
        let drawn = ["a", "b", "c", "d", "e", "f"].map(id).to_vec();
        Agreement::new(2, 3, TURN, drawn, REQUESTED)
    }

    fn truth() -> Hash32 {
        Hash32::of(b"truth")
    }

    fn mine(digest: Hash32) -> Mine {
        Mine { round: 0, digest, salt: SALT, with_body: true, agreed_since: None }
    }

    /// All three seats are used at `REQUESTED + 5`, and these digests are revealed.
    fn voted(digests: [Option<Hash32>; 3]) -> Agreement {
        let votes =
            ["a", "b", "c"].into_iter().zip(0..).zip(digests).map(|((worker, drawn), digest)| {
                Vote {
                    drawn,
                    commitment: commitment(&digest.unwrap_or(truth()), &id(worker), 0, &SALT),
                    digest,
                }
            });
        let full_since = Some(REQUESTED + 5);
        Agreement { votes: votes.collect(), full_since, ..two_of_three() }
    }

    fn next(agreement: &Agreement, me: &str, mine: Option<&Mine>, height: u64) -> Next {
        Seat { me: &id(me), step_in_blocks: STEP }.next(agreement, mine, height)
    }

    #[test]
    fn who_holds_a_seat_executes_and_the_others_leave_the_request_alone() {
        let agreement = two_of_three();
        let passes_on = REQUESTED + TURN;
        assert_eq!(next(&agreement, "a", None, REQUESTED), Next::Execute);
        assert_eq!(next(&agreement, "d", None, REQUESTED), Next::Leave(Some(passes_on)));
        assert_eq!(next(&agreement, "stranger", None, REQUESTED), Next::Leave(None));
        assert_eq!(next(&agreement, "d", None, passes_on), Next::Execute);
        let again = Next::Leave(Some(passes_on + LANDING_BLOCKS));
        assert_eq!(next(&agreement, "a", None, passes_on), again);
        // Its execution took too long.
        assert_eq!(next(&agreement, "a", Some(&mine(truth())), passes_on), again);
        assert_eq!(next(&agreement, "a", Some(&mine(truth())), passes_on - 1), Next::Commit);
    }

    #[test]
    fn an_execution_of_an_earlier_round_counts_for_nothing() {
        let agreement = Agreement { round: 1, ..two_of_three() };
        assert_eq!(next(&agreement, "a", Some(&mine(truth())), REQUESTED), Next::Execute);
    }

    #[test]
    fn who_was_started_again_after_its_commitment_executes_again() {
        assert_eq!(next(&voted([None; 3]), "b", None, REQUESTED + 6), Next::Execute);
    }

    #[test]
    fn the_first_to_commit_sends_the_body_with_the_reveal_that_completes_the_agreement() {
        let (height, mine) = (REQUESTED + 5, mine(truth()));
        let none = voted([None; 3]);
        assert_eq!(next(&none, "a", Some(&mine), height), Next::Wait);
        assert_eq!(next(&none, "b", Some(&mine), height), Next::Reveal);
        assert_eq!(next(&none, "c", Some(&mine), height), Next::Reveal);
        let one = voted([None, Some(truth()), None]);
        assert_eq!(next(&one, "a", Some(&mine), height), Next::Submit { reveals: true });
        // Nobody else reveals, or another digest: it does not miss its time.
        let other = voted([None, Some(Hash32::of(b"lie")), None]);
        for agreement in [none, other] {
            assert_eq!(next(&agreement, "a", Some(&mine), height + STEP), Next::Reveal);
        }
        assert_eq!(next(&one, "a", Some(&mine), height + REVEAL_BLOCKS / 2), Next::Reveal);
        // Its body is too large for that, or such a call was refused.
        let apart = Mine { with_body: false, ..mine };
        assert_eq!(next(&one, "a", Some(&apart), height), Next::Reveal);
    }

    #[test]
    fn those_who_agree_send_the_body_one_after_the_other() {
        let agreement = voted([Some(Hash32::of(b"lie")), Some(truth()), Some(truth())]);
        let since = REQUESTED + 6;
        let mine = Mine { agreed_since: Some(since), ..mine(truth()) };
        let submit = Next::Submit { reveals: false };
        assert_eq!(next(&agreement, "b", Some(&mine), since), submit);
        assert_eq!(next(&agreement, "c", Some(&mine), since + STEP - 1), Next::Wait);
        assert_eq!(next(&agreement, "c", Some(&mine), since + STEP), submit);
        // A successor that has executed too may carry the body, as the last one.
        assert_eq!(next(&agreement, "d", Some(&mine), since + 2 * STEP - 1), Next::Wait);
        assert_eq!(next(&agreement, "d", Some(&mine), since + 2 * STEP), submit);
    }

    #[test]
    fn what_cannot_be_agreed_on_is_closed_by_one_after_the_other() {
        // Nobody has committed.
        let (silent, from) = (two_of_three(), REQUESTED + 2 * TURN);
        assert_eq!(next(&silent, "a", None, from), Next::Close);
        assert_eq!(next(&silent, "c", None, from), Next::Leave(Some(from + 2 * STEP)));
        assert_eq!(next(&silent, "c", None, from + 2 * STEP), Next::Close);
        assert_eq!(next(&silent, "stranger", None, from + 99), Next::Leave(None));
        // All have, and one has revealed.
        let (late, until) = (voted([Some(truth()), None, None]), REQUESTED + 5 + REVEAL_BLOCKS);
        assert_eq!(next(&late, "a", Some(&mine(truth())), until - 1), Next::Wait);
        assert_eq!(next(&late, "a", Some(&mine(truth())), until), Next::Close);
        assert_eq!(next(&late, "b", Some(&mine(truth())), until), Next::Leave(Some(until + STEP)));
    }

    #[test]
    fn a_reveal_needs_the_own_commitment_and_its_time() {
        let (agreement, height) = (voted([None, Some(truth()), None]), REQUESTED + 5);
        let may =
            |me, digest, salt, height| may_reveal(&agreement, &id(me), &digest, &salt, height);
        assert!(may("a", truth(), SALT, height));
        assert!(!may("a", Hash32::of(b"lie"), SALT, height));
        assert!(!may("a", truth(), [8; 16], height), "another key's salt");
        assert!(!may("b", truth(), SALT, height), "it has revealed");
        assert!(!may("d", truth(), SALT, height), "it has not committed");
        assert!(!may("a", truth(), SALT, height - 1));
        assert!(!may("a", truth(), SALT, height + REVEAL_BLOCKS));
    }
}
