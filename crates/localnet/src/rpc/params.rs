//! Parsing parameters: each method takes an object in its newer form, and a list in its older one.

use near_jsonrpc_primitives::errors::RpcParseError;
use near_primitives::transaction::SignedTransaction;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses parameters, or a part of them.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, RpcParseError> {
    serde_json::from_value(value)
        .map_err(|error| RpcParseError(format!("Failed parsing args: {error}")))
}

/// The element of a list of one; any other value is handed back.
pub(super) fn singleton(value: Value) -> Result<Value, Value> {
    match value {
        Value::Array(mut items) if items.len() == 1 => Ok(items.remove(0)),
        other => Err(other),
    }
}

/// The elements of a list of two; any other value is handed back.
pub(super) fn pair(value: Value) -> Result<(Value, Value), Value> {
    match value {
        Value::Array(mut items) if items.len() == 2 => {
            let second = items.remove(1);
            Ok((items.remove(0), second))
        }
        other => Err(other),
    }
}

/// Parses a transaction from borsh in base64.
pub(super) fn signed_transaction(value: Value) -> Result<SignedTransaction, RpcParseError> {
    let failed = |error: String| RpcParseError(format!("Failed to decode transaction: {error}"));
    let encoded: String = parse(value)?;
    let bytes = near_primitives::serialize::from_base64(&encoded)
        .map_err(|error| failed(error.to_string()))?;
    borsh::from_slice(&bytes).map_err(|error| failed(error.to_string()))
}
