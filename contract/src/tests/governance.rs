//! The owner's methods.

use near_sdk::NearToken;
use outlayer_protocol::{
    Config, Hash32,
    events::{
        CodePublished, CodeRetired, ConfigSet, Event, OwnerChanged, OwnerProposed, PauseChanged,
        RefundBounced, UpgradeMade, UpgradeProposed, WorkerRegistered, WorkerRemoved,
        WorkerSuspended,
    },
};

use super::world::*;
use crate::{Contract, ContractError, LAYOUT, Pot};

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

/// A key that may only call functions cannot attach money.
#[test]
fn whoever_governs_or_takes_money_out_attaches_one_yocto() {
    type Call = fn(&mut Contract) -> Result<(), ContractError>;
    let calls: [(&str, Call); 15] = [
        (OWNER, |c| c.pause()),
        (OWNER, |c| c.unpause()),
        (OWNER, |c| c.set_config(config())),
        (OWNER, |c| c.propose_owner(id("eve.near"))),
        (OWNER, |c| c.register_worker(id("eve.near"), None)),
        (OWNER, |c| c.remove_worker(id("w.near"))),
        (OWNER, |c| c.suspend_worker(id("w.near"), true)),
        (OWNER, |c| c.withdraw_protocol_share().map(drop)),
        (OWNER, |c| c.withdraw_surplus().map(drop)),
        (OWNER, |c| c.propose_upgrade(None)),
        (OWNER, |c| c.upgrade()),
        ("new.near", |c| c.accept_owner()),
        ("w.near", |c| c.withdraw_earnings().map(drop)),
        ("w.near", |c| c.claim().map(drop)),
        ("w.near", |c| c.storage_withdraw(None).map(drop)),
    ];
    let mut world = World::new();
    world.owner(|c| c.register_worker(id("w.near"), None));
    world.owner(|c| c.propose_owner(id("new.near")));
    let before = world.storage.clone();
    for (number, (by, call)) in calls.into_iter().enumerate() {
        for found in [ZERO, yocto(2)] {
            let error = world.call(by, found, call).unwrap_err();
            assert_eq!(error, ContractError::OneYocto { found }, "call {number}");
        }
    }
    assert_eq!(world.storage, before);
    // What the owner has attached is in the books.
    assert_eq!(world.view(|c| c.get_funds()).protocol, yocto(2));
    world.audit();
}

#[test]
fn an_observer_sees_every_change_of_rules_people_and_code() {
    let mut world = World::new();
    let code_hash = Hash32::of(b"new code");
    world.owner(|c| c.set_config(config()));
    world.owner(|c| c.pause());
    world.owner(|c| c.unpause());
    world.owner(|c| c.register_worker(id("w.near"), Some("about".to_owned())));
    world.owner(|c| c.suspend_worker(id("w.near"), true));
    world.owner(|c| c.remove_worker(id("w.near")));
    world.owner(|c| c.propose_upgrade(Some(code_hash)));
    world.owner(|c| c.propose_upgrade(None));
    world.input = code_hash.0.to_vec();
    world.call(CONTRACT, ZERO, |c| Contract::migrate().map(|new| *c = new)).unwrap();
    world.input.clear();
    world.owner(|c| c.propose_owner(id("new.near")));
    world.call("new.near", yocto(1), |c| c.accept_owner()).unwrap();
    let code = b"a module".to_vec();
    let (hash, near) = (Hash32::of(&code), NearToken::from_near(1));
    world.call("pub.near", near, |c| c.publish_code(hash, 8, 0, code)).unwrap();
    world.call("pub.near", near, |c| c.retire_code(hash)).unwrap();
    let (worker_id, publisher_id) = (id("w.near"), id("pub.near"));
    let expected = [
        Event::ConfigSet(Box::new(ConfigSet { config: config() })),
        Event::PauseChanged(PauseChanged { paused: true }),
        Event::PauseChanged(PauseChanged { paused: false }),
        Event::WorkerRegistered(WorkerRegistered {
            worker_id: worker_id.clone(),
            metadata: "about".to_owned(),
        }),
        Event::WorkerSuspended(WorkerSuspended { worker_id: worker_id.clone(), suspended: true }),
        Event::WorkerRemoved(WorkerRemoved { worker_id }),
        Event::UpgradeProposed(UpgradeProposed { code_hash: Some(code_hash), from_height: 1_400 }),
        Event::UpgradeProposed(UpgradeProposed { code_hash: None, from_height: 1_400 }),
        Event::UpgradeMade(UpgradeMade { code_hash: Some(code_hash), layout: LAYOUT }),
        Event::OwnerProposed(OwnerProposed { account_id: Some(id("new.near")) }),
        Event::OwnerChanged(OwnerChanged { from: id(OWNER), to: id("new.near") }),
        Event::CodePublished(CodePublished { hash, publisher_id, total_bytes: 8 }),
        Event::CodeRetired(CodeRetired { hash, name: None }),
    ];
    assert_eq!(world.events, expected);

    // Payments that bounce: one that is kept, and one that is too small to be.
    world.events.clear();
    let account_id = id("gone.near");
    world.deleted.insert(account_id.clone());
    for (amount, claimable) in [(NearToken::from_near(1), true), (yocto(5), false)] {
        world.deleted.insert(id("small.near"));
        let to = if claimable { account_id.clone() } else { id("small.near") };
        world.call("pub.near", amount, |c| Ok(c.funds.take_in(Pot::Code, amount)?)).unwrap();
        world.call("pub.near", ZERO, |c| Ok(c.pay_out(Pot::Code, &to, amount)?)).unwrap();
        world.deliver_transfers();
        let bounced = RefundBounced { account_id: to, amount, claimable };
        assert_eq!(world.events.pop(), Some(Event::RefundBounced(bounced)));
    }
    world.audit();
}

#[test]
fn the_ownership_passes_in_two_steps() {
    let mut world = World::new();
    let error = world.call("new.near", yocto(1), |c| c.accept_owner()).unwrap_err();
    assert_eq!(error, ContractError::NotTheProposedOwner { found: id("new.near"), expected: None });
    world.owner(|c| c.propose_owner(id("new.near")));
    world.owner(|c| c.pause());
    let error = world.call("eve.near", yocto(1), |c| c.accept_owner()).unwrap_err();
    assert_eq!(
        error,
        ContractError::NotTheProposedOwner {
            found: id("eve.near"),
            expected: Some(id("new.near"))
        }
    );
    world.owner(|c| c.propose_owner(id(OWNER)));
    world.call("new.near", yocto(1), |c| c.accept_owner()).unwrap_err();
    world.owner(|c| c.propose_owner(id("new.near")));
    world.call("new.near", yocto(1), |c| c.accept_owner()).unwrap();
    world.call(OWNER, yocto(1), |c| c.unpause()).unwrap_err();
    world.call("new.near", yocto(1), |c| c.unpause()).unwrap();
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
        let error = world.call(OWNER, yocto(1), |c| c.set_config(changed)).unwrap_err();
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
    let error = world.call(OWNER, yocto(1), |c| c.remove_worker(id("a.near"))).unwrap_err();
    assert_eq!(error, ContractError::NotAWorker { found: id("a.near") });
    let long = "x".repeat(1_025);
    let error =
        world.call(OWNER, yocto(1), |c| c.register_worker(id("d.near"), Some(long))).unwrap_err();
    assert_eq!(error, ContractError::Metadata { found: 1_025, max: 1_024 });
}

#[test]
fn a_worker_that_the_contracts_own_money_cannot_keep_is_not_registered() {
    let mut world = World::new();
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    let register = |world: &mut World| {
        world.call(OWNER, yocto(1), |c| c.register_worker(id("w.near"), Some("x".repeat(1_000))))
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
