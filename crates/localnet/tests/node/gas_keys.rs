//! Gas keys as clients of the RPC see them.

use near_crypto::{InMemorySigner, KeyType, PublicKey, SecretKey};
use near_primitives::{
    account::AccessKey,
    action::{Action, AddKeyAction, TransferAction, TransferToGasKeyAction},
    hash::CryptoHash,
    transaction::{NonceMode, SignedTransaction, Transaction, TransactionNonce, TransactionV1},
    types::Balance,
};
use outlayer_localnet::{Config, Handle, node::BlockProduction, spawn};
use serde_json::{Value, json};

use crate::{call, manual, root};

fn gas_key() -> SecretKey {
    SecretKey::from_seed(KeyType::ED25519, "gas")
}

/// A node whose root account has a gas key with 4 nonces and 1 NEAR.
fn node() -> Handle {
    let production = BlockProduction::Instant { heartbeat: None };
    let handle = spawn(Config { production, ..manual() }).unwrap();
    let signer = root(handle.home());
    let id = signer.get_account_id();
    let public_key = gas_key().public_key();
    let access_key = AccessKey::gas_key_full_access(4);
    let deposit = Balance::from_near(1);
    let add = AddKeyAction { public_key: public_key.clone(), access_key };
    let fund = TransferToGasKeyAction { public_key, deposit };
    let actions = vec![Action::AddKey(Box::new(add)), Action::TransferToGasKey(Box::new(fund))];
    let head = *handle.node().chain().head().hash();
    let tx = SignedTransaction::from_actions(1, id.clone(), id, &signer, actions, head);
    let reply = send(&handle, &tx);
    assert_eq!(reply["result"]["status"], json!({"SuccessValue": ""}), "{reply}");
    handle
}

fn send(handle: &Handle, tx: &SignedTransaction) -> Value {
    let encoded = near_primitives::serialize::to_base64(&borsh::to_vec(tx).unwrap());
    call(handle, "send_tx", json!({"signed_tx_base64": encoded, "wait_until": "FINAL"}))
}

fn transfer(handle: &Handle, index: u16, nonce: u64) -> SignedTransaction {
    let signer_id = root(handle.home()).get_account_id();
    let transaction = Transaction::V1(TransactionV1 {
        signer_id: signer_id.clone(),
        public_key: gas_key().public_key(),
        nonce: TransactionNonce::from_nonce_and_index(nonce, index),
        receiver_id: "near".parse().unwrap(),
        block_hash: *handle.node().chain().head().hash(),
        actions: vec![Action::Transfer(TransferAction { deposit: Balance::from_yoctonear(1) })],
        nonce_mode: NonceMode::Monotonic,
    });
    let (hash, _): (CryptoHash, _) = transaction.get_hash_and_size();
    let signer = InMemorySigner::from_secret_key(signer_id, gas_key());
    SignedTransaction::new(signer.sign(hash.as_ref()), transaction)
}

fn of_key(key: &PublicKey) -> Value {
    json!({"finality": "optimistic", "account_id": "test.near", "public_key": key.to_string()})
}

fn nonces(handle: &Handle) -> Vec<u64> {
    let mut params = of_key(&gas_key().public_key());
    let own = call(handle, "EXPERIMENTAL_view_gas_key_nonces", params.clone());
    params["request_type"] = json!("view_gas_key_nonces");
    let query = call(handle, "query", params);
    assert_eq!(own["result"], query["result"]);
    serde_json::from_value(own["result"]["nonces"].clone()).unwrap()
}

#[test]
fn a_gas_key_and_its_nonces_are_shown() {
    let handle = node();
    let first = nonces(&handle);
    assert_eq!(first.len(), 4);
    let mut params = of_key(&gas_key().public_key());
    params["request_type"] = json!("view_access_key");
    let shown = call(&handle, "query", params.clone())["result"]["permission"].clone();
    let full = json!({"balance": "1000000000000000000000000", "num_nonces": 4});
    assert_eq!(shown, json!({"GasKeyFullAccess": full}));
    // The nonces are no keys.
    params["request_type"] = json!("view_access_key_list");
    let keys = call(&handle, "query", params)["result"]["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 2);

    let tx = transfer(&handle, 2, first[2] + 9);
    let reply = send(&handle, &tx);
    assert_eq!(reply["result"]["status"], json!({"SuccessValue": ""}), "{reply}");
    assert_eq!(nonces(&handle), [first[0], first[1], first[2] + 9, first[3]]);
    let block = reply["result"]["transaction_outcome"]["block_hash"].clone();
    let wanted = json!({
        "changes_type": "all_access_key_changes",
        "account_ids": ["test.near"],
        "block_id": block,
    });
    let changes = call(&handle, "EXPERIMENTAL_changes", wanted)["result"]["changes"].clone();
    let of_nonce = json!({
        "account_id": "test.near",
        "public_key": gas_key().public_key().to_string(),
        "index": 2,
        "nonce": first[2] + 9,
    });
    let changes = changes.as_array().unwrap();
    let found = changes.iter().find(|change| change["type"] == "gas_key_nonce_update");
    assert_eq!(found.unwrap()["change"], of_nonce, "{changes:?}");

    let again = send(&handle, &transfer(&handle, 2, first[2] + 9));
    let error = &again["error"]["data"]["TxExecutionError"]["InvalidTxError"]["InvalidNonce"];
    assert_eq!(error, &json!({"tx_nonce": first[2] + 9, "ak_nonce": first[2] + 9}), "{again}");
}

#[test]
fn a_key_that_is_no_gas_key_has_no_nonces() {
    let handle = node();
    let ordinary = root(handle.home()).public_key();
    let unknown = PublicKey::from_seed(KeyType::ED25519, "unknown");
    for key in [ordinary, unknown] {
        let mut params = of_key(&key);
        let own = call(&handle, "EXPERIMENTAL_view_gas_key_nonces", params.clone());
        assert_eq!(own["error"]["cause"]["name"], "UNKNOWN_GAS_KEY", "{own}");
        assert_eq!(own["error"]["cause"]["info"]["public_key"], key.to_string());
        params["request_type"] = json!("view_gas_key_nonces");
        let query = call(&handle, "query", params);
        assert_eq!(query["error"]["cause"]["name"], "UNKNOWN_GAS_KEY", "{query}");
    }
}

/// Each index of a gas key counts for itself, so transactions that are sent at once need not wait
/// for each other.
#[test]
fn transactions_of_all_indexes_are_taken_at_once() {
    let handle = node();
    let first = nonces(&handle);
    let hashes: Vec<CryptoHash> = std::thread::scope(|scope| {
        let sending: Vec<_> = (1..=10_u64)
            .flat_map(|offset| (0..4_u16).map(move |index| (index, offset)))
            .map(|(index, offset)| transfer(&handle, index, first[usize::from(index)] + offset))
            .map(|tx| scope.spawn(|| handle.node().submit(tx).unwrap()))
            .collect();
        sending.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    handle.settle().unwrap();
    assert!(hashes.iter().all(|hash| handle.node().transaction_status(hash).is_some()));
    assert_eq!(nonces(&handle), first.iter().map(|nonce| nonce + 10).collect::<Vec<_>>());
}
