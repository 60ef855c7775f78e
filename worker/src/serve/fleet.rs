//! What a worker knows of the others: who they are, in which order they serve a request, and how
//! long that should take them. It takes them to be as fast as itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use outlayer_protocol::{AccountId, Compute, Meter, RequestId, index::PendingEntry};

use super::{
    Replica,
    stage::discover::turn::{Me, Orders, Pace, Turn},
};

/// Units that a measured speed is the time of.
const GIGA: u128 = 1_000_000_000;
/// Nanoseconds that 10^9 units of fuel are expected to take before anything is measured. Programs
/// take 0.2 to 0.6 ns a unit (`crates/calibrate/README.md`).
const NANOS_PER_GIGAFUEL: u64 = 1_000_000_000;
/// The same for gas, at 822,756 gas an operator and one unit of fuel for each.
const NANOS_PER_GIGAGAS: u64 = 1_216;
/// How much one execution moves the speed that was measured: a part of this size.
const MOVES: u64 = 8;
/// What a request takes a worker besides the time of its execution: loading and sending it.
const HANDLING: Duration = Duration::from_millis(20);

/// The other workers.
pub(super) struct Fleet {
    me: AccountId,
    replica: Replica,
    step_in_blocks: u64,
    orders: Mutex<Orders>,
    /// Requests that this process has claimed, or to whose digests it has committed.
    taken: Mutex<HashSet<RequestId>>,
    /// Nanoseconds that 10^9 units take on the average.
    fuel: AtomicU64,
    gas: AtomicU64,
}

/// How much work is queued for each worker before the request that is looked at, nanoseconds. The
/// requests have to be looked at by deadline.
#[derive(Debug, Default)]
pub(super) struct Queues(HashMap<usize, u64>);

impl Fleet {
    pub(super) fn new(me: AccountId, replica: Replica, step_in_blocks: u64) -> Self {
        Self {
            me,
            replica,
            step_in_blocks,
            orders: Mutex::default(),
            taken: Mutex::default(),
            fuel: AtomicU64::new(NANOS_PER_GIGAFUEL),
            gas: AtomicU64::new(NANOS_PER_GIGAGAS),
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the workers that are registered and not suspended, and forgets the requests that
    /// are not among `live`.
    pub(super) fn update(&self, workers: &[AccountId], live: impl Fn(RequestId) -> bool) {
        self.taken().retain(|request_id| live(*request_id));
        self.orders().update(workers, live);
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this process has claimed a request, or committed to its digest.
    pub(super) fn take(&self, request_id: RequestId) {
        self.taken().insert(request_id);
    }

    /// Whether what the chain shows of this account's part in a request may be of another of its
    /// processes, which comes before this one.
    pub(super) fn is_anothers(&self, request_id: RequestId) -> bool {
        self.replica.place(request_id) > 0 && !self.taken().contains(&request_id)
    }

    /// This process, for a request.
    fn me(&self, request_id: RequestId) -> Me<'_> {
        let has_claimed = self.taken().contains(&request_id);
        Me { id: &self.me, replica: self.replica, has_claimed }
    }

    fn speed(&self, meter: Meter) -> &AtomicU64 {
        match meter {
            Meter::Fuel => &self.fuel,
            Meter::Gas => &self.gas,
        }
    }

    /// Notes how long an execution took.
    pub(super) fn measured(&self, used: Compute, took: Duration) {
        let nanos = took.as_nanos().saturating_mul(GIGA) / u128::from(used.amount().max(1));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let moved = |old: u64| Some(old - old / MOVES + nanos / MOVES);
        // The closure always gives a value.
        let _ = self.speed(used.meter()).fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// How long an execution takes that uses this much, at the average speed that was measured.
    fn likely_nanos(&self, compute: Compute) -> u64 {
        let speed = u128::from(self.speed(compute.meter()).load(Ordering::Relaxed));
        u64::try_from(speed * u128::from(compute.amount()) / GIGA).unwrap_or(u64::MAX)
    }

    /// When this worker serves a request. `queued_nanos` is what the first
    /// in the order has to do before it.
    pub(super) fn turn(&self, request: &PendingEntry, block_nanos: u64, queued_nanos: u64) -> Turn {
        let blocks = |nanos: u64| nanos.div_ceil(block_nanos.max(1));
        let pace = Pace {
            step_in_blocks: self.step_in_blocks,
            likely_blocks: blocks(self.likely_nanos(request.compute)),
            queued_blocks: blocks(queued_nanos),
        };
        let me = self.me(request.request_id);
        self.orders().of(me, request).turn(me, request, pace)
    }

    /// What the first in the order of a request has to do before it, nanoseconds. Long work is not
    /// counted: whoever is busy with it does not claim any more.
    pub(super) fn queue(&self, queues: &mut Queues, request: &PendingEntry) -> u64 {
        if request.approvals > 1 || request.claims.is_some() {
            return 0;
        }
        let first = self.orders().of(self.me(request.request_id), request).first();
        let handling = u64::try_from(HANDLING.as_nanos()).unwrap_or(u64::MAX);
        let queued = queues.0.entry(first).or_default();
        let before = *queued;
        *queued =
            before.saturating_add(handling).saturating_add(self.likely_nanos(request.compute));
        before
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::EngineVersion;

    use super::*;

    const BLOCK: u64 = 600_000_000;

    fn entry(request_id: RequestId, fuel: u64) -> PendingEntry {
        PendingEntry {
            request_id,
            block_height: 100,
            deadline: 300,
            engine_version: EngineVersion(1),
            near_config_version: 84,
            approvals: 1,
            published_code: true,
            kind: None,
            compute: Compute::Fuel(fuel),
            payer: "dapp.near".parse().unwrap(),
            claims: None,
            recipients: Vec::new(),
        }
    }

    fn fleet(workers: usize) -> Vec<Fleet> {
        let names: Vec<AccountId> =
            (0..workers).map(|n| format!("w{n}.near").parse().unwrap()).collect();
        let fleet: Vec<_> =
            names.iter().map(|name| Fleet::new(name.clone(), Replica::ONLY, 4)).collect();
        fleet.iter().for_each(|one| one.update(&names, |_| true));
        fleet
    }

    #[test]
    fn the_wait_follows_the_speed_that_was_measured() {
        let fleet = fleet(2);
        let request = entry(7, 1_200_000_000);
        let waits = || fleet.iter().map(|one| one.turn(&request, BLOCK, 0).from).max().unwrap();
        // 1.2 s by what is expected at first.
        assert_eq!(waits(), 100 + 4 + 2);
        for one in &fleet {
            for _ in 0..60 {
                one.measured(Compute::Fuel(100_000_000), Duration::from_millis(400));
            }
        }
        // 4 ns a unit: 4.8 s.
        assert_eq!(waits(), 100 + 4 + 8);
        let gas = PendingEntry { compute: Compute::Gas(987_307_200_000_000), ..request.clone() };
        let waits = fleet.iter().map(|one| one.turn(&gas, BLOCK, 0).from).max().unwrap();
        assert_eq!(waits, 100 + 4 + 3, "gas has a speed of its own");
    }

    #[test]
    fn what_is_queued_for_the_first_worker_delays_the_others() {
        let fleet = fleet(2);
        let mut queues = Queues::default();
        let requests: Vec<_> = (0..200).map(|id| entry(id, 1_000)).collect();
        let mut delayed = 0;
        for (index, request) in requests.iter().enumerate() {
            let queued = fleet[0].queue(&mut queues, request);
            let turn = fleet[0].turn(request, BLOCK, queued);
            let wait = turn.waits(request);
            // 20 ms for each of about half of those before it.
            let about = index as u64 * 10_000_000 / BLOCK;
            assert!(wait == 0 || (wait >= 5 && wait.abs_diff(5 + about) <= 3), "{index}: {wait}");
            delayed += u64::from(wait > 0);
        }
        assert!((70..130).contains(&delayed), "{delayed}");
    }
}
