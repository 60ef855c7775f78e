//! Which of the waiting requests comes next. Nothing here asks, waits or looks at a clock, so a
//! test can go through hours of overload in a moment.
//!
//! * What can no longer be answered before its deadline is not started at all.
//! * Requests whose last attempt failed come behind all others.
//! * Payers take turns by the time that their requests have taken so far, and of those that are
//!   level, the one comes first whose request is the oldest. So nobody is shut out, however many
//!   requests somebody else makes, or with however many new accounts.
//! * Of one payer's requests, the one with the earliest deadline comes first, after those that
//!   other workers should have served as much later as they were left to them, among those that are
//!   expected to end before theirs.

use std::collections::{BTreeMap, HashMap};

use outlayer_protocol::{AccountId, RequestId};

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) request_id: RequestId,
    pub(crate) payer: AccountId,
    /// The last height at which an answer is taken.
    pub(crate) deadline: u64,
    /// How many blocks it was left to other workers that come first. So much later than its
    /// deadline says it comes: a worker serves what is its own before it steps in for others.
    pub(crate) waited: u64,
    /// How long it is expected to take, nanoseconds.
    pub(crate) nanos: u64,
    /// How many attempts failed in a row.
    pub(crate) failures: u32,
}

/// The chain's time, as far as deadlines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainTime {
    /// The height of the newest block.
    pub(crate) height: u64,
    /// How long a block takes, nanoseconds.
    pub(crate) block_nanos: u64,
}

/// How many blocks an answer needs from its sending to its execution: one takes the transaction,
/// and the next one executes its receipt.
pub(crate) const LANDING_BLOCKS: u64 = 2;

impl ChainTime {
    /// Whether an answer that is sent now lands before this deadline.
    pub(crate) fn can_land(self, deadline: u64) -> bool {
        self.height.saturating_add(LANDING_BLOCKS) <= deadline
    }

    /// How much time is left to make an answer that lands before this deadline, nanoseconds.
    pub(crate) fn left(self, deadline: u64) -> u64 {
        let blocks = deadline.saturating_sub(self.height.saturating_add(LANDING_BLOCKS));
        blocks.saturating_mul(self.block_nanos)
    }
}

/// How much time the requests of each payer have taken. A payer who comes late, or comes back,
/// starts where the one stands that was served least, and has no arrears to claim.
#[derive(Debug, Default)]
struct Served {
    nanos: HashMap<AccountId, u64>,
    /// Where those start that are not in the list.
    floor: u64,
}

impl Served {
    fn of(&self, payer: &AccountId) -> u64 {
        self.nanos.get(payer).map_or(self.floor, |nanos| (*nanos).max(self.floor))
    }

    /// Charges a payer for a request that takes, or is expected to take, so long.
    fn charge(&mut self, payer: &AccountId, nanos: u64) {
        let sum = self.of(payer).saturating_add(nanos.max(1));
        self.nanos.insert(payer.clone(), sum);
    }

    /// Corrects a charge by what the request really took.
    fn correct(&mut self, payer: &AccountId, charged: u64, took: u64) {
        if let Some(sum) = self.nanos.get_mut(payer) {
            *sum = sum.saturating_sub(charged.max(1)).saturating_add(took.max(1));
        }
    }

    /// Forgets payers that nothing is known of any more but what everybody starts with, when there
    /// are many.
    fn tidy(&mut self) {
        const MANY: usize = 10_000;
        if self.nanos.len() > MANY {
            let floor = self.floor;
            self.nanos.retain(|_, nanos| *nanos > floor);
        }
        if self.nanos.len() > MANY {
            self.nanos.clear();
        }
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This request.
    Take(Waiting),
    /// This one leaves the list: it can no longer be answered before its deadline.
    TooLate(Waiting),
}

/// One payer's requests: those that have not failed first, then by deadline.
type Line = BTreeMap<(bool, u64, RequestId), Waiting>;

/// The requests that wait for a place.
#[derive(Debug, Default)]
pub(crate) struct WaitingList {
    lines: BTreeMap<AccountId, Line>,
    places: HashMap<RequestId, (AccountId, (bool, u64, RequestId))>,
    served: Served,
}

impl WaitingList {
    /// The same list without its requests; what payers were served stays known.
    pub(crate) fn without_requests(self) -> Self {
        Self { served: self.served, ..Self::default() }
    }

    pub(crate) fn add(&mut self, waiting: Waiting) {
        self.remove(waiting.request_id);
        let order = waiting.deadline.saturating_add(waiting.waited);
        let key = (waiting.failures > 0, order, waiting.request_id);
        self.places.insert(waiting.request_id, (waiting.payer.clone(), key));
        self.lines.entry(waiting.payer.clone()).or_default().insert(key, waiting);
    }

    pub(crate) fn remove(&mut self, request_id: RequestId) -> Option<Waiting> {
        let (payer, key) = self.places.remove(&request_id)?;
        let line = self.lines.get_mut(&payer)?;
        let removed = line.remove(&key);
        if line.is_empty() {
            self.lines.remove(&payer);
        }
        removed
    }

    /// Takes the request that comes next out of the list, and charges its payer.
    pub(crate) fn next(&mut self, now: ChainTime) -> Option<Next> {
        if let Some(late) = self.first_too_late(now) {
            return self.remove(late).map(Next::TooLate);
        }
        let turn = |(payer, line): &(&AccountId, &Line)| {
            let first = line.keys().next().copied();
            let (failed, order, request_id) = first.unwrap_or((true, u64::MAX, RequestId::MAX));
            (failed, self.served.of(payer), order, request_id)
        };
        let (payer, line) = self.lines.iter().min_by_key(turn)?;
        let least = self.served.of(payer);
        let fits = |waiting: &&Waiting| waiting.nanos <= now.left(waiting.deadline);
        let failed = line.keys().next().is_some_and(|(failed, ..)| *failed);
        let mut class = line.iter().take_while(|((key, ..), _)| *key == failed);
        let first = class.next()?.1;
        let found = Some(first).filter(fits).or_else(|| class.map(|one| one.1).find(fits));
        // What is not expected to end in time is tried when nothing else is there: it may be
        // quicker than it declares.
        let request_id = found.unwrap_or(first).request_id;
        let taken = self.remove(request_id)?;
        self.served.floor = self.served.floor.max(least);
        self.served.charge(&taken.payer, taken.nanos);
        self.served.tidy();
        Some(Next::Take(taken))
    }

    /// Corrects what a payer was charged for a request by what it really took.
    pub(crate) fn correct(&mut self, payer: &AccountId, charged: u64, took: u64) {
        self.served.correct(payer, charged, took);
    }

    /// The first request in some line that can no longer be answered. One further back in its line
    /// has a later deadline, or has failed before.
    fn first_too_late(&self, now: ChainTime) -> Option<RequestId> {
        let firsts = self.lines.values().filter_map(|line| {
            let failed = line.range((true, 0, 0)..).next();
            let fresh = line.iter().next();
            [fresh, failed].into_iter().flatten().find(|(_, one)| !now.can_land(one.deadline))
        });
        firsts.map(|(_, one)| one.request_id).next()
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const BLOCK: u64 = 600_000_000;
    const WINDOW: u64 = 200;

    fn payer(name: &str) -> AccountId {
        format!("{name}.near").parse().unwrap()
    }

    fn waiting(request_id: RequestId, name: &str, deadline: u64) -> Waiting {
        Waiting { request_id, payer: payer(name), deadline, waited: 0, nanos: SECOND, failures: 0 }
    }

    fn at(height: u64) -> ChainTime {
        ChainTime { height, block_nanos: BLOCK }
    }

    fn list(all: impl IntoIterator<Item = Waiting>) -> WaitingList {
        let mut list = WaitingList::default();
        all.into_iter().for_each(|one| list.add(one));
        list
    }

    fn order(list: &mut WaitingList, now: ChainTime) -> Vec<RequestId> {
        let next = || match list.next(now)? {
            Next::Take(taken) => Some(taken.request_id),
            Next::TooLate(late) => panic!("{late:?} is not too late"),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn payers_take_turns_and_each_ones_earliest_deadline_comes_first() {
        let mut list = list([
            waiting(1, "many", 300),
            waiting(2, "many", 290),
            waiting(3, "many", 310),
            waiting(4, "few", 400),
        ]);
        assert_eq!(order(&mut list, at(100)), [2, 4, 1, 3]);
        assert_eq!(list.next(at(100)), None);
    }

    #[test]
    fn who_comes_late_or_comes_back_has_no_arrears_to_claim() {
        let mut served = list((0..10).map(|id| waiting(id, "old", 300)));
        assert_eq!(order(&mut served, at(100)).len(), 10);
        (10..13).for_each(|id| served.add(waiting(id, "old", 300)));
        (20..23).for_each(|id| served.add(waiting(id, "new", 300)));
        assert_eq!(order(&mut served, at(100)), [20, 10, 21, 11, 22, 12]);
    }

    #[test]
    fn accounts_that_are_always_new_do_not_shut_out_one_that_waits() {
        let mut list = list([waiting(0, "zoe", 300)]);
        for id in 1..=50 {
            // Each of them starts where the least served one stands, like the one that waits.
            list.add(waiting(id, &format!("a{id:02}"), 300 + id));
            list.add(waiting(100 + id, &format!("b{id:02}"), 300 + id));
            if matches!(list.next(at(100)), Some(Next::Take(taken)) if taken.request_id == 0) {
                return;
            }
        }
        panic!("the first request waits for ever");
    }

    #[test]
    fn what_failed_before_comes_behind_everybody_elses() {
        let failed = Waiting { failures: 1, ..waiting(1, "a", 200) };
        let mut list = list([failed, waiting(2, "a", 300), waiting(3, "b", 300)]);
        // Payer a has been served once when both of its first ones are level.
        assert_eq!(order(&mut list, at(100)), [2, 3, 1]);
    }

    #[test]
    fn what_fits_comes_before_what_is_not_expected_to_end_in_time() {
        let slow = Waiting { nanos: 100 * SECOND, ..waiting(1, "a", 110) };
        let mut list = list([slow, waiting(2, "a", 300)]);
        assert_eq!(order(&mut list, at(100)), [2, 1]);
    }

    #[test]
    fn what_cannot_land_leaves_the_list_without_a_place() {
        let deadline = 100 + LANDING_BLOCKS;
        let failed = Waiting { failures: 3, ..waiting(3, "a", 100) };
        let mut list = list([waiting(1, "a", deadline), waiting(2, "b", deadline - 1), failed]);
        let late = |next| matches!(next, Some(Next::TooLate(late)) if late.request_id != 1);
        assert!(late(list.next(at(100))) && late(list.next(at(100))));
        assert_eq!(order(&mut list, at(100)), [1]);
    }

    #[test]
    fn a_payer_is_charged_what_its_requests_really_take() {
        let mut list = list((0..2).map(|id| waiting(id, "slow", 300)));
        let taken = |next| match next {
            Some(Next::Take(taken)) => taken,
            other => panic!("{other:?}"),
        };
        let first = taken(list.next(at(100)));
        list.correct(&first.payer, first.nanos, 10 * SECOND);
        (10..20).for_each(|id| list.add(waiting(id, "quick", 300)));
        // The quick one starts where the slow one stood.
        let rest = order(&mut list, at(100));
        assert_eq!(rest.iter().position(|id| *id == 1), Some(10), "{rest:?}");
    }

    /// What came of the requests of a simulated worker.
    #[derive(Debug, Default)]
    struct Outcome {
        /// How many were answered in time, by payer.
        settled: BTreeMap<AccountId, usize>,
        /// Those that were never started.
        refused: usize,
        /// Those that were executed in vain.
        late: usize,
    }

    /// Executes requests on so many cores, from the block `from` on. Each takes what it says.
    fn simulate(requests: Vec<Waiting>, cores: usize, from: u64) -> Outcome {
        let mut list = list(requests);
        let mut outcome = Outcome::default();
        // When each core is free, nanoseconds since `from`.
        let mut free: BinaryHeap<Reverse<u64>> = (0..cores).map(|_| Reverse(0)).collect();
        let height = |time: u64| from + time / BLOCK;
        while let Some(Reverse(now)) = free.pop() {
            match list.next(at(height(now))) {
                None => continue,
                Some(Next::TooLate(_)) => {
                    outcome.refused += 1;
                    free.push(Reverse(now));
                }
                Some(Next::Take(taken)) => {
                    let end = now + taken.nanos;
                    list.correct(&taken.payer, taken.nanos, taken.nanos);
                    if height(end) + LANDING_BLOCKS <= taken.deadline {
                        *outcome.settled.entry(taken.payer).or_default() += 1;
                    } else {
                        outcome.late += 1;
                    }
                    free.push(Reverse(end));
                }
            }
        }
        outcome
    }

    #[test]
    fn two_thousand_requests_of_a_second_on_two_cores_settle_as_many_as_can_and_shut_out_nobody() {
        const CORES: usize = 2;
        let name = |id: u64| if id < 1_900 { "flood".to_owned() } else { format!("p{}", id % 10) };
        let all: Vec<_> = (0..2_000).map(|id| waiting(id, &name(id), 1_000 + WINDOW)).collect();
        let outcome = simulate(all, CORES, 1_000);
        let settled: usize = outcome.settled.values().sum();
        // 198 blocks are left for executions, 118 seconds and a part of one.
        let most = CORES * ((WINDOW - LANDING_BLOCKS + 1) * BLOCK / SECOND) as usize;
        assert_eq!(settled, most, "{outcome:?}");
        assert_eq!(settled + outcome.refused + outcome.late, 2_000);
        assert!(outcome.late <= CORES, "{outcome:?}");
        for small in 0..10 {
            assert_eq!(outcome.settled[&payer(&format!("p{small}"))], 10, "{outcome:?}");
        }
        assert_eq!(outcome.settled[&payer("flood")], most - 100);
    }

    #[test]
    fn when_all_ask_for_more_than_there_is_each_gets_the_same_share() {
        let all: Vec<_> =
            (0..2_000u64).map(|id| waiting(id, &format!("p{}", id % 20), 1_000 + WINDOW)).collect();
        let outcome = simulate(all, 2, 1_000);
        let (least, most) =
            (outcome.settled.values().min().unwrap(), outcome.settled.values().max().unwrap());
        assert_eq!(outcome.settled.len(), 20);
        assert!(most - least <= 1, "{outcome:?}");
    }

    proptest! {
        #[test]
        fn every_request_leaves_the_list_once(
            requests in prop::collection::vec((0u8..5, 90u64..400, 0u64..100, 0u32..3), 0..60),
            height in 80u64..420,
        ) {
            let mut list = WaitingList::default();
            let mut expected = Vec::new();
            for (id, (name, deadline, tenths, failures)) in (0..).zip(requests) {
                let nanos = tenths * SECOND / 10;
                let name = format!("p{name}");
                list.add(Waiting { nanos, failures, ..waiting(id, &name, deadline) });
                expected.push((id, height + LANDING_BLOCKS > deadline));
            }
            let mut found = Vec::new();
            while let Some(next) = list.next(at(height)) {
                found.push(match next {
                    Next::Take(taken) => (taken.request_id, false),
                    Next::TooLate(late) => (late.request_id, true),
                });
            }
            found.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(list.lines.is_empty() && list.places.is_empty());
        }
    }
}
