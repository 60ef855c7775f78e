//! Upgrades.

use near_sdk::{NearToken, env, mock::MockAction, state::ContractState};
use outlayer_protocol::{Hash32, methods};

use super::world::*;
use crate::{Contract, ContractError, state::Upgrade};

const ZERO: NearToken = NearToken::ZERO;

#[test]
fn only_announced_code_is_deployed_and_not_before_live_requests_have_ended() {
    let mut world = World::new();
    let code = b"new code".to_vec();
    let code_hash = Hash32::of(&code);
    let deploy = |world: &mut World, by: &str, code: &[u8]| {
        world.input = code.to_vec();
        let result = world.call(by, yocto(1), |c| c.upgrade());
        world.input.clear();
        result
    };
    assert_eq!(deploy(&mut world, OWNER, &code), Err(ContractError::NoUpgrade));
    let stranger = world.call("eve.near", ZERO, |c| c.propose_upgrade(Some(code_hash)));
    assert!(matches!(stranger, Err(ContractError::NotTheOwner { .. })));
    world.owner(|c| c.propose_upgrade(Some(code_hash)));
    let announced = Upgrade { code_hash, from_height: 1_400 };
    assert_eq!(world.view(|c| c.get_upgrade()), Some(announced));
    world.height = 1_399;
    let early = ContractError::UpgradeTooEarly { height: 1_399, from_height: 1_400 };
    assert_eq!(deploy(&mut world, OWNER, &code), Err(early));
    world.height = 1_400;
    let other = ContractError::UpgradeCode { found: Hash32::of(b"other"), expected: code_hash };
    assert_eq!(deploy(&mut world, OWNER, b"other"), Err(other));
    assert!(matches!(
        deploy(&mut world, "eve.near", &code),
        Err(ContractError::NotTheOwner { .. })
    ));

    deploy(&mut world, OWNER, &code).unwrap();
    let [receipt] = &world.deployments[..] else { panic!("{:?}", world.deployments) };
    assert_eq!(receipt.receiver_id, CONTRACT);
    let [
        MockAction::DeployContract { code: deployed, .. },
        MockAction::FunctionCallWeight { method_name, args, .. },
    ] = &receipt.actions[..]
    else {
        panic!("{receipt:?}")
    };
    assert_eq!((&deployed[..], &method_name[..]), (&code[..], methods::MIGRATE.as_bytes()));
    assert_eq!(args[..], code_hash.0);
    assert_eq!(deploy(&mut world, OWNER, &code), Err(ContractError::NoUpgrade));

    world.owner(|c| c.propose_upgrade(Some(code_hash)));
    world.owner(|c| c.propose_upgrade(None));
    assert_eq!(world.view(|c| c.get_upgrade()), None);
}

#[test]
fn a_migration_keeps_what_it_knows_and_refuses_what_it_does_not() {
    let mut world = World::new();
    world.request("dapp.near", &request("live across an upgrade"));
    world.owner(|c| c.register_worker(id("w.near"), None));
    let before = world.storage.clone();
    world.call(CONTRACT, ZERO, |c| Contract::migrate().map(|new| *c = new)).unwrap();
    assert_eq!(world.storage, before);
    world.resolve("w.near", &answer(0, "x")).unwrap();
    world.settle(0);
    world.audit();

    let outside = world.call(OWNER, ZERO, |_| Contract::migrate().map(drop)).unwrap_err();
    assert!(matches!(outside, ContractError::Private { .. }));
    let unknown = world.call(CONTRACT, ZERO, |_| {
        env::storage_write(Contract::state_key(), &[7, 0, 1, 2, 3]);
        Contract::migrate().map(drop)
    });
    assert_eq!(unknown, Err(ContractError::Layout { found: Some(7) }));
    let broken = world.call(CONTRACT, ZERO, |_| {
        env::storage_write(Contract::state_key(), &[7]);
        Contract::migrate().map(drop)
    });
    assert_eq!(broken, Err(ContractError::Layout { found: None }));
}
