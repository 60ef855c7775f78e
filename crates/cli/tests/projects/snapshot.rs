//! Output of the command as it was agreed on. `UPDATE_SNAPSHOTS=1` writes it anew.

use std::{fs, path::Path};

/// Compares a text with the file `snapshots/NAME`. The folder is written as `[folder]`, and what
/// depends on the compiler in the same way: hashes, sizes, what was used, and amounts.
pub(crate) fn assert(name: &str, folder: &Path, text: &str) {
    let found = stable(folder, text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected, found, "{name}; UPDATE_SNAPSHOTS=1 writes it anew");
}

fn stable(folder: &Path, text: &str) -> String {
    let workspace = super::workspace();
    let text = text
        .replace(folder.to_str().unwrap(), "[folder]")
        .replace(workspace.to_str().unwrap(), "[sources]");
    let mut stable = String::new();
    // Words of letters and digits, and what stands between them.
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let is_word = |letter: char| letter.is_ascii_alphanumeric();
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        match word.len() {
            64 if hexadecimal => stable.push_str("[hash]"),
            4.. if digits => stable.push_str("[n]"),
            _ => stable.push_str(word),
        }
        let between = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(between);
        stable.push_str(between);
        rest = after;
    }
    stable
}
