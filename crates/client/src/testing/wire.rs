//! Answers in the form in which a node writes them.

use near_primitives::hash::CryptoHash;
use outlayer_protocol::Bytes;
use serde_json::{Value, json};

use super::{Answer, CONTRACT};

const NO_HASH: &str = "11111111111111111111111111111111";
const NO_SIGNATURE: &str =
    "ed25519:1111111111111111111111111111111111111111111111111111111111111111";

/// A view's result.
pub fn view_result(value: &Value) -> Answer {
    view_bytes(value.to_string().as_bytes())
}

/// The result of a view that does not return JSON.
pub fn view_bytes(bytes: &[u8]) -> Answer {
    view_bytes_at(bytes, 100)
}

/// The same, after the block at this height.
pub fn view_bytes_at(bytes: &[u8], height: u64) -> Answer {
    Answer::Result(json!({
        "result": bytes, "logs": [], "block_height": height, "block_hash": NO_HASH
    }))
}

/// The header of the block at height 100, see [`header_at`].
pub fn header() -> Value {
    header_at(100)
}

/// The header of a block, of which only the fields that are read here have a meaning.
pub fn header_at(height: u64) -> Value {
    json!({
        "height": height, "prev_height": height - 1, "hash": NO_HASH, "prev_hash": NO_HASH,
        "epoch_id": NO_HASH, "next_epoch_id": NO_HASH, "prev_state_root": NO_HASH,
        "block_body_hash": null, "chunk_receipts_root": NO_HASH, "chunk_headers_root": NO_HASH,
        "chunk_tx_root": NO_HASH, "outcome_root": NO_HASH, "chunks_included": 1,
        "challenges_root": NO_HASH, "timestamp": 1, "timestamp_nanosec": "1",
        "random_value": NO_HASH, "validator_proposals": [], "chunk_mask": [true],
        "gas_price": "1", "block_ordinal": 1, "rent_paid": "0", "validator_reward": "0",
        "total_supply": "1", "challenges_result": [], "last_final_block": NO_HASH,
        "last_ds_final_block": NO_HASH, "next_bp_hash": NO_HASH, "block_merkle_root": NO_HASH,
        "epoch_sync_data_hash": null, "approvals": [], "signature": NO_SIGNATURE,
        "latest_protocol_version": 84
    })
}

/// An executed transaction whose method returned bytes, or panicked with a message.
pub fn executed(hash: &CryptoHash, result: Result<&[u8], &str>) -> Answer {
    let status = match result {
        Ok(bytes) => json!({ "SuccessValue": Bytes::from(bytes) }),
        Err(message) => json!({ "Failure": { "ActionError": { "index": 0, "kind": {
            "FunctionCallError": { "ExecutionError": format!("Smart contract panicked: {message}") }
        } } } }),
    };
    let outcome = json!({
        "proof": [], "block_hash": hash.to_string(), "id": hash.to_string(),
        "outcome": {
            "logs": [], "receipt_ids": [], "gas_burnt": 21, "tokens_burnt": "0",
            "executor_id": "worker.near", "status": { "SuccessValue": "" }
        }
    });
    Answer::Result(json!({
        "final_execution_status": "EXECUTED_OPTIMISTIC", "status": status,
        "transaction": {
            "signer_id": "worker.near", "public_key": "ed25519:11111111111111111111111111111111",
            "nonce": 1, "receiver_id": CONTRACT, "actions": [], "signature": NO_SIGNATURE,
            "hash": hash.to_string()
        },
        "transaction_outcome": outcome, "receipts_outcome": [outcome]
    }))
}

/// The node's error for a transaction whose nonce is used up.
pub fn invalid_nonce(tx_nonce: u64, ak_nonce: u64) -> Answer {
    Answer::Error(json!({
        "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
        "cause": { "name": "INVALID_TRANSACTION", "info": {} },
        "data": { "TxExecutionError": { "InvalidTxError": {
            "InvalidNonce": { "tx_nonce": tx_nonce, "ak_nonce": ak_nonce }
        } } }
    }))
}
