//! Upgrades, and the layout of state that they start from.

use near_sdk::{NearToken, env, mock::MockAction, state::ContractState};
use outlayer_protocol::{
    Compute, Config, EngineVersion, Hash32, ResourceLimits,
    config::{Prices, RequestBounds},
    upload::{MIN_PART_BYTES, TURN_BLOCKS},
};

use super::world::*;
use crate::{Contract, ContractError, LAYOUT, state::Upgrade};

const ZERO: NearToken = NearToken::ZERO;

#[test]
fn only_announced_code_is_deployed_and_not_before_live_requests_have_ended() {
    let mut world = World::new();
    let code = b"new code".to_vec();
    let code_hash = Hash32::of(&code);
    let deploy = |world: &mut World, by: &str, code: &[u8]| {
        world.input = code.to_vec();
        let result = world.call(by, ZERO, |c| c.upgrade());
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
        MockAction::FunctionCallWeight { method_name, .. },
    ] = &receipt.actions[..]
    else {
        panic!("{receipt:?}")
    };
    assert_eq!((&deployed[..], &method_name[..]), (&code[..], &b"migrate"[..]));
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

/// Every number is its own, so that two that change places are noticed.
fn distinct() -> Config {
    Config {
        engine_version: EngineVersion(1),
        near_config_version: 2,
        prices: Prices {
            base_fee: yocto(3),
            per_fuel: yocto(4),
            per_gas: yocto(5),
            per_byte: yocto(6),
        },
        protocol_share_bps: 700,
        max_fuel: 8_000_000_000,
        max_gas: 9_000_000_000,
        bounds: RequestBounds {
            limits: ResourceLimits {
                compute: Compute::Fuel(10),
                memory_bytes: 1 << 30,
                table_elements: 20_000,
                instances: 30,
                output_bytes: 400_001,
                log_bytes: 70_000,
                journal_bytes: 4_002,
                storage_reads: 31,
                storage_writes: 32,
                host_calls: 2_000_000,
            },
            input_bytes: 5_000,
            args_env_bytes: 5_001,
            url_bytes: 1_001,
            approvals: 5,
        },
        yield_timeout_blocks: 200,
        sweep_delay_blocks: 201,
    }
}

/// One entry of every kind, hashed as it is stored. When this fails on purpose, raise [`LAYOUT`], teach
/// [`Contract::migrate`] the layout that was, and note the new hash.
#[test]
fn the_layout_of_state_does_not_move() {
    let mut world = World::with(distinct());
    let worker = "worker.near";
    for name in [worker, "other.near"] {
        world.owner(|c| c.register_worker(id(name), Some("about".to_owned())));
    }
    world.owner(|c| c.propose_owner(id("new.near")));
    world.owner(|c| c.propose_upgrade(Some(Hash32::of(b"upgrade"))));
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.call("dapp.near", ZERO, |c| c.storage_set("key".into(), "value".into())).unwrap();
    let code = vec![7; 20_000];
    for (hash, total) in [(Hash32::of(&code), 20_000), (Hash32::of(b"part"), 30_000)] {
        let chunk = code.clone();
        world
            .call("pub.near", NearToken::from_near(1), |c| c.publish_code(hash, total, 0, chunk))
            .unwrap();
    }
    world.deliver_transfers();
    world.deleted.insert(id("gone.near"));
    let mut gone = request("bounces");
    gone.limits = ResourceLimits { compute: Compute::Fuel(9), ..distinct().bounds.limits };
    gone.limits.output_bytes = 100;
    let mut staged = gone.clone();
    staged.code.hash = Hash32::of(&code);
    staged.code.url = None;
    gone.refund_to = Some(id("gone.near"));
    let first = world.request("dapp.near", &gone);
    let mut body = answer(first, "x");
    body.used = Compute::Fuel(9);
    world.resolve(worker, &body).unwrap();
    world.settle(first);
    let second = world.request("dapp.near", &staged);
    body.request_id = second;
    body.reads = vec![read("key", Some("value"))];
    body.journal = vec![write("key", None)];
    world.resolve(worker, &body).unwrap();
    let mut large = gone.clone();
    large.limits.output_bytes = 300_000;
    let third = world.request("dapp.near", &large);
    let body = answer(third, &"o".repeat(300_000));
    let part = MIN_PART_BYTES as usize;
    world.send("other.near", Hash32::of(b"other"), &body, 0..part).unwrap();
    world.height += TURN_BLOCKS;
    world.send(worker, Hash32::of(b"digest"), &body, 0..part).unwrap();
    world.audit();

    let mut entries: Vec<_> = world.storage.iter().collect();
    entries.sort();
    let mut prefixes: Vec<_> = entries.iter().map(|(key, _)| char::from(key[0])).collect();
    prefixes.dedup();
    assert_eq!(prefixes.into_iter().collect::<String>(), "Sbcdehiklmnpqrsuvwx");
    let hash = Hash32::of_borsh(&entries);
    assert_eq!(
        (LAYOUT, hash.to_string().as_str()),
        (1, "e6a7caebd055a800699ad4cca6a20bb79526e21323b4b6218ab086ccf39a4aec")
    );
}
