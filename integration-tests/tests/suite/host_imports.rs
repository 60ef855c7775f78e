//! Contracts link on every network from protocol version 84 on. Each imports exactly the host
//! functions of a committed list, and none of these functions is newer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use outlayer_integration_tests::artifacts;
use wasmparser::{ExternalKind, Parser, Payload};

/// Parts of the names of host functions that came with protocol version 85 or later. near-vm-runner
/// 0.38 links these only when the network's configuration says so (`imports.rs`).
const NEWER: [&str; 8] = [
    "chain_id",
    "gas_key",
    "ml_dsa_verify",
    "p256_verify",
    "sha3_",
    "universal_state_init",
    "yield_create_with_id",
    "yield_resume_with_yield_id",
];

fn imports(wasm: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                names.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    names.sort();
    Ok(names)
}

#[test]
fn contracts_import_what_the_committed_list_says() -> Result<()> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("imports.txt");
    let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((contract, names)) = line.split_once(':') {
            expected.insert(contract, names.split_whitespace().map(str::to_owned).collect());
        }
    }
    assert!(expected.contains_key("outlayer_contract") && expected.contains_key("fixture_dapp"));
    for (contract, expected) in expected {
        let found = imports(&artifacts::wasm(contract)?)?;
        assert_eq!(
            found,
            expected,
            "{contract}: put this into {}: {}",
            list.display(),
            found.join(" ")
        );
        for newer in NEWER {
            assert!(!found.iter().any(|name| name.contains(newer)), "{contract} imports {newer}");
        }
    }
    Ok(())
}

/// The names of the exported functions.
fn methods(wasm: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                let export = export?;
                if export.kind == ExternalKind::Func {
                    names.insert(export.name.to_owned());
                }
            }
        }
    }
    Ok(names)
}

#[test]
fn the_contract_exports_what_its_abi_describes() -> Result<()> {
    let file = artifacts::workspace().join("contract/abi.json");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let abi: serde_json::Value = serde_json::from_str(&text)?;
    let functions = abi["body"]["functions"].as_array().context("functions")?;
    let names = functions.iter().filter_map(|one| one["name"].as_str());
    // near-sdk adds the last one, and does not describe it.
    let described: BTreeSet<String> =
        names.chain(["contract_source_metadata"]).map(str::to_owned).collect();
    assert_eq!(methods(&artifacts::wasm("outlayer_contract")?)?, described);
    Ok(())
}
