//! The RPC on the wire: status codes, limits, waiting, many clients, and malformed input.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use near_crypto::{InMemorySigner, KeyFile, KeyType, PublicKey, SecretKey, Signer};
use near_primitives::{
    action::{Action, DeployContractAction, FunctionCallAction},
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{Balance, Gas},
};
use outlayer_localnet::{
    Config, Handle,
    home::{Home, InitOptions},
    node::BlockProduction,
    rpc::METHODS,
    settings::Settings,
    spawn,
};
use serde_json::{Value, json};

use crate::http;

fn config(production: BlockProduction) -> Config {
    Config { production, contract_cache: None, ..Config::default() }
}

const NO_HEARTBEAT: BlockProduction = BlockProduction::Instant { heartbeat: None };

fn root(handle: &Handle) -> Signer {
    let file = KeyFile::from_file(&handle.home().join("validator_key.json")).unwrap();
    InMemorySigner::from_secret_key(file.account_id, file.secret_key)
}

/// A transfer of one yoctoNEAR from the root account to `near`.
fn transfer(handle: &Handle, signer: &Signer, nonce: u64) -> SignedTransaction {
    let block_hash = *handle.node().chain().head().hash();
    SignedTransaction::send_money(
        nonce,
        signer.get_account_id(),
        "near".parse().unwrap(),
        signer,
        Balance::from_yoctonear(1),
        block_hash,
    )
}

fn encode(tx: &SignedTransaction) -> String {
    STANDARD.encode(borsh::to_vec(tx).unwrap())
}

/// Parameters of `send_tx` that wait until everything is final.
fn until_final(tx: &SignedTransaction) -> Value {
    json!({"signed_tx_base64": encode(tx), "wait_until": "FINAL"})
}

async fn post(url: &str, body: String) -> (u16, String) {
    let request = http().post(url).header("content-type", "application/json");
    let response = request.body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn call(url: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    serde_json::from_str(&post(url, body.to_string()).await.1).unwrap()
}

#[tokio::test]
async fn bodies_above_two_megabytes_are_refused_in_plain_text() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let padding = "x".repeat(Settings::default().max_body_bytes);
    let (status, text) = post(&handle.rpc_url(), format!("\"{padding}\"")).await;
    assert_eq!(status, 413);
    assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    let room = Settings::default().max_body_bytes - 2;
    let (status, _) = post(&handle.rpc_url(), format!("\"{}\"", &padding[..room])).await;
    assert_eq!(status, 400, "a body of the largest size is read");
}

#[tokio::test]
async fn the_plain_pages_answer() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let pages = ["status", "health", "network_info", "metrics", "openapi.json"];
    for (page, code) in pages.map(|page| (page, 200)).into_iter().chain([("nothing", 404)]) {
        let response = http().get(format!("{}/{page}", handle.rpc_url())).send().await.unwrap();
        assert_eq!(response.status().as_u16(), code, "{page}");
    }
    let status: Value = http()
        .get(format!("{}/status", handle.rpc_url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(status["rpc_addr"], handle.rpc_url().trim_start_matches("http://"));
    assert_eq!(status["protocol_version"], 88);
    let metrics = http()
        .get(format!("{}/metrics", handle.rpc_url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let height = format!("\nnear_block_height_head {}\n", handle.height());
    assert!(metrics.contains(&height), "{metrics}");
    let chunks = format!("\nnear_chunk_compute_count{{shard_id=\"0\"}} {}\n", handle.height());
    assert!(metrics.contains(&chunks), "{metrics}");
}

/// The description at `/openapi.json` names every method that there is, and no other.
#[tokio::test]
async fn every_method_is_described() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let url = handle.rpc_url();
    let described: Value =
        http().get(format!("{url}/openapi.json")).send().await.unwrap().json().await.unwrap();
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() > 30);
    for path in paths.keys() {
        let reply = call(&url, path.trim_start_matches('/'), json!({"no": "such"})).await;
        assert_ne!(reply["error"]["cause"]["name"], "METHOD_NOT_FOUND", "{path}");
    }
    let source = include_str!("../../src/rpc/methods.rs");
    let (_, code) = source.split_once("pub(super) async fn call").unwrap();
    let handled: Vec<&str> = code
        .lines()
        .filter(|line| line.trim_start().starts_with('"') && line.contains("=>"))
        .flat_map(|line| line.split("=>").next().unwrap().split('|'))
        .map(|name| name.trim().trim_matches('"'))
        .collect();
    for name in &handled {
        assert!(paths.contains_key(&format!("/{name}")), "{name} is not described");
    }
    assert_eq!(handled.len(), paths.len());

    // The README says of each how exact it is, and which are missing.
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("The methods of nearcore's RPC").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let mut told = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let mut cells = row.split('|').skip(1);
        let names = cells.next().unwrap().split(", ").map(|name| name.trim().trim_matches('`'));
        let is_missing = cells.next().unwrap().trim().starts_with("missing");
        for name in names {
            let forms = [name.to_owned(), format!("EXPERIMENTAL_{name}")];
            let found: Vec<_> =
                forms.into_iter().filter(|form| handled.contains(&form.as_str())).collect();
            assert_eq!(found.is_empty(), is_missing, "{name}");
            told.extend(found);
        }
    }
    assert_eq!(told.len(), handled.len(), "the README tells of {told:?}");
}

/// A node with one setting of `config.json`.
fn with_setting(name: &str, value: Value) -> (tempfile::TempDir, Handle) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("home"));
    home.init(&InitOptions::default()).unwrap();
    let path = home.path().join("config.json");
    let mut settings: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let place = name.split('.').fold(&mut settings, |settings, name| &mut settings[name]);
    *place = value;
    std::fs::write(&path, settings.to_string()).unwrap();
    let home = Some(home.path().to_owned());
    (dir, spawn(Config { home, ..config(NO_HEARTBEAT) }).unwrap())
}

/// A node whose clients wait for their transactions for as long as a busy machine takes.
fn patient() -> (tempfile::TempDir, Handle) {
    let secs = crate::PATIENCE.as_secs();
    with_setting("rpc.polling_config.polling_timeout", json!({"secs": secs, "nanos": 0}))
}

/// Puts an account with `values` values of 1,000 bytes into the state.
async fn patch_data(url: &str, account: &str, values: usize) {
    let mut records = vec![json!({"Account": {"account_id": account, "account": {
        "amount": "1000000000000000000000000", "locked": "0",
        "code_hash": "11111111111111111111111111111111",
        "storage_usage": 182 + values * 1_042,
    }}})];
    let value = STANDARD.encode([7; 1_000]);
    records.extend((0..values).map(|number| {
        let key = STANDARD.encode(format!("k{number:04}"));
        json!({"Data": {"account_id": account, "data_key": key, "value": value}})
    }));
    let reply = call(url, "sandbox_patch_state", json!({"records": records})).await;
    assert!(reply["error"].is_null(), "{reply}");
}

fn view_state(account: &str, more: Value) -> Value {
    let mut params = json!({
        "request_type": "view_state", "finality": "optimistic", "account_id": account,
        "prefix_base64": "",
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

#[tokio::test]
async fn the_settings_of_config_json_are_kept() {
    let (_dir, handle) = with_setting("trie_viewer_state_size_limit", json!(5_000_000));
    let url = handle.rpc_url();
    patch_data(&url, "much.near", 100).await;
    let reply = call(&url, "query", view_state("much.near", json!({}))).await;
    assert_eq!(reply["result"]["values"].as_array().unwrap().len(), 100);

    let name = "rpc.polling_config.polling_timeout";
    let (_dir, handle) = with_setting(name, json!({"secs": 0, "nanos": 50_000_000}));
    let hash = CryptoHash::hash_bytes(b"nothing").to_string();
    let params = json!({"tx_hash": hash, "sender_account_id": "near"});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tx", "params": params});
    let (status, text) = post(&handle.rpc_url(), body.to_string()).await;
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 408);
    assert_eq!(reply["error"]["cause"]["name"], "TIMEOUT_ERROR");
    assert_eq!(reply["error"]["cause"]["info"], json!({"cause": "NOT_OBSERVED"}));

    let (_dir, handle) = with_setting("rpc.limits_config.json_payload_max_size", json!(5 << 20));
    let padding = "x".repeat(4 << 20);
    assert_eq!(post(&handle.rpc_url(), format!("\"{padding}\"")).await.0, 400);

    let (_dir, handle) = with_setting("view_access_keys_limit", json!(0));
    let params = json!({
        "request_type": "view_access_key_list", "finality": "optimistic", "account_id": "near",
    });
    let reply = call(&handle.rpc_url(), "query", params).await;
    assert_eq!(reply["error"]["cause"]["name"], "TOO_MANY_ACCESS_KEYS");
    assert_eq!(reply["error"]["cause"]["info"]["limit"], 0);
}

#[tokio::test]
async fn a_state_is_paged_by_items_and_by_bytes() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let url = handle.rpc_url();
    patch_data(&url, "pages.near", 120).await;
    let ask = async |more: Value| call(&url, "query", view_state("pages.near", more)).await;
    let key = |number: usize| STANDARD.encode(format!("k{number:04}"));
    let page = ask(json!({"limit": 1_000})).await["result"].clone();
    // Each item has 1,000 bytes, 5 of its key, and 12 of the account's prefix.
    let shown = 50_000_usize.div_ceil(1_017);
    assert_eq!(page["values"].as_array().unwrap().len(), shown);
    assert_eq!(page["last_key"], key(shown - 1));
    let (mut after, mut seen) = (key(0), 1);
    loop {
        let page = ask(json!({"after_key_base64": after})).await["result"].clone();
        let values = page["values"].as_array().unwrap();
        assert_eq!(values[0]["key"], key(seen));
        seen += values.len();
        match page["last_key"].as_str() {
            Some(last) => last.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(seen, 120);
    for (more, reason) in [
        (json!({"limit": 2, "include_proof": true}), "include_proof"),
        (json!({"after_key_base64": key(3), "include_proof": true}), "include_proof"),
        (json!({"after_key_base64": key(3), "prefix_base64": "Yg=="}), "after_key"),
    ] {
        for method in ["query", "EXPERIMENTAL_view_state"] {
            let reply = call(&url, method, view_state("pages.near", more.clone())).await;
            assert_eq!(reply["error"]["name"], "REQUEST_VALIDATION_ERROR", "{method} {more}");
            assert!(reply["error"]["data"].as_str().unwrap().contains(reason), "{reply}");
        }
    }
}

#[tokio::test]
async fn keys_are_paged_on_behind_one_that_is_gone() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let url = handle.rpc_url();
    let keys: Vec<_> = (0..20)
        .map(|number| SecretKey::from_seed(KeyType::ED25519, &format!("key{number}")).public_key())
        .collect();
    let records: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({"AccessKey": {"account_id": "near", "public_key": key, "access_key": {
                "nonce": 0, "permission": "FullAccess",
            }}})
        })
        .collect();
    call(&url, "sandbox_patch_state", json!({"records": records})).await;
    let list = async |more: Value| {
        let mut params = json!({
            "request_type": "view_access_key_list", "finality": "optimistic",
            "account_id": "near", "limit": 5,
        });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = call(&url, "query", params).await;
        let keys = reply["result"]["keys"].as_array().unwrap().clone();
        keys.into_iter().map(|key| key["public_key"].as_str().unwrap().to_owned()).collect()
    };
    let all: Vec<String> = list(json!({"limit": 50})).await;
    // This key is none of the account's, and stands between others.
    let gone = SecretKey::from_seed(KeyType::ED25519, "gone").public_key();
    let gone_bytes = borsh::to_vec(&gone).unwrap();
    let parse = |key: &String| borsh::to_vec(&key.parse::<PublicKey>().unwrap()).unwrap();
    let expected: Vec<String> =
        all.iter().filter(|key| parse(key) > gone_bytes).take(5).cloned().collect();
    let page: Vec<String> = list(json!({"after_key": gone})).await;
    assert_eq!(page, expected);
    assert!(!page.is_empty() && page[0] != all[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_transactions_of_one_key_that_arrive_in_any_order_none_is_lost() {
    let (_dir, handle) = patient();
    let signer = root(&handle);
    // The highest nonce first.
    let tasks: Vec<_> = (1..=20_u64)
        .rev()
        .map(|nonce| {
            let params = until_final(&transfer(&handle, &signer, nonce));
            let url = handle.rpc_url();
            tokio::spawn(async move { call(&url, "send_tx", params).await })
        })
        .collect();
    for task in tasks {
        let reply = task.await.unwrap();
        assert_eq!(reply["result"]["final_execution_status"], "FINAL", "{reply}");
    }
}

#[tokio::test]
async fn a_receipt_leads_to_its_transaction() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let tx = transfer(&handle, &signer, 1);
    let sent = call(&url, "send_tx", until_final(&tx)).await["result"].clone();
    let params = json!({"tx_hash": tx.get_hash(), "sender_account_id": "test.near"});
    let status = call(&url, "tx_status", params.clone()).await["result"].clone();
    assert_eq!(status, call(&url, "EXPERIMENTAL_tx_status", params).await["result"]);
    assert!(status["receipts"].is_array());
    let receipts = sent["receipts_outcome"].as_array().unwrap();
    assert!(receipts.len() > 1, "the refund is one of them: {sent}");
    for receipt in receipts {
        let params = json!({"receipt_id": receipt["id"]});
        let reply = call(&url, "EXPERIMENTAL_receipt_to_tx", params).await;
        let expected = json!({
            "transaction_hash": tx.get_hash(), "sender_account_id": "test.near",
        });
        assert_eq!(reply["result"], expected, "{reply}");
    }
    let params = json!({"receipt_id": CryptoHash::hash_bytes(b"nothing")});
    let reply = call(&url, "EXPERIMENTAL_receipt_to_tx", params).await;
    assert_eq!(reply["error"]["cause"]["name"], "UNKNOWN_RECEIPT");
}

#[test]
fn a_chain_of_several_shards_is_refused() {
    let patch = json!({"shard_layout": {"V0": {"num_shards": 4, "version": 0}}});
    let config = Config { genesis_patch: Some(patch), ..config(NO_HEARTBEAT) };
    let error = spawn(config).err().unwrap().to_string();
    assert!(error.contains("the genesis has 4 shards; localnet has one"), "{error}");
}

#[tokio::test]
async fn a_transaction_is_waited_for_as_far_as_asked() {
    let handle = spawn(config(BlockProduction::Manual)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let levels = [
        ("NONE", 0),
        ("INCLUDED", 1),
        // The receipt of a transfer is executed in the block after the transaction's.
        ("EXECUTED_OPTIMISTIC", 2),
        ("INCLUDED_FINAL", 3),
        ("EXECUTED", 3),
        // The gas refund is executed in the third block.
        ("FINAL", 5),
    ];
    for (nonce, (level, blocks)) in (1..).zip(levels) {
        let tx = encode(&transfer(&handle, &signer, nonce));
        let params = json!({"signed_tx_base64": tx, "wait_until": level});
        let request = tokio::spawn({
            let url = url.clone();
            async move { call(&url, "send_tx", params).await }
        });
        if blocks > 0 {
            while handle.node().chain().pending_transactions() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for _ in 1..blocks {
                handle.produce_block().unwrap();
                tokio::time::sleep(Duration::from_millis(30)).await;
                assert!(!request.is_finished(), "{level} is answered before block {blocks}");
            }
            handle.produce_block().unwrap();
        }
        let reply = request.await.unwrap();
        assert!(reply["error"].is_null(), "{level}: {reply}");
        let reached = reply["result"]["final_execution_status"].as_str().unwrap();
        let fine = reached == level || (level == "INCLUDED_FINAL" && reached == "EXECUTED");
        assert!(fine, "{level}: {reached}");
        handle.settle().unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_is_sent_twice_counts_once() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let tx = until_final(&transfer(&handle, &signer, 1));
    let first = call(&url, "send_tx", tx.clone()).await;
    let second = call(&url, "send_tx", tx).await;
    assert_eq!(first["result"]["final_execution_status"], "FINAL");
    assert_eq!(first["result"]["transaction_outcome"], second["result"]["transaction_outcome"]);
    let near = call(
        &url,
        "query",
        json!({"request_type": "view_account", "account_id": "near", "finality": "final"}),
    )
    .await;
    assert_eq!(near["result"]["amount"], "1000000000000000000000000000000001");
}

/// nearcore's `send_tx_commit` waits for execution, but neither for refunds nor for finality. It
/// shows the status at that block, however fast the next blocks come.
#[tokio::test]
async fn a_committed_transaction_has_run_and_its_refund_has_not() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let signer = root(&handle);
    for nonce in 1..=20 {
        let params = json!([encode(&transfer(&handle, &signer, nonce))]);
        let reply = call(&handle.rpc_url(), "broadcast_tx_commit", params).await;
        assert_eq!(reply["result"]["final_execution_status"], "EXECUTED_OPTIMISTIC");
        let receipts = reply["result"]["receipts_outcome"].as_array().unwrap();
        assert_eq!(receipts.len(), 1, "at protocol 88 a transfer has a refund, in the next block");
        assert_eq!(receipts[0]["outcome"]["receipt_ids"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn whoever_waits_for_nothing_learns_nothing() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let old = encode(&transfer(&handle, &signer, 0));
    let params = |level| json!({"signed_tx_base64": old, "wait_until": level});
    let reply = call(&url, "send_tx", params("NONE")).await;
    assert_eq!(reply["result"], json!({"final_execution_status": "NONE"}));
    for (method, level) in [("send_tx", "INCLUDED"), ("tx", "NONE"), ("tx", "FINAL")] {
        let reply = call(&url, method, params(level)).await;
        assert_eq!(reply["error"]["cause"]["name"], "INVALID_TRANSACTION", "{method} {level}");
    }
}

#[tokio::test]
async fn the_views_of_query_are_methods_of_their_own_too() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let url = handle.rpc_url();
    let key = root(&handle).public_key().to_string();
    for (name, field, more) in [
        ("view_account", "amount", json!({})),
        ("view_access_key", "nonce", json!({"public_key": key})),
        ("view_access_key_list", "keys", json!({})),
        ("view_state", "values", json!({"prefix_base64": ""})),
    ] {
        let mut params = json!({"finality": "optimistic", "account_id": "test.near"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let own = call(&url, &format!("EXPERIMENTAL_{name}"), params.clone()).await;
        params["request_type"] = json!(name);
        let query = call(&url, "query", params.clone()).await;
        assert_eq!(own["result"], query["result"], "{name}");
        assert!(!own["result"][field].is_null(), "{name}: {own}");
    }
    let nobody = json!({"finality": "final", "account_id": "nobody.near"});
    let reply = call(&url, "EXPERIMENTAL_view_account", nobody.clone()).await;
    assert_eq!(reply["error"]["cause"]["name"], "UNKNOWN_ACCOUNT");
    let reply =
        call(&url, "EXPERIMENTAL_view_code", json!({"finality": "final", "account_id": "near"}))
            .await;
    assert_eq!(reply["error"]["cause"]["name"], "NO_CONTRACT_CODE");
    let mut args = nobody;
    args["account_id"] = json!("near");
    args["method_name"] = json!("f");
    args["args_base64"] = json!("");
    let reply = call(&url, "EXPERIMENTAL_call_function", args).await;
    assert_eq!(reply["error"]["cause"]["name"], "CONTRACT_EXECUTION_ERROR", "{reply}");
}

/// `EXPERIMENTAL_receipt` finds every receipt of a chunk, including data receipts (`validate.rs` in
/// `chain/chain/src/store_validator`).
#[tokio::test]
async fn every_receipt_that_a_chunk_shows_can_be_looked_up() {
    const CROSS: &[u8] = include_bytes!("../golden/contracts/cross.wasm");
    let handle = spawn(config(BlockProduction::Manual)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let own = signer.get_account_id();
    let send = |nonce, actions| {
        let head = *handle.node().chain().head().hash();
        let tx = SignedTransaction::from_actions(
            nonce,
            own.clone(),
            own.clone(),
            &signer,
            actions,
            head,
        );
        handle.node().submit(tx).unwrap();
        handle.settle().unwrap();
    };
    send(1, vec![Action::DeployContract(DeployContractAction { code: CROSS.to_vec() })]);
    let method_name = "then_no_code".to_owned();
    let gas = Gas::from_teragas(100);
    let action = FunctionCallAction { method_name, args: vec![], gas, deposit: Balance::ZERO };
    send(2, vec![Action::FunctionCall(Box::new(action))]);
    let mut data = 0;
    for height in 1..=handle.height() {
        let chunk = call_at(&url, height).await;
        for shown in chunk["result"]["receipts"].as_array().unwrap() {
            let params = json!({"receipt_id": shown["receipt_id"]});
            let found = call(&url, "EXPERIMENTAL_receipt", params).await;
            assert_eq!(found["result"], *shown);
            data += usize::from(!shown["receipt"]["Data"].is_null());
        }
    }
    assert!(data > 0, "no data receipt was made");
}

async fn call_at(url: &str, height: u64) -> Value {
    call(url, "chunk", json!({"block_id": height, "shard_id": 0})).await
}

/// The size of the code does not count (`TrieViewer::view_state` in
/// `runtime/runtime/src/state_viewer/mod.rs`).
#[tokio::test]
async fn a_state_above_50_kilobytes_is_shown_in_pages_only() {
    let handle = spawn(config(BlockProduction::Manual)).unwrap();
    let url = handle.rpc_url();
    for (bytes, fine) in [(50_000, true), (50_001, false)] {
        let account = json!({"Account": {"account_id": "much.near", "account": {
            "amount": "1000000000000000000000000", "locked": "0",
            "code_hash": "11111111111111111111111111111111", "storage_usage": bytes,
        }}});
        let records = serde_json::from_value(json!([account])).unwrap();
        handle.node().patch_state(records).unwrap();
        let mut params = json!({"request_type": "view_state", "finality": "optimistic"});
        params["account_id"] = json!("much.near");
        params["prefix_base64"] = json!("");
        let reply = call(&url, "query", params.clone()).await;
        assert_eq!(reply["error"].is_null(), fine, "{bytes}: {reply}");
        if !fine {
            assert_eq!(reply["error"]["cause"]["name"], "TOO_LARGE_CONTRACT_STATE");
        }
        params["limit"] = json!(10);
        assert!(call(&url, "query", params).await["error"].is_null());
    }
}

/// As in `handle_unknown_block` (`chain/jsonrpc/src/lib.rs`) and `is_block_gc`
/// (`chain/client/src/view_client_actor.rs`).
#[tokio::test]
async fn a_block_that_is_gone_has_a_status_of_its_own() {
    let manual = config(BlockProduction::Manual);
    let handle = spawn(Config { window: 5, ..manual }).unwrap();
    let url = handle.rpc_url();
    handle.produce_blocks(8).unwrap();
    handle.fast_forward(3).unwrap();
    handle.produce_blocks(1).unwrap();
    let ask = async |method: &str, height: u64| {
        let mut params = json!({"block_id": height});
        if method == "query" {
            params["request_type"] = json!("view_account");
            params["account_id"] = json!("near");
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (code, text) = post(&url, body.to_string()).await;
        let reply: Value = serde_json::from_str(&text).unwrap();
        (code, reply["error"]["cause"]["name"].as_str().unwrap_or_default().to_owned())
    };
    let unknown = "UNKNOWN_BLOCK".to_owned();
    assert_eq!(ask("block", 12).await, (200, String::new()));
    // These heights are skipped, garbage-collected, and above the head.
    for (height, code) in [(10, 422), (1, 422), (50, 200)] {
        assert_eq!(ask("block", height).await, (code, unknown.clone()), "block {height}");
    }
    assert_eq!(ask("query", 10).await, (422, unknown.clone()));
    assert_eq!(ask("query", 1).await, (200, "GARBAGE_COLLECTED_BLOCK".to_owned()));
    assert_eq!(ask("query", 0).await, (200, String::new()), "the genesis stays");
    assert_eq!(ask("query", 50).await, (200, unknown));
}

#[tokio::test]
async fn nonces_of_the_past_are_refused() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let (url, signer) = (handle.rpc_url(), root(&handle));
    let sent =
        call(&url, "broadcast_tx_commit", json!([encode(&transfer(&handle, &signer, 5))])).await;
    assert!(sent["error"].is_null());
    let reply = call(&url, "send_tx", json!([encode(&transfer(&handle, &signer, 4))])).await;
    let reason = &reply["error"]["data"]["TxExecutionError"]["InvalidTxError"]["InvalidNonce"];
    assert_eq!(*reason, json!({"tx_nonce": 4, "ak_nonce": 5}));
}

#[tokio::test]
async fn an_unknown_transaction_is_said_to_be_unknown() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let hash = CryptoHash::hash_bytes(b"nothing").to_string();
    for method in ["tx", "EXPERIMENTAL_tx_status"] {
        let params = json!({"tx_hash": hash, "sender_account_id": "near", "wait_until": "NONE"});
        let reply = call(&handle.rpc_url(), method, params).await;
        assert_eq!(reply["error"]["cause"]["name"], "UNKNOWN_TRANSACTION");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_are_all_served() {
    let (_dir, handle) = patient();
    let signer = root(&handle);
    let tasks: Vec<_> = (1..=200_u64)
        .map(|nonce| {
            let (url, tx) = (handle.rpc_url(), encode(&transfer(&handle, &signer, nonce)));
            tokio::spawn(async move {
                // A transaction whose nonce comes too late is invalid; a client would retry it.
                let reply = call(&url, "broadcast_tx_commit", json!([tx])).await;
                let view = call(&url, "status", json!([])).await;
                assert!(view["error"].is_null());
                reply["result"]["final_execution_status"] == "EXECUTED_OPTIMISTIC"
                    || !reply["error"]["data"]["TxExecutionError"]["InvalidTxError"]["InvalidNonce"]
                        .is_null()
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
}

#[tokio::test]
async fn the_node_answers_its_first_request_and_a_transaction_is_final_after_six_blocks() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let client = http();
    let status = client.get(format!("{}/status", handle.rpc_url())).send().await.unwrap();
    assert_eq!(status.status().as_u16(), 200);
    let signer = root(&handle);
    let params = until_final(&transfer(&handle, &signer, 1));
    let reply = call(&handle.rpc_url(), "send_tx", params).await;
    assert_eq!(reply["result"]["final_execution_status"], "FINAL");
    // A heartbeat would have made more, and the benches measure the time.
    assert_eq!(handle.height(), 6);
}

/// Every method is called with every kind of wrong parameter. Each call gives an error, and the
/// node goes on.
#[tokio::test]
async fn no_input_stops_the_node() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let url = handle.rpc_url();
    let parameters = [
        Value::Null,
        json!([]),
        json!({}),
        json!([null, null, null]),
        json!([[]]),
        json!([{}]),
        json!(["", ""]),
        json!(["account/", ""]),
        json!(["call/near/", "0OIl"]),
        json!([u64::MAX]),
        json!({"block_id": -1}),
        json!({"block_id": 1e300}),
        json!({"finality": {"a": []}}),
        json!({"delta_height": "1"}),
        json!({"records": [{"Account": {}}]}),
        json!({"signed_tx_base64": "////////////////////////////////////////////"}),
        json!(["////////////////////////////////////////////"]),
        json!("\u{0}"),
    ];
    for method in METHODS.into_iter().chain(["no_such_method", ""]) {
        for params in &parameters {
            let body = json!({"jsonrpc": "2.0", "id": null, "method": method, "params": params});
            let (status, text) = post(&url, body.to_string()).await;
            // A fast-forward that would never end gives an internal error.
            let jump = method == "sandbox_fast_forward" && status == 500;
            let fine = matches!(status, 200 | 400) || jump;
            assert!(fine, "{method} {params}: {status} {text}");
        }
    }
    for body in ["", "\u{0}", "[[[[[[", "{\"jsonrpc\":", "nullnull", "\"\\ud800\"", "[1,2]", "-"] {
        assert_eq!(post(&url, body.to_owned()).await.0, 400, "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(post(&url, deep).await.0, 400);
    assert_eq!(call(&url, "health", json!([])).await["result"], Value::Null);
}

/// Each byte of a transaction is changed in turn. Such transactions give errors, and the node goes
/// on.
#[tokio::test]
async fn no_transaction_stops_the_node() {
    let handle = spawn(config(NO_HEARTBEAT)).unwrap();
    let signer = root(&handle);
    let bytes = borsh::to_vec(&transfer(&handle, &signer, 1)).unwrap();
    for place in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[place] ^= change;
            let params = json!([STANDARD.encode(&broken)]);
            let reply = call(&handle.rpc_url(), "send_tx", params).await;
            assert!(!reply["error"].is_null(), "byte {place}: {reply}");
        }
        let params = json!([STANDARD.encode(&bytes[..place])]);
        let reply = call(&handle.rpc_url(), "broadcast_tx_async", params).await;
        assert!(!reply["error"].is_null(), "cut at {place}");
    }
    let good = call(&handle.rpc_url(), "send_tx", json!([STANDARD.encode(&bytes)])).await;
    assert!(good["error"].is_null(), "{good}");
}
