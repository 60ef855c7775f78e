//! A JSON document of about 30 KB, parsed.

use serde_json::Value;

use crate::{fold, numbers};

/// The number that [`json`] returns.
pub const JSON: u64 = 0xc6a5_6a4d_2f67_5170;

const ENTRIES: usize = 300;

/// Writes a document, parses it, and visits every value in it.
pub fn json() -> u64 {
    let entries: Vec<String> = numbers()
        .take(ENTRIES)
        .map(|number| {
            format!(
                concat!(
                    r#"{{"id": {}, "share": {}.{:03}e-3, "#,
                    r#""name": "caf\u00e9 \"{:x}\"", "tags": [true, null, -{}]}}"#
                ),
                number,
                number % 90,
                number % 1_000,
                number % 4_096,
                number % 77
            )
        })
        .collect();
    let text = format!("[{}]", entries.join(",\n"));
    match serde_json::from_str(&text) {
        Ok(document) => visit(text.len() as u64, &document),
        Err(_) => 0,
    }
}

/// Folds a value into the checksum. Another crate of the same build can make the parser keep the
/// order of a map, or round the last digit of a number differently; neither changes the checksum.
fn visit(sum: u64, value: &Value) -> u64 {
    match value {
        Value::Null => fold(sum, 1),
        Value::Bool(truth) => fold(sum, 2 + u64::from(*truth)),
        Value::Number(number) => {
            let millionths = (number.as_f64().unwrap_or_default() * 1e6).round();
            fold(sum, number.as_u64().unwrap_or(millionths.to_bits()))
        }
        Value::String(text) => text.bytes().fold(sum, |sum, byte| fold(sum, byte.into())),
        Value::Array(values) => values.iter().fold(sum, visit),
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| visit(name.len() as u64, value);
            fold(sum, entries.iter().map(entry).fold(0, u64::wrapping_add))
        }
    }
}
