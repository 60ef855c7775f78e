//! Reads a configuration file.

use std::{collections::BTreeMap, fs, path::Path};

use toml_edit::{Document, Item, Value};

use super::{Found, Kind, SETTINGS, Setting, SettingError, Source};

/// The settings in the TOML file at `path`.
///
/// # Errors
/// [`SettingError`]: the file cannot be read, is no TOML, or has a key or a type that is not
/// expected. No message shows a value.
pub(super) fn read(path: &Path) -> Result<BTreeMap<&'static str, Found>, SettingError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SettingError::File { path: path.into(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<&'static str, Found>, SettingError> {
    let line_of = |at: Option<std::ops::Range<usize>>| {
        let before = at.and_then(|at| text.get(..at.start)).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    // The parser's own rendering shows the line, which may have a secret in it.
    let document = Document::parse(text).map_err(|error| SettingError::Toml {
        path: path.into(),
        line: line_of(error.span()),
        reason: error.message().to_owned(),
    })?;
    let mut all = BTreeMap::new();
    for (name, item) in document.as_table() {
        let key_span = document.as_table().key(name).and_then(|key| key.span());
        let place = Source::File { path: path.into(), line: line_of(key_span) };
        let Some(setting) = Setting::named(name) else {
            return Err(SettingError::UnknownKey {
                key: name.to_owned(),
                place,
                nearest: nearest(name),
            });
        };
        if setting.kind == Kind::Secret {
            return Err(SettingError::KeyInFile { key: setting.key, place });
        }
        let Some(texts) = texts(setting.kind, item) else {
            return Err(SettingError::Type {
                key: setting.key,
                found: item.type_name(),
                place,
                expected: setting.kind.in_file(),
            });
        };
        all.insert(setting.key, Found { texts, source: place });
    }
    Ok(all)
}

impl Kind {
    /// The TOML that a file has for such a value.
    fn in_file(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a string in quotes",
            Self::List => "a string in quotes, or a list of them",
            Self::Number => "a whole number without quotes",
            Self::Switch => "true or false, without quotes",
        }
    }
}

fn texts(kind: Kind, item: &Item) -> Option<Vec<String>> {
    let value = item.as_value()?;
    match (kind, value) {
        (Kind::Text | Kind::List, Value::String(text)) => Some(vec![text.value().clone()]),
        (Kind::List, Value::Array(list)) => {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
        }
        (Kind::Number, Value::Integer(number)) => Some(vec![number.value().to_string()]),
        (Kind::Switch, Value::Boolean(switch)) => Some(vec![switch.value().to_string()]),
        _ => None,
    }
}

/// The key that somebody may have meant: the one that shares the most letters at the start, or
/// which the name is a part of.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('-', "_").to_lowercase();
    let alike = |key: &str| key.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    SETTINGS
        .iter()
        .filter(|setting| setting.kind != Kind::Secret)
        .map(|setting| setting.key)
        .filter(|key| alike(key) >= 3)
        .max_by_key(|key| alike(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("w.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn values_have_the_lines_of_their_keys() {
        let text = "# a comment\nrpc_url = \"http://x\"\n\nkey_file = [\n  \"a\",\n  \"b\",\n]\n\
                    concurrency = 4\noptimistic = true\n";
        let found = parse(Path::new("w.toml"), text).unwrap();
        let at = |key: &str| {
            let Found { texts, source } = found.get(key).unwrap();
            (texts.join(","), source.to_string())
        };
        assert_eq!(at("rpc_url"), ("http://x".into(), "w.toml:2".into()));
        assert_eq!(at("key_file"), ("a,b".into(), "w.toml:4".into()));
        assert_eq!(at("concurrency"), ("4".into(), "w.toml:8".into()));
        assert_eq!(at("optimistic"), ("true".into(), "w.toml:9".into()));
    }

    #[test]
    fn errors_have_the_place_and_never_a_value() {
        for (text, expected) in [
            (
                "\nconcurency = 2",
                "concurency (from w.toml:2) is no setting; did you mean concurrency?",
            ),
            ("xyz = 2", "xyz (from w.toml:1) is no setting; the list is in `outlayer worker run"),
            (
                "concurrency = \"VALUE\"",
                "concurrency (from w.toml:1): found a string, expected a whole number without",
            ),
            (
                "contract = [\"VALUE\"]",
                "contract (from w.toml:1): found an array, expected a string in quotes",
            ),
            ("key_file = [1]", "key_file (from w.toml:1): found an array, expected a string in"),
            (
                "[concurrency]",
                "concurrency (from w.toml:1): found a table, expected a whole number",
            ),
            (
                "secret_key = \"VALUE\"",
                "secret_key (from w.toml:1): a configuration file is no place for a key; use",
            ),
        ] {
            let said = error(text);
            assert!(said.starts_with(expected) && !said.contains("VALUE"), "{said}");
        }
        let broken = error("a = 1\nrpc_url = http://VALUE");
        assert!(broken.starts_with("w.toml:2: ") && !broken.contains("VALUE"), "{broken}");
        let twice = error("log = \"a\"\nlog = \"b\"");
        assert!(twice.starts_with("w.toml:2: "), "{twice}");
    }
}
