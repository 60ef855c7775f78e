//! Global contracts that a chain has from its genesis block on.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use near_primitives::{
    action::{Action, GlobalContractIdentifier, UseGlobalContractAction},
    hash::CryptoHash,
    transaction::SignedTransaction,
};
use outlayer_localnet::{Config, Handle, spawn};
use serde_json::{Value, json};

use crate::{call, manual, root, send_to};

const WAT: &str = r#"(module (import "env" "value_return" (func $return (param i64 i64)))
    (memory 1) (data (i32.const 0) "hello")
    (func (export "hello") (call $return (i64.const 5) (i64.const 0))))"#;

fn file(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn view(handle: &Handle, account: &str, method: &str) -> Value {
    let params = json!({
        "request_type": "call_function", "finality": "optimistic", "account_id": account,
        "method_name": method, "args_base64": "",
    });
    call(handle, "query", params)["result"].clone()
}

#[test]
fn a_file_is_a_global_contract_from_the_genesis_on() {
    let dir = tempfile::tempdir().unwrap();
    let code = wat::parse_str(WAT).unwrap();
    let path = file(dir.path(), "hello.wasm", &code);
    let handle = spawn(Config { global_contracts: vec![path], ..manual() }).unwrap();
    let hash = CryptoHash::hash_bytes(&code);
    let params = json!({
        "request_type": "view_global_contract_code",
        "block_id": handle.node().chain().config().genesis_height,
        "code_hash": hash.to_string(),
    });
    let shown = call(&handle, "query", params)["result"].clone();
    assert_eq!(shown["hash"], hash.to_string());
    assert_eq!(shown["code_base64"], STANDARD.encode(&code));

    let signer = root(handle.home());
    let id = signer.get_account_id();
    let contract_identifier = GlobalContractIdentifier::CodeHash(hash);
    let usage = UseGlobalContractAction { contract_identifier };
    let actions = vec![Action::UseGlobalContract(Box::new(usage))];
    let head = *handle.node().chain().head().hash();
    let tx = SignedTransaction::from_actions(1, id.clone(), id.clone(), &signer, actions, head);
    handle.node().submit(tx).unwrap();
    handle.settle().unwrap();
    assert_eq!(view(&handle, id.as_str(), "hello")["result"], json!(b"hello"));
}

#[test]
fn a_file_that_is_no_contract_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let text = file(dir.path(), "text", b"(module)");
    let missing = dir.path().join("missing");
    for (path, reason) in [(text, "expected Wasm"), (missing, "No such file")] {
        let name = path.display().to_string();
        let error = spawn(Config { global_contracts: vec![path], ..manual() }).err().unwrap();
        let error = error.to_string();
        assert!(error.contains(&name) && error.contains(reason), "{error}");
    }
}

#[test]
fn a_kept_chain_needs_the_global_contracts_that_it_began_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "hello.wasm", &wat::parse_str(WAT).unwrap());
    let state = Some(dir.path().join("state"));
    let config = |global_contracts| Config { global_contracts, state: state.clone(), ..manual() };
    let handle = spawn(config(vec![path.clone()])).unwrap();
    handle.produce_blocks(5).unwrap();
    drop(handle);
    let error = spawn(config(vec![])).err().unwrap().to_string();
    assert!(error.contains("the global contracts it was made with"), "{error}");
    let handle = spawn(config(vec![path])).unwrap();
    assert!(handle.height() >= 3);
}

/// As on a new NEAR chain, nobody has deployed the wallet contract yet.
#[test]
fn an_ethereum_account_has_a_wallet_that_somebody_must_deploy() {
    let handle = spawn(manual()).unwrap();
    let account = format!("0x{}", "ab".repeat(20));
    send_to(&handle, &account, 1);
    handle.settle().unwrap();
    let params = json!({
        "request_type": "view_account", "finality": "optimistic", "account_id": account,
    });
    let shown = call(&handle, "query", params)["result"].clone();
    let wallet = "FAq9tQRbwJPTV3PQLn2F7AUD3FW2Fw1V8ZeZuazfeu1v";
    assert_eq!(shown["global_contract_hash"], wallet);
    let readme = include_str!("../../README.md");
    assert!(readme.contains(wallet), "the README names it");
    let error = view(&handle, &account, "get_nonce")["error"].clone();
    assert!(error.as_str().unwrap().contains("CodeDoesNotExist"), "{error}");
}
