//! Universal accounts as clients of the RPC see them.

use std::collections::{BTreeMap, BTreeSet};

use near_crypto::{InMemorySigner, KeyType, PublicKeyHandle, SecretKey};
use near_primitives::{
    action::{Action, UniversalStateInitAction},
    serialize::to_base64,
    transaction::SignedTransaction,
    types::Balance,
    universal_state_init::{UniversalStateInit, UniversalStateInitV1},
    utils::derive_universal_account_id,
};
use outlayer_localnet::{Config, Handle, node::BlockProduction, spawn};
use serde_json::{Value, json};

use crate::{call, manual, transfer};

fn send(handle: &Handle, tx: &SignedTransaction) -> Value {
    let encoded = to_base64(&borsh::to_vec(tx).unwrap());
    call(handle, "send_tx", json!({"signed_tx_base64": encoded, "wait_until": "FINAL"}))
}

#[test]
fn an_account_is_funded_shown_and_initialized_by_itself() {
    let production = BlockProduction::Instant { heartbeat: None };
    let handle = spawn(Config { production, ..manual() }).unwrap();
    let key = SecretKey::from_seed(KeyType::ED25519, "universal");
    let raw = UniversalStateInit::V1(UniversalStateInitV1 {
        code: None,
        data: BTreeMap::new(),
        access_keys: BTreeSet::from([PublicKeyHandle::from(&key.public_key())]),
    })
    .to_raw();
    let account = derive_universal_account_id(&raw);
    let view = || {
        let params = json!({"finality": "optimistic", "account_id": account});
        let own = call(&handle, "EXPERIMENTAL_view_account", params.clone())["result"].clone();
        let mut params = params;
        params["request_type"] = json!("view_account");
        assert_eq!(call(&handle, "query", params)["result"], own);
        own
    };
    let head = || *handle.node().chain().head().hash();
    let fund = send(&handle, &transfer(handle.home(), account.as_str(), 1, head()));
    assert_eq!(fund["result"]["status"], json!({"SuccessValue": ""}), "{fund}");
    let waiting = view();
    assert_eq!(waiting["state"], "uninitialized");
    let nonce = waiting["bootstrap_nonce"].as_u64().unwrap();

    let deposit = Balance::ZERO;
    let init = UniversalStateInitAction { state_init: raw, deposit };
    let actions = vec![Action::UniversalStateInit(Box::new(init))];
    let signer = InMemorySigner::from_secret_key(account.clone(), key.clone());
    let id = || account.clone();
    let bootstrap = |nonce| {
        SignedTransaction::from_actions(nonce, id(), id(), &signer, actions.clone(), head())
    };
    let early = send(&handle, &bootstrap(nonce + 2));
    let error = &early["error"]["data"]["TxExecutionError"]["InvalidTxError"]["InvalidNonce"];
    assert_eq!(*error, json!({"tx_nonce": nonce + 2, "ak_nonce": nonce}), "{early}");
    let done = send(&handle, &bootstrap(nonce + 1));
    assert_eq!(done["result"]["status"], json!({"SuccessValue": ""}), "{done}");
    let shown = &done["result"]["transaction"]["actions"][0]["UniversalStateInit"];
    assert_eq!(shown["deposit"], "0");
    let ready = view();
    assert!(ready["state"].is_null() && ready["bootstrap_nonce"].is_null(), "{ready}");

    let keys = json!({
        "request_type": "view_access_key_list", "finality": "optimistic", "account_id": account,
    });
    let keys = call(&handle, "query", keys)["result"]["keys"].clone();
    assert_eq!(keys[0]["public_key"], key.public_key().to_string());
    let nonce = keys[0]["access_key"]["nonce"].as_u64().unwrap() + 1;
    let near = "near".parse().unwrap();
    let own = SignedTransaction::send_money(nonce, id(), near, &signer, deposit, head());
    let sent = send(&handle, &own);
    assert_eq!(sent["result"]["status"], json!({"SuccessValue": ""}), "{sent}");
}

/// A record of an account that waits for its state init can be patched in, and comes out again.
#[test]
fn a_waiting_account_is_a_record_of_the_state() {
    let handle = spawn(manual()).unwrap();
    let id = "0u0000000000000000000000000000000000000000000000000000";
    let account = json!({
        "amount": "5", "locked": "0", "code_hash": "11111111111111111111111111111111",
        "storage_usage": 100, "version": "V1", "state": "uninitialized", "bootstrap_nonce": 7,
    });
    let record = json!({"Account": {"account_id": id, "account": account}});
    let patched = call(&handle, "sandbox_patch_state", json!({"records": [record]}));
    assert_eq!(patched["result"], json!({}), "{patched}");
    handle.produce_blocks(1).unwrap();
    let records = call(&handle, "localnet_records", json!([]))["result"]["records"].clone();
    let all = records.as_array().unwrap();
    assert!(all.contains(&record), "the account is not among the records");
}
