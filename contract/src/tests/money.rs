//! Payments out, payments that bounce, and the arithmetic of the pots.

use near_sdk::NearToken;
use outlayer_protocol::Outcome;

use super::world::*;
use crate::{Contract, ContractError, Funds, MoneyError, Pot};

const W: &str = "worker.near";

#[test]
fn a_refund_that_bounces_becomes_claimable_and_is_claimed_once() {
    let mut world = World::new();
    let mut request = request("a");
    request.refund_to = Some(id("gone.near"));
    let request_id = world.request("dapp.near", &request);
    world.deleted.insert(id("gone.near"));
    world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(request_id)).unwrap();
    let refund = world.settle(request_id).refund;
    world.audit();
    assert_eq!(world.view(|c| c.get_claimable(id("gone.near"))), refund);

    // The account does not exist when it claims, so the payment bounces again. Then it does.
    assert_eq!(world.call("gone.near", yocto(1), |c| c.claim()), Ok(refund));
    world.deliver_transfers();
    // The yoctoNEAR that was attached went with it.
    let refund = refund.saturating_add(yocto(1));
    assert_eq!(world.view(|c| c.get_claimable(id("gone.near"))), refund);
    world.deleted.clear();
    assert_eq!(world.call("gone.near", yocto(1), |c| c.claim()), Ok(refund));
    world.deliver_transfers();
    let expected = PURSE.saturating_add(refund).saturating_sub(yocto(1));
    assert_eq!(world.purse(&id("gone.near")), expected);
    let error = world.call("gone.near", yocto(1), |c| c.claim()).unwrap_err();
    assert_eq!(error, ContractError::NothingDue { account_id: id("gone.near") });
    world.audit();
}

#[test]
fn bounced_payments_add_up() {
    let mut world = World::new();
    world.deleted.insert(id("dapp.near"));
    let mut due = NearToken::ZERO;
    for _ in 0..2 {
        let request_id = world.request("dapp.near", &request("a"));
        world.height += 201;
        let settlement = world.settle(request_id);
        assert_eq!(settlement.outcome, Outcome::TimedOut);
        due = due.saturating_add(settlement.refund);
        world.audit();
    }
    assert_eq!(world.view(|c| c.get_claimable(id("dapp.near"))), due);
}

#[test]
fn only_the_contract_says_that_a_payment_bounced() {
    let mut world = World::new();
    let error = world
        .call("eve.near", NearToken::ZERO, |_| Contract::on_refund(id("eve.near"), PURSE))
        .unwrap_err();
    assert_eq!(error, ContractError::Private { found: id("eve.near"), expected: id(CONTRACT) });
}

#[test]
fn earnings_and_the_protocols_share_are_paid_out_once() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    let request_id = world.request("dapp.near", &request("a"));
    world.resolve(W, &answer(request_id, "x")).unwrap();
    let fee = world.settle(request_id).fee;
    let share = fee.saturating_div(10);
    // What the owner had to attach to register the worker is part of the protocol's share.
    let owners = share.saturating_add(yocto(1));
    let earned = world.call(W, yocto(1), |c| c.withdraw_earnings()).unwrap();
    assert_eq!(earned, fee.saturating_sub(share));
    let error = world.call(W, yocto(1), |c| c.withdraw_earnings()).unwrap_err();
    assert_eq!(error, ContractError::NothingDue { account_id: id(W) });

    let error = world.call(W, yocto(1), |c| c.withdraw_protocol_share()).unwrap_err();
    assert_eq!(error, ContractError::NotTheOwner { found: id(W), expected: id(OWNER) });
    assert_eq!(world.owner(|c| c.withdraw_protocol_share()), owners);
    let error = world.call(OWNER, yocto(1), |c| c.withdraw_protocol_share()).unwrap_err();
    assert_eq!(error, ContractError::NothingDue { account_id: id(OWNER) });
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(W)), PURSE.saturating_add(earned));
    assert_eq!(world.purse(&id(OWNER)), PURSE.saturating_add(share));
}

#[test]
fn earnings_that_bounce_are_claimable() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    let request_id = world.request("dapp.near", &request("a"));
    world.resolve(W, &answer(request_id, "x")).unwrap();
    world.settle(request_id);
    world.deleted.insert(id(W));
    let earned = world.call(W, yocto(1), |c| c.withdraw_earnings()).unwrap();
    world.deliver_transfers();
    assert_eq!(world.view(|c| c.get_claimable(id(W))), earned.saturating_add(yocto(1)));
    world.audit();
}

#[test]
fn pots_neither_wrap_nor_go_below_zero() {
    let most = yocto(u128::MAX);
    let mut funds = Funds::default();
    funds.take_in(Pot::Code, most).unwrap();
    let overflow = MoneyError::Overflow { pot: Pot::Code, found: most, added: yocto(1) };
    assert_eq!(funds.take_in(Pot::Code, yocto(1)), Err(overflow));
    let short = MoneyError::Short { pot: Pot::Protocol, found: yocto(0), needed: yocto(1) };
    assert_eq!(funds.take_out(Pot::Protocol, yocto(1)), Err(short.clone()));
    assert_eq!(funds.shift(Pot::Protocol, Pot::Code, yocto(1)), Err(short));
    assert_eq!(funds.view().code, most);
    for pot in [Pot::Deposits, Pot::Earnings, Pot::Protocol, Pot::Claimable, Pot::Storage] {
        let mut funds = Funds::default();
        funds.take_in(pot, yocto(5)).unwrap();
        funds.shift(pot, Pot::Code, yocto(2)).unwrap();
        funds.take_out(pot, yocto(3)).unwrap();
        let mut expected = Funds::default();
        expected.take_in(Pot::Code, yocto(2)).unwrap();
        assert_eq!(funds, expected);
    }
}

#[test]
fn accounts_that_come_and_go_cannot_fill_the_contracts_state_at_its_expense() {
    let mut world = World::new();
    let (usage, own) = (world.usage, world.balance);
    // Each account attaches a yoctoNEAR, which bounces.
    for n in 0..50 {
        let gone = format!("gone{n}.near");
        world.deleted.insert(id(&gone));
        world.call(&gone, yocto(1), |c| c.storage_unregister(None)).unwrap();
        world.deliver_transfers();
        world.audit();
        assert_eq!(world.view(|c| c.get_claimable(id(&gone))), NearToken::ZERO);
    }
    assert_eq!((world.usage, world.view(|c| c.get_funds()).protocol), (usage, yocto(50)));

    // What is kept pays for its own entry.
    let deposit = NearToken::from_millinear(10);
    for n in 0..50 {
        let gone = format!("gone{n}.near");
        world.call(&gone, deposit, |c| c.storage_deposit(None, None)).unwrap();
        world.call(&gone, yocto(1), |c| c.storage_unregister(None)).unwrap();
        world.deliver_transfers();
        world.audit();
        let expected = deposit.saturating_add(yocto(1));
        assert_eq!(world.view(|c| c.get_claimable(id(&gone))), expected);
    }
    let contract = world.contract();
    assert_eq!(world.usage - contract.tenant_bytes, usage);
    let pots = contract.funds.total();
    assert_eq!(world.balance.saturating_sub(pots), own);
    let stake = near_sdk::env::storage_byte_cost();
    assert!(pots > stake.saturating_mul(u128::from(contract.tenant_bytes)));
    // A second payment, however small, is added to the first.
    world.call("gone0.near", yocto(1), |c| c.storage_unregister(None)).unwrap();
    world.deliver_transfers();
    assert_eq!(world.view(|c| c.get_claimable(id("gone0.near"))), deposit.saturating_add(yocto(2)));
    world.audit();
}

#[test]
fn amounts_and_ids_at_their_limits_are_refused_and_never_wrap() {
    let mut world = World::new();
    let funded = |pot: Pot, world: &mut World| {
        let rest = yocto(u128::MAX).saturating_sub(yocto(5));
        world.call("rich.near", NearToken::ZERO, |c| Ok(c.funds.take_in(pot, rest)?)).unwrap();
    };
    // Each pot is full but for five yoctoNEAR. What comes in beyond that is refused, and nothing
    // has changed.
    for pot in [Pot::Deposits, Pot::Storage, Pot::Code] {
        let mut world = World::new();
        funded(pot, &mut world);
        let before = world.storage.clone();
        let attached = NearToken::from_near(5);
        let error = match pot {
            Pot::Deposits => world.call("dapp.near", attached, |c| c.accept(&request("x"))),
            Pot::Storage => {
                world.call("dapp.near", attached, |c| c.storage_deposit(None, None).map(drop))
            }
            _ => world.call("dapp.near", attached, |c| {
                c.publish_code(outlayer_protocol::Hash32::of(b"c"), 1, 0, b"c".to_vec())
            }),
        };
        assert!(
            matches!(error, Err(ContractError::Money(MoneyError::Overflow { .. }))),
            "{pot:?}: {error:?}"
        );
        assert_eq!(world.storage, before);
    }

    // If the dearest request that a configuration allows cannot be priced, the configuration is not
    // taken.
    const MOST: u64 = 1 << 61;
    let mut dear = config();
    dear.max_fuel = MOST;
    dear.yield_timeout_blocks = 1_000_000;
    (dear.window.block_nanos, dear.window.share_bps) = (u32::MAX, 10_000);
    for row in &mut dear.window.speeds {
        row.nanos_per_kilofuel = 1;
    }
    dear.prices.per_fuel = yocto(u128::MAX / 255 / u128::from(MOST) + 1);
    let error = world.call(OWNER, yocto(1), |c| c.set_config(dear)).unwrap_err();
    assert!(matches!(error, ContractError::Pricing(_)), "{error}");
    dear.prices.per_fuel = yocto(u128::MAX / 255 / u128::from(MOST) - 500_000);
    world.owner(|c| c.set_config(dear));
    let mut most = request("x");
    most.limits.compute = outlayer_protocol::Compute::Fuel(MOST);
    let cost = world.view(|c| c.estimate_cost(most.clone())).unwrap();
    assert!(cost.max_fee > yocto(u128::MAX / 256), "{cost:?}");
    let error = world.call("dapp.near", PURSE, |c| c.accept(&most)).unwrap_err();
    assert!(matches!(error, ContractError::Deposit { .. }), "{error}");

    // The last id is given once. After it there is none.
    world.owner(|c| c.set_config(config()));
    let set = |c: &mut Contract| {
        c.next_request_id = u64::MAX - 1;
        Ok(())
    };
    world.call(OWNER, NearToken::ZERO, set).unwrap();
    let last = world.request("dapp.near", &request("last"));
    assert_eq!(last, u64::MAX - 1);
    let error = world.call("dapp.near", NearToken::from_near(5), |c| c.accept(&request("x")));
    assert_eq!(error, Err(ContractError::NoMoreIds));
    world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(last)).unwrap();
    assert_eq!(world.settle(last).outcome, Outcome::Cancelled);
    world.audit();
}

#[test]
fn the_surplus_is_the_owners_and_the_stake_stays() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    let request_id = world.request("dapp.near", &request("a"));
    let stranger = world.call("eve.near", yocto(1), |c| c.withdraw_surplus()).unwrap_err();
    assert_eq!(stranger, ContractError::NotTheOwner { found: id("eve.near"), expected: id(OWNER) });

    let (purse, pots) = (world.purse(&id(OWNER)), world.contract().funds.total());
    let surplus = world.owner(|c| c.withdraw_surplus());
    world.own = world.own.saturating_sub(surplus);
    world.deliver_transfers();
    world.audit();
    let own_bytes = world.usage - world.contract().tenant_bytes;
    let cost = near_sdk::env::storage_byte_cost();
    assert!(world.own > cost.saturating_mul(own_bytes.into()), "{} is left", world.own);
    assert_eq!(world.purse(&id(OWNER)), purse.saturating_add(surplus).saturating_sub(yocto(1)));
    assert_eq!(world.contract().funds.total(), pots.saturating_add(yocto(1)));
    let nothing = world.call(OWNER, yocto(1), |c| c.withdraw_surplus()).unwrap_err();
    assert_eq!(nothing, ContractError::NothingDue { account_id: id(OWNER) });

    // A gift is surplus, and whatever else the contract has goes on.
    world.balance = world.balance.saturating_add(yocto(7));
    world.own = world.own.saturating_add(yocto(7));
    world.deleted.insert(id(OWNER));
    assert_eq!(world.owner(|c| c.withdraw_surplus()), yocto(7));
    world.own = world.own.saturating_sub(yocto(7));
    world.deliver_transfers();
    world.audit();
    world.resolve(W, &answer(request_id, "x")).unwrap();
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    world.audit();
}
