//! Compares a value with a recorded one, which may hold placeholders.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What placeholders stand for.
pub(crate) struct Context {
    pub(crate) root_key: String,
    pub(crate) chain_id: String,
    pub(crate) nonce: u64,
    pub(crate) sender_nonce: u64,
}

/// One difference.
pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) expected: Value,
    pub(crate) found: Value,
}

/// Appends to `out` where `found` is not what was recorded.
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
