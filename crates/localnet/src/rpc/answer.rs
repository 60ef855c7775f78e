//! The answers of methods, and their parts that several methods share.

use near_jsonrpc_primitives::errors::RpcError;
use near_primitives::types::{BlockId, BlockReference};
use serde::Serialize;
use serde_json::Value;

/// What a method answers: a result in JSON, or an error in nearcore's format.
pub(super) type Answer = Result<Value, RpcError>;

/// Turns a result into JSON.
pub(super) fn to_value(value: impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| RpcError::serialization_error(error.to_string()))
}

/// An error of the node itself.
pub(super) fn internal(message: String) -> RpcError {
    RpcError::new_internal_error(Some(Value::String(message.clone())), message)
}

/// nearcore's text for a block that does not exist.
pub(super) fn not_found(reference: &BlockReference) -> String {
    match reference {
        BlockReference::BlockId(BlockId::Height(height)) => format!("BLOCK HEIGHT: {height}"),
        BlockReference::BlockId(BlockId::Hash(hash)) => format!("BLOCK: {hash}"),
        other => format!("{other:?}"),
    }
}
