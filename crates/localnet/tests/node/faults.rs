//! Injected faults.

use std::time::Duration;

use near_primitives::{hash::CryptoHash, views::TxExecutionStatus};
use outlayer_localnet::{
    Config, Handle,
    node::{BlockProduction, NodeError, RpcFaults, TransactionFault},
    spawn,
};
use serde_json::{Value, json};

use crate::{balance, height_of, http, manual, send, transfer};

#[test]
fn a_dropped_transaction_is_never_seen_again_and_the_next_one_is() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    handle.next_transaction(TransactionFault::Drop);
    let (lost, kept) = (send(&handle, 1), send(&handle, 2));
    handle.produce_blocks(10).unwrap();
    assert_eq!(height_of(&handle, &lost), None);
    assert_eq!(height_of(&handle, &kept), Some(2));
}

#[test]
fn a_delayed_transaction_waits_and_others_overtake_it() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    handle.next_transaction(TransactionFault::Delay { blocks: 5 });
    let late = send(&handle, 2);
    let other = send(&handle, 1);
    handle.produce_blocks(10).unwrap();
    assert_eq!(height_of(&handle, &other), Some(2));
    assert_eq!(height_of(&handle, &late), Some(7));
}

#[test]
fn a_duplicate_counts_once() {
    let handle = spawn(manual()).unwrap();
    handle.produce_block().unwrap();
    let before = balance(&handle, "near");
    handle.next_transaction(TransactionFault::Duplicate);
    let hash = send(&handle, 1);
    handle.settle().unwrap();
    assert_eq!(height_of(&handle, &hash), Some(2));
    let chain = handle.node().chain();
    let refusal = chain.invalid_transaction(&hash).expect("the copy is refused");
    assert!(refusal.to_string().contains("nonce"), "{refusal}");
    drop(chain);
    assert_eq!(balance(&handle, "near") - before, 1_000_000_000_000_000_000_000_000);
    let status = handle.node().transaction_status(&hash).unwrap();
    assert_eq!(status.status, TxExecutionStatus::Final);
}

#[test]
fn optimistic_blocks_are_taken_back_and_their_transactions_come_again() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(5).unwrap();
    let before = balance(&handle, "near");
    let hash = send(&handle, 1);
    handle.produce_blocks(2).unwrap();
    let old = |height| {
        let chain = handle.node().chain();
        chain.history().at(height).map(|block| block.hash())
    };
    let (first, second) = (old(6).unwrap(), old(7).unwrap());
    assert_ne!(balance(&handle, "near"), before);
    assert_eq!(handle.reorg(2).unwrap(), [second, first]);
    assert_eq!(handle.height(), 5);
    assert_eq!(balance(&handle, "near"), before);
    assert!(handle.node().transaction_status(&hash).is_none());
    assert!(handle.node().chain().history().by_hash(&first).is_none());
    handle.settle().unwrap();
    assert_eq!(height_of(&handle, &hash), Some(8), "no height is used twice");
    let chain = handle.node().chain();
    let above = &chain.history().at(8).unwrap().header;
    assert_eq!(above.prev_height(), Some(5));
    drop(chain);
    assert_eq!(balance(&handle, "near") - before, 1_000_000_000_000_000_000_000_000);
}

#[test]
fn a_patch_outlives_the_block_that_held_it() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(3).unwrap();
    let record = json!([{"Data": {"account_id": "near", "data_key": "a2V5", "value": "dmFsdWU="}}]);
    let records = serde_json::from_value(record).unwrap();
    handle.node().patch_state(records).unwrap();
    handle.reorg(1).unwrap();
    let read = |handle: &Handle| {
        let state = handle.node().chain().state();
        state.contract_data(&"near".parse().unwrap(), b"key")
    };
    assert!(read(&handle).is_none());
    handle.produce_block().unwrap();
    assert_eq!(read(&handle).as_deref(), Some(b"value".as_slice()));
}

#[test]
fn final_blocks_stay() {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(10).unwrap();
    let error = handle.reorg(3).unwrap_err();
    let NodeError::ReorgTooDeep { found, allowed } = error else {
        panic!("{error}");
    };
    assert_eq!((found, allowed), (3, 2));
    assert_eq!(handle.height(), 10);
}

/// Each block of two epochs is removed once, including the first one of each epoch.
#[test]
fn whatever_a_block_did_to_the_epochs_is_undone_with_it() {
    let handle = spawn(manual()).unwrap();
    let epochs = || format!("{:?}", handle.node().chain().epochs());
    for _ in 0..130 {
        let (before, snapshot) = (epochs(), handle.snapshot());
        handle.produce_block().unwrap();
        assert_ne!(epochs(), before, "every block is counted");
        assert_eq!(handle.reorg(1).unwrap().len(), 1);
        assert_eq!(epochs(), before);
        handle.restore(snapshot);
        handle.produce_block().unwrap();
    }
    assert_eq!(handle.node().chain().epochs().current().height, 3);
}

async fn call(handle: &Handle, method: &str, params: Value) -> (u16, Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = http().post(handle.rpc_url()).json(&body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn requests_fail_at_a_rate_that_a_seed_repeats() {
    let run = async |seed| {
        let handle =
            spawn(Config { rpc_faults: Some(RpcFaults::at_rate(0.5, seed)), ..manual() }).unwrap();
        let mut codes = Vec::new();
        for _ in 0..40 {
            codes.push(call(&handle, "status", Value::Null).await.0);
        }
        codes
    };
    let first = run(1).await;
    assert_eq!(first, run(1).await);
    assert_ne!(first, run(2).await);
    let failed = first.iter().filter(|code| **code == 500).count();
    assert!((8..=32).contains(&failed), "{failed} of 40");
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_on_the_chain_all_the_same() {
    let production = BlockProduction::Instant { heartbeat: Some(Duration::from_millis(10)) };
    let handle = spawn(Config { production, ..manual() }).unwrap();
    let send = async |nonce: u64| -> (u16, CryptoHash) {
        let head = *handle.node().chain().head().hash();
        let tx = transfer(handle.home(), "near", nonce, head);
        let encoded = near_primitives::serialize::to_base64(&borsh::to_vec(&tx).unwrap());
        let (code, _) = call(&handle, "broadcast_tx_commit", json!([encoded])).await;
        (code, tx.get_hash())
    };
    for carried_out in [true, false] {
        handle.fail_rpc(Some(RpcFaults { carried_out, ..RpcFaults::at_rate(1.0, 0) }));
        let (code, hash) = send(1 + u64::from(!carried_out)).await;
        assert_eq!(code, 500);
        assert_eq!(height_of(&handle, &hash).is_some(), carried_out);
    }
    handle.fail_rpc(None);
    assert_eq!(send(3).await.0, 200);
}
