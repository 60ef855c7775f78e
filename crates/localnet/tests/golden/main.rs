//! Replays what was recorded from a NEAR node, and compares every field that was the same in all
//! recordings. `README.md` beside this file tells how the recordings were made.
//!
//! `GOLDEN=yield-` replays only the scenarios whose names begin with `yield-`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod compare;
mod differences;
mod keys;
mod normal;
mod replay;
mod transaction;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many replays run at the same time.
const THREADS: usize = 2;

/// Whether the node makes its own blocks during the replay, as it does for other clients. On a busy
/// machine, what a scenario does at an exact height may then be one block late. The variable is
/// `GOLDEN_LIVE=1`.
pub(crate) fn live() -> bool {
    std::env::var_os("GOLDEN_LIVE").is_some()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden")
}

fn scenarios() -> Vec<PathBuf> {
    let wanted = std::env::var("GOLDEN").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&wanted))
        .collect();
    all.sort();
    all
}

#[test]
fn every_recorded_outcome_is_the_same_here() {
    let paths = scenarios();
    assert!(!paths.is_empty(), "no scenario matches GOLDEN");
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = replay::run(path);
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    for line in &found {
        println!("{line}");
    }
    assert!(found.is_empty(), "{} differences in {} scenarios", found.len(), paths.len());
}

#[test]
fn the_copied_genesis_is_the_one_that_new_chains_have() {
    let text = std::fs::read_to_string(folder().join("genesis.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let handle = replay::spawn();
    let chain = handle.node().chain();
    let config = serde_json::to_value(chain.config().as_ref()).unwrap();
    for field in [
        "protocol_version",
        "epoch_length",
        "gas_limit",
        "min_gas_price",
        "max_gas_price",
        "gas_price_adjustment_rate",
        "transaction_validity_period",
        "total_supply",
    ] {
        assert_eq!(golden[field], config[field], "{field}");
    }
    let state = chain.state();
    for expected in golden["accounts"].as_array().unwrap() {
        let id = expected["account_id"].as_str().unwrap().parse().unwrap();
        let account = state.account(&id).unwrap();
        assert_eq!(expected["amount"], account.amount().as_yoctonear().to_string(), "{id}");
        assert_eq!(expected["locked"], account.locked().as_yoctonear().to_string(), "{id}");
        assert_eq!(expected["storage_usage"], account.storage_usage(), "{id}");
    }
}
