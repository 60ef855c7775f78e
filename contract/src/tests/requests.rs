//! The life of a request, and every way in which a call for it can be refused.

use std::collections::BTreeSet;

use near_sdk::{Gas, NearToken};
use outlayer_protocol::{
    Bytes, CancelBy, CodeRef, Compute, ExecutionResponse, GuestKind, Hash32, Outcome, RefusalCode,
    Settlement, Status,
    events::Event,
    index::{PendingEntry, PendingPage},
    limits::{Limit, Meter},
    machine::Reason,
    pricing::{Asked, PricingError, response_fee},
    request::ResponseFormat,
    validation::RequestError,
    views::RequestState,
};

use super::world::*;
use crate::{CodeError, ContractError, promises::CallbackArgs};

const W: &str = "worker.near";

fn world() -> World {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    world
}

#[test]
fn a_request_is_answered_settled_and_paid_for_to_the_yocto() {
    let mut world = world();
    let request = request("input");
    world.events.clear();
    let cost = world.cost("dapp.near", &request);
    let attached = cost.total.saturating_add(yocto(7));
    world.call("dapp.near", attached, |c| c.accept(&request)).unwrap();
    world.audit();
    let [Event::ExecutionRequested(event)] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!((event.request_id, event.deadline), (0, 1_200));
    assert_eq!(event.context.attached_deposit, attached);
    assert_eq!(event.context.random_seed, outlayer_protocol::random_seed(0, &[9; 32]));

    let response = answer(0, "output");
    let digest = world.digest(&response);
    world.resolve(W, &response).unwrap();
    world.audit();
    assert_eq!(
        world.purse(&id("dapp.near")),
        PURSE.saturating_sub(attached),
        "nothing moves before the callback"
    );

    let settlement = world.settle(0);
    world.audit();
    let fee = response_fee(&config().prices, &Asked::of(&config(), &request), &response).unwrap();
    let fee = fee.total();
    assert_eq!(
        settlement,
        Settlement {
            request_id: Some(0),
            outcome: Outcome::Completed { output: "output".into() },
            used: Compute::Fuel(1_000),
            fee,
            held: NearToken::ZERO,
            refund: attached.saturating_sub(fee),
            digest: Some(digest),
        }
    );
    assert_eq!(world.purse(&id("dapp.near")), PURSE.saturating_sub(fee));
    let funds = world.view(|c| c.get_funds());
    // The owner attached one yoctoNEAR when it registered the worker.
    let share = fee.saturating_div(10);
    assert_eq!(funds.protocol, share.saturating_add(yocto(1)));
    assert_eq!(funds.earnings, fee.saturating_sub(share));
    let worker = world.view(|c| c.get_worker(id(W))).unwrap();
    assert_eq!((worker.earnings, worker.settled), (funds.earnings, 1));
    assert_eq!(world.view(|c| c.get_request(0)), RequestState::Settled);
    assert_eq!(world.view(|c| c.get_request(1)), RequestState::NeverMade);
    let Some(Event::ExecutionCompleted(event)) = world.events.last() else {
        panic!("{:?}", world.events)
    };
    assert_eq!(event.digest, digest);
}

#[test]
fn nothing_is_left_of_ten_thousand_settled_requests_but_events_and_counters() {
    let mut world = world();
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    // In the first round the worker's counters begin to count.
    let round = |world: &mut World| {
        for ending in ["answered", "cancelled", "timed out", "swept"] {
            let request_id = world.request("dapp.near", &request(ending));
            let data_id = world.live(request_id).data_id.0;
            match ending {
                "answered" => {
                    let body = ExecutionResponse {
                        reads: vec![read("k", None)],
                        journal: vec![write("k", None)],
                        ..answer(request_id, "y")
                    };
                    world.resolve(W, &body).unwrap();
                }
                "cancelled" => {
                    let cancel = |c: &mut crate::Contract| c.cancel_execution(request_id);
                    world.call("dapp.near", NearToken::ZERO, cancel).unwrap();
                }
                _ => world.height += 400,
            }
            if ending == "swept" {
                world.lose(&data_id);
                world
                    .call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(request_id))
                    .unwrap();
                world.deliver_transfers();
            } else {
                world.settle(request_id);
            }
            world.events.clear();
        }
    };
    round(&mut world);
    let keys = |world: &World| world.storage.keys().cloned().collect::<BTreeSet<_>>();
    let (usage, before) = (world.usage, keys(&world));
    for _ in 1..2_500 {
        round(&mut world);
    }
    assert_eq!(world.view(|c| c.next_request_id), 10_000);
    assert_eq!((world.usage, keys(&world)), (usage, before));
    world.audit();
}

#[test]
fn nobody_answers_and_the_whole_deposit_comes_back() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    world.height = 1_201;
    let settlement = world.settle(0);
    assert_eq!((settlement.outcome, settlement.fee), (Outcome::TimedOut, NearToken::ZERO));
    assert_eq!(world.purse(&id("dapp.near")), PURSE);
    assert!(matches!(world.events.last(), Some(Event::ExecutionTimedOut(_))));
    world.audit();
}

#[test]
fn the_last_block_before_the_deadline_still_settles() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    world.height = 1_200;
    world.resolve(W, &answer(0, "in time")).unwrap();
    world.height = 1_201;
    assert_eq!(world.settle(0).outcome, Outcome::Completed { output: "in time".into() });
}

#[test]
fn an_answer_by_a_stranger_of_an_unknown_request_late_or_second_is_refused_and_changes_nothing() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    let before = world.storage.clone();
    let refused = |world: &mut World, by: &str, request_id| {
        let error = world.resolve(by, &answer(request_id, "x")).unwrap_err();
        world.audit();
        error
    };
    assert_eq!(
        refused(&mut world, "eve.near", 0),
        ContractError::NotAWorker { found: id("eve.near") }
    );
    assert_eq!(refused(&mut world, W, 9), ContractError::UnknownRequest { request_id: 9, next: 1 });
    world.height = 1_201;
    let expired = refusal(0, Reason::Expired { deadline: 1_200, height: 1_201 });
    assert_eq!(refused(&mut world, W, 0), expired);
    assert_eq!(world.storage, before);
    world.height = 1_100;
    world.resolve(W, &answer(0, "first")).unwrap();
    let staged = world.storage.clone();
    let second = refused(&mut world, W, 0);
    assert!(matches!(reason(Err::<(), _>(second)), Reason::AlreadyStaged { .. }));
    assert_eq!(world.storage, staged);
    assert_eq!(world.settle(0).outcome, Outcome::Completed { output: "first".into() });
    assert_eq!(refused(&mut world, W, 0), ContractError::Settled { request_id: 0 });
}

#[test]
fn a_yield_that_is_gone_refuses_the_answer_as_a_whole() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    let data_id = world.live(0).data_id.0;
    world.lose(&data_id);
    let before = world.storage.clone();
    assert_eq!(
        world.resolve(W, &answer(0, "x")).unwrap_err(),
        ContractError::YieldGone { request_id: 0 }
    );
    assert_eq!(world.storage, before);
    world.audit();
}

#[test]
fn a_suspended_worker_may_not_answer_but_what_it_has_staged_is_settled() {
    let mut world = world();
    world.request("dapp.near", &request("a"));
    world.request("dapp.near", &request("b"));
    world.resolve(W, &answer(0, "x")).unwrap();
    world.owner(|c| c.suspend_worker(id(W), true));
    assert_eq!(
        world.resolve(W, &answer(1, "x")).unwrap_err(),
        ContractError::Suspended { found: id(W) }
    );
    world.owner(|c| c.remove_worker(id(W)));
    let fee = world.settle(0).fee;
    world.audit();
    assert_eq!(world.view(|c| c.get_worker(id(W))), None);
    let paid = world.call(W, yocto(1), |c| c.withdraw_earnings()).unwrap();
    assert_eq!(paid, fee.saturating_sub(fee.saturating_div(10)));
}

#[test]
fn a_request_out_of_bounds_says_what_is_allowed() {
    let mut world = world();
    let mut big = request("input");
    big.limits.memory_bytes = u64::MAX;
    let error = world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&big)).unwrap_err();
    assert!(matches!(
        error,
        ContractError::Request(RequestError::AboveBound {
            which: Limit::MemoryBytes,
            found: u64::MAX,
            ..
        })
    ));
    assert_eq!(world.view(|c| c.estimate_cost(big)).unwrap_err(), error);
    assert_eq!(world.purse(&id("dapp.near")), PURSE);
    world.audit();
}

#[test]
fn one_yocto_too_little_is_refused_with_both_numbers() {
    let mut world = world();
    let request = request("input");
    let cost = world.cost("dapp.near", &request);
    let found = cost.total.saturating_sub(yocto(1));
    let error = world.call("dapp.near", found, |c| c.accept(&request)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&found.as_yoctonear().to_string()), "{text}");
    assert!(text.contains(&cost.total.as_yoctonear().to_string()), "{text}");
    world.call("dapp.near", cost.total, |c| c.accept(&request)).unwrap();
}

#[test]
fn an_estimate_is_enough_whoever_asks() {
    let mut world = world();
    let (longest, request) = (format!("{}.near", "d".repeat(59)), request("input"));
    let cost = world.view(|c| c.estimate_cost(request.clone())).unwrap();
    let exact = |world: &mut World, by: &str| world.cost(by, &request).total;
    let most = exact(&mut world, &longest);
    // The contract's own id is shorter than the longest.
    let spare = NearToken::from_yoctonear(51 * 10u128.pow(19));
    assert_eq!(cost.total, most.saturating_add(spare));
    assert!(exact(&mut world, "dapp.near") < most);
    world.call(&longest, most, |c| c.accept(&request)).unwrap();
    world.audit();
}

#[test]
fn a_request_that_could_cost_more_than_its_cap_is_refused_with_both_amounts() {
    let mut world = world();
    let mut request = request("input");
    let found = world.cost("dapp.near", &request).max_fee;
    let max = found.saturating_sub(yocto(1));
    request.max_fee = Some(max);
    let expected = ContractError::from(PricingError::AboveMaxFee { found, max });
    let error = world.call("dapp.near", PURSE, |c| c.accept(&request)).unwrap_err();
    assert_eq!(error, expected);
    assert_eq!(world.view(|c| c.estimate_cost(request.clone())).unwrap_err(), expected);
    assert_eq!(error.code(), RefusalCode::FeeAboveMax);
    assert_eq!(world.purse(&id("dapp.near")), PURSE);
    request.max_fee = Some(found);
    world.request("dapp.near", &request);
    world.audit();
}

#[test]
fn too_little_gas_is_explained_before_anything_happens() {
    let mut world = world();
    let mut request = request("input");
    let unknown = world.view(|c| c.estimate_gas(request.clone()));
    request.refund_to = Some(id("dapp.near"));
    let needed = world.view(|c| c.estimate_gas(request.clone()));
    assert!(needed < unknown, "a payer that is not known may have to be created");
    world.gas = needed.saturating_sub(Gas::from_gas(1));
    let error =
        world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&request)).unwrap_err();
    assert_eq!(error, ContractError::Gas { found: world.gas, needed });
    world.gas = needed;
    world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&request)).unwrap();
    let payer = id("dapp.near");
    assert_eq!(world.yields()[0].1.gas, crate::gas::settlement(&request, Some(&payer), false));
}

#[test]
fn code_without_an_address_must_be_published() {
    let mut world = world();
    let mut request = request("input");
    let hash = Hash32::of(b"code");
    request.code = CodeRef { hash, url: None }.into();
    let error =
        world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&request)).unwrap_err();
    assert_eq!(error, ContractError::Code { hash, error: CodeError::Unknown });
}

#[test]
fn a_pause_stops_new_requests_only() {
    let mut world = world();
    for text in ["answered", "cancelled", "lost"] {
        world.request("dapp.near", &request(text));
    }
    world.owner(|c| c.pause());
    let error = world
        .call("dapp.near", NearToken::from_near(5), |c| c.accept(&request("new")))
        .unwrap_err();
    assert_eq!(error, ContractError::Paused);
    world.resolve(W, &answer(0, "x")).unwrap();
    assert!(matches!(world.settle(0).outcome, Outcome::Completed { .. }));
    world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(1)).unwrap();
    assert_eq!(world.settle(1).outcome, Outcome::Cancelled);
    world.height = 1_400;
    world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(2)).unwrap();
    world.deliver_transfers();
    world.call(W, yocto(1), |c| c.withdraw_earnings()).unwrap();
    world.audit();
    world.owner(|c| c.unpause());
    world.request("dapp.near", &request("new"));
}

#[test]
fn the_requester_takes_a_request_back_until_it_is_answered() {
    let mut world = world();
    world.request("dapp.near", &request("a"));
    let eve = world.call("eve.near", NearToken::ZERO, |c| c.cancel_execution(0));
    assert!(matches!(reason(eve), Reason::NotTheRequester { .. }));
    world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(0)).unwrap();
    let late = world.resolve(W, &answer(0, "x")).unwrap_err();
    assert_eq!(late, refusal(0, Reason::AlreadyCancelled));
    assert_eq!(world.settle(0).outcome, Outcome::Cancelled);
    assert_eq!(world.purse(&id("dapp.near")), PURSE);

    world.request("dapp.near", &request("b"));
    world.resolve(W, &answer(1, "x")).unwrap();
    let late = world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(1));
    assert!(matches!(reason(late), Reason::AlreadyStaged { .. }));
    let unknown = world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(5)).unwrap_err();
    assert_eq!(unknown, ContractError::UnknownRequest { request_id: 5, next: 2 });
    world.audit();
}

#[test]
fn refunds_go_where_the_request_says() {
    let mut world = world();
    let mut request = request("a");
    request.refund_to = Some(id("treasury.near"));
    request.cancel_by = CancelBy::Payer;
    world.request("dapp.near", &request);
    world.call("treasury.near", NearToken::ZERO, |c| c.cancel_execution(0)).unwrap();
    let refund = world.settle(0).refund;
    assert_eq!(world.purse(&id("treasury.near")), PURSE.saturating_add(refund));
    assert_eq!(world.purse(&id("dapp.near")), PURSE.saturating_sub(refund));
}

#[test]
fn a_refund_does_not_go_to_the_contract_itself() {
    let mut world = world();
    let mut request = request("a");
    request.refund_to = Some(id(CONTRACT));
    let refused = world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&request));
    assert_eq!(refused, Err(ContractError::RefundToContract { found: id(CONTRACT) }));
    world.audit();
}

#[test]
fn what_a_failed_callback_left_anyone_sweeps_once() {
    let mut world = world();
    world.request("dapp.near", &request("a"));
    world.resolve(W, &answer(0, "x")).unwrap();
    let data_id = world.live(0).data_id.0;
    world.lose(&data_id);
    world.height = 1_399;
    let early = world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(0)).unwrap_err();
    assert_eq!(early, refusal(0, Reason::TooEarlyToSweep { from: 1_400, height: 1_399 }));
    world.height = 1_400;
    let settlement = world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(0)).unwrap();
    assert_eq!(settlement.outcome, Outcome::TimedOut);
    world.deliver_transfers();
    assert_eq!(world.purse(&id("dapp.near")), PURSE);
    world.audit();
    let again = world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(0)).unwrap_err();
    assert_eq!(again, ContractError::Settled { request_id: 0 });
}

#[test]
fn a_callback_after_a_sweep_moves_no_money_and_says_timed_out_in_the_callers_format() {
    let mut world = world();
    let mut request = request("a");
    request.response_format = ResponseFormat::Borsh;
    world.request("dapp.near", &request);
    let data_id = world.live(0).data_id.0;
    world.height = 1_400;
    world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(0)).unwrap();
    world.deliver_transfers();
    let balance = world.balance;
    assert_eq!(world.deliver(&data_id), Settlement::gone(0, Meter::Fuel));
    assert_eq!((world.balance, world.transfers.len()), (balance, 0));
    world.audit();
}

/// Some networks let a timeout overtake a resume, others do not.
#[test]
fn a_race_of_resume_and_timeout_settles_once_in_either_order() {
    for overtaken in [false, true] {
        let mut world = world();
        world.deposit_storage("dapp.near", NearToken::from_near(1));
        let request_id = world.request("dapp.near", &request("a"));
        let data_id = world.live(request_id).data_id.0;
        let before = world.purse(&id("dapp.near"));
        let body = ExecutionResponse {
            reads: vec![read("k", None)],
            journal: vec![write("k", Some("v"))],
            ..answer(request_id, "x")
        };
        world.height = 1_200;
        world.resolve(W, &body).unwrap();
        world.height = 1_201;
        let settled = if overtaken { world.time_out(&data_id) } else { world.deliver(&data_id) };
        world.deliver_transfers();
        world.audit();
        let deposit = world.events.iter().find_map(|event| match event {
            Event::ExecutionRequested(event) => Some(event.context.attached_deposit),
            _ => None,
        });
        let (deposit, value) =
            (deposit.unwrap(), world.view(|c| c.storage_get(id("dapp.near"), "k".into())));
        if overtaken {
            assert_eq!((settled.outcome, settled.refund), (Outcome::TimedOut, deposit));
            assert_eq!(value, None);
        } else {
            assert!(matches!(settled.outcome, Outcome::Completed { .. }));
            assert_eq!(value, Some("v".into()));
        }
        assert_eq!(world.purse(&id("dapp.near")), before.saturating_add(settled.refund));
        // Whatever comes second is too late: an answer, a cancellation, a sweep, or another
        // callback.
        let gone = ContractError::Settled { request_id };
        assert_eq!(world.resolve(W, &body).unwrap_err(), gone);
        world.height = 2_000;
        let swept = world.call("anyone.near", NearToken::ZERO, |c| c.sweep_expired(request_id));
        assert_eq!(swept.unwrap_err(), gone);
        let cancelled =
            world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(request_id));
        assert_eq!(cancelled.unwrap_err(), gone);
        let args =
            CallbackArgs { request_id, response_format: ResponseFormat::Json, meter: Meter::Fuel };
        let balance = world.balance;
        let second: Settlement = serde_json::from_slice(&world.call_back(&args, None)).unwrap();
        assert_eq!(second, Settlement::gone(request_id, Meter::Fuel));
        assert_eq!((world.balance, world.transfers.len()), (balance, 0));
        world.audit();
    }
}

#[test]
fn only_the_contract_calls_its_callback() {
    let mut world = world();
    world.request("dapp.near", &request("a"));
    let args =
        CallbackArgs { request_id: 0, response_format: ResponseFormat::Json, meter: Meter::Fuel };
    let error = world.call("eve.near", NearToken::ZERO, |c| c.settle(&args)).unwrap_err();
    assert_eq!(error, ContractError::Private { found: id("eve.near"), expected: id(CONTRACT) });
}

#[test]
fn the_index_pages_and_shows_what_is_left_when_requests_end() {
    let mut world = world();
    for n in 0..5 {
        world.request("dapp.near", &request(&n.to_string()));
    }
    let ids = |world: &mut World, from, limit| {
        let page = world.view(|c| c.list_pending(from, limit));
        (page.entries.into_iter().map(|one| one.request_id).collect::<Vec<_>>(), page.next_id)
    };
    assert_eq!(ids(&mut world, 0, 2), (vec![0, 1], Some(2)));
    assert_eq!(ids(&mut world, 3, 100), (vec![3, 4], None));
    assert_eq!(ids(&mut world, 5, 1), (vec![], None));
    assert_eq!(ids(&mut world, u64::MAX, u64::MAX), (vec![], None));
    assert_eq!(ids(&mut world, 0, 0), (vec![], Some(0)));
    for (settled, rest) in
        [(1, vec![0, 2, 3, 4]), (3, vec![0, 2, 4]), (0, vec![2, 4]), (4, vec![2]), (2, vec![])]
    {
        world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(settled)).unwrap();
        world.settle(settled);
        world.audit();
        assert_eq!(ids(&mut world, 0, 10), (rest, None));
    }
    // Nothing is looked at when nothing lives.
    assert_eq!(ids(&mut world, 0, 0), (vec![], None));
}

#[test]
fn the_index_says_what_a_worker_must_know_before_it_loads_a_request() {
    let mut world = world();
    let mut other = request("b");
    other.refund_to = Some(id("payer.near"));
    other.kind = Some(GuestKind::WasiP1);
    other.limits.compute = Compute::Gas(5_000_000_000_000);
    for request in [request("a"), other] {
        world.request("dapp.near", &request);
    }
    let entries = world.view(|c| c.list_pending(0, 9)).entries;
    let terms = world.live(1).terms;
    assert_eq!(
        entries[1],
        PendingEntry {
            request_id: 1,
            block_height: 1_000,
            deadline: 1_200,
            engine_version: terms.engine_version,
            near_config_version: terms.near_config_version,
            approvals: 1,
            published_code: false,
            kind: Some(GuestKind::WasiP1),
            compute: Compute::Gas(5_000_000_000_000),
            payer: id("payer.near"),
            claims: None,
            recipients: Vec::new(),
        }
    );
    let page = world.view(|c| outlayer_codec::to_vec(&c.page_pending(0, 9)));
    let expected = PendingPage { entries, next_id: None };
    assert_eq!(borsh::from_slice::<PendingPage>(&page).unwrap(), expected);
}

#[test]
fn a_guests_fault_settles_and_costs_what_it_burned() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    let mut body = answer(0, "");
    body.status = Status::Trapped { reason: "unreachable".to_owned() };
    body.output = Bytes::default();
    body.used = Compute::Fuel(5_000);
    world.resolve(W, &body).unwrap();
    let settlement = world.settle(0);
    assert_eq!(settlement.outcome, Outcome::Trapped { reason: "unreachable".to_owned() });
    let asked = Asked::of(&config(), &request("input"));
    let fee = response_fee(&config().prices, &asked, &body).unwrap();
    assert_eq!(settlement.fee, fee.total());
    world.audit();
}

#[test]
fn a_body_that_no_execution_gives_is_refused() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    let changes: [fn(&mut ExecutionResponse); 7] = [
        |body| body.used = Compute::Fuel(u64::MAX),
        |body| body.used = Compute::Gas(1),
        |body| body.output = vec![0; 5_000].into(),
        |body| body.reads = vec![read("b", None), read("a", None)],
        |body| body.journal = vec![write(&"k".repeat(3_000), Some("v"))],
        |body| body.reads = vec![read(&"k".repeat(3_000), None)],
        |body| body.status = Status::OutOfGas,
    ];
    for change in changes {
        let mut body = answer(0, "x");
        change(&mut body);
        let reason = reason(world.resolve(W, &body));
        assert!(matches!(reason, Reason::Response(_)), "{reason}");
        world.audit();
    }
}

#[test]
fn the_largest_events_fit_into_what_a_receipt_may_log() {
    const MOST: usize = 16_384;
    let mut config = config();
    config.bounds.url_bytes = 2_048;
    config.bounds.approvals = 16;
    let mut world = World::with(config);
    let longest = |name: &str| format!("{name}{}.near", "x".repeat(59 - name.len()));
    let mut request = request("");
    // JSON escapes each of these characters to six bytes.
    request.code = code_at(format!("https://{}", "\u{1}".repeat(2_040)));
    (request.approvals, request.spares) = (9, 7);
    request.refund_to = Some(id(&longest("payer")));
    let workers: Vec<_> = (0..32).map(|n| longest(&format!("worker{n}-"))).collect();
    world.register(&workers.iter().map(String::as_str).collect::<Vec<_>>());
    let request_id = world.request(&longest("dapp"), &request);
    let logged = |world: &World| world.logs.iter().map(String::len).sum::<usize>();
    let live = world.live(request_id);
    let requested = Event::ExecutionRequested(Box::new((&live).into())).to_log();
    assert!((12_240..=MOST).contains(&requested.len()), "{}", requested.len());

    let body = answer(request_id, "truth");
    world.agree(&body);
    world.resolve(&longest("worker0-"), &body).unwrap();
    let data_id = world.live(request_id).data_id.0;
    world.deliver(&data_id);
    let completed = logged(&world);
    assert!((16 * 64..=MOST).contains(&completed), "{completed}");
    world.deliver_transfers();
    world.audit();
}
