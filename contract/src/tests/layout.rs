//! The layout of state: one entry of every kind, byte for byte, for each layout that there was (`layouts/`), and what becomes of
//! the previous one.

use std::{collections::HashMap, fmt::Write as _, path::PathBuf};

use near_sdk::NearToken;
use outlayer_protocol::{
    Compute, Config, EngineVersion, Hash32, ResourceLimits,
    config::{Prices, RequestBounds},
};

use super::world::*;
use crate::LAYOUT;

const ZERO: NearToken = NearToken::ZERO;
const WORKER: &str = "worker.near";

type Entries = HashMap<Vec<u8>, Vec<u8>>;

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
                output_bytes: 4_001,
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

/// A contract with an entry of every kind.
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
    world.resolve(WORKER, &body).unwrap();
    world.settle(first);
    let second = world.request("dapp.near", &staged);
    body.request_id = second;
    body.reads = vec![read("key", Some("value"))];
    body.journal = vec![write("key", None)];
    world.resolve(WORKER, &body).unwrap();
    world.audit();
    world
}

/// A line for each entry, in the order of the keys: key and value in hex, a long run of one byte as that byte and its length.
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

fn file(layout: u16) -> PathBuf {
    let name = format!("src/tests/layouts/{layout}.txt");
    [env!("CARGO_MANIFEST_DIR"), &name].iter().collect()
}

/// When this fails on purpose, raise [`LAYOUT`], teach [`Contract::migrate`](crate::Contract::migrate) the layout that was,
/// and have `UPDATE_SNAPSHOTS=1 cargo test --workspace --lib -- layout` write the file of the new one.
#[test]
fn the_layout_of_state_does_not_move() {
    let found = dump(&every_kind().storage);
    let mut prefixes: Vec<_> = found.lines().map(|line| line[..2].to_owned()).collect();
    prefixes.dedup();
    assert_eq!(prefixes.concat(), hex(b"Sbcdehiklmnprsuvwx"), "an entry of every kind");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(file(LAYOUT), &found).unwrap();
    }
    let expected = std::fs::read_to_string(file(LAYOUT)).unwrap();
    assert!(found == expected, "the state differs from {}", file(LAYOUT).display());
}
