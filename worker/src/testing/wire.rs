//! Answers as a node writes them.

use near_primitives::hash::CryptoHash;
use serde_json::{Value, json};

use super::{Answer, CONTRACT};

pub(crate) fn header() -> Value {
    let hash = "11111111111111111111111111111111";
    json!({
        "height": 100, "prev_height": 99, "epoch_id": hash, "next_epoch_id": hash, "hash": hash, "prev_hash": hash,
        "prev_state_root": hash, "block_body_hash": null, "chunk_receipts_root": hash, "chunk_headers_root": hash,
        "chunk_tx_root": hash, "outcome_root": hash, "chunks_included": 1, "challenges_root": hash, "timestamp": 1,
        "timestamp_nanosec": "1", "random_value": hash, "validator_proposals": [], "chunk_mask": [true],
        "gas_price": "1", "block_ordinal": 1, "rent_paid": "0", "validator_reward": "0", "total_supply": "1",
        "challenges_result": [], "last_final_block": hash, "last_ds_final_block": hash, "next_bp_hash": hash,
        "block_merkle_root": hash, "epoch_sync_data_hash": null, "approvals": [], "signature":
        "ed25519:1111111111111111111111111111111111111111111111111111111111111111", "latest_protocol_version": 84
    })
}

/// An executed transaction: the method returned bytes, or panicked with a message.
pub(crate) fn executed(hash: &CryptoHash, result: Result<&[u8], &str>) -> Answer {
    let status = match result {
        Ok(bytes) => json!({ "SuccessValue": outlayer_protocol::Bytes::from(bytes) }),
        Err(message) => json!({ "Failure": { "ActionError": { "index": 0, "kind": {
            "FunctionCallError": { "ExecutionError": format!("Smart contract panicked: {message}") }
        } } } }),
    };
    let outcome = json!({
        "proof": [], "block_hash": hash.to_string(), "id": hash.to_string(),
        "outcome": {
            "logs": [], "receipt_ids": [], "gas_burnt": 21, "tokens_burnt": "0", "executor_id": "worker.near",
            "status": { "SuccessValue": "" }
        }
    });
    Answer::Result(json!({
        "final_execution_status": "EXECUTED_OPTIMISTIC", "status": status,
        "transaction": {
            "signer_id": "worker.near", "public_key": "ed25519:11111111111111111111111111111111", "nonce": 1,
            "receiver_id": CONTRACT, "actions": [], "signature":
            "ed25519:1111111111111111111111111111111111111111111111111111111111111111", "hash": hash.to_string()
        },
        "transaction_outcome": outcome, "receipts_outcome": [outcome]
    }))
}

pub(crate) fn invalid_nonce(tx_nonce: u64, ak_nonce: u64) -> Answer {
    Answer::Error(json!({
        "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
        "cause": { "name": "INVALID_TRANSACTION", "info": {} },
        "data": { "TxExecutionError": { "InvalidTxError": { "InvalidNonce": { "tx_nonce": tx_nonce, "ak_nonce": ak_nonce } } } }
    }))
}
