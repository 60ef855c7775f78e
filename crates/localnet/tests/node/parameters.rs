//! The older and the newer forms of parameters: each method that takes a list takes an object as
//! well, and both mean the same.

use near_primitives::{serialize::to_base64, transaction::SignedTransaction};
use outlayer_localnet::{Handle, spawn};
use serde_json::{Value, json};

use crate::{call, manual, send, transfer};

/// Calls a method with each of the parameters, which must give one and the same reply.
fn same(handle: &Handle, method: &str, forms: &[Value]) -> Value {
    let replies: Vec<Value> =
        forms.iter().map(|params| call(handle, method, params.clone())).collect();
    for (params, reply) in forms.iter().zip(&replies) {
        assert!(reply["error"].is_null(), "{method} {params}: {reply}");
        assert_eq!(*reply, replies[0], "{method} {params}");
    }
    replies[0]["result"].clone()
}

#[test]
fn lists_and_objects_mean_the_same() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(70).unwrap();
    let sent = send(&handle, 1).to_string();
    handle.settle().unwrap();
    let (height, hash) = {
        let chain = handle.node().chain();
        (chain.head().height(), chain.head().hash().to_string())
    };
    let by_height = json!({"block_id": height});
    let by_hash = json!({"block_id": hash});
    let newest = json!({"finality": "optimistic"});
    let forms = [json!([height]), json!([hash]), by_height.clone(), by_hash.clone(), newest];
    let block = same(&handle, "block", &forms);
    let chunk = block["chunks"][0]["chunk_hash"].clone();
    let forms = [
        json!([chunk]),
        json!([[height, 0]]),
        json!([[hash, 0]]),
        json!({"chunk_id": chunk}),
        json!({"block_id": height, "shard_id": 0}),
        json!({"block_id": hash, "shard_id": 0}),
    ];
    for method in ["chunk", "EXPERIMENTAL_congestion_level"] {
        same(&handle, method, &forms);
    }
    let forms = [json!([height]), json!([hash]), json!([null]), by_height.clone(), by_hash.clone()];
    same(&handle, "gas_price", &forms);
    same(&handle, "EXPERIMENTAL_validators_ordered", &forms);
    same(&handle, "validators", &[json!([null]), json!("latest"), json!({"latest": null})]);
    let last = handle.node().chain().epochs().current().start - 1;
    let epoch = {
        let chain = handle.node().chain();
        let block = chain.history().at(last).unwrap();
        block.header.epoch_id().0.to_string()
    };
    let forms = [json!([last]), json!({"block_id": last})];
    let ended = same(&handle, "validators", &forms);
    assert_eq!(ended["epoch_height"], 1);
    let by_id = call(&handle, "validators", json!({"epoch_id": epoch}));
    assert_eq!(by_id["result"], ended);
    // Of an epoch that is over, nearcore tells who came after, and nothing by shard.
    assert_eq!(ended["next_validators"][0]["account_id"], "test.near");
    let validator = &ended["current_validators"][0];
    assert_eq!(validator["num_produced_chunks_per_shard"], json!([0]));
    assert_eq!(validator["shards_endorsed"], json!([]));
    let current = handle.node().chain().epochs().current().id.0.to_string();
    let by_id = call(&handle, "validators", json!({"epoch_id": current}));
    assert_eq!(by_id["error"]["cause"]["name"], "UNKNOWN_EPOCH", "it is not over");
    let forms = [json!([hash]), json!({"last_block_hash": hash})];
    same(&handle, "next_light_client_block", &forms);
    let named = json!({"tx_hash": sent, "sender_account_id": "test.near"});
    for method in ["tx", "tx_status", "EXPERIMENTAL_tx_status"] {
        same(&handle, method, &[json!([sent, "test.near"]), named.clone()]);
    }
    let path = json!(["account/near", ""]);
    let named =
        json!({"request_type": "view_account", "account_id": "near", "finality": "optimistic"});
    same(&handle, "query", &[path, named]);
    // These take no parameters, and so whatever is sent.
    for method in ["status", "network_info", "genesis_config", "client_config", "health"] {
        let replies = [json!([]), json!({}), Value::Null, json!([1, "2"]), json!("x")]
            .map(|params| call(&handle, method, params));
        assert!(replies.iter().all(|reply| reply["error"].is_null()), "{method}: {replies:?}");
    }
}

#[test]
fn a_transaction_is_sent_in_a_list_or_by_name() {
    let handle = spawn(manual()).unwrap();
    let head = *handle.node().chain().head().hash();
    let mut nonce = 0;
    let mut forms = || {
        nonce += 2;
        [nonce - 1, nonce].map(|nonce| transfer(handle.home(), "near", nonce, head))
    };
    let encode = |tx: &SignedTransaction| to_base64(&borsh::to_vec(tx).unwrap());
    let [first, second] = forms();
    let params = [json!([encode(&first)]), json!({"signed_tx_base64": encode(&second)})];
    for (params, tx) in params.into_iter().zip([first, second]) {
        let reply = call(&handle, "broadcast_tx_async", params);
        assert_eq!(reply["result"], tx.get_hash().to_string(), "{reply}");
    }
    handle.settle().unwrap();
    // With a level that is reached at once, because nobody makes blocks here.
    let [first, second] = forms();
    let named =
        |tx: &SignedTransaction| json!({"signed_tx_base64": encode(tx), "wait_until": "NONE"});
    for tx in [&first, &second] {
        let reply = call(&handle, "send_tx", named(tx));
        assert_eq!(reply["result"], json!({"final_execution_status": "NONE"}), "{reply}");
    }
    handle.settle().unwrap();
    for method in ["tx", "tx_status", "EXPERIMENTAL_tx_status"] {
        let hash = first.get_hash().to_string();
        let by_name = json!({"tx_hash": hash, "sender_account_id": "test.near"});
        let reply = call(&handle, method, by_name);
        assert_eq!(reply["result"]["final_execution_status"], "FINAL", "{reply}");
    }
    let two = call(&handle, "send_tx", json!([encode(&first), "more"]));
    assert_eq!(two["error"]["cause"]["name"], "PARSE_ERROR", "{two}");
}
