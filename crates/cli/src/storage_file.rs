//! A file with an account's storage: a JSON object with the keys and values.
//!
//! A key or value is text as it is. One that is no UTF-8, or that begins with `0x` itself, is
//! written as `0x` and hexadecimal digits.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use outlayer_protocol::JournalEntry;
use serde_json::{Map, Value};

/// The keys and values of a namespace.
pub(crate) type Storage = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads the file. One that does not exist is empty storage.
pub(crate) fn read(path: &Path) -> anyhow::Result<Storage> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Storage::new()),
        text => text.with_context(|| path.display().to_string())?,
    };
    parse(&text).with_context(|| {
        format!("{}: expected a JSON object of keys and values, all text", path.display())
    })
}

fn parse(text: &str) -> anyhow::Result<Storage> {
    from_json(&serde_json::from_str(text)?)
}

/// Storage from a JSON object.
pub(crate) fn from_json(object: &Map<String, Value>) -> anyhow::Result<Storage> {
    let entries = object.iter().map(|(key, value)| {
        let value = value.as_str().with_context(|| format!("the value of {key:?} is no text"))?;
        anyhow::Ok((bytes(key)?, bytes(value)?))
    });
    entries.collect()
}

/// Storage as a JSON object.
pub(crate) fn to_json(storage: &Storage) -> Value {
    let entries = storage.iter().map(|(key, value)| (text(key), Value::String(text(value))));
    Value::Object(entries.collect())
}

/// Writes the file, in one step.
pub(crate) fn write(path: &Path, storage: &Storage) -> anyhow::Result<()> {
    let text = format!("{:#}\n", to_json(storage));
    let unfinished = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| path.display().to_string())
}

/// Makes the changes of a journal.
pub(crate) fn apply(storage: &mut Storage, journal: &[JournalEntry]) {
    for entry in journal {
        match &entry.value {
            Some(value) => storage.insert(entry.key.0.clone(), value.0.clone()),
            None => storage.remove(&entry.key.0),
        };
    }
}

fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Ok(text.as_bytes().to_vec());
    };
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        // `from_str_radix` would take a sign.
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    });
    pairs.collect::<Option<_>>().with_context(|| format!("{text:?} is not hexadecimal"))
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("0x") => text.to_owned(),
        _ => format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back_from_the_file_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("storage.json");
        assert_eq!(read(&path).unwrap(), Storage::new());
        let storage: Storage = [
            (b"".to_vec(), b"empty key".to_vec()),
            (b"text".to_vec(), "\u{e9}\n".as_bytes().to_vec()),
            (b"0x00".to_vec(), b"0x".to_vec()),
            ((0..=255).collect(), vec![0xff; 3]),
        ]
        .into();
        write(&path, &storage).unwrap();
        assert_eq!(read(&path).unwrap(), storage);
    }

    #[test]
    fn what_is_no_storage_is_refused_with_the_place() {
        for (wrong, reason) in [
            ("[]", "expected a map"),
            ("{", "EOF"),
            (r#"{"a": 1}"#, "the value of \"a\" is no text"),
            (r#"{"0x1": "a"}"#, "\"0x1\" is not hexadecimal"),
            (r#"{"a": "0x+1"}"#, "\"0x+1\" is not hexadecimal"),
        ] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
