//! Parameters: an object in the newer form of each method, or a list in the older one.

use near_jsonrpc_primitives::errors::RpcParseError;
use near_primitives::transaction::SignedTransaction;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads parameters in one piece.
pub(crate) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, RpcParseError> {
    serde_json::from_value(value)
        .map_err(|error| RpcParseError(format!("Failed parsing args: {error}")))
}

/// The element of a list of one, or the value back.
pub(crate) fn singleton(value: Value) -> Result<Value, Value> {
    match value {
        Value::Array(mut items) if items.len() == 1 => Ok(items.remove(0)),
        other => Err(other),
    }
}

/// The elements of a list of two, or the value back.
pub(crate) fn pair(value: Value) -> Result<(Value, Value), Value> {
    match value {
        Value::Array(mut items) if items.len() == 2 => {
            let second = items.remove(1);
            Ok((items.remove(0), second))
        }
        other => Err(other),
    }
}

/// Reads a transaction from base64 over borsh.
pub(crate) fn signed_transaction(value: Value) -> Result<SignedTransaction, RpcParseError> {
    let failed = |error: String| RpcParseError(format!("Failed to decode transaction: {error}"));
    let encoded: String = parse(value)?;
    let bytes = near_primitives::serialize::from_base64(&encoded)
        .map_err(|error| failed(error.to_string()))?;
    borsh::from_slice(&bytes).map_err(|error| failed(error.to_string()))
}
