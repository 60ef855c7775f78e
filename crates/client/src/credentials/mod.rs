//! Credentials where NEAR's command lines leave them.
//!
//! near-cli (JavaScript) writes `FOLDER/NETWORK/ACCOUNT.json` with an `account_id` in it.
//! near-cli-rs writes the same name without an `account_id`, and each further key of the account
//! to `FOLDER/NETWORK/ACCOUNT/KEY.json`. It prefers the keychain of the system ([`Keychain`]).

mod keychain;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use outlayer_protocol::AccountId;

pub use keychain::{Keychain, KeychainError};

/// The name of the folder with credentials, in the user's home.
const CREDENTIALS: &str = ".near-credentials";

/// The folder in which NEAR's command lines keep their credentials, `~/.near-credentials`; `None`
/// for a user without a home.
pub fn credentials_folder() -> Option<PathBuf> {
    let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(CREDENTIALS))
}

/// The key files of an account in a folder of credentials: those that are there, of all the places
/// where they may be.
pub fn credential_paths(folder: &Path, network: &str, account_id: &AccountId) -> Vec<PathBuf> {
    let network = folder.join(network);
    let file = network.join(format!("{account_id}.json"));
    let keys = network.join(account_id.as_str());
    [file, keys].into_iter().filter(|path| path.exists()).collect()
}

/// The account that a key file belongs to by its place: `NETWORK/ACCOUNT.json`, or
/// `NETWORK/ACCOUNT/KEY.json`. Outside of `.near-credentials`, a name counts as an account's only
/// where it cannot be taken for another word: when it has a dot, or is the id of an implicit
/// account.
pub(crate) fn account_of_path(path: &Path) -> Option<AccountId> {
    let stem = path.file_stem()?.to_str()?;
    let is_key = stem.starts_with("ed25519_") || stem.starts_with("secp256k1_");
    let path = if is_key { path.parent()? } else { path };
    let name = if is_key { path.file_name()?.to_str()? } else { stem };
    let folder = path.parent().and_then(Path::parent).and_then(Path::file_name);
    let is_account = folder.is_some_and(|name| name == CREDENTIALS);
    let is_account = is_account || name.contains('.') || (name.len() == 64 && is_hex(name));
    let is_account = is_account || name.strip_prefix("0x").is_some_and(is_hex);
    name.parse().ok().filter(|_| is_account)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|letter| letter.is_ascii_hexdigit())
}

/// Writes the key of a new account as near-cli-rs does, but so that only its owner can read it.
/// Returns the file's path.
///
/// # Errors
/// When the file is there already, or cannot be written.
pub fn write_credential(
    folder: &Path,
    network: &str,
    account_id: &AccountId,
    secret_key: &near_crypto::SecretKey,
) -> io::Result<PathBuf> {
    let path = folder.join(network).join(format!("{account_id}.json"));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let content = serde_json::json!({
        "account_id": account_id,
        "public_key": secret_key.public_key().to_string(),
        "private_key": secret_key.to_string(),
    });
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    io::Write::write_all(&mut file, content.to_string().as_bytes())?;
    file.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_file_names_its_account() {
        let implicit = "0".repeat(64);
        for (path, expected) in [
            ("c/testnet/alice.testnet.json", Some("alice.testnet")),
            ("c/testnet/alice.testnet/ed25519_8xyz.json", Some("alice.testnet")),
            ("c/testnet/alice.testnet/secp256k1_8xyz.json", Some("alice.testnet")),
            (&format!("c/testnet/{implicit}.json"), Some(implicit.as_str())),
            ("c/testnet/key.json", None),
            ("/home/a/.near-credentials/testnet/dev-1-2.json", Some("dev-1-2")),
            ("/home/a/.near-credentials/testnet/dev-1-2/ed25519_8xyz.json", Some("dev-1-2")),
            ("keys/ed25519_8xyz.json", None),
            ("keys/Alice.testnet.json", None),
        ] {
            let found = account_of_path(Path::new(path));
            assert_eq!(found.as_ref().map(|id| id.as_str()), expected, "{path}");
        }
    }

    #[test]
    fn a_new_credential_is_private_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let key = near_crypto::SecretKey::from_seed(near_crypto::KeyType::ED25519, "a");
        let id: AccountId = "a.testnet".parse().unwrap();
        let path = write_credential(folder.path(), "testnet", &id, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(credential_paths(folder.path(), "testnet", &id), std::slice::from_ref(&path));
        assert_eq!(crate::KeyFile::read(&path).unwrap().secret_key, key);
        let again = write_credential(folder.path(), "testnet", &id, &key).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
