//! Several workers: draws, commitments, reveals, disputes, shares, and what liars try.

use near_sdk::NearToken;
use outlayer_protocol::{
    ExecutionRequest, Hash32, Outcome,
    agreement::{AgreementError, REVEAL_BLOCKS},
    index,
    machine::{OpenShares, Reason},
    pricing::{Asked, least_fee, protocol_share},
    response::Answer,
};

use super::world::*;
use crate::ContractError;

const ZERO: NearToken = NearToken::ZERO;

/// A request for two approvals and one spare.
fn two_of_three() -> ExecutionRequest {
    let mut request = request("input");
    request.approvals = 2;
    request
}

/// A world with this many workers, `w0.near` and so on.
fn world(workers: usize) -> World {
    let mut world = World::new();
    let names: Vec<_> = (0..workers).map(|n| format!("w{n}.near")).collect();
    world.register(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world
}

/// Makes the request, and gives the holders of its seats.
fn ask(world: &mut World) -> Vec<String> {
    let request_id = world.request("dapp.near", &two_of_three());
    let agreement = world.live(request_id).agreement.unwrap();
    agreement.drawn.iter().take(3).map(ToString::to_string).collect()
}

fn earned(world: &mut World, worker: &str) -> NearToken {
    world.view(|c| c.get_worker(id(worker))).unwrap().earnings
}

fn lost(world: &mut World, worker: &str) -> u64 {
    world.view(|c| c.get_worker(id(worker))).unwrap().lost
}

fn agreement_error(result: Result<(), ContractError>) -> AgreementError {
    match reason(result) {
        Reason::Agreement(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_liar_that_commits_junk_and_sends_the_true_body_first_ends_nothing() {
    let mut world = world(3);
    let [a, b, liar] = &ask(&mut world)[..] else { panic!() };
    let truth = answer(0, "truth");
    let digest = world.digest(&truth);
    world.commit(liar, 0, Hash32::of(b"junk")).unwrap();
    world.commit(a, 0, digest).unwrap();
    // The liar can execute too, and knows the body. It gets nowhere with it.
    let early = reason(world.resolve(liar, &truth));
    assert!(matches!(early, Reason::TooFewReveals { found: 0, .. }));
    world.commit(b, 0, digest).unwrap();
    world.reveal(liar, 0, Hash32::of(b"junk")).unwrap();
    world.reveal(a, 0, digest).unwrap();
    assert!(matches!(reason(world.resolve(liar, &truth)), Reason::TooFewReveals { found: 1, .. }));
    world.audit();
    let salt = Some(SALT);
    let answer = Answer { response: truth.clone(), digest, salt };
    world.call(b, ZERO, |c| c.resolve_execution(answer)).unwrap();
    world.audit();
    let settled = world.settle(0);
    assert_eq!((settled.outcome.name(), settled.digest), ("completed", Some(digest)));
    world.audit();
    assert_eq!(earned(&mut world, liar), ZERO);
    assert!(earned(&mut world, b) > earned(&mut world, a) && earned(&mut world, a) > ZERO);
    assert_eq!([a, b, liar].map(|worker| lost(&mut world, worker)), [0, 0, 1]);
    assert!(world.shares().is_empty());
}

#[test]
fn the_third_worker_reveals_after_the_settlement_and_is_paid_the_same() {
    let mut world = world(3);
    let [a, b, c] = &ask(&mut world)[..] else { panic!() };
    let truth = answer(0, "truth");
    let digest = world.digest(&truth);
    for worker in [a, b, c] {
        world.commit(worker, 0, digest).unwrap();
    }
    world.reveal(a, 0, digest).unwrap();
    world.reveal(b, 0, digest).unwrap();
    world.resolve(a, &truth).unwrap();
    let settled = world.settle(0);
    world.audit();
    assert!(settled.held > ZERO);
    assert_eq!(world.view(|c| c.get_funds()).shares, settled.held);
    let shares = world.view(|c| c.get_shares(0)).unwrap();
    assert_eq!(shares.digest, digest);
    let dapp = world.purse(&id("dapp.near"));
    world.reveal(c, 0, digest).unwrap();
    world.audit();
    world.deliver_transfers();
    // The last reveal closes the shares, and is paid for that too. What the storage of the entry
    // costs comes back.
    let close = shares.close_fee;
    let net = close.saturating_sub(protocol_share(close, shares.protocol_share_bps));
    assert_eq!(earned(&mut world, c), earned(&mut world, b).saturating_add(net));
    assert_eq!(world.view(|c| c.get_shares(0)), None);
    let stake = shares.held.saturating_sub(shares.share).saturating_sub(close);
    assert!(stake > ZERO);
    assert_eq!(world.purse(&id("dapp.near")), dapp.saturating_add(stake));
    assert_eq!(world.view(|c| c.get_funds()).shares, ZERO);
    let again = world.reveal(c, 0, digest).unwrap_err();
    assert_eq!(again, ContractError::Settled { request_id: 0 });
}

#[test]
fn all_open_shares_are_listed_until_they_are_closed() {
    let mut world = world(3);
    let digests: Vec<_> = (0..4)
        .map(|request_id| {
            let holders = ask(&mut world);
            let truth = answer(request_id, "truth");
            let digest = world.digest(&truth);
            holders.iter().for_each(|holder| world.commit(holder, request_id, digest).unwrap());
            holders[..2].iter().for_each(|id| world.reveal(id, request_id, digest).unwrap());
            world.resolve(&holders[0], &truth).unwrap();
            world.settle(request_id);
            world.audit();
            (holders, digest)
        })
        .collect();
    let listed = |world: &mut World, from, limit| -> Vec<u64> {
        let pages = world.view(|c| c.page_shares(from, limit));
        let shares: Vec<OpenShares> = borsh::from_slice(&index::join(&pages)).unwrap();
        let ids = shares.into_iter().map(|one| {
            assert_eq!(world.view(|c| c.get_shares(one.request_id)), Some(one.clone()));
            one.request_id
        });
        ids.collect()
    };
    assert_eq!(listed(&mut world, 0, 9), [0, 1, 2, 3]);
    assert_eq!(listed(&mut world, 1, 2), [1, 2]);
    assert_eq!(listed(&mut world, 4, 9), [0; 0]);
    // The last reveal closes shares, and so does a call after their time.
    world.reveal(&digests[1].0[2], 1, digests[1].1).unwrap();
    world.audit();
    assert_eq!(listed(&mut world, 0, 9), [0, 3, 2]);
    world.height += REVEAL_BLOCKS;
    for (closed, rest) in [(2, vec![0, 3]), (0, vec![3]), (3, vec![])] {
        world.call("anyone.near", ZERO, |c| c.close(closed)).unwrap();
        world.audit();
        assert_eq!(listed(&mut world, 0, 9), rest);
        assert_eq!(world.view(|c| c.get_shares(closed)), None);
    }
}

#[test]
fn a_worker_that_never_reveals_is_not_paid_and_closing_returns_its_share() {
    for closer in ["anyone.near", "w0.near"] {
        let mut world = world(3);
        let holders = ask(&mut world);
        let truth = answer(0, "truth");
        let digest = world.digest(&truth);
        holders.iter().for_each(|holder| world.commit(holder, 0, digest).unwrap());
        let open = world.height;
        holders[..2].iter().for_each(|holder| world.reveal(holder, 0, digest).unwrap());
        world.resolve(&holders[0], &truth).unwrap();
        let settled = world.settle(0);
        let before = earned(&mut world, "w0.near");
        let early = world.call(closer, ZERO, |c| c.close(0));
        assert!(matches!(reason(early), Reason::SharesOpen { .. }));
        world.height = open + REVEAL_BLOCKS;
        let late = agreement_error(world.reveal(&holders[2], 0, digest));
        assert!(matches!(late, AgreementError::TooLateToReveal { .. }));
        let dapp = world.purse(&id("dapp.near"));
        world.call(closer, ZERO, |c| c.close(0)).unwrap();
        world.audit();
        world.deliver_transfers();
        world.audit();
        let returned = world.purse(&id("dapp.near")).saturating_sub(dapp);
        let paid = settled.held.saturating_sub(returned);
        assert_eq!(paid > ZERO, closer == "w0.near");
        assert_eq!(earned(&mut world, "w0.near") > before, closer == "w0.near");
        assert_eq!(lost(&mut world, &holders[2]), 1);
    }
}

#[test]
fn when_nobody_agrees_the_last_reveal_ends_the_request_and_everything_goes_back() {
    let mut world = world(3);
    let dapp = world.purse(&id("dapp.near"));
    let holders = ask(&mut world);
    let digests = ["x", "y", "z"].map(|text| Hash32::of(text.as_bytes()));
    for (holder, digest) in holders.iter().zip(digests) {
        world.commit(holder, 0, digest).unwrap();
    }
    for (holder, digest) in holders.iter().zip(digests) {
        world.reveal(holder, 0, digest).unwrap();
        world.audit();
    }
    let settled = world.settle(0);
    assert!(matches!(&settled.outcome, Outcome::Disputed { digests } if digests.len() == 3));
    assert_eq!((settled.fee, settled.held), (ZERO, ZERO));
    assert_eq!(world.purse(&id("dapp.near")), dapp);
    world.audit();
    assert_eq!(holders.iter().map(|holder| lost(&mut world, holder)).sum::<u64>(), 0);
}

#[test]
fn when_workers_stay_away_anyone_ends_the_request_long_before_its_deadline() {
    let mut world = world(3);
    let holders = ask(&mut world);
    world.commit(&holders[0], 0, Hash32::of(b"alone")).unwrap();
    let live = world.live(0);
    let over = live.agreement.as_ref().unwrap().reveal_from();
    assert!(over + 100 < live.terms.deadline, "{over} {}", live.terms.deadline);
    world.height = over - 1;
    let early = world.call("anyone.near", ZERO, |c| c.close(0));
    assert!(matches!(reason(early), Reason::NotHopeless { .. }));
    world.height = over;
    world.call("anyone.near", ZERO, |c| c.close(0)).unwrap();
    let settled = world.settle(0);
    assert_eq!(settled.outcome, Outcome::Disputed { digests: Vec::new() });
    assert_eq!(settled.fee, ZERO);
    world.audit();
}

#[test]
fn only_workers_that_were_active_before_the_request_are_drawn() {
    let mut world = world(3);
    // In the block of the request, puppets are registered, and one is allowed to work again.
    for n in 0..20 {
        world.owner(|c| c.register_worker(id(&format!("puppet{n}.near")), None));
    }
    world.owner(|c| c.suspend_worker(id("w0.near"), true));
    world.owner(|c| c.suspend_worker(id("w0.near"), false));
    let total = world.view(|c| c.estimate_cost(two_of_three())).unwrap().total;
    let error = world.call("dapp.near", total, |c| c.accept(&two_of_three())).unwrap_err();
    assert_eq!(error, ContractError::TooFewWorkers { found: 2, needed: 3 });
    world.audit();
    world.height += 1;
    let drawn = ask(&mut world);
    assert_eq!(drawn.len(), 3);
    world.audit();
}

#[test]
fn a_request_for_more_workers_than_are_active_is_refused() {
    let mut world = world(3);
    world.owner(|c| c.suspend_worker(id("w1.near"), true));
    let total = world.view(|c| c.estimate_cost(two_of_three())).unwrap().total;
    let error = world.call("dapp.near", total, |c| c.accept(&two_of_three())).unwrap_err();
    assert_eq!(error, ContractError::TooFewWorkers { found: 2, needed: 3 });
    assert!(world.live_requests().is_empty());
    let without_spare = ExecutionRequest { spares: 0, ..two_of_three() };
    world.request("dapp.near", &without_spare);
    world.audit();
}

#[test]
fn all_that_are_active_are_drawn_however_many_are_suspended_or_new() {
    let mut world = world(40);
    // Those that stay active are all over the list, and one comes back.
    for n in (0..40).filter(|n| n % 7 != 3) {
        world.owner(|c| c.suspend_worker(id(&format!("w{n}.near")), true));
        world.audit();
    }
    world.owner(|c| c.suspend_worker(id("w39.near"), false));
    world.owner(|c| c.remove_worker(id("w10.near")));
    world.owner(|c| c.remove_worker(id("w11.near")));
    world.audit();
    world.height += 1;
    let active = ["w17.near", "w24.near", "w3.near", "w31.near", "w38.near", "w39.near"];
    for request in 0..60 {
        world.owner(|c| c.register_worker(id(&format!("puppet{request}.near")), None));
        let request_id = world.request("dapp.near", &two_of_three());
        let drawn = world.live(request_id).agreement.unwrap().drawn;
        let drawn: std::collections::BTreeSet<_> = drawn.iter().map(|one| one.as_str()).collect();
        assert_eq!(drawn, active.into());
        world.owner(|c| c.remove_worker(id(&format!("puppet{request}.near"))));
        world.audit();
    }
}

/// The namespace's owner has a key changed when all seats have executed, and then cancels.
#[test]
fn who_changes_a_key_and_cancels_pays_both_rounds() {
    let mut world = world(3);
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    let set = |world: &mut World, value: &str| {
        let fee = world.view(|c| c.get_change_fee(id("dapp.near")));
        let value = value.into();
        world.call("dapp.near", fee, |c| c.storage_set("key".into(), value)).unwrap();
    };
    set(&mut world, "before");
    let mut request = two_of_three();
    request.limits = request.limits.with_storage(1, 0, 0);
    let request_id = world.request("dapp.near", &request);
    let agreement = world.live(request_id).agreement.unwrap();
    let mut truth = answer(request_id, "truth");
    truth.reads = vec![read("key", Some("before"))];
    world.agree(&truth);
    set(&mut world, "after");
    world.resolve(agreement.drawn[0].as_str(), &truth).unwrap();
    let round = world.live(request_id).agreement.unwrap();
    assert_eq!((round.round, round.voided.len()), (1, 3));
    world.audit();
    world.call("dapp.near", ZERO, |c| c.cancel_execution(request_id)).unwrap();
    let settled = world.settle(request_id);
    world.audit();
    let share = least_fee(&config().prices, &Asked::of(&config(), &request)).unwrap();
    assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, share.saturating_mul(3)));
    let net = share.saturating_sub(protocol_share(share, config().protocol_share_bps));
    for worker in &agreement.drawn[..3] {
        assert_eq!(earned(&mut world, worker.as_str()), net);
    }
}

#[test]
fn a_worker_that_was_suspended_may_still_reveal_what_it_has_committed_to() {
    let mut world = world(3);
    let holders = ask(&mut world);
    let truth = answer(0, "truth");
    let digest = world.digest(&truth);
    holders.iter().for_each(|holder| world.commit(holder, 0, digest).unwrap());
    world.owner(|c| c.suspend_worker(id(&holders[0]), true));
    world.reveal(&holders[0], 0, digest).unwrap();
    world.reveal(&holders[1], 0, digest).unwrap();
    let suspended = world.resolve(&holders[0], &truth).unwrap_err();
    assert!(matches!(suspended, ContractError::Suspended { .. }));
    world.resolve(&holders[1], &truth).unwrap();
    world.settle(0);
    assert!(earned(&mut world, &holders[0]) > ZERO);
    world.audit();
}

#[test]
fn what_cannot_be_agreed_on_within_the_window_is_refused() {
    let mut world = world(3);
    let mut request = two_of_three();
    request.limits.compute = outlayer_protocol::Compute::Fuel(6_000_000_000);
    let slow = world.view(|c| c.estimate_cost(request.clone())).unwrap_err();
    assert_eq!(slow.code(), outlayer_protocol::RefusalCode::RequestTooSlow);
    // One worker has time for it.
    request.approvals = 1;
    assert!(world.view(|c| c.estimate_cost(request)).is_ok());
}

#[test]
fn cancelling_pays_who_has_committed_and_counts_no_answer() {
    let mut world = world(3);
    let holders = ask(&mut world);
    world.commit(&holders[0], 0, Hash32::of(b"any")).unwrap();
    world.call("dapp.near", ZERO, |c| c.cancel_execution(0)).unwrap();
    let settled = world.settle(0);
    assert_eq!(settled.outcome, Outcome::Cancelled);
    assert!(settled.fee > ZERO);
    let worker = world.view(|c| c.get_worker(id(&holders[0]))).unwrap();
    assert_eq!((worker.settled, worker.lost), (0, 0));
    assert!(worker.earnings > ZERO);
    world.audit();
}

/// What junk is paid when it is cancelled comes from those who cancel.
#[test]
fn who_commits_junk_and_cancels_together_loses_the_protocols_share() {
    let mut world = world(3);
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    // The requester, the payer, and all workers are one.
    let request =
        ExecutionRequest { refund_to: Some(id("friend.near")), spares: 1, ..two_of_three() };
    let ours = |world: &mut World| {
        let purses = [world.purse(&id("dapp.near")), world.purse(&id("friend.near"))];
        let workers = ["w0.near", "w1.near", "w2.near"].map(|worker| earned(world, worker));
        purses.into_iter().chain(workers).fold(ZERO, NearToken::saturating_add)
    };
    let before = ours(&mut world);
    for committed in 0..=3u64 {
        let protocol = world.view(|c| c.get_funds()).protocol;
        let had = ours(&mut world);
        let request_id = world.request("dapp.near", &request);
        let holders = world.live(request_id).agreement.unwrap().drawn;
        for holder in holders.iter().take(usize::try_from(committed).unwrap()) {
            world.commit(holder.as_str(), request_id, Hash32::of(b"junk")).unwrap();
        }
        world.call("dapp.near", ZERO, |c| c.cancel_execution(request_id)).unwrap();
        let settled = world.settle(request_id);
        world.audit();
        let taken = world.view(|c| c.get_funds()).protocol.saturating_sub(protocol);
        let share = least_fee(&config().prices, &Asked::of(&config(), &request)).unwrap();
        assert_eq!(settled.fee, share.saturating_mul(committed.into()));
        assert_eq!(ours(&mut world), had.saturating_sub(taken), "{committed}");
        assert_eq!(taken > ZERO, committed > 0);
    }
    assert!(ours(&mut world) < before);
}

#[test]
fn a_salt_of_another_length_is_refused() {
    let mut world = world(3);
    ask(&mut world);
    let error =
        world.call("w0.near", ZERO, |c| c.reveal_execution(0, Hash32::of(b""), "short".into()));
    assert_eq!(error.unwrap_err(), ContractError::Salt { found: 5 });
}
