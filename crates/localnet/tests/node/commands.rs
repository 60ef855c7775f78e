//! The commands beside `init` and `run`: importing accounts, and dumping the state.

use std::{path::Path, process::Command};

use outlayer_localnet::{
    Config, Handle,
    home::{Home, InitOptions},
    spawn,
};
use serde_json::{Value, json};

use super::manual;

/// Runs `localnet` on a home directory. Returns whether it succeeded, and what it printed.
fn localnet(home: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_localnet"));
    let output = command.arg("--home").arg(home).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn on(home: &Path) -> Handle {
    spawn(Config { home: Some(home.to_owned()), ..manual() }).unwrap()
}

/// A node with the account `much.near`, which has code and more state than one page shows.
fn with_account() -> Handle {
    let handle = spawn(manual()).unwrap();
    let code = wat::parse_str(r#"(module (memory 1) (func (export "run")))"#).unwrap();
    let code_hash = near_primitives::hash::CryptoHash::hash_bytes(&code);
    let mut records = vec![
        json!({"Account": {"account_id": "much.near", "account": {
            "amount": "5000000000000000000000000", "locked": "0", "code_hash": code_hash,
            "storage_usage": 150_000,
        }}}),
        json!({"Contract": {
            "account_id": "much.near",
            "code": near_primitives::serialize::to_base64(&code),
        }}),
    ];
    records.extend((0..120_u32).map(|number| {
        json!({"Data": {
            "account_id": "much.near",
            "data_key": near_primitives::serialize::to_base64(&number.to_be_bytes()),
            "value": near_primitives::serialize::to_base64(&[7; 1_000]),
        }})
    }));
    handle.node().patch_state(serde_json::from_value(json!(records)).unwrap()).unwrap();
    handle.produce_blocks(3).unwrap();
    handle
}

/// The state of `much.near`, as raw keys and values. Its access keys are left out.
fn state(handle: &Handle) -> Vec<(Vec<u8>, Vec<u8>)> {
    let account_id = "much.near".parse().unwrap();
    let state = handle.node().chain().state();
    assert!(state.code(&account_id).is_some());
    let data = state.contract_data_iter(&account_id, &[]);
    data.map(|(key, value)| (key, value.to_vec())).collect()
}

#[test]
fn an_account_is_imported_into_a_genesis_a_file_and_a_running_node() {
    let network = with_account();
    let url = network.rpc_url();
    let dir = tempfile::tempdir().unwrap();
    let homes = ["genesis", "running"].map(|name| dir.path().join(name));
    for home in &homes {
        Home::new(home).init(&InitOptions::default()).unwrap();
    }
    let [genesis, running] = &homes;
    let import = ["import", "much.near", "--rpc", &url];
    let (done, text) = localnet(genesis, &import);
    assert!(done && text.contains("records in the genesis"), "{text}");
    let node = on(genesis);
    assert_eq!(state(&node), state(&network));
    drop(node);
    let (done, text) = localnet(genesis, &import);
    assert!(!done && text.contains("the account much.near is in it already"), "{text}");

    let file = dir.path().join("much.json");
    let file = file.to_str().unwrap();
    let (done, text) = localnet(running, &[&import[..], &["--save", file]].concat());
    assert!(done, "{text}");
    drop(network);
    let node = on(running);
    let (done, text) = localnet(running, &["import", "--file", file]);
    assert!(done && text.contains("records in the running node"), "{text}");
    assert_eq!(state(&node).len(), 120);
    let account_id = "much.near".parse().unwrap();
    let keys = node.node().chain().state().access_keys(&account_id);
    let key = Home::new(running).validator_signer().unwrap().public_key();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].0, (&key).into());

    // Nobody listens there, and no test is given this port.
    let (done, text) = localnet(running, &["import", "much.near", "--rpc", "http://127.0.0.1:1"]);
    assert!(!done && text.contains("much.near: block: the node does not answer"), "{text}");
    let (done, text) = localnet(running, &["import", "nobody.near", "--rpc", &node.rpc_url()]);
    assert!(!done && text.contains("nobody.near: query: UNKNOWN_ACCOUNT"), "{text}");
    let (done, text) = localnet(running, &["import", "--file", "nothing.json"]);
    assert!(!done && text.contains("nothing.json: No such file"), "{text}");
}

#[test]
fn the_state_of_a_running_node_is_dumped() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    Home::new(&home).init(&InitOptions::default()).unwrap();
    let dump = ["view-state", "dump-state"];
    let (done, text) = localnet(&home, &dump);
    assert!(!done && text.contains("no node runs on "), "{text}");
    let node = on(&home);
    super::send_to(&node, "near", 1);
    node.produce_blocks(3).unwrap();
    let (done, text) = localnet(&home, &dump);
    assert!(done, "{text}");
    let dumped = std::fs::read_to_string(home.join("output.json")).unwrap();
    let dumped: Value = serde_json::from_str(&dumped).unwrap();
    let near = dumped["records"].as_array().unwrap().iter().find_map(|record| {
        let account = &record["Account"];
        (account["account_id"] == "near").then(|| account["account"]["amount"].clone())
    });
    assert_eq!(near.unwrap(), super::balance(&node, "near").to_string());
    drop(node);
    assert!(!localnet(&home, &dump).0);
}

#[test]
fn the_code_of_a_global_contract_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let code = wat::parse_str(r#"(module (memory 1) (func (export "run")))"#).unwrap();
    let path = dir.path().join("code.wasm");
    std::fs::write(&path, &code).unwrap();
    let network = spawn(Config { global_contracts: vec![path], ..manual() }).unwrap();
    network.produce_blocks(3).unwrap();
    let home = dir.path().join("home");
    let file = dir.path().join("fetched.wasm");
    let url = network.rpc_url();
    let fetch = |hash: &str| {
        let save = ["--rpc", &url, "--save", file.to_str().unwrap()];
        localnet(&home, &[&["import", "--global-contract", hash][..], &save].concat())
    };
    let hash = near_primitives::hash::CryptoHash::hash_bytes(&code).to_string();
    let (done, text) = fetch(&hash);
    assert!(done && text.contains("bytes in"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), code);
    let unknown = near_primitives::hash::CryptoHash::hash_bytes(b"unknown").to_string();
    let (done, text) = fetch(&unknown);
    assert!(!done && text.contains("NO_GLOBAL_CONTRACT_CODE"), "{text}");
    let (done, text) = localnet(&home, &["import", "--global-contract", &hash, "--rpc", &url]);
    assert!(!done && text.contains("--save"), "{text}");
}
