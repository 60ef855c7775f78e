//! Every error of nearcore's RPC that can occur here: its name, its fields and its HTTP status. The
//! names come from the types in near-jsonrpc-primitives, so none is forgotten; the README lists
//! those that cannot occur.

use std::collections::{BTreeMap, BTreeSet};

use near_jsonrpc_primitives::types::{
    blocks::RpcBlockError,
    call_function::RpcCallFunctionError,
    changes::RpcStateChangesError,
    chunks::RpcChunkError,
    client_config::RpcClientConfigError,
    config::RpcProtocolConfigError,
    gas_price::RpcGasPriceError,
    light_client::{RpcLightClientNextBlockError, RpcLightClientProofError},
    maintenance::RpcMaintenanceWindowsError,
    network_info::RpcNetworkInfoError,
    query::RpcQueryError,
    receipts::{RpcReceiptError, RpcReceiptToTxError},
    sandbox::{RpcSandboxFastForwardError, RpcSandboxPatchStateError},
    split_storage::RpcSplitStorageInfoError,
    status::RpcStatusError,
    transactions::RpcTransactionError,
    validator::RpcValidatorError,
    view_access_key::RpcViewAccessKeyError,
    view_access_key_list::RpcViewAccessKeyListError,
    view_account::RpcViewAccountError,
    view_code::RpcViewCodeError,
    view_gas_key_nonces::RpcViewGasKeyNoncesError,
    view_state::RpcViewStateError,
};
use outlayer_localnet::{
    Config, Handle,
    home::{Home, InitOptions},
    rpc::METHODS,
    spawn,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{http, manual, send, transfer};

/// The names of all errors of a type, which serde lists when it meets an unknown one.
fn names<E: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_value::<E>(json!({"name": "?"})).err().unwrap().to_string();
    let (_, list) = error.split_once("expected ").unwrap();
    let names: BTreeSet<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!names.is_empty(), "{error}");
    names
}

/// The methods with each type of errors.
fn types() -> Vec<(&'static [&'static str], BTreeSet<String>)> {
    let changes =
        &["changes", "EXPERIMENTAL_changes", "block_effects", "EXPERIMENTAL_changes_in_block"];
    let proofs = &[
        "light_client_proof",
        "EXPERIMENTAL_light_client_proof",
        "EXPERIMENTAL_light_client_block_proof",
    ];
    let transactions =
        &["broadcast_tx_commit", "send_tx", "tx", "tx_status", "EXPERIMENTAL_tx_status"];
    vec![
        (&["block"], names::<RpcBlockError>()),
        (&["EXPERIMENTAL_call_function"], names::<RpcCallFunctionError>()),
        (changes, names::<RpcStateChangesError>()),
        (&["chunk", "EXPERIMENTAL_congestion_level"], names::<RpcChunkError>()),
        (&["client_config"], names::<RpcClientConfigError>()),
        (&["EXPERIMENTAL_protocol_config"], names::<RpcProtocolConfigError>()),
        (&["gas_price"], names::<RpcGasPriceError>()),
        (&["next_light_client_block"], names::<RpcLightClientNextBlockError>()),
        (proofs, names::<RpcLightClientProofError>()),
        (
            &["maintenance_windows", "EXPERIMENTAL_maintenance_windows"],
            names::<RpcMaintenanceWindowsError>(),
        ),
        (&["network_info"], names::<RpcNetworkInfoError>()),
        (&["query"], names::<RpcQueryError>()),
        (&["EXPERIMENTAL_receipt"], names::<RpcReceiptError>()),
        (&["EXPERIMENTAL_receipt_to_tx"], names::<RpcReceiptToTxError>()),
        (&["sandbox_fast_forward"], names::<RpcSandboxFastForwardError>()),
        (&["sandbox_patch_state"], names::<RpcSandboxPatchStateError>()),
        (&["EXPERIMENTAL_split_storage_info"], names::<RpcSplitStorageInfoError>()),
        (&["status", "health"], names::<RpcStatusError>()),
        (transactions, names::<RpcTransactionError>()),
        (&["validators", "EXPERIMENTAL_validators_ordered"], names::<RpcValidatorError>()),
        (&["EXPERIMENTAL_view_access_key"], names::<RpcViewAccessKeyError>()),
        (&["EXPERIMENTAL_view_access_key_list"], names::<RpcViewAccessKeyListError>()),
        (&["EXPERIMENTAL_view_account"], names::<RpcViewAccountError>()),
        (&["EXPERIMENTAL_view_code"], names::<RpcViewCodeError>()),
        (&["EXPERIMENTAL_view_gas_key_nonces"], names::<RpcViewGasKeyNoncesError>()),
        (&["EXPERIMENTAL_view_state"], names::<RpcViewStateError>()),
    ]
}

/// The names in the README of errors that cannot occur.
fn never() -> BTreeSet<String> {
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("Every error of these methods").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .flat_map(|row| row.split('|').nth(1).unwrap().split(", "))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

/// One way to an error.
struct Case {
    method: &'static str,
    params: Value,
    status: u16,
    name: &'static str,
    /// The names of the fields in the error's `info`.
    fields: &'static [&'static str],
}

fn case(
    method: &'static str,
    params: Value,
    status: u16,
    name: &'static str,
    fields: &'static [&'static str],
) -> Case {
    Case { method, params, status, name, fields }
}

/// Methods whose errors have a name that they never give, neither here nor on NEAR: a call of an
/// account without a contract is `CONTRACT_EXECUTION_ERROR`, and whoever looks up keys is not told
/// whether there is the account.
const UNUSED: [(&str, &str); 4] = [
    ("EXPERIMENTAL_call_function", "NO_CONTRACT_CODE"),
    ("EXPERIMENTAL_view_access_key", "UNKNOWN_ACCOUNT"),
    ("EXPERIMENTAL_view_access_key_list", "UNKNOWN_ACCOUNT"),
    ("EXPERIMENTAL_view_gas_key_nonces", "UNKNOWN_ACCOUNT"),
];

const UNKNOWN: &str = "4reLvkAWfqk5fsqio1KLudk46cqRz9erQdaHkWZKMJDZ";
const KEY: &str = "ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp";
const AT: &[&str] = &["block_hash", "block_height"];

fn of(account_id: &str) -> Value {
    json!({"finality": "optimistic", "account_id": account_id})
}

fn with(mut params: Value, more: Value) -> Value {
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

/// A node that keeps ten blocks, with accounts that some errors are about.
fn node() -> (tempfile::TempDir, Handle) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("home"));
    home.init(&InitOptions::default()).unwrap();
    let path = home.path().join("config.json");
    let mut settings: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    settings["view_access_keys_limit"] = json!(1);
    settings["rpc"]["polling_config"]["polling_timeout"] = json!({"secs": 0, "nanos": 50_000_000});
    std::fs::write(&path, settings.to_string()).unwrap();
    let home = Some(home.path().to_owned());
    let handle = spawn(Config { home, window: 10, ..manual() }).unwrap();
    handle.produce_blocks(20).unwrap();
    let account = |id: &str, bytes: u64| {
        json!({"Account": {"account_id": id, "account": {
            "amount": "10000000000000000000000000", "locked": "0",
            "code_hash": "11111111111111111111111111111111", "storage_usage": bytes,
        }}})
    };
    let key = |label: &str| {
        let key = near_crypto::PublicKey::from_seed(near_crypto::KeyType::ED25519, label);
        json!({"AccessKey": {"account_id": "keys", "public_key": key,
            "access_key": {"nonce": 0, "permission": "FullAccess"}}})
    };
    let records = [account("big", 200_000), account("keys", 300), key("a"), key("b")];
    let records = records.map(|record| serde_json::from_value(record).unwrap());
    handle.node().patch_state(records.to_vec()).unwrap();
    (dir, handle)
}

fn cases(handle: &Handle) -> Vec<Case> {
    let head = handle.height();
    let hash = handle.node().chain().head().hash().to_string();
    let genesis = handle.node().chain().history().genesis().hash().to_string();
    let sent = send(handle, 1).to_string();
    handle.produce_block().unwrap();
    let encode = |tx| near_primitives::serialize::to_base64(&borsh::to_vec(&tx).unwrap());
    let old = *handle.node().chain().head().hash();
    // The nonce is used up.
    let invalid = json!({"signed_tx_base64": encode(transfer(handle.home(), "keys", 1, old))});
    let unknown = json!({"tx_hash": UNKNOWN, "sender_account_id": "near"});
    let proof = |id: &str, head: &str| {
        json!({
            "type": "transaction", "transaction_hash": id, "sender_id": "near",
            "light_client_head": head,
        })
    };
    let block_proof =
        |block: &str, head: &str| json!({"block_hash": block, "light_client_head": head});
    let future = json!({"block_id": head + 1_000});
    let at_unknown = json!({"block_id": UNKNOWN});
    let accounts = json!({"changes_type": "account_changes", "account_ids": ["near"]});
    let state = json!({"prefix_base64": ""});
    let call = json!({"method_name": "m", "args_base64": ""});
    let key = json!({"public_key": KEY});
    let mut cases = vec![
        case("block", at_unknown.clone(), 200, "UNKNOWN_BLOCK", &[]),
        case("block", json!({"block_id": 3}), 422, "UNKNOWN_BLOCK", &[]),
        case("block", json!([head + 1_000]), 200, "UNKNOWN_BLOCK", &[]),
        case("chunk", json!([UNKNOWN]), 200, "UNKNOWN_CHUNK", &["chunk_hash"]),
        case("chunk", json!([[head + 1_000, 0]]), 200, "UNKNOWN_BLOCK", &[]),
        case(
            "chunk",
            json!({"block_id": head, "shard_id": 7}),
            200,
            "INVALID_SHARD_ID",
            &["shard_id"],
        ),
        case(
            "EXPERIMENTAL_congestion_level",
            json!([UNKNOWN]),
            200,
            "UNKNOWN_CHUNK",
            &["chunk_hash"],
        ),
        case("gas_price", json!([head + 1_000]), 200, "UNKNOWN_BLOCK", &[]),
        case("gas_price", json!([3]), 200, "UNKNOWN_BLOCK", &[]),
        case("EXPERIMENTAL_protocol_config", at_unknown.clone(), 200, "UNKNOWN_BLOCK", &[]),
        case("EXPERIMENTAL_changes_in_block", at_unknown.clone(), 200, "UNKNOWN_BLOCK", &[]),
        case("block_effects", future.clone(), 200, "UNKNOWN_BLOCK", &[]),
        case("changes", with(at_unknown.clone(), accounts.clone()), 200, "UNKNOWN_BLOCK", &[]),
        case("EXPERIMENTAL_changes", with(future, accounts), 200, "UNKNOWN_BLOCK", &[]),
        case("next_light_client_block", json!([UNKNOWN]), 200, "UNKNOWN_BLOCK", &[]),
        case(
            "light_client_proof",
            proof(UNKNOWN, &genesis),
            200,
            "UNKNOWN_TRANSACTION_OR_RECEIPT",
            &["transaction_or_receipt_id"],
        ),
        case(
            "EXPERIMENTAL_light_client_proof",
            proof(&sent, &genesis),
            200,
            "NOT_CONFIRMED",
            &["transaction_or_receipt_id"],
        ),
        case(
            "EXPERIMENTAL_light_client_block_proof",
            block_proof(UNKNOWN, &genesis),
            200,
            "UNKNOWN_BLOCK",
            &[],
        ),
        case(
            "EXPERIMENTAL_light_client_block_proof",
            block_proof(&hash, &genesis),
            500,
            "INTERNAL_ERROR",
            &["error_message"],
        ),
        case(
            "EXPERIMENTAL_receipt",
            json!({"receipt_id": UNKNOWN}),
            200,
            "UNKNOWN_RECEIPT",
            &["receipt_id"],
        ),
        case(
            "EXPERIMENTAL_receipt_to_tx",
            json!({"receipt_id": UNKNOWN}),
            200,
            "UNKNOWN_RECEIPT",
            &["receipt_id"],
        ),
        case(
            "EXPERIMENTAL_receipt_to_tx",
            json!({"receipt_id": UNKNOWN, "block_height": head, "window": 21}),
            200,
            "WINDOW_TOO_LARGE",
            &["maximum", "requested"],
        ),
        case("validators", json!([UNKNOWN]), 200, "UNKNOWN_EPOCH", &[]),
        case("validators", json!({"epoch_id": UNKNOWN}), 200, "UNKNOWN_EPOCH", &[]),
        case("validators", json!([head - 3]), 200, "VALIDATOR_INFO_UNAVAILABLE", &[]),
        case("EXPERIMENTAL_validators_ordered", json!([UNKNOWN]), 200, "UNKNOWN_EPOCH", &[]),
        case(
            "sandbox_fast_forward",
            json!({"delta_height": u64::MAX}),
            500,
            "INTERNAL_ERROR",
            &["error_message"],
        ),
    ];
    for method in ["send_tx", "broadcast_tx_commit", "tx", "tx_status", "EXPERIMENTAL_tx_status"] {
        cases.push(case(method, invalid.clone(), 200, "INVALID_TRANSACTION", &[]));
    }
    for method in ["tx", "tx_status", "EXPERIMENTAL_tx_status"] {
        let asked = with(unknown.clone(), json!({"wait_until": "NONE"}));
        let fields = &["requested_transaction_hash"];
        cases.push(case(method, asked, 200, "UNKNOWN_TRANSACTION", fields));
        cases.push(case(method, unknown.clone(), 408, "TIMEOUT_ERROR", &["cause"]));
    }
    // The same views, as queries and as methods of their own.
    type View<'a> = (&'static str, &'static str, Value, &'static str, &'static [&'static str]);
    let account = &["block_hash", "block_height", "requested_account_id"];
    let contract = &["block_hash", "block_height", "contract_account_id"];
    let of_key = &["block_hash", "block_height", "public_key"];
    let views: Vec<View<'_>> = vec![
        ("view_account", "EXPERIMENTAL_view_account", of("nobody"), "UNKNOWN_ACCOUNT", account),
        ("view_code", "EXPERIMENTAL_view_code", of("nobody"), "UNKNOWN_ACCOUNT", account),
        ("view_code", "EXPERIMENTAL_view_code", of("near"), "NO_CONTRACT_CODE", contract),
        (
            "view_state",
            "EXPERIMENTAL_view_state",
            with(of("nobody"), state.clone()),
            "UNKNOWN_ACCOUNT",
            account,
        ),
        (
            "view_state",
            "EXPERIMENTAL_view_state",
            with(of("big"), state.clone()),
            "TOO_LARGE_CONTRACT_STATE",
            contract,
        ),
        (
            "view_access_key_list",
            "EXPERIMENTAL_view_access_key_list",
            of("keys"),
            "TOO_MANY_ACCESS_KEYS",
            &["block_hash", "block_height", "limit", "requested_account_id"],
        ),
        (
            "view_gas_key_nonces",
            "EXPERIMENTAL_view_gas_key_nonces",
            with(of("near"), key.clone()),
            "UNKNOWN_GAS_KEY",
            of_key,
        ),
        (
            "call_function",
            "EXPERIMENTAL_call_function",
            with(of("nobody"), call.clone()),
            "UNKNOWN_ACCOUNT",
            account,
        ),
    ];
    for (kind, method, params, name, fields) in views {
        let query = with(params.clone(), json!({"request_type": kind}));
        cases.push(case("query", query, 200, name, fields));
        cases.push(case(method, params, 200, name, fields));
    }
    // These two are results of `query`, for the sake of older clients.
    let own_key = with(of("near"), key.clone());
    cases.push(case("EXPERIMENTAL_view_access_key", own_key, 200, "UNKNOWN_ACCESS_KEY", of_key));
    let failing = with(of("near"), call.clone());
    let fields = &["block_hash", "block_height", "vm_error"];
    cases.push(case(
        "EXPERIMENTAL_call_function",
        failing,
        200,
        "CONTRACT_EXECUTION_ERROR",
        fields,
    ));
    for (kind, method, more) in [
        ("view_account", "EXPERIMENTAL_view_account", json!({})),
        ("view_code", "EXPERIMENTAL_view_code", json!({})),
        ("view_state", "EXPERIMENTAL_view_state", state),
        ("view_access_key", "EXPERIMENTAL_view_access_key", key.clone()),
        ("view_access_key_list", "EXPERIMENTAL_view_access_key_list", json!({})),
        ("view_gas_key_nonces", "EXPERIMENTAL_view_gas_key_nonces", key),
        ("call_function", "EXPERIMENTAL_call_function", call),
    ] {
        let params = with(json!({"block_id": head + 1_000, "account_id": "near"}), more.clone());
        let query = with(params.clone(), json!({"request_type": kind}));
        cases.push(case("query", query, 200, "UNKNOWN_BLOCK", &["block_reference"]));
        cases.push(case(method, params, 200, "UNKNOWN_BLOCK", &["block_reference"]));
        let params = with(json!({"block_id": 3, "account_id": "near"}), more);
        let query = with(params.clone(), json!({"request_type": kind}));
        cases.push(case("query", query, 200, "GARBAGE_COLLECTED_BLOCK", AT));
        cases.push(case(method, params, 0, "GARBAGE_COLLECTED_BLOCK", AT));
    }
    let global = json!({
        "request_type": "view_global_contract_code", "finality": "final", "code_hash": UNKNOWN,
    });
    let fields = &["block_hash", "block_height", "identifier"];
    cases.push(case("query", global, 200, "NO_GLOBAL_CONTRACT_CODE", fields));
    cases
}

#[tokio::test]
async fn every_error_has_nearcore_s_name_fields_and_http_status() {
    let (_dir, handle) = node();
    let cases = cases(&handle);
    let types = types();
    let never = never();
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Case { method, params, status, name, fields } in cases {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = http().post(handle.rpc_url()).json(&body).send().await.unwrap();
        let found_status = reply.status().as_u16();
        let reply: Value = reply.json().await.unwrap();
        let error = &reply["error"];
        let (_, known) = types.iter().find(|(methods, _)| methods.contains(&method)).unwrap();
        if !known.contains(name) {
            // A view of its own has no name for what is an error of `query` only.
            assert_eq!(error["cause"]["name"], "INTERNAL_ERROR", "{method} {params}: {reply}");
            assert_eq!(found_status, 500, "{method} {params}: {reply}");
            continue;
        }
        let at = format!("{method} {params}: {found_status} {reply}");
        assert_eq!(error["cause"]["name"], name, "{at}");
        if status != 0 {
            assert_eq!(found_status, status, "{at}");
        }
        let kind = if name == "INTERNAL_ERROR" { "INTERNAL_ERROR" } else { "HANDLER_ERROR" };
        assert_eq!((&error["name"], &error["code"]), (&json!(kind), &json!(-32_000)), "{at}");
        assert_eq!(error["message"], "Server error", "{at}");
        let info = error["cause"]["info"].as_object();
        let found: BTreeSet<&str> =
            info.map(|info| info.keys().map(String::as_str).collect()).unwrap_or_default();
        let fields = fields.iter().copied().collect();
        assert_eq!(found, fields, "{at}");
        assert!(!error["data"].is_null(), "{at}");
        reached.entry(method).or_default().insert(name);
    }
    // `query` shows these as results.
    let results = BTreeSet::from(["UNKNOWN_ACCESS_KEY", "CONTRACT_EXECUTION_ERROR"]);
    reached.entry("query").or_default().extend(results);
    let all: BTreeSet<&String> = types.iter().flat_map(|(_, names)| names).collect();
    for name in &never {
        assert!(all.contains(name), "the README names {name}, which is no error");
    }
    let mut missing = Vec::new();
    for (methods, names) in &types {
        let had: BTreeSet<&str> =
            methods.iter().flat_map(|method| reached.get(method)).flatten().copied().collect();
        let left: Vec<&String> = names
            .iter()
            .filter(|name| !had.contains(name.as_str()) && !never.contains(*name))
            .filter(|name| !UNUSED.iter().any(|(m, n)| methods.contains(m) && n == name))
            .collect();
        if !left.is_empty() {
            missing.push(format!("{methods:?}: nothing leads to {left:?}"));
        }
        let both: Vec<_> = had
            .iter()
            .filter(|name| never.contains(**name) && **name != "INTERNAL_ERROR")
            .collect();
        assert!(both.is_empty(), "the README says that there is no {both:?}");
    }
    assert!(missing.is_empty(), "{missing:#?}");
    // No method is left out but those that have no errors of their own.
    let typed: BTreeSet<&str> = types.iter().flat_map(|(methods, _)| *methods).copied().collect();
    let without: Vec<_> = METHODS.into_iter().filter(|method| !typed.contains(method)).collect();
    let expected =
        ["EXPERIMENTAL_genesis_config", "broadcast_tx_async", "genesis_config", "localnet_records"];
    assert_eq!(without, expected);
}

#[test]
fn only_the_validator_has_no_maintenance_windows() {
    let (_dir, handle) = node();
    let windows = |account: &str| {
        let params = json!({"account_id": account});
        crate::call(&handle, "maintenance_windows", params)["result"].clone()
    };
    assert_eq!(windows("test.near"), json!([]));
    let end = handle.node().chain().epochs().expected_end();
    assert_eq!(windows("near"), json!([{"start": handle.height(), "end": end}]));
}
