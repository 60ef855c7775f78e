//! A model of how several workers agree. It drives the machine itself: a state is what the contract
//! stores, and every step is taken by [`LiveRequest`](outlayer_protocol::machine::LiveRequest) or
//! [`OpenShares`](outlayer_protocol::machine::OpenShares).
//!
//! An adversary has some of the workers, knows the truth and every secret, decides in which order
//! receipts arrive, and does with its workers what it wants. The requester cancels, keys of storage
//! change, callbacks fail, and time passes. `contract/README.md` has what is proved, and of what.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod key;
mod moves;
mod properties;
mod scenario;
mod steps;
mod time;
mod world;

use std::time::Instant;

use stateright::{Checker, Model};

use scenario::{Body, Network, Scenario};

/// Visits every state of a scenario and checks all properties there. Gives how many states there
/// are.
fn check(numbers: (u8, u8, u8), network: Network, rounds: (u8, u8), threads: usize) -> usize {
    visit(Scenario::new(numbers, network, rounds, Body::Small), threads)
}

fn visit(scenario: Scenario, threads: usize) -> usize {
    let since = Instant::now();
    let Scenario { approvals, spares, faulty, network, conflicts, windows, body, .. } = scenario;
    let checker = scenario.checker().threads(threads).spawn_bfs().join();
    println!(
        "{approvals} of {}, {faulty} faulty, {conflicts} conflicts in the time of {windows} \
         rounds, {network:?}, {body:?}: {} states, {} \
         steps, {:.1?}",
        approvals + spares,
        checker.unique_state_count(),
        checker.state_count(),
        since.elapsed()
    );
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn the_truth_settles_when_receipts_land() {
    check((2, 1, 1), Network::Lands, (0, 1), 1);
    check((2, 1, 1), Network::Lands, (1, 2), 1);
    check((2, 1, 1), Network::Lands, (1, 1), 1);
    check((2, 0, 0), Network::Lands, (2, 3), 1);
    check((3, 1, 1), Network::Lands, (0, 1), 1);
}

#[test]
fn nobody_gains_or_loses_when_receipts_are_late_or_lost() {
    check((2, 0, 1), Network::Any, (1, 2), 1);
    check((2, 1, 1), Network::Any, (0, 1), 1);
}

#[test]
fn an_answer_that_waits_for_readers_settles_too() {
    visit(Scenario::new((2, 0, 1), Network::Lands, (1, 2), Body::Waits), 1);
    visit(Scenario::new((2, 1, 1), Network::Any, (0, 1), Body::Waits), 1);
}

#[test]
fn an_answer_in_parts_settles_too() {
    visit(Scenario::new((2, 1, 1), Network::Lands, (0, 1), Body::InParts), 1);
}

#[test]
fn as_many_liars_as_approvals_are_believed() {
    check((2, 1, 2), Network::Lands, (0, 1), 1);
}

/// Answers that wait, and such in parts, with up to two approvals and one spare. Run it with
/// `cargo test -p outlayer-protocol --test model -- --ignored --nocapture other_bodies`.
#[test]
#[ignore = "takes long, see contract/README.md"]
fn other_bodies() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut states = 0;
    for body in [Body::Waits, Body::InParts] {
        for network in [Network::Lands, Network::Any] {
            for (numbers, rounds) in [((2, 0, 1), (0, 1)), ((2, 0, 1), (1, 2)), ((2, 1, 1), (0, 1))]
            {
                states += visit(Scenario::new(numbers, network, rounds, body), threads);
            }
        }
    }
    println!("Other bodies: {states} states");
}

/// All scenarios of up to three approvals and two spares, with up to two faulty seats, one in which
/// three lie, and two in which a key changes twice. Run it with
/// `cargo test -p outlayer-protocol --test model -- --ignored --nocapture`.
#[test]
#[ignore = "takes long, see contract/README.md"]
fn every_scenario() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let since = Instant::now();
    let mut states = 0;
    let scenarios = [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)].into_iter();
    let scenarios = scenarios.flat_map(|(k, s)| (0..=2).map(move |faulty| (k, s, faulty)));
    for numbers in scenarios.chain([(3, 0, 3)]) {
        for network in [Network::Lands, Network::Any] {
            for rounds in [(0, 1), (1, 2), (1, 1)] {
                states += check(numbers, network, rounds, threads);
            }
        }
    }
    for faulty in 0..=1 {
        states += check((2, 1, faulty), Network::Lands, (2, 3), threads);
    }
    println!("All: {states} states, {:.1?}", since.elapsed());
}
