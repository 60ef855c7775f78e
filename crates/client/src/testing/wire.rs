//! Answers in the form in which a node writes them.

use near_primitives::hash::CryptoHash;
use outlayer_protocol::Bytes;
use serde_json::{Value, json};

use super::{Answer, CONTRACT};

const NO_HASH: &str = "11111111111111111111111111111111";
const NO_KEY: &str = "ed25519:11111111111111111111111111111111";
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
    // A block takes 10 milliseconds.
    let nanos = height * 10_000_000;
    json!({
        "height": height, "prev_height": height - 1, "hash": NO_HASH, "prev_hash": NO_HASH,
        "epoch_id": NO_HASH, "next_epoch_id": NO_HASH, "prev_state_root": NO_HASH,
        "block_body_hash": null, "chunk_receipts_root": NO_HASH, "chunk_headers_root": NO_HASH,
        "chunk_tx_root": NO_HASH, "outcome_root": NO_HASH, "chunks_included": 1,
        "challenges_root": NO_HASH, "timestamp": nanos, "timestamp_nanosec": nanos.to_string(),
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
    invalid_transaction(&json!({ "InvalidNonce": { "tx_nonce": tx_nonce, "ak_nonce": ak_nonce } }))
}

/// The node's error for a transaction whose nonce is farther ahead than the newest block allows.
pub fn nonce_too_large(tx_nonce: u64, upper_bound: u64) -> Answer {
    invalid_transaction(
        &json!({ "NonceTooLarge": { "tx_nonce": tx_nonce, "upper_bound": upper_bound } }),
    )
}

/// The node's error for a transaction that it does not take, with what it calls the reason.
pub fn invalid_transaction(error: &Value) -> Answer {
    Answer::Error(json!({
        "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
        "cause": { "name": "INVALID_TRANSACTION", "info": {} },
        "data": { "TxExecutionError": { "InvalidTxError": error } }
    }))
}

/// What a node answers to the question for an access key that the account does not have after the
/// block at this height.
pub fn unknown_access_key(public_key: &str, height: u64) -> Answer {
    Answer::Result(json!({
        "error": format!("access key {public_key} does not exist while viewing"), "logs": [],
        "block_height": height, "block_hash": NO_HASH
    }))
}

/// The node's error for a block that it does not have. A node sends it with HTTP status 422 when
/// the block's height is below its newest one.
pub fn unknown_block() -> Value {
    handler_error("UNKNOWN_BLOCK", &json!({ "block_reference": { "block_id": 99 } }))
}

/// The node's error for a transaction that has no outcome after as long as the node waits.
pub fn timeout_error() -> Value {
    handler_error("TIMEOUT_ERROR", &json!({}))
}

/// The node's error for a transaction that it does not know.
pub fn unknown_transaction(hash: &CryptoHash) -> Value {
    let info = json!({ "requested_transaction_hash": hash.to_string() });
    handler_error("UNKNOWN_TRANSACTION", &info)
}

/// An error of a method's handler, as it stands in the member `error`.
pub fn handler_error(name: &str, info: &Value) -> Value {
    json!({
        "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
        "cause": { "name": name, "info": info }
    })
}

/// The status of a node whose newest block is at `height`.
pub fn status(chain_id: &str, genesis_hash: &CryptoHash, height: u64) -> Value {
    json!({
        "version": { "version": "1", "build": "x", "commit": "x", "rustc_version": "x" },
        "chain_id": chain_id, "protocol_version": 84, "latest_protocol_version": 84,
        "rpc_addr": null, "validators": [], "validator_account_id": null,
        "validator_public_key": null, "node_public_key": NO_KEY, "node_key": null,
        "uptime_sec": 1, "genesis_hash": genesis_hash.to_string(), "detailed_debug_status": null,
        "sync_info": {
            "latest_block_hash": NO_HASH, "latest_block_height": height,
            "latest_state_root": NO_HASH, "latest_block_time": "2026-01-01T00:00:00.000000000Z",
            "syncing": false, "earliest_block_hash": null, "earliest_block_height": null,
            "earliest_block_time": null, "epoch_id": null, "epoch_start_height": null
        }
    })
}
