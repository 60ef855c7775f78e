//! Claims: who may make one, what it changes, and where the money goes.

use near_sdk::NearToken;
use outlayer_protocol::{
    Compute, ExecutionRequest, Outcome,
    claims::{Claim, MOST_CLAIMS},
    events::Event,
    machine::Reason,
    pricing::{Asked, least_fee, protocol_share},
};

use super::world::*;
use crate::ContractError;

const ZERO: NearToken = NearToken::ZERO;
const WORKERS: [&str; 4] = ["w0.near", "w1.near", "w2.near", "w3.near"];

/// A request whose execution may take long.
fn long(input: &str) -> ExecutionRequest {
    let mut request = request(input);
    request.limits.compute = Compute::Fuel(3_000_000_000);
    request
}

fn world() -> World {
    let mut world = World::new();
    world.register(&WORKERS);
    world
}

fn claim(world: &mut World, worker: &str, request_id: u64) -> Result<(), ContractError> {
    let result = world.call(worker, ZERO, |c| c.claim_execution(request_id));
    world.audit();
    result
}

fn worker(world: &mut World, worker: &str) -> outlayer_protocol::views::WorkerView {
    world.view(|c| c.get_worker(id(worker))).unwrap()
}

/// What a claimer is due when the request is cancelled, with the protocol's share.
fn share() -> NearToken {
    least_fee(&config().prices, &Asked::of(&config(), &long("x"))).unwrap()
}

#[test]
fn the_index_shows_who_has_claimed_a_request_and_when() {
    let mut world = world();
    for input in ["a", "b", "c"] {
        world.request("dapp.near", &long(input));
    }
    world.height += 2;
    claim(&mut world, "w1.near", 1).unwrap();
    let claims = world.live(1).claims.unwrap();
    assert_eq!(claims.made, [Claim { worker_id: id("w1.near"), height: world.height }]);
    assert_eq!(claims.turn_blocks, config().turn_blocks(&long("b").limits, Default::default()));
    let listed = |world: &mut World| {
        let entries = world.view(|c| c.list_pending(0, 9)).entries;
        entries.into_iter().map(|entry| (entry.request_id, entry.claims.unwrap())).collect()
    };
    let none = world.live(0).claims.unwrap();
    let expected = [(0, none.clone()), (1, claims.clone()), (2, none.clone())];
    let found: Vec<_> = listed(&mut world);
    assert_eq!(found, expected);
    claim(&mut world, "w0.near", 2).unwrap();
    let other = world.live(2).claims.unwrap();
    world.resolve("w1.near", &answer(0, "x")).unwrap();
    world.settle(0);
    let found: Vec<_> = listed(&mut world);
    assert_eq!(found, [(1, claims), (2, other.clone())]);
    claim(&mut world, "w3.near", 2).unwrap();
    let found: Vec<_> = listed(&mut world);
    assert_eq!(found[1].1.made.len(), other.made.len() + 1);
}

#[test]
fn only_active_workers_claim_and_each_once_up_to_so_many() {
    let mut world = world();
    world.request("dapp.near", &long("a"));
    let stranger = claim(&mut world, "eve.near", 0).unwrap_err();
    assert_eq!(stranger, ContractError::NotAWorker { found: id("eve.near") });
    world.owner(|c| c.suspend_worker(id("w3.near"), true));
    let suspended = claim(&mut world, "w3.near", 0).unwrap_err();
    assert_eq!(suspended, ContractError::Suspended { found: id("w3.near") });
    world.owner(|c| c.suspend_worker(id("w3.near"), false));
    for worker in &WORKERS[..MOST_CLAIMS] {
        claim(&mut world, worker, 0).unwrap();
        assert_eq!(reason(claim(&mut world, worker, 0)), Reason::AlreadyClaimed);
    }
    let full = reason(claim(&mut world, WORKERS[MOST_CLAIMS], 0));
    assert_eq!(full, Reason::ClaimsFull);
    // Who could not claim answers all the same.
    world.resolve(WORKERS[MOST_CLAIMS], &answer(0, "x")).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
    assert_eq!(worker(&mut world, WORKERS[MOST_CLAIMS]).settled, 1);
    world.audit();
}

#[test]
fn work_that_is_not_long_takes_no_claims_and_pays_for_none() {
    let mut world = world();
    world.request("dapp.near", &request("a"));
    assert_eq!(reason(claim(&mut world, "w0.near", 0)), Reason::ClaimNotNeeded);
    let mut several = long("b");
    several.approvals = 2;
    several.limits.compute = Compute::Fuel(1_300_000_000);
    assert!(config().takes_claims(&ExecutionRequest { approvals: 1, ..several.clone() }));
    world.request("dapp.near", &several);
    assert_eq!(reason(claim(&mut world, "w0.near", 1)), Reason::ClaimNotNeeded);
}

#[test]
fn a_billion_units_of_fuel_take_no_claim_under_the_default_limits() {
    let mut request = request("a");
    for (fuel, expected) in [(1_000_000_000, false), (1_200_000_001, true)] {
        request.limits.compute = Compute::Fuel(fuel);
        assert_eq!(config().takes_claims(&request), expected, "{fuel}");
    }
}

/// What each account has after a request that `claimers` claim and whose requester cancels it.
#[test]
fn cancelling_after_claims_pays_one_claimer_and_conserves_the_money() {
    let bps = config().protocol_share_bps;
    for claimers in 0..=MOST_CLAIMS {
        let mut world = world();
        let before = world.purse(&id("dapp.near"));
        world.request("dapp.near", &long("a"));
        for worker in &WORKERS[..claimers] {
            claim(&mut world, worker, 0).unwrap();
        }
        world.call("dapp.near", ZERO, |c| c.cancel_execution(0)).unwrap();
        world.audit();
        let settled = world.settle(0);
        world.audit();
        let fee = if claimers == 0 { ZERO } else { share() };
        assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, fee));
        let earned: Vec<_> = WORKERS.iter().map(|name| worker(&mut world, name).earnings).collect();
        let paid = earned.iter().filter(|earned| !earned.is_zero()).count();
        assert_eq!(paid, claimers.min(1));
        let all = earned.iter().map(|earned| earned.as_yoctonear()).sum::<u128>();
        assert_eq!(all, fee.as_yoctonear() - protocol_share(fee, bps).as_yoctonear());
        let spent = before.saturating_sub(world.purse(&id("dapp.near")));
        assert_eq!(spent, fee, "the requester pays that, and gets everything else back");
        // A requester and a worker that belong together lose the protocol's share, and the gas.
        assert!(claimers == 0 || all < spent.as_yoctonear());
    }
}

#[test]
fn a_claim_that_has_expired_is_paid_nothing_and_counted_when_the_request_ends() {
    let mut world = world();
    world.request("dapp.near", &long("a"));
    claim(&mut world, "w0.near", 0).unwrap();
    world.height += world.live(0).claims.unwrap().turn_blocks;
    world.call("dapp.near", ZERO, |c| c.cancel_execution(0)).unwrap();
    let settled = world.settle(0);
    world.audit();
    assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, ZERO));
    let view = worker(&mut world, "w0.near");
    assert_eq!((view.missed, view.lost, view.settled, view.earnings), (1, 0, 0, ZERO));
    let missed = |event: &Event| matches!(event, Event::ClaimMissed(_));
    assert_eq!(world.events.iter().filter(|event| missed(event)).count(), 1);
}

#[test]
fn when_nobody_answers_every_claim_is_counted_and_everything_goes_back() {
    let mut world = world();
    let before = world.purse(&id("dapp.near"));
    world.request("dapp.near", &long("a"));
    claim(&mut world, "w0.near", 0).unwrap();
    world.height += 190;
    claim(&mut world, "w1.near", 0).unwrap();
    world.owner(|c| c.remove_worker(id("w1.near")));
    world.height += 11;
    let settled = world.settle(0);
    world.audit();
    assert_eq!((settled.outcome, settled.fee), (Outcome::TimedOut, ZERO));
    assert_eq!(world.purse(&id("dapp.near")), before);
    assert_eq!(worker(&mut world, "w0.near").missed, 1);
    assert_eq!(world.view(|c| c.get_worker(id("w1.near"))), None);
}

#[test]
fn the_reserve_pays_for_the_most_claims_of_the_longest_names() {
    let longest = |n: usize| format!("{}{n}", "x".repeat(63));
    let workers: Vec<_> = (0..MOST_CLAIMS).map(longest).collect();
    let mut world = World::new();
    world.register(&workers.iter().map(String::as_str).collect::<Vec<_>>());
    let dapp = format!("{}dapp", "y".repeat(60));
    let mut request = long(&"i".repeat(100));
    request.limits = request.limits.with_storage(0, 0, 0);
    request.limits.output_bytes = 300;
    let others = world.contract().tenant_bytes;
    world.request(&dapp, &request);
    workers.iter().for_each(|worker| claim(&mut world, worker, 0).unwrap());
    let mut body = answer(0, &"o".repeat(300));
    body.used = Compute::Fuel(1);
    world.resolve(&workers[0], &body).unwrap();
    world.audit();
    let taken = world.contract().tenant_bytes - others;
    let paid = world.live(0).terms.storage_reserve.as_yoctonear();
    let byte = near_sdk::env::storage_byte_cost().as_yoctonear();
    let reserved = u64::try_from(paid / byte).unwrap();
    // What may be spare is the kind of the guest, and the 9 bytes of a longer status.
    assert!(taken <= reserved && taken + 1 + 9 >= reserved, "{taken} of {reserved} bytes");
    world.settle(0);
    world.audit();
}
