//! Answers that no node should give: parts of them are replaced, or left out.

use serde_json::Value;

use super::Answer;

/// A change of an answer: which of its parts (the number is taken modulo their count), and what
/// stands there instead; `None` removes it.
pub type Change = (usize, Option<Value>);

/// How many parts a value has, with itself.
fn parts(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(parts).sum(),
        Value::Object(all) => all.values().map(parts).sum(),
        _ => 0usize,
    }
}

/// Replaces the part with this number. Says whether it is to be removed from what has it.
fn replace(value: &mut Value, number: &mut usize, with: Option<&Value>) -> bool {
    if *number == 0 {
        if let Some(with) = with {
            *value = with.clone();
        }
        return with.is_none();
    }
    *number -= 1;
    match value {
        Value::Array(all) => {
            for index in 0..all.len() {
                let inside = parts(&all[index]);
                if *number < inside {
                    if replace(&mut all[index], number, with) {
                        all.remove(index);
                    }
                    return false;
                }
                *number -= inside;
            }
        }
        Value::Object(all) => {
            for key in all.keys().cloned().collect::<Vec<_>>() {
                let inside = parts(&all[&key]);
                if *number < inside {
                    if replace(all.get_mut(&key).unwrap(), number, with) {
                        all.remove(&key);
                    }
                    return false;
                }
                *number -= inside;
            }
        }
        _ => {}
    }
    false
}

fn changed(mut value: Value, changes: &[Change]) -> Value {
    for (part, with) in changes {
        let mut number = part % parts(&value);
        replace(&mut value, &mut number, with.as_ref());
    }
    value
}

/// Bytes that are no JSON: some are replaced, or all after them left out.
fn changed_bytes(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for (part, with) in changes {
        let position = part % bytes.len().max(1);
        match (bytes.get_mut(position), with) {
            (Some(byte), Some(Value::Number(number))) => {
                *byte = number.as_u64().map_or(255, |number| number.to_le_bytes()[0]);
            }
            (Some(byte), Some(_)) => *byte = 255,
            (Some(_), None) => bytes.truncate(position),
            (None, _) => {}
        }
    }
    bytes
}

impl Answer {
    /// The same answer with these changes: of the answer itself or, if they are `inside`, of the
    /// bytes that a view returned.
    #[must_use]
    pub fn changed(self, changes: &[Change], inside: bool) -> Self {
        match self {
            Self::Result(mut answer) if inside && answer["result"].is_array() => {
                let bytes: Vec<u8> = serde_json::from_value(answer["result"].clone()).unwrap();
                let bytes = match serde_json::from_slice::<Value>(&bytes) {
                    Ok(value) => changed(value, changes).to_string().into_bytes(),
                    Err(_) => changed_bytes(bytes, changes),
                };
                answer["result"] = Value::from(bytes);
                Self::Result(answer)
            }
            Self::Result(answer) => Self::Result(changed(answer, changes)),
            Self::Error(answer) => Self::Error(changed(answer, changes)),
            other => other,
        }
    }
}
