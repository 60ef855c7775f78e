//! Parsing parameters: each method takes an object in its newer form, and a list in its older one.

use std::num::NonZeroU32;

use near_jsonrpc_primitives::errors::RpcParseError;
use near_primitives::{transaction::SignedTransaction, types::StoreKey};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses parameters, or a part of them.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, RpcParseError> {
    serde_json::from_value(value).map_err(|error| {
        RpcParseError(format!("Failed parsing args: {}", in_nearcores_words(&error.to_string())))
    })
}

/// The text of an error of base64 as a NEAR node has it, which decodes with an older version.
fn in_nearcores_words(error: &str) -> String {
    if error.starts_with("Invalid input length: ") {
        return "Encoded text cannot have a 6-bit remainder.".to_owned();
    }
    match error.strip_prefix("Invalid symbol ") {
        Some(rest) => format!("Invalid byte {rest}"),
        None => error.to_owned(),
    }
}

/// Checks what `view_state` is asked for.
pub(super) fn check_page(
    prefix: &StoreKey,
    after_key: Option<&StoreKey>,
    limit: Option<NonZeroU32>,
    include_proof: bool,
) -> Result<(), RpcParseError> {
    let error = |text: &str| Err(RpcParseError(format!("Failed parsing args: {text}")));
    if include_proof && (after_key.is_some() || limit.is_some()) {
        return error("include_proof is not supported together with after_key or limit");
    }
    if after_key.is_some_and(|after| !after.starts_with(prefix.as_slice())) {
        return error("after_key does not start with the prefix");
    }
    Ok(())
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
