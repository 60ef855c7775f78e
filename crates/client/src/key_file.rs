//! Files with an account's key, as NEAR's tools write them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use near_crypto::SecretKey;
use outlayer_protocol::AccountId;
use serde::Deserialize;

/// The content of a JSON file with an `account_id` and a key. The key's name is `private_key` in
/// near-cli's credentials, and `secret_key` in a node's `validator_key.json`.
pub struct KeyFile {
    /// The account that the key belongs to, when the file names it.
    pub account_id: Option<AccountId>,
    /// The key that signs.
    pub secret_key: SecretKey,
}

/// A key file that cannot be used. The messages never show its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file's path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file's content is not the expected JSON.
    #[error("{path}: expected JSON with account_id, and private_key or secret_key; {reason}")]
    Content {
        /// The file's path.
        path: PathBuf,
        /// What was found instead.
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
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| KeyFileError::Read { path: path.into(), source })?;
        Self::parse(&text).map_err(|reason| KeyFileError::Content { path: path.into(), reason })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let content: Content = serde_json::from_str(text).map_err(|_| "found something else")?;
        let key = content.private_key.ok_or("found neither key")?;
        let secret_key =
            key.parse().map_err(|_| "found an invalid key (expected ed25519:… or secp256k1:…)")?;
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
