//! Requests that were live in layout 2 when the code was upgraded: `layouts/2.txt` has one whose
//! answer is staged, and one of whose answer a part has come.

use std::collections::HashMap;

use near_sdk::{Gas, NearToken};
use outlayer_protocol::{
    Compute, Hash32, Meter, NearToken as Amount, Outcome, ResponseFormat, ResumePayload,
    agreement::Stage,
    index::PendingEntry,
    machine::{Body, Delivery, Effect, Input, LiveRequest, Phase, Step},
    storage::{StorageCheck, journal_bytes},
    upload::MIN_PART_BYTES,
};

use super::{
    layout,
    node::{YIELDS, Yield},
    world::*,
};
use crate::{
    migration::requests::{Former, FormerPhase},
    promises::CallbackArgs,
    store::Prefix,
};

const ZERO: NearToken = NearToken::ZERO;
const WORKER: &str = "worker.near";
const STAGED: u64 = 1;
const SENDING: u64 = 2;

fn former(world: &World, request_id: u64) -> Former {
    let name = request_id.to_be_bytes();
    let (_, bytes) = world.entries(Prefix::FormerRequest).find(|(key, _)| *key == name).unwrap();
    outlayer_codec::from_slice(bytes).unwrap()
}

/// What an answer costs by the rules of layout 2.
fn former_fee(old: &Former, used: u64, output: usize, journal: u64) -> NearToken {
    let prices = &old.terms.prices;
    let bytes = u128::from(old.input_bytes) + output as u128 + u128::from(journal);
    let compute = prices.per_fuel.saturating_mul(used.into());
    prices.base_fee.saturating_add(compute).saturating_add(prices.per_byte.saturating_mul(bytes))
}

/// The base fee does not divide evenly by the bytes of code whose price it becomes.
fn is_close(found: NearToken, expected: NearToken) -> bool {
    let less = expected.as_yoctonear().checked_sub(found.as_yoctonear());
    less.is_some_and(|less| less < 1 << 23)
}

fn world() -> World {
    let mut world = layout::migrated_with_live_requests();
    // The node keeps the yields of both.
    for request_id in [STAGED, SENDING] {
        let live = world.live(request_id);
        let callback =
            CallbackArgs { request_id, response_format: ResponseFormat::Json, meter: Meter::Fuel };
        let payload = match live.phase {
            Phase::Staged { digest, .. } => Some(ResumePayload::Digest(digest).encode().to_vec()),
            _ => None,
        };
        let arguments = serde_json::to_vec(&callback).unwrap();
        let open = Yield { arguments, gas: Gas::from_tgas(30), payload };
        YIELDS.with_borrow_mut(|yields| yields.open.insert(live.data_id.0, open));
    }
    world
}

#[test]
fn the_index_shows_former_requests_as_it_shows_others() {
    let mut world = world();
    world.owner(|c| c.set_config(config()));
    let new = world.request("dapp.near", &request("new"));
    let listed = world.view(|c| c.list_pending(0, 9)).entries;
    let entries: Vec<_> =
        [STAGED, SENDING, new].map(|id| PendingEntry::from(&world.live(id))).to_vec();
    assert_eq!(listed, entries);
    world.settle(STAGED);
    world.audit();
    let left = world.view(|c| c.list_pending(0, 9)).entries;
    assert_eq!(left, entries[1..]);
}

#[test]
fn an_answer_that_was_staged_before_the_upgrade_settles_for_the_former_fee() {
    let mut world = world();
    let old = former(&world, STAGED);
    let used = 9;
    let expected = former_fee(&old, used, 1, "key".len() as u64);
    let before = world.purse(&id("dapp.near"));
    let settled = world.settle(STAGED);
    world.audit();
    assert_eq!(settled.outcome, Outcome::Completed { output: "x".into() });
    assert!(is_close(settled.fee, expected), "{} {expected}", settled.fee);
    assert_eq!(settled.fee.saturating_add(settled.refund), old.context.attached_deposit);
    let returned = world.purse(&id("dapp.near")).saturating_sub(before);
    assert_eq!(returned, settled.refund);
    assert_eq!(world.namespace(&id("dapp.near")), [].into(), "the journal is applied");
    assert_eq!(world.entries(Prefix::Lock).count(), 0);
}

#[test]
fn a_request_that_waited_is_answered_by_the_rules_of_the_new_code() {
    let mut world = world();
    world.settle(STAGED);
    let old = former(&world, SENDING);
    world.height = old.context.block_height + 100;
    let body = answer(SENDING, &"o".repeat(300_000));
    let body = outlayer_protocol::ExecutionResponse { used: Compute::Fuel(9), ..body };
    let (digest, part) = (world.digest(&body), MIN_PART_BYTES as usize);
    world.send(WORKER, digest, &body, 0..part).unwrap();
    world.audit();
    // The record has the new form now.
    assert_eq!(world.entries(Prefix::FormerRequest).count(), 0);
    world.send(WORKER, digest, &body, part..2 * part).unwrap();
    world.audit();
    let settled = world.settle(SENDING);
    world.audit();
    let expected = former_fee(&old, 9, body.output.len(), journal_bytes(&body.journal));
    assert!(is_close(settled.fee, expected), "{} {expected}", settled.fee);
    assert_eq!(settled.fee.saturating_add(settled.refund), old.context.attached_deposit);
    assert!(world.live_requests().is_empty());
}

#[test]
fn former_requests_are_cancelled_swept_and_time_out() {
    for ending in 0..3 {
        let mut world = world();
        let old = former(&world, SENDING);
        world.height = old.context.block_height + 1;
        let settled = match ending {
            0 => {
                world.call("dapp.near", ZERO, |c| c.cancel_execution(SENDING)).unwrap();
                world.audit();
                world.settle(SENDING)
            }
            1 => {
                world.height = old.terms.deadline + 1;
                world.settle(SENDING)
            }
            _ => {
                world.height = old.terms.sweep_from;
                let swept = world.call("anyone.near", ZERO, |c| c.sweep_expired(SENDING)).unwrap();
                world.deliver_transfers();
                swept
            }
        };
        world.audit();
        assert_eq!((settled.fee, settled.refund), (ZERO, old.context.attached_deposit));
        assert_eq!(world.live_requests().keys().copied().collect::<Vec<_>>(), [STAGED]);
    }
}

/// A request of layout 2 for two approvals.
fn several(phase: FormerPhase) -> LiveRequest {
    let world = layout::migrated_with_live_requests();
    Former { approvals: 2, upload: None, phase, ..former(&world, SENDING) }.into()
}

fn total(effects: &[Effect<'_>]) -> u128 {
    let amount = |effect: &Effect<'_>| match effect {
        Effect::PayWorker(_, _, amount)
        | Effect::PayProtocol(_, amount)
        | Effect::Refund(_, _, amount) => amount.as_yoctonear(),
        _ => 0,
    };
    effects.iter().map(amount).sum()
}

#[test]
fn what_several_workers_had_agreed_on_is_settled_and_shared() {
    let world = layout::migrated_with_live_requests();
    let (old, digest) = (former(&world, SENDING), Hash32::of(b"digest"));
    let winners = ["a.near", "b.near"].map(id).to_vec();
    let output_hash = Hash32::of(b"x");
    let phase = FormerPhase::Staged {
        digest,
        worker_id: id("a.near"),
        winners: winners.clone(),
        output_hash,
    };
    let request = several(phase);
    let mut body = answer(SENDING, "x");
    body.used = Compute::Fuel(8);
    let delivery = Delivery::Resumed {
        payload: ResumePayload::Digest(digest).encode().to_vec(),
        staged: Some((Body::of(&body).response, StorageCheck::Fits)),
    };
    let height = old.context.block_height + 3;
    let Ok(Step::Settled(settled, effects)) = request.step(Input::Deliver { delivery, height })
    else {
        panic!()
    };
    let expected = former_fee(&old, 8, 1, 0);
    assert!(is_close(settled.fee, expected), "{} {expected}", settled.fee);
    assert_eq!(settled.held, ZERO);
    assert_eq!(total(&effects), old.context.attached_deposit.as_yoctonear());
    let mut earned: HashMap<String, Amount> = HashMap::new();
    for effect in &effects {
        if let Effect::PayWorker(_, worker_id, amount) = effect {
            let sum = earned.entry(worker_id.to_string()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    // The one that sent the body has the price of the bytes as well.
    assert!(earned["a.near"] >= earned["b.near"] && earned["b.near"] > ZERO);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::CountLoss(_))));
}

#[test]
fn what_several_workers_had_not_agreed_on_is_closed_and_refunded() {
    let request = several(FormerPhase::Pending);
    let height = request.context.block_height + 3;
    assert_eq!(request.agreement.as_ref().unwrap().stage(height), Stage::Revealing);
    let worker = id(WORKER);
    let close = Input::Close { closer: Some(&worker), height };
    let Ok(Step::Live(disputing, _)) = request.step(close) else { panic!() };
    let payload = ResumePayload::Dispute.encode().to_vec();
    let delivery = Delivery::Resumed { payload, staged: None };
    let deposit = disputing.deposit();
    let Ok(Step::Settled(settled, effects)) = disputing.step(Input::Deliver { delivery, height })
    else {
        panic!()
    };
    assert_eq!(settled.outcome, Outcome::Disputed { digests: Vec::new() });
    assert_eq!((settled.fee, settled.refund), (ZERO, deposit));
    assert_eq!(total(&effects), deposit.as_yoctonear());
}
