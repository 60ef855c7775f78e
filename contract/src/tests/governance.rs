//! The owner's methods.

use near_sdk::NearToken;
use outlayer_protocol::Config;

use super::world::*;
use crate::{Contract, ContractError};

const ZERO: NearToken = NearToken::ZERO;

#[test]
fn only_the_owner_governs() {
    type Call = fn(&mut Contract) -> Result<(), ContractError>;
    let calls: [Call; 7] = [
        |c| c.pause(),
        |c| c.unpause(),
        |c| c.set_config(config()),
        |c| c.propose_owner(id("eve.near")),
        |c| c.register_worker(id("eve.near"), None),
        |c| c.remove_worker(id("eve.near")),
        |c| c.suspend_worker(id("eve.near"), true),
    ];
    let mut world = World::new();
    for call in calls {
        let error = world.call("eve.near", ZERO, call).unwrap_err();
        assert_eq!(
            error,
            ContractError::NotTheOwner { found: id("eve.near"), expected: id(OWNER) }
        );
    }
}

#[test]
fn the_ownership_passes_in_two_steps() {
    let mut world = World::new();
    let error = world.call("new.near", ZERO, |c| c.accept_owner()).unwrap_err();
    assert_eq!(error, ContractError::NotTheProposedOwner { found: id("new.near"), expected: None });
    world.owner(|c| c.propose_owner(id("new.near")));
    world.owner(|c| c.pause());
    let error = world.call("eve.near", ZERO, |c| c.accept_owner()).unwrap_err();
    assert_eq!(
        error,
        ContractError::NotTheProposedOwner {
            found: id("eve.near"),
            expected: Some(id("new.near"))
        }
    );
    world.owner(|c| c.propose_owner(id(OWNER)));
    world.call("new.near", ZERO, |c| c.accept_owner()).unwrap_err();
    world.owner(|c| c.propose_owner(id("new.near")));
    world.call("new.near", ZERO, |c| c.accept_owner()).unwrap();
    world.call(OWNER, ZERO, |c| c.unpause()).unwrap_err();
    world.call("new.near", ZERO, |c| c.unpause()).unwrap();
    assert_eq!(world.view(|c| c.get_config()).owner_id, "new.near");
}

#[test]
fn a_configuration_out_of_bounds_is_refused() {
    let changes: [fn(&mut Config); 25] = [
        |c| c.protocol_share_bps = 5_001,
        // An answer would cost its worker more gas than it earns.
        |c| c.prices.gas_price = yocto(222_222_221),
        |c| c.prices.gas_price = NearToken::from_near(1),
        |c| c.protocol_share_bps = 1_001,
        |c| c.prices.per_byte = yocto(35_000_000_000_000_000),
        |c| c.yield_timeout_blocks = 0,
        |c| c.sweep_delay_blocks = 49,
        |c| c.bounds.limits.output_bytes = u32::MAX,
        |c| c.bounds.limits.journal_bytes = u32::MAX,
        |c| c.bounds.limits.storage_reads = 257,
        |c| c.bounds.limits.storage_writes = 257,
        |c| c.bounds.input_bytes = u32::MAX,
        |c| c.bounds.approvals = 0,
        |c| c.bounds.url_bytes = 4_096,
        |c| c.bounds.args_env_bytes = 1 << 20,
        |c| c.prices.per_gas = yocto(u128::MAX / 2),
        |c| c.prices.per_module_byte = yocto(u128::MAX / 2),
        |c| c.bounds.limits.max_module_bytes = 0,
        // Downloading and compiling it takes longer than an execution may.
        |c| c.bounds.limits.max_module_bytes = u32::MAX,
        |c| c.window.share_bps = 0,
        |c| c.window.share_bps = 10_001,
        |c| c.window.block_nanos = 0,
        |c| c.window.speeds[2].nanos_per_kilofuel = 0,
        |c| c.window.speeds[2].nanos_per_gigagas = 0,
        |c| c.window.speeds[2].memory_bytes = c.window.speeds[1].memory_bytes,
    ];
    let mut world = World::new();
    for change in changes {
        let mut changed = config();
        change(&mut changed);
        let error = world.call(OWNER, ZERO, |c| c.set_config(changed)).unwrap_err();
        assert!(
            matches!(error, ContractError::Config { .. } | ContractError::Pricing(_)),
            "{error}"
        );
        assert!(Contract::new(id(OWNER), changed).is_err());
    }
    assert_eq!(world.view(|c| c.get_config()).config, config());
}

#[test]
fn a_live_request_keeps_the_terms_it_was_accepted_on() {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id("w.near"), None));
    let request_id = world.request("dapp.near", &request("x"));
    let before = world.live(request_id);
    let mut dear = config();
    dear.prices.gas_price = yocto(900_000_000_000);
    dear.protocol_share_bps = 4_999;
    dear.prices.per_byte = NearToken::from_millinear(1);
    dear.engine_version = outlayer_protocol::EngineVersion(2);
    world.owner(|c| c.set_config(dear));
    assert_eq!(world.live(request_id), before);
    world.resolve("w.near", &answer(request_id, "y")).unwrap();
    assert!(world.settle(request_id).fee < NearToken::from_near(1));
    world.audit();
    let request_id = world.request("dapp.near", &request("x"));
    assert_eq!(world.live(request_id).terms.engine_version.0, 2);
}

#[test]
fn workers_are_listed_and_described() {
    let mut world = World::new();
    for name in ["a.near", "b.near", "c.near"] {
        world.owner(|c| c.register_worker(id(name), Some(format!("about {name}"))));
    }
    world.owner(|c| c.suspend_worker(id("b.near"), true));
    world.owner(|c| c.register_worker(id("b.near"), Some("new".to_owned())));
    let worker = world.view(|c| c.get_worker(id("b.near"))).unwrap();
    assert_eq!((worker.metadata.as_str(), worker.suspended), ("new", true));
    world.audit();
    world.owner(|c| c.remove_worker(id("a.near")));
    world.audit();
    let listed: Vec<_> =
        world.view(|c| c.list_workers(0, 10)).into_iter().map(|one| one.worker_id).collect();
    assert_eq!(listed, ["c.near", "b.near"].map(id));
    assert_eq!(world.view(|c| c.list_workers(1, 1)).len(), 1);
    let error = world.call(OWNER, ZERO, |c| c.remove_worker(id("a.near"))).unwrap_err();
    assert_eq!(error, ContractError::NotAWorker { found: id("a.near") });
    let long = "x".repeat(1_025);
    let error =
        world.call(OWNER, ZERO, |c| c.register_worker(id("d.near"), Some(long))).unwrap_err();
    assert_eq!(error, ContractError::Metadata { found: 1_025, max: 1_024 });
}

#[test]
fn a_worker_that_the_contracts_own_money_cannot_keep_is_not_registered() {
    let mut world = World::new();
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    let register = |world: &mut World| {
        world.call(OWNER, ZERO, |c| c.register_worker(id("w.near"), Some("x".repeat(1_000))))
    };
    let pots = world.contract().funds.total();
    world.balance = pots;
    let Err(ContractError::Stake { found, needed }) = register(&mut world) else {
        panic!("must be refused")
    };
    assert_eq!(found, ZERO);
    world.balance = pots.saturating_add(needed).saturating_sub(yocto(1));
    register(&mut world).unwrap_err();
    world.balance = pots.saturating_add(needed);
    register(&mut world).unwrap();
}
