//! JSON merge patches (RFC 7396).

use serde_json::{Value, json};

/// Applies a merge patch: objects are merged, `null` removes a field, everything else replaces.
pub(super) fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            apply(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_replaces_adds_and_removes() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": 3});
        apply(&mut target, &json!({"a": {"b": 5, "c": null}, "e": [1]}));
        assert_eq!(target, json!({"a": {"b": 5}, "d": 3, "e": [1]}));
    }
}
