//! Whose turn a request is: an order of the workers that each of them can compute alone.
//!
//! This is rendezvous hashing ([`rank`]). For each request, every registered worker has a rank, so
//! a worker that comes or goes moves only its own requests. The first in the order serves the
//! request at once. Each one after it steps in when the request has waited for so long that those
//! before it should have answered.
//!
//! * **Light work** takes a few blocks, so the wait is for the execution at the speed that this
//!   worker has measured, for what is queued before it, and for the answer to land.
//! * **Long work** is claimed on chain ([`outlayer_protocol::claims`]). The next in the order waits
//!   only until a claim of the one before it should have landed. If there is one, it waits until
//!   the claim expires, or until the last moment from which an execution at the stated speed still
//!   ends in time. So whoever claims and dies leaves enough time for another.
//!
//! Where several workers must agree, the contract has drawn them, and there is no such order.
//!
//! The processes of one account ([`Replica`]) have places of their own: first come the first
//! processes of all accounts, then their second ones, and so on. Nobody needs to know how many
//! another account has.

use std::{cmp::Ordering, collections::HashMap};

use outlayer_protocol::{
    AccountId, RequestId,
    claims::{Claim, Claims, LIGHT_BLOCKS, MOST_CLAIMS, rank},
    index::PendingEntry,
};

use super::super::super::Replica;

/// The part of a request's time that one worker may wait for the one before it, when the work is
/// light.
const WAIT_SHARE: u64 = 4;

/// How long things take, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How many blocks an answer takes to land, and so each worker waits at least for the one
    /// before it. With 0 nobody waits for anybody, and nothing is claimed.
    pub(crate) step_in_blocks: u64,
    /// How many blocks the execution takes at the speed that was measured.
    pub(crate) likely_blocks: u64,
    /// How many blocks the requests take that the first in the order has to serve before this one.
    pub(crate) queued_blocks: u64,
}

/// Who decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Me<'a> {
    /// The worker's account.
    pub(crate) id: &'a AccountId,
    /// Which of the account's processes this is.
    pub(crate) replica: Replica,
    /// Whether this process has claimed the request. It does not know any more when it was started
    /// again; that matters only if the account has several.
    pub(crate) has_claimed: bool,
}

impl Me<'_> {
    /// Whether a claim is of this process.
    fn has_made(&self, claim: &Claim) -> bool {
        claim.worker_id == *self.id && (self.has_claimed || !self.replica.is_one_of_several())
    }
}

/// What is known of a request's order. It is computed once for each request and set of claims,
/// because it takes a hash for every worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The place of this process, from 0.
    mine: usize,
    /// The first worker, as a position in the list; where that is this account, behind the list
    /// the first of its processes.
    first: usize,
    /// Whether there is no other worker, and no other process of this one.
    is_alone: bool,
    /// Each worker that has claimed the request, and its place; `None` for one that is not in the
    /// list any more.
    claimers: Vec<(AccountId, Option<usize>)>,
}

/// The places of requests, as long as the workers are the same.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    workers: Vec<AccountId>,
    known: HashMap<RequestId, Places>,
}

/// When a worker serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The height from which it does.
    pub(crate) from: u64,
    /// Whether it should claim the request before it executes it.
    pub(crate) claims: bool,
    /// Whether its claim stands, or stood, and was made in its turn.
    pub(crate) is_claimed: bool,
}

impl Turn {
    /// To serve from this height on, without a claim.
    pub(crate) fn at(height: u64) -> Self {
        Self { from: height, claims: false, is_claimed: false }
    }

    /// How many blocks the worker waits for others.
    pub(crate) fn waits(&self, request: &PendingEntry) -> u64 {
        self.from.saturating_sub(request.block_height)
    }
}

impl Orders {
    /// Takes in the list of workers, and forgets the requests that are not among `live`.
    pub(crate) fn update(&mut self, workers: &[AccountId], live: impl Fn(RequestId) -> bool) {
        if self.workers != workers {
            workers.clone_into(&mut self.workers);
            self.known.clear();
        }
        self.known.retain(|request_id, _| live(*request_id));
    }

    /// The places for a request. A worker that is not in the list counts as the first.
    pub(crate) fn of(&mut self, me: Me<'_>, request: &PendingEntry) -> &Places {
        // A reorg may replace a claim by another worker's.
        let claimed = request.claims.iter().flat_map(|claims| &claims.made);
        let claimed = claimed.map(|claim| &claim.worker_id);
        let (workers, request_id) = (&self.workers, request.request_id);
        let known =
            self.known.entry(request_id).or_insert_with(|| Places::of(me, workers, request));
        if !claimed.eq(known.claimers.iter().map(|(worker_id, _)| worker_id)) {
            *known = Places::of(me, workers, request);
        }
        known
    }
}

impl Places {
    fn of(me: Me<'_>, workers: &[AccountId], request: &PendingEntry) -> Self {
        let rank = |worker: &AccountId| rank(worker, request.request_id);
        // Those to whom its secrets are not sealed have no place.
        let entitled = || workers.iter().enumerate().filter(|(_, id)| request.entitles(id));
        let ranks: Vec<_> = entitled().map(|(_, worker)| (rank(worker), worker)).collect();
        let place = |worker: &AccountId| {
            let its = (rank(worker), worker);
            workers.contains(worker).then(|| ranks.iter().filter(|one| **one < its).count())
        };
        let first = entitled().min_by_key(|(_, worker)| (rank(worker), *worker));
        let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
        let first = match first {
            Some((_, worker)) if worker == me.id && me.replica.is_one_of_several() => {
                workers.len().saturating_add(index(me.replica.first(request.request_id)))
            }
            first => first.map_or(0, |(position, _)| position),
        };
        let round = index(me.replica.place(request.request_id)).saturating_mul(ranks.len().max(1));
        let claimers = request.claims.iter().flat_map(|claims| &claims.made);
        Self {
            mine: place(me.id).unwrap_or(0).saturating_add(round),
            first,
            is_alone: !me.replica.is_one_of_several()
                && ranks.iter().all(|(_, worker)| *worker == me.id),
            claimers: claimers
                .map(|claim| (claim.worker_id.clone(), place(&claim.worker_id)))
                .collect(),
        }
    }

    /// What tells the first worker, and where that is this account its first process, from others.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// When `me` serves the request.
    pub(crate) fn turn(&self, me: Me<'_>, request: &PendingEntry, pace: Pace) -> Turn {
        if pace.step_in_blocks == 0 {
            return Turn::at(request.block_height);
        }
        if request.approvals > 1 {
            return Turn::at(agreed(me, request, pace));
        }
        match &request.claims {
            None => Turn::at(self.light(request, pace)),
            Some(claims) => self.long(me, request, claims, pace),
        }
    }

    /// The height from which to serve light work.
    fn light(&self, request: &PendingEntry, pace: Pace) -> u64 {
        let likely = pace.likely_blocks.min(LIGHT_BLOCKS);
        // Those before wait for the same queue, so it counts once.
        let places = u64::try_from(self.mine).unwrap_or(u64::MAX);
        let wait = places.saturating_mul(pace.step_in_blocks.saturating_add(likely));
        let wait = wait.saturating_add(if places > 0 { pace.queued_blocks } else { 0 });
        let window = request.deadline.saturating_sub(request.block_height);
        let most = (window / WAIT_SHARE).saturating_mul(places);
        request.block_height.saturating_add(wait.min(most))
    }

    /// When to serve long work: the turns begin when the request is made, and begin anew when a
    /// claim that was made in its turn is over.
    fn long(&self, me: Me<'_>, request: &PendingEntry, claims: &Claims, pace: Pace) -> Turn {
        // A claim needs the block of its transaction and the next one. Its worker has to see the
        // request before, and the next in the order has to see it after that.
        let claim_blocks = pace.step_in_blocks.saturating_mul(2);
        // The last moment from which an execution at the stated speed still ends in time.
        let latest = request.deadline.saturating_sub(claims.turn_blocks);
        // Whoever comes second begins by then, however long it was told to wait.
        let claim_blocks = claim_blocks.min(latest.saturating_sub(request.block_height));
        let mut begins = request.block_height;
        let mut used: Vec<usize> = Vec::new();
        // The place among those whose turn has not come yet.
        let left = |place: usize, used: &[usize]| {
            let before = used.iter().filter(|one| **one < place).count();
            u64::try_from(place.saturating_sub(before)).unwrap_or(u64::MAX)
        };
        for (claim, (_, place)) in claims.made.iter().zip(&self.claimers) {
            let Some(place) = *place else { continue };
            let turn = begins.saturating_add(left(place, &used).saturating_mul(claim_blocks));
            if claim.height < turn {
                continue;
            }
            if me.has_made(claim) {
                return Turn { is_claimed: true, ..Turn::at(claim.height) };
            }
            used.push(place);
            let until = respected_until(claim, claims, request.deadline, latest, pace);
            begins = begins.max(until);
        }
        let is_full = claims.made.len() >= MOST_CLAIMS;
        let spacing = match is_full {
            true => claim_blocks.saturating_add(pace.likely_blocks),
            false => claim_blocks,
        };
        let wait = left(self.mine, &used).saturating_mul(spacing);
        // Who is alone needs no claim.
        let may_claim = !self.is_alone && !is_full && claims.of(me.id).is_none();
        Turn { claims: may_claim, ..Turn::at(begins.saturating_add(wait)) }
    }
}

/// The height from which a process takes part in an agreement: those of its account that come
/// before it should have committed by then.
fn agreed(me: Me<'_>, request: &PendingEntry, pace: Pace) -> u64 {
    let each = pace.step_in_blocks.saturating_mul(2).saturating_add(pace.likely_blocks);
    let window = request.deadline.saturating_sub(request.block_height);
    let wait = me.replica.place(request.request_id).saturating_mul(each.min(window / WAIT_SHARE));
    request.block_height.saturating_add(wait)
}

/// The first height at which others no longer wait for a claim.
///
/// A claim that is made in time is respected until it expires, but no longer than to the moment
/// from which somebody else's execution still ends in time at the stated speed. A later one leaves
/// no such moment, so it is respected for twice as long as the execution should take at the
/// measured speed.
fn respected_until(claim: &Claim, claims: &Claims, deadline: u64, latest: u64, pace: Pace) -> u64 {
    let until = claims.until(claim, deadline);
    match claim.height.cmp(&latest) {
        Ordering::Less => until.min(latest),
        Ordering::Equal | Ordering::Greater => {
            let likely = pace.likely_blocks.saturating_add(pace.step_in_blocks).saturating_mul(2);
            until.min(claim.height.saturating_add(likely))
        }
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{
        Compute, Config, EngineVersion, ExecutionRequest, Hash32, HttpLimits, request::CodeRef,
    };
    use proptest::prelude::*;

    use super::*;

    const LANDING: u64 = 4;
    const PACE: Pace = Pace { step_in_blocks: LANDING, likely_blocks: 3, queued_blocks: 0 };

    fn id(n: usize) -> AccountId {
        format!("worker-{n}.near").parse().unwrap()
    }

    fn workers(count: usize) -> Vec<AccountId> {
        (0..count).map(id).collect()
    }

    /// The same workers in the order for a request.
    fn ordered(workers: &[AccountId], request_id: RequestId) -> Vec<AccountId> {
        let mut order = workers.to_vec();
        order.sort_by_key(|worker| rank(worker, request_id));
        order
    }

    fn entry(request_id: RequestId, claims: Option<Claims>) -> PendingEntry {
        PendingEntry {
            request_id,
            block_height: 1_000,
            deadline: 1_200,
            engine_version: EngineVersion(1),
            near_config_version: 84,
            approvals: 1,
            published_code: true,
            kind: None,
            compute: Compute::Fuel(1),
            payer: "dapp.near".parse().unwrap(),
            claims,
            recipients: Vec::new(),
        }
    }

    /// The only process of an account.
    fn only(id: &AccountId) -> Me<'_> {
        Me { id, replica: Replica::ONLY, has_claimed: false }
    }

    fn turn_of(me: &AccountId, workers: &[AccountId], request: &PendingEntry, pace: Pace) -> Turn {
        turn_as(only(me), workers, request, pace)
    }

    fn turn_as(me: Me<'_>, workers: &[AccountId], request: &PendingEntry, pace: Pace) -> Turn {
        let mut orders = Orders::default();
        orders.update(workers, |_| true);
        orders.of(me, request).turn(me, request, pace)
    }

    fn place(me: &AccountId, workers: &[AccountId], request_id: RequestId) -> usize {
        Places::of(only(me), workers, &entry(request_id, None)).mine
    }

    /// The heights from which the workers serve a request, in its order.
    fn from(order: &[AccountId], request: &PendingEntry, pace: Pace) -> Vec<u64> {
        order.iter().map(|me| turn_of(me, order, request, pace).from).collect()
    }

    fn long(turn_blocks: u64, made: &[(&AccountId, u64)]) -> Option<Claims> {
        let claim = |(worker, height): &(&AccountId, u64)| Claim {
            worker_id: (*worker).clone(),
            height: *height,
        };
        Some(Claims { turn_blocks, made: made.iter().map(claim).collect() })
    }

    #[test]
    fn every_request_has_one_order_and_the_work_is_divided() {
        let all = workers(4);
        let mut first = vec![0u32; all.len()];
        for request_id in 0..1_000 {
            let mut places: Vec<_> = all.iter().map(|me| place(me, &all, request_id)).collect();
            let position = places.iter().position(|place| *place == 0).unwrap();
            assert_eq!(Places::of(only(&all[0]), &all, &entry(request_id, None)).first(), position);
            first[position] += 1;
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2, 3]);
        }
        assert!(first.iter().all(|count| (150..=350).contains(count)), "{first:?}");
    }

    #[test]
    fn a_worker_that_leaves_moves_only_its_own_requests() {
        let all = workers(4);
        let rest = &all[..3];
        let first =
            |of: &[AccountId], id| of.iter().find(|me| place(me, of, id) == 0).unwrap().clone();
        for request_id in 0..200 {
            let before = first(&all, request_id);
            if before != all[3] {
                assert_eq!(first(rest, request_id), before);
            }
        }
    }

    #[test]
    fn the_order_is_that_of_the_contract() {
        let expected = Hash32::of_parts(&[b"w.near", &7u64.to_le_bytes()]);
        assert_eq!(rank(&"w.near".parse().unwrap(), 7), expected);
    }

    #[test]
    fn light_work_is_served_at_once_by_one_and_later_by_the_others() {
        let order = ordered(&workers(4), 7);
        let light = entry(7, None);
        let each = LANDING + PACE.likely_blocks;
        assert_eq!(from(&order, &light, PACE), [0, 1, 2, 3].map(|n| 1_000 + n * each));
        // What is queued before it delays all but the first.
        let queued = Pace { queued_blocks: 9, ..PACE };
        assert_eq!(
            from(&order, &light, queued),
            [1_000, 1_009 + each, 1_009 + 2 * each, 1_009 + 3 * each]
        );
        // However slow this worker is, and however much is queued.
        let slow = Pace { likely_blocks: 500, queued_blocks: 500, ..PACE };
        assert_eq!(from(&order, &light, slow), [1_000, 1_050, 1_100, 1_150]);
        // Who is alone, or is not registered, waits for nobody.
        assert_eq!(from(&order[..1], &light, PACE), [1_000]);
        assert_eq!(turn_of(&id(9), &order, &light, PACE).from, 1_000);
        let eager = Pace { step_in_blocks: 0, ..PACE };
        assert_eq!(from(&order, &light, eager), [1_000; 4]);
    }

    #[test]
    fn long_work_is_claimed_in_turn_and_the_others_wait_for_the_claim() {
        let order = ordered(&workers(4), 7);
        let unclaimed = entry(7, long(40, &[]));
        assert_eq!(from(&order, &unclaimed, PACE), [1_000, 1_008, 1_016, 1_024]);
        assert!(order.iter().all(|me| turn_of(me, &order, &unclaimed, PACE).claims));
        assert!(!turn_of(&order[0], &order[..1], &unclaimed, PACE).claims, "alone");
        // The first claims. When its claim is over, the turns go on with the second.
        let claimed = entry(7, long(40, &[(&order[0], 1_005)]));
        assert_eq!(from(&order, &claimed, PACE), [1_005, 1_045, 1_053, 1_061]);
        let first = turn_of(&order[0], &order, &claimed, PACE);
        assert!(first.is_claimed && !first.claims, "it has");
        assert!(turn_of(&order[1], &order, &claimed, PACE).claims, "in its turn");
        // The second has claimed after it, while the claim of the first stood: that was too early.
        let early = entry(7, long(40, &[(&order[0], 1_005), (&order[1], 1_020)]));
        assert_eq!(from(&order, &early, PACE), [1_005, 1_045, 1_053, 1_061]);
        assert!(!turn_of(&order[1], &order, &early, PACE).claims, "only once");
        // In its turn it is respected.
        let second = entry(7, long(40, &[(&order[0], 1_005), (&order[1], 1_045)]));
        assert_eq!(from(&order, &second, PACE), [1_005, 1_045, 1_085, 1_093]);
    }

    #[test]
    fn a_claim_out_of_turn_displaces_nobody() {
        let order = ordered(&workers(10), 7);
        let tenth = entry(7, long(40, &[(&order[9], 1_001)]));
        let unclaimed = entry(7, long(40, &[]));
        assert_eq!(from(&order, &tenth, PACE), from(&order, &unclaimed, PACE));
        // All who are registered and malicious claim: the others serve without a claim.
        let full =
            entry(7, long(40, &[(&order[9], 1_001), (&order[8], 1_001), (&order[7], 1_001)]));
        let spacing = 2 * LANDING + PACE.likely_blocks;
        let expected: Vec<_> = (0..10).map(|n| 1_000 + n * spacing).collect();
        assert_eq!(from(&order, &full, PACE), expected);
        assert!(order.iter().all(|me| !turn_of(me, &order, &full, PACE).claims));
        // One that is not registered any more is not respected either.
        let gone = entry(7, long(40, &[(&id(99), 1_100)]));
        assert_eq!(from(&order, &gone, PACE), from(&order, &unclaimed, PACE));
    }

    #[test]
    fn of_two_that_claim_at_once_one_serves() {
        // Both were busy when their turns came.
        let order = ordered(&workers(4), 7);
        let both = entry(7, long(40, &[(&order[2], 1_050), (&order[1], 1_050)]));
        assert_eq!(from(&order, &both, PACE)[2], 1_050);
        let others: Vec<_> = [0, 1, 3].map(|n| from(&order, &both, PACE)[n]).into();
        assert_eq!(others, [1_090, 1_098, 1_106]);
    }

    #[test]
    fn a_late_claim_is_respected_for_what_the_execution_should_take() {
        let order = ordered(&workers(3), 7);
        // At the stated speed an execution must begin at 1,080.
        let on_time = entry(7, long(120, &[(&order[0], 1_079)]));
        assert_eq!(from(&order, &on_time, PACE)[1], 1_080);
        let late = entry(7, long(120, &[(&order[0], 1_100)]));
        assert_eq!(from(&order, &late, PACE)[1], 1_100 + 2 * (3 + LANDING));
        let slow = Pace { likely_blocks: 1_000, ..PACE };
        assert_eq!(from(&order, &late, slow)[1], 1_201);
    }

    #[test]
    fn places_are_computed_anew_for_other_claims_and_other_workers() {
        let all = workers(4);
        let order = ordered(&all, 7);
        let me = only(&order[1]);
        let mut orders = Orders::default();
        let (unclaimed, claimed) =
            (entry(7, long(40, &[])), entry(7, long(40, &[(&order[0], 1_005)])));
        orders.update(&all, |_| true);
        assert_eq!(orders.of(me, &unclaimed).turn(me, &unclaimed, PACE).from, 1_008);
        assert_eq!(orders.of(me, &claimed).turn(me, &claimed, PACE).from, 1_045);
        // As many claims, of which a reorg has replaced one: it is out of turn.
        let replaced = entry(7, long(40, &[(&order[3], 1_005)]));
        assert_eq!(orders.of(me, &replaced).turn(me, &replaced, PACE).from, 1_008);
        orders.update(&order[1..], |_| true);
        assert_eq!(orders.of(me, &unclaimed).turn(me, &unclaimed, PACE).from, 1_000);
        orders.update(&order[1..], |_| false);
        assert!(orders.known.is_empty());
    }

    /// The processes of an account, by their places for a request.
    fn processes(id: &AccountId, of: u64, request_id: RequestId) -> Vec<Me<'_>> {
        let mut all: Vec<_> = (1..=of).filter_map(|number| Replica::new(number, of)).collect();
        all.sort_by_key(|replica| replica.place(request_id));
        all.into_iter().map(|replica| Me { id, replica, has_claimed: false }).collect()
    }

    #[test]
    fn the_processes_of_an_account_serve_one_after_the_other_and_after_the_first_of_others() {
        let order = ordered(&workers(2), 7);
        let light = entry(7, None);
        let each = LANDING + PACE.likely_blocks;
        let from = |workers: &[AccountId]| -> Vec<u64> {
            let processes = processes(&order[0], 3, 7).into_iter();
            processes.map(|me| turn_as(me, workers, &light, PACE).from).collect()
        };
        assert_eq!(from(&order[..1]), [0, 1, 2].map(|place| 1_000 + place * each));
        assert_eq!(from(&order), [0, 2, 4].map(|place| 1_000 + place * each));
        assert_eq!(turn_of(&order[1], &order, &light, PACE).from, 1_000 + each);
    }

    #[test]
    fn a_claim_of_an_account_is_of_the_process_that_has_made_it() {
        let order = ordered(&workers(1), 7);
        let [first, second] = processes(&order[0], 2, 7)[..] else { panic!("two") };
        let unclaimed = entry(7, long(40, &[]));
        let turns = [first, second].map(|me| turn_as(me, &order, &unclaimed, PACE));
        assert_eq!(turns.map(|turn| (turn.from, turn.claims)), [(1_000, true), (1_008, true)]);
        let claimed = entry(7, long(40, &[(&order[0], 1_005)]));
        let knows = Me { has_claimed: true, ..first };
        assert!(turn_as(knows, &order, &claimed, PACE).is_claimed);
        let other = turn_as(second, &order, &claimed, PACE);
        assert_eq!((other.from, other.is_claimed, other.claims), (1_045, false, false));
        // The second has claimed in its turn, and the first was only slow.
        let claimed = entry(7, long(40, &[(&order[0], 1_010)]));
        assert!(turn_as(Me { has_claimed: true, ..second }, &order, &claimed, PACE).is_claimed);
        assert_eq!(turn_as(first, &order, &claimed, PACE).from, 1_050);
    }

    #[test]
    fn where_several_must_agree_an_accounts_processes_take_part_one_after_the_other() {
        let all = workers(3);
        let several = PendingEntry { approvals: 2, ..entry(7, None) };
        for id in &all {
            assert_eq!(turn_of(id, &all, &several, PACE).from, 1_000);
            let from = processes(id, 2, 7).into_iter();
            let from: Vec<_> = from.map(|me| turn_as(me, &all, &several, PACE).from).collect();
            assert_eq!(from, [1_000, 1_000 + 2 * LANDING + PACE.likely_blocks]);
        }
    }

    /// A request within the bounds of a new deployment, and how long its execution takes at the
    /// most, with its landing.
    fn within_bounds(
        (compute, memory_bytes, module): (Compute, u64, u32),
    ) -> Option<(Option<Claims>, u64)> {
        let config = Config::new(EngineVersion(1), 84);
        let code = CodeRef { hash: Hash32::of(b"code"), url: None };
        let mut request = ExecutionRequest::new(code, "");
        request.limits.memory_bytes = memory_bytes;
        request.limits.max_module_bytes = module;
        request.limits.compute = compute;
        request.validate(&config).ok()?;
        Some((config.claims(&request), config.turn_blocks(&request.limits, request.http_limits())))
    }

    /// The most compute that is accepted for this memory and this code.
    fn most_compute(gas: bool, memory_bytes: u64, module: u32) -> Compute {
        let config = Config::new(EngineVersion(1), 84);
        let one = if gas { Compute::Gas(1) } else { Compute::Fuel(1) };
        let code = CodeRef { hash: Hash32::of(b"code"), url: None };
        let mut limits = ExecutionRequest::new(code, "").limits;
        (limits.memory_bytes, limits.max_module_bytes, limits.compute) =
            (memory_bytes, module, one);
        config.most_compute(&limits, HttpLimits::default())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever a request asks for within the bounds, and however slow this worker believes it
        /// is: if the first in the order is dead, or claims and dies at any moment after that, the
        /// second begins so early that an execution at the stated speed, and its landing, end
        /// before the deadline.
        #[test]
        fn stepping_in_and_the_longest_execution_and_its_landing_end_before_the_deadline(
            gas in any::<bool>(),
            memory_bytes in prop_oneof![1u64..=1 << 20, 1u64..=64 << 20, 1u64..=1 << 30],
            module in prop_oneof![1u32..=1 << 20, 1u32..=4 << 20],
            share in prop_oneof![Just(1_000u64), 1u64..=1_000],
            likely_blocks in prop_oneof![0u64..=200, any::<u64>()],
            queued_blocks in prop_oneof![0u64..=200, any::<u64>()],
            step_in_blocks in prop_oneof![1u64..=30, 1u64..=1_000],
            claimed_after in 0u64..=60,
        ) {
            let most = most_compute(gas, memory_bytes, module);
            let amount = u128::from(most.amount()) * u128::from(share) / 1_000;
            let amount = u64::try_from(amount).unwrap().max(1);
            let compute = Compute::new(most.meter(), amount);
            let Some((claims, bound)) = within_bounds((compute, memory_bytes, module)) else {
                // There is no time for any compute besides that of the code.
                prop_assert!(most.amount() == 0);
                return Ok(());
            };
            let pace = Pace { step_in_blocks, likely_blocks, queued_blocks };
            let order = ordered(&workers(3), 7);
            let silent = entry(7, claims.clone());
            let sibling = processes(&order[0], 2, 7)[1];
            let sibling = turn_as(sibling, &order[..1], &silent, pace).from;
            prop_assert!(sibling + bound <= silent.deadline, "{sibling} + {bound}");
            let second = from(&order, &silent, pace)[1];
            prop_assert!(second + bound <= silent.deadline, "{second} + {bound}");
            if let Some(Claims { turn_blocks, .. }) = claims {
                prop_assert_eq!(turn_blocks, bound);
                let claimed = entry(7, long(turn_blocks, &[(&order[0], 1_000 + claimed_after)]));
                let second = from(&order, &claimed, pace)[1];
                prop_assert!(second + bound <= silent.deadline, "claimed: {second} + {bound}");
                prop_assert!(second >= 1_000 + claimed_after);
                let sibling = processes(&order[0], 2, 7)[1];
                let sibling = turn_as(sibling, &order[..1], &claimed, pace).from;
                prop_assert!(sibling + bound <= silent.deadline, "claimed: {sibling} + {bound}");
                prop_assert!(sibling >= 1_000 + claimed_after);
            }
        }
    }
}
