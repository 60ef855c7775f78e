//! The arguments of a contract's method, as they are written on a command line.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// The arguments: one JSON object, or fields, each of them NAME=TEXT or NAME:=JSON.
pub(super) fn parse(words: &[String]) -> anyhow::Result<Map<String, Value>> {
    if let [object] = words
        && object.trim_start().starts_with('{')
    {
        return serde_json::from_str(object).context("the arguments are no JSON object");
    }
    let mut fields = Map::new();
    for word in words {
        let Some((name, text)) = word.split_once('=') else {
            bail!("found {word:?}, expected NAME=TEXT, NAME:=JSON, or one JSON object");
        };
        let (name, value) = match name.strip_suffix(':') {
            None => (name, Value::from(text)),
            Some(name) => {
                let value = serde_json::from_str(text);
                (name, value.with_context(|| format!("the argument {name} is no JSON"))?)
            }
        };
        if fields.insert(name.to_owned(), value).is_some() {
            bail!("the argument {name} is given twice");
        }
    }
    Ok(fields)
}

/// What a method returned: JSON where it is that, and else what the bytes are as text.
pub(super) fn returned(bytes: &[u8]) -> Value {
    match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => Value::from(crate::print::text(bytes)),
    }
}

/// The same for people: a text without its quotes.
pub(super) fn shown(returned: &Value) -> String {
    match returned {
        Value::String(text) => crate::print::text(text.as_bytes()),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(words: &[&str]) -> anyhow::Result<Value> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        parse(&words).map(Value::Object)
    }

    #[test]
    fn arguments_are_fields_or_one_json_object() {
        assert_eq!(parsed(&[]).unwrap(), json!({}));
        assert_eq!(parsed(&[r#"{"a": [1]}"#]).unwrap(), json!({ "a": [1] }));
        let fields = parsed(&["input=a=b", "count:=3", "of:={\"x\":null}", "none="]).unwrap();
        let expected = json!({ "input": "a=b", "count": 3, "of": { "x": null }, "none": "" });
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_is_no_argument_is_refused_with_what_was_expected() {
        for (words, said) in [
            (&["input"][..], "expected NAME=TEXT"),
            (&["{}", "a=b"], "expected NAME=TEXT"),
            (&["{"], "no JSON object"),
            (&["a:=b"], "the argument a is no JSON"),
            (&["a=1", "a:=2"], "given twice"),
        ] {
            let error = format!("{:#}", parsed(words).unwrap_err());
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn what_a_method_returned_is_shown_and_cannot_steer_the_terminal() {
        assert_eq!(shown(&returned(b"\"a\\u001b\"")), "a\\u{1b}");
        assert_eq!(shown(&returned(b"{\"a\":1}")), "{\"a\":1}");
        assert_eq!(shown(&returned(b"")), "nothing");
        assert_eq!(returned(&[0xff]), json!("0xff"));
    }
}
