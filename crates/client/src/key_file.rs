//! Files with an account's key, as NEAR's tools write them.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use near_crypto::{PublicKey, SecretKey};
use outlayer_protocol::AccountId;
use serde::Deserialize;

/// The largest key file that is read. Those that NEAR's tools write have less than 1 KiB.
const MOST_BYTES: u64 = 64 << 10;

/// The content of a JSON file with a key, and perhaps the id of its account. The key's name is
/// `private_key` in the credentials of near-cli and near-cli-rs, and `secret_key` in a node's
/// `validator_key.json`.
pub struct KeyFile {
    /// The account that the key belongs to; `None` in the files of near-cli-rs, whose place says
    /// it (`NETWORK/ACCOUNT.json` or `NETWORK/ACCOUNT/KEY.json`).
    pub account_id: Option<AccountId>,
    /// The key that signs.
    pub secret_key: SecretKey,
}

/// A key file that cannot be used. The messages never show its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file or folder cannot be read.
    #[error(
        "{}: {source}. Expected a key file here: {EXPECTED}, as near-cli writes it to \
         ~/.near-credentials/NETWORK/ACCOUNT.json",
        path.display()
    )]
    Read {
        /// Where the key file, or the folder of key files, should be.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others than the file's owner can read it, or write it.
    #[error(
        "{path}: the key file has mode {found:04o}, so other users can use the key; expected 0600 \
         or 0400. Run: chmod 600 '{path}'",
        path = path.display()
    )]
    Mode {
        /// The file's path.
        path: PathBuf,
        /// The file's permission bits.
        found: u32,
    },
    /// The file's content is not the expected JSON.
    #[error("{}: {reason}. Expected a key file: {EXPECTED}", path.display())]
    Content {
        /// The file's path.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
}

/// What a key file looks like.
const EXPECTED: &str = r#"JSON such as {"account_id": "worker.near", "private_key": "ed25519:…"}"#;

#[derive(Deserialize)]
struct Content {
    account_id: Option<AccountId>,
    public_key: Option<String>,
    #[serde(alias = "secret_key")]
    private_key: Option<String>,
}

impl KeyFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`KeyFileError`]; [`KeyFileError::Mode`] when anyone but the file's owner can read or write
    /// it.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        Self::read_even_if(path, &mut Err)
    }

    /// The same, but `exposed` decides about a file that others can use: it gets
    /// [`KeyFileError::Mode`], and returns it to refuse the file.
    pub(crate) fn read_even_if(
        path: &Path,
        exposed: &mut dyn FnMut(KeyFileError) -> Result<(), KeyFileError>,
    ) -> Result<Self, KeyFileError> {
        let unread = |source| KeyFileError::Read { path: path.into(), source };
        let mut file = File::open(path).map_err(unread)?;
        // Asked of the open file, so that nobody can put another one in its place in between.
        let metadata = file.metadata().map_err(unread)?;
        if metadata.is_dir() {
            let source = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(KeyFileError::Read { path: path.into(), source });
        }
        check_mode(path, &metadata).or_else(exposed)?;
        let mut text = String::new();
        file.by_ref().take(MOST_BYTES).read_to_string(&mut text).map_err(unread)?;
        Self::parse(&text).map_err(|reason| KeyFileError::Content { path: path.into(), reason })
    }

    /// Reads the content of a key file that comes from `source`.
    pub(crate) fn of_text(source: &str, text: &str) -> Result<Self, KeyFileError> {
        Self::parse(text).map_err(|reason| KeyFileError::Content { path: source.into(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // serde's message would show what it found, and that may be the key.
        let content: Content = serde_json::from_str(text).map_err(|error| {
            format!("found something else (line {}, column {})", error.line(), error.column())
        })?;
        let key = content.private_key.ok_or("found neither private_key nor secret_key")?;
        let secret_key = parse_secret_key(&key).map_err(|error| format!("found an {error}"))?;
        if let Some(named) = content.public_key {
            let derived = secret_key.public_key();
            if named.parse::<PublicKey>().ok().as_ref() != Some(&derived) {
                return Err(format!(
                    "found a public_key that does not belong to the private key, whose public key \
                     is {derived}"
                ));
            }
        }
        Ok(Self { account_id: content.account_id, secret_key })
    }
}

/// A text that is no key that can sign. The message does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid key; expected ed25519:… or secp256k1:…, whole and as it was made")]
pub struct InvalidKey;

/// Reads a secret key in NEAR's form.
///
/// # Errors
/// [`InvalidKey`], also for a key whose two halves do not belong together: the parser takes it, and
/// whoever signs with it panics.
pub fn parse_secret_key(text: &str) -> Result<SecretKey, InvalidKey> {
    let key: SecretKey = text.trim().parse().map_err(|_| InvalidKey)?;
    match &key {
        SecretKey::ED25519(pair) => {
            ed25519_dalek::SigningKey::from_keypair_bytes(&pair.0).map_err(|_| InvalidKey)?;
        }
        SecretKey::SECP256K1(_) => {}
        // Nobody has written down what its file looks like yet.
        SecretKey::MLDSA65(_) => return Err(InvalidKey),
    }
    Ok(key)
}

/// Refuses a file that anyone but its owner can read or write.
///
/// A service manager that passes credentials in a folder of its own (`CREDENTIALS_DIRECTORY`)
/// grants its service access by a list beside the mode, which then shows in the group's bits.
#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;

    let found = metadata.permissions().mode() & 0o7777;
    let passed = std::env::var_os("CREDENTIALS_DIRECTORY")
        .is_some_and(|folder| !folder.is_empty() && path.starts_with(&folder));
    let of_others = if passed { 0o037 } else { 0o077 };
    if found & of_others == 0 {
        return Ok(());
    }
    Err(KeyFileError::Mode { path: path.into(), found })
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_file_is_read_and_errors_do_not_show_the_key() {
        let key = SecretKey::from_seed(near_crypto::KeyType::ED25519, "x");
        for name in ["private_key", "secret_key"] {
            let text = format!(
                r#"{{"account_id":"a.near","public_key":"{}","{name}":"{key}"}}"#,
                key.public_key()
            );
            let file = KeyFile::parse(&text).unwrap();
            assert_eq!(file.secret_key, key);
            assert_eq!(file.account_id.unwrap(), "a.near");
        }
        let of_near_cli_rs = format!(
            r#"{{"master_seed_phrase":"a b","seed_phrase_hd_path":"m/44'/397'/0'",
                "implicit_account_id":"{}","public_key":"{}","private_key":"{key}"}}"#,
            "0".repeat(64),
            key.public_key()
        );
        let file = KeyFile::parse(&of_near_cli_rs).unwrap();
        assert_eq!((file.account_id, file.secret_key), (None, key.clone()));
        let other = SecretKey::from_seed(near_crypto::KeyType::ED25519, "y").public_key();
        let mixed = format!(r#"{{"public_key":"{other}","private_key":"{key}"}}"#);
        // One letter of the second half is another: the parser takes it.
        let mut damaged = key.to_string();
        let last = damaged.pop().unwrap();
        damaged.push(if last == 'a' { 'b' } else { 'a' });
        let damaged = format!(r#"{{"private_key":"{damaged}"}}"#);
        let broken =
            ["", "{}", r#"{"private_key":"ed25519:SECRET"}"#, r#"{"private_key":5}"#, "SECRET"];
        for broken in broken.into_iter().chain([mixed.as_str(), &damaged]) {
            let reason = KeyFile::parse(broken).err().unwrap();
            let secret = key.to_string();
            let secret = secret.trim_start_matches("ed25519:").get(..40).unwrap();
            assert!(!reason.contains("SECRET") && !reason.contains(secret), "{reason}");
        }
    }
}
