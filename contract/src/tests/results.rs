//! Results that are kept: who sees them, for how long, and where every yocto is meanwhile.

use near_sdk::{NearToken, env};
use outlayer_protocol::{
    ExecutionRequest, ExecutionResponse, Hash32, KeptResult, Outcome, RequestId, Settlement,
    Status, Supported,
    kept_result::{MAX_KEEP_RESULT_BLOCKS, MAX_KEPT_OUTPUT_BYTES},
    limits::Limit,
    reserve::kept_result_bytes,
    validation::RequestError,
    views::RequestState,
};

use super::world::*;
use crate::{ContractError, stake};

const W: &str = "worker.near";
const ZERO: NearToken = NearToken::ZERO;

fn world() -> World {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    world
}

/// The longest account id.
fn longest() -> String {
    format!("{}.near", "x".repeat(59))
}

fn kept(blocks: u32) -> ExecutionRequest {
    let mut asked = request("input");
    asked.keep_result_blocks = blocks;
    asked.refund_to = Some(id(&longest()));
    asked.limits.output_bytes = 2 * MAX_KEPT_OUTPUT_BYTES;
    asked
}

fn remove(world: &mut World, request_id: RequestId) -> Result<(), ContractError> {
    world.call("anyone.near", ZERO, |c| c.remove_result(request_id))
}

/// Settles a request with `body`, or without one by its timeout.
fn settle(world: &mut World, request_id: RequestId, body: Option<ExecutionResponse>) -> Settlement {
    match body {
        Some(body) => {
            world.resolve(W, &ExecutionResponse { request_id, ..body }).unwrap();
        }
        None => world.height += 201,
    }
    world.settle(request_id)
}

#[test]
fn a_result_is_kept_as_long_as_was_asked_and_then_its_reserve_comes_back() {
    let long = "o".repeat(MAX_KEPT_OUTPUT_BYTES as usize + 1);
    let trapped = Status::Trapped { reason: "r".repeat(256) };
    for (body, is_whole) in [
        (Some(answer(0, "short")), true),
        (Some(answer(0, &long)), false),
        (Some(answer(0, &long[1..])), true),
        (Some(ExecutionResponse { status: trapped, ..answer(0, "") }), true),
        (None, true),
    ] {
        let mut world = world();
        let (usage, asked) = (world.usage, kept(50));
        let cost = world.cost("dapp.near", &asked);
        let request_id = world.request("dapp.near", &asked);
        world.audit();
        assert!(matches!(world.view(|c| c.get_request(request_id)), RequestState::Live(_)));
        assert_eq!(world.view(|c| c.get_result(request_id)), None);

        let settlement = settle(&mut world, request_id, body.clone());
        world.audit();
        let Settlement { fee, refund, held, .. } = settlement;
        assert_eq!(fee.saturating_add(refund).saturating_add(held), cost.total);
        assert_eq!(held, cost.result_reserve);
        let bounced = stake::ledger_entry_cost();
        assert!(refund >= bounced && held >= bounced, "what bounces can be claimed");
        assert_eq!(world.purse(&id(&longest())), PURSE.saturating_add(refund));
        let funds = world.view(|c| c.get_funds());
        assert_eq!((funds.deposits, funds.results), (ZERO, held));
        assert_eq!(world.view(|c| c.get_request(request_id)), RequestState::Settled);

        let mut expected = settlement;
        if let Outcome::Completed { output } = &mut expected.outcome {
            output.0.truncate(MAX_KEPT_OUTPUT_BYTES as usize);
        }
        let result = world.view(|c| c.get_result(request_id)).unwrap();
        assert_eq!(
            result,
            KeptResult {
                settlement: expected,
                output_hash: body.map(|body| Hash32::of(&body.output)),
                output_is_whole: is_whole,
                payer: id(&longest()),
                settled_at: world.height,
                kept_until: world.height + 50,
                held,
            }
        );

        world.height += 50;
        let (height, until) = (world.height, world.height);
        let early = ContractError::ResultStillKept { request_id, height, until };
        assert_eq!(remove(&mut world, request_id), Err(early));
        world.height += 1;
        remove(&mut world, request_id).unwrap();
        world.deliver_transfers();
        world.audit();
        let back = PURSE.saturating_add(refund).saturating_add(held);
        assert_eq!(world.purse(&id(&longest())), back);
        assert_eq!(world.view(|c| c.get_funds()).results, ZERO);
        assert_eq!(
            remove(&mut world, request_id),
            Err(ContractError::ResultNotKept { request_id })
        );
        assert_eq!(world.view(|c| c.get_result(request_id)), None);
        world.owner(|c| c.withdraw_protocol_share().map(drop).or(Ok(())));
        let _ = world.call(W, yocto(1), |c| c.withdraw_earnings());
        assert_eq!(world.usage, usage, "no byte is left");
    }
}

#[test]
fn a_request_that_asks_for_nothing_has_nothing_kept_or_held() {
    let mut world = world();
    let request_id = world.request("dapp.near", &kept(0));
    let settlement = settle(&mut world, request_id, Some(answer(0, "x")));
    assert_eq!(settlement.held, ZERO);
    assert_eq!(world.view(|c| c.get_result(request_id)), None);
    assert_eq!(world.view(|c| c.get_funds()).results, ZERO);
    world.audit();
}

#[test]
fn a_result_is_kept_of_a_request_that_was_cancelled_and_of_one_that_was_swept() {
    let mut world = world();
    let cancelled = world.request("dapp.near", &kept(5));
    let swept = world.request("dapp.near", &kept(5));
    world.call("dapp.near", ZERO, |c| c.cancel_execution(cancelled)).unwrap();
    assert_eq!(world.settle(cancelled).outcome, Outcome::Cancelled);
    world.audit();
    let live = world.live(swept);
    world.lose(&live.data_id.0);
    world.height = live.terms.sweep_from;
    let settlement = world.call("anyone.near", ZERO, |c| c.sweep_expired(swept)).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(settlement.outcome, Outcome::TimedOut);
    for (request_id, outcome) in [(cancelled, Outcome::Cancelled), (swept, Outcome::TimedOut)] {
        let result = world.view(|c| c.get_result(request_id)).unwrap();
        assert_eq!((result.settlement.outcome, result.output_hash), (outcome, None));
        assert!(result.settlement.held > ZERO);
    }
}

#[test]
fn a_reserve_whose_payer_is_gone_can_be_claimed() {
    let mut world = world();
    let request_id = world.request("dapp.near", &kept(5));
    let settlement = settle(&mut world, request_id, Some(answer(0, "x")));
    world.deleted.insert(id(&longest()));
    world.height += 6;
    remove(&mut world, request_id).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.view(|c| c.get_claimable(id(&longest()))), settlement.held);
}

#[test]
fn results_are_kept_no_longer_than_the_bound() {
    let mut world = world();
    let most = kept(MAX_KEEP_RESULT_BLOCKS);
    world.view(|c| c.estimate_cost(most.clone())).unwrap();
    let longer = kept(MAX_KEEP_RESULT_BLOCKS + 1);
    let error = world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&longer));
    let expected = RequestError::AboveBound {
        which: Limit::KeepResultBlocks,
        found: u64::from(MAX_KEEP_RESULT_BLOCKS) + 1,
        max: MAX_KEEP_RESULT_BLOCKS.into(),
    };
    assert_eq!(error, Err(ContractError::Request(expected)));
}

/// What is held pays for the longest result of any outcome, and the reserve of the request contains
/// it.
#[test]
fn what_is_held_pays_for_the_longest_result() {
    let most = yocto(u128::MAX);
    let mut asked = kept(1);
    asked.limits.output_bytes = 10_000;
    for approvals in [1, 3, 16] {
        asked.approvals = approvals;
        let supported = |n| Supported { digest: Hash32([n; 32]), workers: vec![id(&longest())] };
        for outcome in [
            Outcome::Completed { output: vec![0; MAX_KEPT_OUTPUT_BYTES as usize].into() },
            Outcome::Trapped { reason: "r".repeat(256) },
            Outcome::Disputed { digests: (0..asked.seats()).map(supported).collect() },
        ] {
            let settlement = Settlement {
                request_id: Some(u64::MAX),
                outcome,
                used: outlayer_protocol::Compute::Fuel(u64::MAX),
                fee: most,
                refund: most,
                held: most,
                digest: Some(Hash32([1; 32])),
            };
            let result = KeptResult {
                settlement,
                output_hash: Some(Hash32([2; 32])),
                output_is_whole: false,
                payer: id(&longest()),
                settled_at: u64::MAX,
                kept_until: u64::MAX,
                held: most,
            };
            let bytes = 40 + 1 + 8 + outlayer_codec::to_vec(&result).len() as u64;
            let reserved = kept_result_bytes(&asked);
            assert!(bytes <= reserved, "{bytes} of {reserved}: {result:?}");
        }
    }
    let mut world = world();
    asked.approvals = 1;
    let cost = world.view(|c| c.estimate_cost(asked.clone())).unwrap();
    let bytes = kept_result_bytes(&asked);
    assert_eq!(cost.result_reserve, env::storage_byte_cost().saturating_mul(bytes.into()));
    assert!(cost.result_reserve < cost.storage_reserve);
    asked.keep_result_blocks = 0;
    let without = world.view(|c| c.estimate_cost(asked.clone())).unwrap();
    assert_eq!((without.result_reserve, without.total), (ZERO, cost.total));
}
