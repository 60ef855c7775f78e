//! Compares a value with a recorded one, in which placeholders may stand.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The values for which placeholders stand.
pub(crate) struct Context {
    /// The public key of `test.near`.
    pub(crate) root_key: String,
    pub(crate) chain_id: String,
    /// The last nonce that the transaction's key had used.
    pub(crate) nonce: u64,
    /// The last nonce that the key of a delegate action's sender had used.
    pub(crate) sender_nonce: u64,
}

/// A place where a value is not as recorded.
pub(crate) struct Difference {
    /// Where the value stands, such as `.outcome.status`.
    pub(crate) path: String,
    pub(crate) expected: Value,
    pub(crate) found: Value,
}

/// Appends to `out` every place where `found` is not as recorded.
pub(crate) fn compare(
    context: &Context,
    path: &str,
    expected: &Value,
    found: &Value,
    out: &mut Vec<Difference>,
) {
    match (expected, found) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                let inner = got.get(key).cloned().unwrap_or_else(|| Value::from("(missing)"));
                compare(context, &format!("{path}.{key}"), value, &inner, out);
            }
            for (key, value) in got.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                out.push(Difference {
                    path: format!("{path}.{key}"),
                    expected: Value::from("(missing)"),
                    found: value.clone(),
                });
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            for (place, (value, inner)) in wanted.iter().zip(got).enumerate() {
                compare(context, &format!("{path}[{place}]"), value, inner, out);
            }
        }
        _ if expected == found || matches(context, expected, found) => {}
        _ => out.push(Difference {
            path: path.to_owned(),
            expected: expected.clone(),
            found: found.clone(),
        }),
    }
}

/// Whether `expected` is a placeholder that stands for `found`.
fn matches(context: &Context, expected: &Value, found: &Value) -> bool {
    let Some(placeholder) = expected
        .as_str()
        .and_then(|text| text.strip_prefix('<'))
        .and_then(|text| text.strip_suffix('>'))
    else {
        return false;
    };
    match placeholder {
        "number" => return found.is_number(),
        "array" => return found.is_array(),
        "object" => return found.is_object(),
        "string" => return found.is_string(),
        "signature" => {
            return found.as_str().is_some_and(|text| text.starts_with("ed25519:"));
        }
        "hash" => return found.as_str().is_some_and(is_hash),
        "root key" => return *found == context.root_key,
        "chain id" => return *found == context.chain_id,
        "32 bytes" => {
            let bytes = found.as_str().and_then(|text| STANDARD.decode(text).ok());
            return bytes.is_some_and(|bytes| bytes.len() == 32);
        }
        _ => {}
    }
    if let Some(offset) = placeholder.strip_prefix("sender's nonce") {
        return is_nonce(context.sender_nonce, offset, found);
    }
    if let Some(offset) = placeholder.strip_prefix("nonce") {
        return is_nonce(context.nonce, offset, found);
    }
    match (placeholder.split_once(" characters, sha256 of the text "), found) {
        (Some((length, hash)), Value::String(text)) => {
            length == text.len().to_string() && hash == hex::encode(Sha256::digest(text))
        }
        _ => false,
    }
}

fn is_nonce(base: u64, offset: &str, found: &Value) -> bool {
    let offset = if offset.is_empty() { 0 } else { offset.parse().unwrap() };
    found.as_u64() == base.checked_add_signed(offset)
}

fn is_hash(text: &str) -> bool {
    text.parse::<near_primitives::hash::CryptoHash>().is_ok()
}
