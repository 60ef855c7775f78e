//! The contract's own money and its storage stake, at the limit.

use near_sdk::{NearToken, env};
use outlayer_protocol::{CodeRef, Hash32, Outcome};

use super::world::*;
use crate::ContractError;

const ZERO: NearToken = NearToken::ZERO;

/// The check that a node makes after every receipt.
fn assert_staked(world: &World) {
    let stake = env::storage_byte_cost().saturating_mul(world.usage.into());
    assert!(world.balance >= stake, "{} of {stake}, {} bytes", world.balance, world.usage);
}

/// Leaves the contract with `own` besides the money in its pots.
fn set_own(world: &mut World, own: NearToken) {
    world.balance = world.contract().funds.total().saturating_add(own);
}

#[test]
fn no_request_is_taken_when_the_contracts_own_money_falls_short_of_its_own_storage() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id("w.near"), None));
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    // Neither the bytes that others have paid for nor their money count.
    world.request("dapp.near", &request(&"x".repeat(20_000)));
    let total = world.cost("dapp.near", &request("next")).total;
    let generous = total.saturating_add(NearToken::from_near(500));
    let ask = |world: &mut World| world.call("dapp.near", generous, |c| c.accept(&request("next")));

    set_own(&mut world, ZERO);
    let Err(ContractError::Stake { found, needed }) = ask(&mut world) else {
        panic!("must be refused")
    };
    assert_eq!(found, ZERO);
    // The contract's own bytes: those from the start, the worker, an entry of a ledger for the
    // worker, and what the contract's own state may grow by.
    let own_bytes = world.usage - world.contract().tenant_bytes;
    let cost = env::storage_byte_cost();
    let growth = 68 + 40 + (40 + 1 + 8) + 32 * (40 + 2 + 1 + 4 + 140);
    assert_eq!(needed, cost.saturating_mul(u128::from(own_bytes) + (40 + 65 + 16) + growth));

    let short = needed.saturating_sub(yocto(1));
    set_own(&mut world, short);
    let refused = ContractError::Stake { found: short, needed };
    assert_eq!(ask(&mut world), Err(refused.clone()));
    let text = refused.to_string();
    assert!(
        text.contains(&short.as_yoctonear().to_string())
            && text.contains(&needed.as_yoctonear().to_string()),
        "{text}"
    );
    set_own(&mut world, needed);
    ask(&mut world).unwrap();
    assert_staked(&world);
}

/// Anybody may fill the list of recent code, at no price beyond that of a name.
#[test]
fn names_of_code_never_keep_the_contract_from_taking_requests() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id("w.near"), None));
    let total = world.cost("dapp.near", &request("next")).total;
    set_own(&mut world, ZERO);
    let Err(ContractError::Stake { needed, .. }) =
        world.call("dapp.near", total, |c| c.accept(&request("next")))
    else {
        panic!("must be refused")
    };
    set_own(&mut world, needed);
    let owner = "a".repeat(64);
    let code = CodeRef { hash: Hash32::of(b"x"), url: Some("https://code.example".to_owned()) };
    for _ in 0..40 {
        let code = code.clone();
        let named =
            world.call(&owner, NearToken::from_near(1), |c| c.name_code("n".repeat(64), code));
        named.unwrap();
        world.deliver_transfers();
    }
    world.call("dapp.near", total, |c| c.accept(&request("next"))).unwrap();
    assert_staked(&world);
}

#[test]
fn at_the_edge_everything_still_settles_and_everybody_takes_what_is_theirs() {
    let mut world = World::new();
    let worker = format!("{}.near", "w".repeat(59));
    world.owner(|c| c.register_worker(id(&worker), None));
    let payer = format!("{}.near", "p".repeat(59));
    let mut bounces = request("bounces");
    bounces.refund_to = Some(id(&payer));
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    set_own(&mut world, ZERO);
    let total = world.view(|c| c.estimate_cost(bounces.clone())).unwrap().total;
    let Err(ContractError::Stake { needed, .. }) =
        world.call("dapp.near", total, |c| c.accept(&bounces))
    else {
        panic!("must be refused")
    };
    set_own(&mut world, needed);
    let request_id = world.request("dapp.near", &bounces);
    assert_staked(&world);

    world.deleted.insert(id(&payer));
    world.resolve(&worker, &answer(request_id, "x")).unwrap();
    assert_staked(&world);
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    assert_staked(&world);
    assert!(world.view(|c| c.get_claimable(id(&payer))) > ZERO);

    world.call("dapp.near", yocto(1), |c| c.storage_unregister(None)).unwrap();
    world.owner(|c| c.withdraw_protocol_share());
    world.deliver_transfers();
    assert_staked(&world);
    world.deleted.clear();
    world.call(&worker, yocto(1), |c| c.withdraw_earnings()).unwrap();
    world.call(&payer, yocto(1), |c| c.claim()).unwrap();
    world.deliver_transfers();
    assert_staked(&world);
    assert_eq!(world.contract().funds.total(), ZERO);
    assert_eq!(world.contract().tenant_bytes, 0);
}
