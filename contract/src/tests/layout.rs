//! The layout of the state. `layouts/` has one entry of every kind, byte for byte, for each layout
//! that there ever was. A migration must carry the previous one over.

use std::{collections::HashMap, fmt::Write as _, path::PathBuf};

use near_sdk::{NearToken, state::ContractState};
use outlayer_protocol::{
    CodeRef, CodeSource, Compute, Config, EngineVersion, ExecutionRequest, ExecutionResponse,
    Hash32, Outcome, ResourceLimits,
    config::{Prices, RequestBounds},
    machine::Taken,
    upload::{MIN_PART_BYTES, TURN_BLOCKS},
    window::{Speed, Window},
};

use super::world::*;
use crate::{Contract, ContractError, LAYOUT};

const ZERO: NearToken = NearToken::ZERO;
const WORKER: &str = "worker.near";

type Entries = HashMap<Vec<u8>, Vec<u8>>;

/// A configuration in which every number is different, so that the test notices two that change
/// places.
fn distinct() -> Config {
    Config {
        engine_version: EngineVersion(1),
        near_config_version: 2,
        prices: Prices {
            gas_price: yocto(250_000_003),
            per_fuel: yocto(4),
            per_gas: yocto(5),
            per_byte: yocto(40_000_000_000_000_006),
            per_module_byte: yocto(21),
            per_exchange: yocto(22),
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
                max_module_bytes: 6_000,
                plan_bytes: 5_002,
            },
            input_bytes: 5_000,
            args_env_bytes: 5_001,
            url_bytes: 1_001,
            approvals: 5,
            http_exchanges: 17,
            http_bytes: 5_003,
            http_ms: 29_999,
        },
        window: Window {
            share_bps: 6_001,
            block_nanos: 600_000_002,
            download_nanos_per_byte: 1_003,
            compile_nanos_per_byte: 3_004,
            gas_compile_nanos_per_byte: 3_005,
            speeds: [11, 12, 13, 14, 15, 16].map(|n| Speed {
                memory_bytes: u64::from(n) << 20,
                nanos_per_kilofuel: n,
                nanos_per_gigagas: 10 * n,
            }),
        },
        yield_timeout_blocks: 200,
        sweep_delay_blocks: 201,
    }
}

/// A contract whose state has an entry of every kind.
fn every_kind() -> World {
    let mut world = World::with(distinct());
    for name in [WORKER, "other.near"] {
        world.owner(|c| c.register_worker(id(name), Some("about".to_owned())));
    }
    world.owner(|c| c.propose_owner(id("new.near")));
    world.owner(|c| c.propose_upgrade(Some(Hash32::of(b"upgrade"))));
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.call("dapp.near", ZERO, |c| c.storage_set("key".into(), "value".into())).unwrap();
    let code = vec![7; 20_000];
    for (hash, total) in [(Hash32::of(&code), 20_000), (Hash32::of(b"part"), 30_000)] {
        let part = code.clone();
        world
            .call("pub.near", NearToken::from_near(1), |c| c.publish_code(hash, total, 0, part))
            .unwrap();
    }
    let retired = vec![8; 100];
    let hash = Hash32::of(&retired);
    world
        .call("pub.near", NearToken::from_near(1), |c| c.publish_code(hash, 100, 0, retired))
        .unwrap();
    world.call("pub.near", NearToken::from_near(1), |c| c.retire_code(hash)).unwrap();
    let adopted = vec![9; 100];
    let hash = Hash32::of(&adopted);
    world
        .call("pub.near", NearToken::from_near(1), |c| c.publish_code(hash, 100, 0, adopted))
        .unwrap();
    world.call("pub.near", NearToken::from_near(1), |c| c.retire_code(hash)).unwrap();
    world.call("new.near", NearToken::from_near(1), |c| c.adopt_code(hash)).unwrap();
    for url in [None, Some("https://code.example".to_owned())] {
        let named = CodeRef { hash, url };
        world
            .call("pub.near", NearToken::from_near(1), |c| c.name_code("name".to_owned(), named))
            .unwrap();
    }
    world.call("pub.near", yocto(1), |c| c.retire_named_code("name".to_owned(), 2)).unwrap();
    world.deliver_transfers();
    world.deleted.insert(id("gone.near"));
    let mut gone = request("bounces");
    gone.limits = ResourceLimits { compute: Compute::Fuel(9), ..distinct().bounds.limits };
    gone.limits.output_bytes = 100;
    let mut staged = gone.clone();
    staged.code = CodeRef { hash: Hash32::of(&code), url: None }.into();
    gone.code = CodeSource::Named { name: "pub.near/name".to_owned() };
    gone.refund_to = Some(id("gone.near"));
    gone.keep_result_blocks = 5;
    let first = world.request("dapp.near", &gone);
    let mut body = answer(first, "x");
    body.used = Compute::Fuel(9);
    world.resolve(WORKER, &body).unwrap();
    world.settle(first);
    let second = world.request("dapp.near", &staged);
    body.request_id = second;
    body.reads = vec![read("key", Some("value"))];
    body.journal = vec![write("key", None)];
    world.resolve(WORKER, &body).unwrap();
    let mut large = gone.clone();
    large.limits.output_bytes = 300_000;
    let third = world.request("dapp.near", &large);
    let body = answer(third, &"o".repeat(300_000));
    let part = MIN_PART_BYTES as usize;
    world.send("other.near", Hash32::of(b"other"), &body, 0..part).unwrap();
    world.height += TURN_BLOCKS;
    world.send(WORKER, Hash32::of(b"digest"), &body, 0..part).unwrap();
    agree(&mut world, &gone);
    world.owner(|c| c.remove_worker(id("third.near")));
    close_a_lock(&mut world, &gone);
    world.audit();
    world
}

/// Has a request settled whose shares are open, and one made to which a worker has committed.
fn agree(world: &mut World, asked: &ExecutionRequest) {
    world.register(&["third.near"]);
    let asked = ExecutionRequest { approvals: 2, spares: 1, refund_to: None, ..asked.clone() };
    let request_id = world.request("dapp.near", &asked);
    let mut body = answer(request_id, "x");
    body.used = Compute::Fuel(9);
    let digest = world.digest(&body);
    let holders = world.live(request_id).agreement.unwrap().drawn;
    holders.iter().for_each(|id| world.commit(id.as_str(), request_id, digest).unwrap());
    holders[..2].iter().for_each(|id| world.reveal(id.as_str(), request_id, digest).unwrap());
    world.resolve(WORKER, &body).unwrap();
    world.settle(request_id);
    let request_id = world.request("dapp.near", &asked);
    world.commit(WORKER, request_id, digest).unwrap();
}

/// Has an answer staged that reads a key, and another one wait that writes it.
fn close_a_lock(world: &mut World, asked: &ExecutionRequest) {
    for (reads, journal, taken) in [
        (vec![read("busy", None)], Vec::new(), Taken::Staged),
        (Vec::new(), vec![write("busy", Some("value"))], Taken::Wait),
    ] {
        let request_id = world.request("dapp.near", asked);
        let used = Compute::Fuel(9);
        let body = ExecutionResponse { reads, journal, used, ..answer(request_id, "x") };
        assert_eq!(world.resolve(WORKER, &body), Ok(taken));
    }
}

/// One line for each entry, in the order of the keys, with key and value in hex. A long run of one
/// byte is written as that byte and its length.
fn dump(entries: &Entries) -> String {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort();
    let mut text = String::new();
    for (key, value) in entries {
        let _ = write!(text, "{} ", hex(key));
        match value.first() {
            Some(first) if value.len() > 1_000 && value.iter().all(|byte| byte == first) => {
                let _ = writeln!(text, "{first:02x}*{}", value.len());
            }
            _ => text += &(hex(value) + "\n"),
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> Entries {
    let bytes = |hex: &str| -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        match hex.split_once('*') {
            Some((_, length)) => vec![digit(0); length.parse().unwrap()],
            None => (0..hex.len()).step_by(2).map(digit).collect(),
        }
    };
    let entries = text.lines().map(|line| line.split_once(' ').unwrap());
    entries.map(|(key, value)| (bytes(key), bytes(value))).collect()
}

fn file(layout: u16) -> PathBuf {
    let name = format!("src/tests/layouts/{layout}.txt");
    [env!("CARGO_MANIFEST_DIR"), &name].iter().collect()
}

/// When the layout has changed on purpose, raise [`LAYOUT`], teach
/// [`Contract::migrate`](crate::Contract::migrate) the previous one, and run `UPDATE_SNAPSHOTS=1
/// cargo test --workspace --lib -- layout`, which writes the file of the new one.
#[test]
fn the_layout_of_state_does_not_move() {
    let found = dump(&every_kind().storage);
    let mut prefixes: Vec<_> = found.lines().map(|line| line[..2].to_owned()).collect();
    prefixes.dedup();
    assert_eq!(prefixes.concat(), hex(b"AFORSabcdefghijkmnoqstuvwxyz"), "an entry of every kind");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(file(LAYOUT), &found).unwrap();
    }
    let expected = std::fs::read_to_string(file(LAYOUT)).unwrap();
    assert!(found == expected, "the state differs from {}", file(LAYOUT).display());
}

/// The key of the contract's own state.
const STATE: &[u8] = b"STATE";
/// [`Contract::live_until`] of [`idle`] in layout 2.
const LIVE_UNTIL: u64 = 1_234;

/// A contract without live requests, in a former layout. In both it has bounced payments from
/// before the contract counted them.
fn idle(layout: u16) -> World {
    let mut world = World::new();
    world.storage = parse(&std::fs::read_to_string(file(1)).unwrap());
    if layout == 2 {
        // This is what the code of layout 2 made of layout 1.
        let state = world.storage.get_mut(STATE).unwrap();
        state[..2].copy_from_slice(&layout.to_le_bytes());
        state.extend(LIVE_UNTIL.to_le_bytes());
    }
    let bytes = |(key, value): (&Vec<u8>, &Vec<u8>)| (40 + key.len() + value.len()) as u64;
    world.usage = 100_000 + world.storage.iter().map(bytes).sum::<u64>();
    world.deleted.insert(id("gone.near"));
    world
}

/// The state of `layouts/2.txt` after its migration, with two live requests.
pub(super) fn migrated_with_live_requests() -> World {
    let mut world = World::new();
    world.storage = layout_2();
    let bytes = |(key, value): (&Vec<u8>, &Vec<u8>)| (40 + key.len() + value.len()) as u64;
    world.usage = 100_000 + world.storage.iter().map(bytes).sum::<u64>();
    world.deleted.insert(id("gone.near"));
    migrate(&mut world).unwrap();
    world.balance = OWN.checked_add(world.contract().funds.total()).unwrap();
    world.audit();
    world
}

fn migrate(world: &mut World) -> Result<(), ContractError> {
    let (storage, usage) = (world.storage.clone(), world.usage);
    // The method reads the raw state. The mock writes the new one.
    world.enter(&id(CONTRACT), ZERO, Vec::new());
    let migrated = Contract::migrate();
    if let Ok(contract) = &migrated {
        contract.state_write();
    }
    world.leave();
    if migrated.is_err() {
        (world.storage, world.usage) = (storage, usage);
    }
    migrated.map(drop)
}

#[test]
fn the_state_of_a_former_layout_is_migrated_and_nobody_loses_anything() {
    let now = World::new().height;
    for (layout, live_until) in [(1, now), (2, LIVE_UNTIL)] {
        let mut world = idle(layout);
        migrate(&mut world).unwrap();
        let contract = world.contract();
        assert_eq!((contract.layout, contract.live_until), (LAYOUT, live_until));
        nobody_has_lost_anything(world);
    }
}

/// Checks that everybody finds what they had in [`idle`], and that the contract works as before.
fn nobody_has_lost_anything(mut world: World) {
    let contract = world.contract();
    assert_eq!(contract.owner_id, OWNER);
    assert_eq!(contract.proposed_owner_id, Some(id("new.near")));
    assert_eq!(contract.next_request_id, 2);
    assert_eq!(contract.upgrade.unwrap().code_hash, Hash32::of(b"upgrade"));
    world.balance = OWN.checked_add(contract.funds.total()).unwrap();
    world.uncounted = 40 + 1 + "gone.near".len() as u64 + 16;
    world.audit();

    // Everybody finds what they had.
    let view = world.view(|c| c.get_worker(id(WORKER))).unwrap();
    assert_eq!((view.settled, view.metadata.as_str()), (2, "about"));
    let value = world.view(|c| c.storage_get(id("dapp.near"), "kept".into()));
    assert_eq!(value, Some("value".into()));
    world.deleted.clear();
    world.call("gone.near", yocto(1), |c| c.claim()).unwrap();
    world.audit();
    world.call(WORKER, yocto(1), |c| c.withdraw_earnings()).unwrap();
    world.owner(|c| c.withdraw_protocol_share());
    world.call("dapp.near", yocto(1), |c| c.storage_unregister(Some(true))).unwrap();
    for hash in [Hash32::of(&[7; 20_000]), Hash32::of(b"part")] {
        world.call("pub.near", ZERO, |c| c.delete_code(hash)).unwrap();
    }
    world.deliver_transfers();
    assert_eq!((world.contract().funds.total(), world.balance), (ZERO, OWN));

    // The contract works as before.
    world.owner(|c| c.set_config(config()));
    let request_id = world.request("dapp.near", &request("after"));
    world.resolve(WORKER, &answer(request_id, "x")).unwrap();
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    assert_eq!(migrate(&mut world), Ok(()), "twice is as good as once");
}

fn layout_2() -> Entries {
    parse(&std::fs::read_to_string(file(2)).unwrap())
}

#[test]
fn a_migration_keeps_the_owners_numbers_and_takes_new_ones_from_a_new_deployment() {
    let mut world = World::new();
    world.storage.insert(STATE.to_vec(), layout_2()[STATE].clone());
    migrate(&mut world).unwrap();
    let (mut expected, new) = (distinct(), config());
    // The old prices of a byte do not cover its gas any more.
    expected.prices = Prices { per_fuel: yocto(4), per_gas: yocto(5), ..new.prices };
    expected.bounds.limits.max_module_bytes = new.bounds.limits.max_module_bytes;
    expected.bounds.limits.plan_bytes = new.bounds.limits.plan_bytes;
    expected.bounds = RequestBounds { limits: expected.bounds.limits, ..new.bounds };
    let old = distinct().bounds;
    expected.bounds.input_bytes = old.input_bytes;
    expected.bounds.args_env_bytes = old.args_env_bytes;
    expected.bounds.url_bytes = old.url_bytes;
    expected.bounds.approvals = old.approvals;
    expected.window = new.window;
    assert_eq!(world.contract().config, expected);
}

#[test]
fn a_migration_that_cannot_read_the_state_is_refused_and_changes_nothing() {
    let mut world = World::new();
    for layout in [1, 2] {
        let mut state = idle(layout).storage[STATE].clone();
        state.truncate(50);
        world.storage.insert(STATE.to_vec(), state);
        assert_eq!(migrate(&mut world), Err(ContractError::Layout { found: Some(layout) }));
    }
    // Layout 1 with two live requests.
    let mut state = layout_2()[STATE].clone();
    state[..2].copy_from_slice(&1u16.to_le_bytes());
    state.truncate(state.len() - 8);
    world.storage.insert(STATE.to_vec(), state);
    let before = world.storage.clone();
    assert_eq!(migrate(&mut world), Err(ContractError::LiveRequests { found: 2 }));
    assert_eq!(world.storage, before);
}
