//! NEAR's credentials files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use near_crypto::SecretKey;
use outlayer_protocol::AccountId;
use serde::Deserialize;

/// An account and its key, from a JSON file with `account_id` and `private_key` (near-cli's credentials) or `secret_key`
/// (a node's `validator_key.json`).
pub struct KeyFile {
    /// The account.
    pub account_id: Option<AccountId>,
    /// The key.
    pub secret_key: SecretKey,
}

/// A file that is no credentials file. The messages never show its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what is expected.
    #[error("{path}: expected JSON with account_id, and private_key or secret_key; {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
struct Content {
    account_id: Option<AccountId>,
    #[serde(alias = "secret_key")]
    private_key: Option<String>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = fs::read_to_string(path)
            .map_err(|error| KeyFileError::Read { path: path.into(), error })?;
        Self::parse(&text).map_err(|reason| KeyFileError::Content { path: path.into(), reason })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let content: Content = serde_json::from_str(text).map_err(|_| "found something else")?;
        let key = content.private_key.ok_or("found neither key")?;
        let secret_key = key
            .parse()
            .map_err(|_| "found a key that is none (expected ed25519:… or secp256k1:…)")?;
        Ok(Self { account_id: content.account_id, secret_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_file_are_read_and_errors_do_not_show_the_key() {
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
        for broken in ["", "{}", r#"{"private_key":"ed25519:SECRET"}"#, r#"{"private_key":5}"#] {
            let reason = KeyFile::parse(broken).err().unwrap();
            assert!(!reason.contains("SECRET"), "{reason}");
        }
    }
}
