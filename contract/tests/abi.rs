//! The contract's ABI, as near-sdk describes every method, compared with the committed `abi.json`,
//! so that no arguments or results change unnoticed. Callers see JSON; workers and the contract
//! speak borsh.
//!
//! When the ABI has changed on purpose, `UPDATE_SNAPSHOTS=1 cargo test --workspace --test abi`
//! writes the file anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeSet, path::Path};

use near_abi::{AbiFunction, AbiMetadata, AbiRoot, AbiType};
use near_sdk::{__private::ChunkedAbiEntry, borsh, schemars::r#gen::SchemaGenerator};
// Linked for the functions that it exports.
use outlayer_contract as _;
use outlayer_protocol::{Settlement, index::PendingPage, methods};

/// near-sdk makes a function of each `#[near] impl`, named after its first method, which gives the
/// JSON of the description of all its methods. An integration test compares the methods in
/// `abi.json` with those that the Wasm exports, so that no `impl` is forgotten here.
macro_rules! described {
    ($($name:ident)*) => {{
        // One compiler compiles both sides.
        #[allow(improper_ctypes)]
        unsafe extern "C" {
            $(fn $name() -> (*const u8, usize);)*
        }
        let parts = [$(unsafe { $name() }),*];
        parts.map(|(start, length)| unsafe { std::slice::from_raw_parts(start, length) })
    }};
}

fn parts() -> Vec<ChunkedAbiEntry> {
    let parts = described! {
        __near_abi_cancel_execution
        __near_abi_claim
        __near_abi_estimate_cost
        __near_abi_get_result
        __near_abi_name_code
        __near_abi_new
        __near_abi_propose_upgrade
        __near_abi_publish_code
        __near_abi_register_worker
        __near_abi_request_execution
        __near_abi_resolve_execution
        __near_abi_storage_deposit
        __near_abi_storage_set
        __near_abi_sweep_expired
    };
    parts.into_iter().map(|json| serde_json::from_slice(json).unwrap()).collect()
}

/// Three methods give their result through `env`, where near-sdk does not see it. It is the
/// settlement, in JSON unless the request asks for borsh, or a page of the index.
fn add_settlement(mut entries: Vec<ChunkedAbiEntry>) -> Vec<ChunkedAbiEntry> {
    let mut generator = SchemaGenerator::default();
    let json = AbiType::Json { type_schema: generator.subschema_for::<Settlement>() };
    let borsh = AbiType::Borsh { type_schema: borsh::schema_container_of::<Settlement>() };
    let index = AbiType::Borsh { type_schema: borsh::schema_container_of::<PendingPage>() };
    for (name, result) in [
        (methods::REQUEST_EXECUTION, json),
        (methods::ON_EXECUTION_RESPONSE, borsh),
        (methods::PENDING_INDEX, index),
    ] {
        let mut functions = entries.iter_mut().flat_map(|entry| &mut entry.body.functions);
        let function: &mut AbiFunction = functions.find(|one| one.name == name).unwrap();
        assert_eq!(function.result.replace(result), None, "{name} says its result itself");
    }
    entries.push(ChunkedAbiEntry::new(Vec::new(), generator.into_root_schema_for::<String>()));
    entries
}

fn abi() -> AbiRoot {
    let metadata = AbiMetadata {
        name: Some(env!("CARGO_PKG_NAME").to_owned()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..AbiMetadata::default()
    };
    ChunkedAbiEntry::combine(add_settlement(parts())).unwrap().into_abi_root(metadata)
}

#[test]
fn the_abi_is_the_committed_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi.json");
    let found = serde_json::to_string_pretty(&abi()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    let line = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "the ABI differs from {} (from line {:?} on); see the head of this test",
        file.display(),
        line.map(|line| line + 1)
    );
}

#[test]
fn the_protocol_names_the_methods_that_the_contract_has() {
    let abi = abi();
    let found: BTreeSet<_> = abi.body.functions.iter().map(|one| one.name.as_str()).collect();
    let expected: BTreeSet<_> = methods::ALL.iter().copied().collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), methods::ALL.len(), "a name is there twice");
}
