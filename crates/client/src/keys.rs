//! The keys of one account: where they are kept, and noticing that they have been changed.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use near_crypto::{PublicKey, SecretKey};
use outlayer_protocol::AccountId;

use crate::{KeyFile, KeyFileError, credentials::account_of_path};

/// An account with the keys that sign for it, each once, in the order in which they were found.
#[derive(Clone)]
pub struct Keys {
    /// The account that the keys belong to.
    pub account_id: AccountId,
    /// At least one key.
    pub secret_keys: Vec<SecretKey>,
}

impl Keys {
    /// The public part of each key.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.secret_keys.iter().map(SecretKey::public_key).collect()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let public_keys: Vec<_> = self.public_keys().iter().map(ToString::to_string).collect();
        f.debug_struct("Keys")
            .field("account_id", &self.account_id)
            .field("public_keys", &public_keys)
            .finish_non_exhaustive()
    }
}

/// Keys that cannot be used. The messages never show a secret key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A folder has no file that could have a key.
    #[error("{}: the folder has no key file (NAME.json) of {account}", folder.display())]
    Empty {
        /// The folder that was read.
        folder: PathBuf,
        /// The account whose keys were looked for.
        account: String,
    },
    /// No file names the account, and nobody else does.
    #[error(
        "{} names no account_id, and its place is not one of near-cli-rs's (NETWORK/ACCOUNT.json \
         or NETWORK/ACCOUNT/KEY.json); name the account of the key with --account",
        path.display()
    )]
    NoAccount {
        /// The file of the first key.
        path: PathBuf,
    },
    /// A file belongs to another account.
    #[error("{}: this is a key of {found}, expected a key of {expected}", path.display())]
    OtherAccount {
        /// The file's path.
        path: PathBuf,
        /// The account that the file names.
        found: AccountId,
        /// The account whose keys are wanted.
        expected: AccountId,
    },
}

/// Where an account's keys are kept.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// Key files, and folders of them. Of a folder every file whose name ends in `.json` is read,
    /// but no folder inside it.
    pub paths: Vec<PathBuf>,
    /// The account whose keys are wanted. `None` takes the account that the files name.
    pub account_id: Option<AccountId>,
}

impl KeyFiles {
    /// Reads the keys.
    ///
    /// In a folder, files that name another account than the wanted one are passed over: it may
    /// hold the credentials of many. A file that was named itself must belong to the account. A
    /// file that names no account belongs to the one that its place names, as near-cli-rs writes
    /// it; for a file that was named itself, the wanted account goes before its place.
    ///
    /// # Errors
    /// [`KeysError`]; one file that cannot be used is enough.
    pub fn read(&self) -> Result<Keys, KeysError> {
        self.read_even_if(&mut Err)
    }

    /// The same, for a program that a person runs once: a file that others can use is used, and
    /// `warn` gets the message about it. near-cli-rs writes its files so.
    ///
    /// # Errors
    /// [`KeysError`], but not for a file that others can use.
    pub fn read_exposed(&self, warn: &mut dyn FnMut(KeyFileError)) -> Result<Keys, KeysError> {
        self.read_even_if(&mut |error| {
            warn(error);
            Ok(())
        })
    }

    fn read_even_if(
        &self,
        exposed: &mut dyn FnMut(KeyFileError) -> Result<(), KeyFileError>,
    ) -> Result<Keys, KeysError> {
        let mut account_id = self.account_id.clone();
        let mut secret_keys = Vec::new();
        let mut seen = HashSet::new();
        let mut first = None;
        for path in &self.paths {
            let before = secret_keys.len();
            let (files, is_folder) = files_at(path)?;
            for file in files {
                let key = KeyFile::read_even_if(&file, exposed)?;
                let placed =
                    || account_of_path(&file).filter(|_| is_folder || account_id.is_none());
                if let Some(found) = key.account_id.or_else(placed) {
                    match &account_id {
                        None => account_id = Some(found),
                        Some(expected) if *expected == found => {}
                        Some(_) if is_folder && self.account_id.is_some() => continue,
                        Some(expected) => {
                            let expected = expected.clone();
                            return Err(KeysError::OtherAccount { path: file, found, expected });
                        }
                    }
                }
                first.get_or_insert(file);
                secret_keys.push(key.secret_key);
            }
            if secret_keys.len() == before {
                let account = self.account_id.as_ref().map_or("any account", |id| id.as_str());
                return Err(KeysError::Empty { folder: path.clone(), account: account.into() });
            }
        }
        secret_keys.retain(|key| seen.insert(key.public_key()));
        let path = first.unwrap_or_default();
        let account_id = account_id.ok_or(KeysError::NoAccount { path })?;
        Ok(Keys { account_id, secret_keys })
    }

    /// What tells a state of the files from a later one without reading any key: names, sizes and
    /// times. Files that cannot be seen are left out.
    fn state(&self) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
        let mut state = Vec::new();
        for path in &self.paths {
            for file in files_at(path).map(|(files, _)| files).unwrap_or_default() {
                if let Ok(metadata) = fs::metadata(&file) {
                    state.push((file, metadata.len(), metadata.modified().ok()));
                }
            }
        }
        state
    }
}

/// The file at a path, or the key files of the folder there in the order of their names.
fn files_at(path: &Path) -> Result<(Vec<PathBuf>, bool), KeyFileError> {
    let unread = |source: io::Error| KeyFileError::Read { path: path.into(), source };
    if !fs::metadata(path).map_err(unread)?.is_dir() {
        return Ok((vec![path.into()], false));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unread)? {
        let file = entry.map_err(unread)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|ending| ending == "json") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok((files, true))
}

/// Notices that key files have changed, so that keys are rotated without a restart.
#[derive(Debug)]
pub struct KeyWatch {
    files: KeyFiles,
    state: Vec<(PathBuf, u64, Option<SystemTime>)>,
    public_keys: Vec<PublicKey>,
}

impl KeyWatch {
    /// Reads the keys, and remembers what the files were like.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn start(files: KeyFiles) -> Result<(Self, Keys), KeysError> {
        // A file that changes between the two is read again, which does no harm.
        let state = files.state();
        let keys = files.read()?;
        Ok((Self { files, state, public_keys: keys.public_keys() }, keys))
    }

    /// The keys, when they are others than those that were read last. `ask_anyway` reads the files
    /// even when nothing about them seems to have changed.
    ///
    /// # Errors
    /// [`KeysError`] when the files have changed and cannot be used now. The keys that were read
    /// before remain the ones to use. Each state of the files is reported once.
    pub fn changed(&mut self, ask_anyway: bool) -> Result<Option<Keys>, KeysError> {
        let state = self.files.state();
        if state == self.state && !ask_anyway {
            return Ok(None);
        }
        self.state = state;
        let keys = self.files.read()?;
        let public_keys = keys.public_keys();
        if public_keys == self.public_keys {
            return Ok(None);
        }
        self.public_keys = public_keys;
        Ok(Some(keys))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use near_crypto::KeyType;
    use tempfile::TempDir;

    use super::*;

    fn key(seed: &str) -> SecretKey {
        SecretKey::from_seed(KeyType::ED25519, seed)
    }

    fn put(folder: &TempDir, name: &str, account: Option<&str>, seed: &str, mode: u32) -> PathBuf {
        let path = folder.path().join(name);
        let secret = key(seed).to_string();
        let content = serde_json::json!({ "account_id": account, "private_key": secret });
        fs::write(&path, content.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn files(paths: &[&Path], account: Option<&str>) -> KeyFiles {
        KeyFiles {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            account_id: account.map(|id| id.parse().unwrap()),
        }
    }

    #[test]
    fn a_file_that_others_can_use_is_refused_with_its_mode_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610] {
            let path = put(&folder, "a.json", Some("a.near"), "a", mode);
            let error = files(&[&path], None).read().unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
            assert!(error.contains(&format!("chmod 600 '{}'", path.display())), "{error}");
        }
        for mode in [0o600, 0o400, 0o700] {
            let path = put(&folder, "a.json", Some("a.near"), "a", mode);
            assert_eq!(files(&[&path], None).read().unwrap().secret_keys, [key("a")]);
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_missing_file_is_said_to_be_a_key_file_and_what_one_looks_like() {
        let error = files(&[Path::new("/nope")], None).read().unwrap_err().to_string();
        assert!(error.starts_with("/nope: No such file or directory"), "{error}");
        assert!(error.contains("key file") && error.contains("private_key"), "{error}");
    }

    #[test]
    fn several_files_and_folders_give_each_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = put(&folder, "first.json", Some("w.near"), "1", 0o600);
        put(&folder, "second.json", None, "2", 0o600);
        put(&folder, "another.json", Some("other.near"), "3", 0o600);
        put(&folder, ".hidden.json", Some("w.near"), "4", 0o600);
        put(&folder, "notes.txt", Some("w.near"), "5", 0o644);
        let keys = files(&[&first, folder.path()], Some("w.near")).read().unwrap();
        assert_eq!(keys.account_id, "w.near");
        assert_eq!(keys.secret_keys, [key("1"), key("2")]);
        // Nobody says whose keys are wanted, and the folder has those of two accounts.
        let error = files(&[folder.path()], None).read().unwrap_err().to_string();
        assert!(error.contains("first.json: this is a key of w.near"), "{error}");
        assert!(error.contains("expected a key of other.near"), "{error}");
        let error = files(&[&first], Some("x.near")).read().unwrap_err().to_string();
        assert!(error.contains("w.near") && error.contains("x.near"), "{error}");
        fs::remove_file(folder.path().join("second.json")).unwrap();
        let error = files(&[folder.path()], Some("x.near")).read().unwrap_err().to_string();
        assert!(error.contains("no key file (NAME.json) of x.near"), "{error}");
    }

    #[test]
    fn a_file_without_an_account_is_taken_when_the_account_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = put(&folder, "ed25519_x.json", None, "1", 0o600);
        assert_eq!(files(&[&path], Some("w.near")).read().unwrap().account_id, "w.near");
        let error = files(&[&path], None).read().unwrap_err().to_string();
        assert!(error.contains("names no account_id") && error.contains("--account"), "{error}");
    }

    #[test]
    fn files_are_read_as_every_tool_writes_them() {
        let home = tempfile::tempdir().unwrap();
        let network = home.path().join("testnet");
        fs::create_dir_all(network.join("bob.testnet")).unwrap();
        let write = |path: PathBuf, content: serde_json::Value| {
            fs::write(&path, content.to_string()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            path
        };
        let of_near_cli_rs = |seed: &str| {
            serde_json::json!({
                "seed_phrase_hd_path": "m/44'/397'/0'", "master_seed_phrase": "a b c",
                "implicit_account_id": "0".repeat(64),
                "public_key": key(seed).public_key().to_string(),
                "private_key": key(seed).to_string(),
            })
        };
        // near-cli-rs writes both names for an account's first key, and one for each other key.
        let named = write(network.join("bob.testnet.json"), of_near_cli_rs("1"));
        let first = write(network.join("bob.testnet/ed25519_1.json"), of_near_cli_rs("1"));
        write(network.join("bob.testnet/ed25519_2.json"), of_near_cli_rs("2"));
        // near-cli in JavaScript.
        let old = serde_json::json!({
            "account_id": "alice.testnet", "public_key": key("3").public_key().to_string(),
            "private_key": key("3").to_string(),
        });
        let old = write(network.join("alice.testnet.json"), old);

        let refused = files(&[&named], None).read().unwrap_err().to_string();
        assert!(refused.contains("mode 0644"), "{refused}");
        let mut warned = Vec::new();
        let mut read = |paths: &[&Path], account| {
            files(paths, account).read_exposed(&mut |error| warned.push(error.to_string())).unwrap()
        };
        for path in [&named, &first] {
            let keys = read(&[path], None);
            assert_eq!(
                (keys.account_id.as_str(), keys.secret_keys),
                ("bob.testnet", vec![key("1")])
            );
        }
        assert_eq!(read(&[&old], None).account_id, "alice.testnet");
        let bob: AccountId = "bob.testnet".parse().unwrap();
        let found = crate::credential_paths(home.path(), "testnet", &bob);
        let found: Vec<&Path> = found.iter().map(PathBuf::as_path).collect();
        let keys = read(&found, Some("bob.testnet"));
        assert_eq!(keys.secret_keys, [key("1"), key("2")]);
        // A folder of many accounts gives the keys of one.
        let keys = read(&[&network], Some("bob.testnet"));
        assert_eq!(keys.secret_keys, [key("1")]);
        assert!(warned[0].contains("chmod 600"), "{}", warned[0]);
    }

    #[test]
    fn a_change_is_noticed_and_one_that_breaks_the_files_is_an_error_once() {
        let folder = tempfile::tempdir().unwrap();
        put(&folder, "a.json", Some("w.near"), "1", 0o600);
        let (mut watch, keys) = KeyWatch::start(files(&[folder.path()], None)).unwrap();
        assert_eq!(keys.secret_keys, [key("1")]);
        assert!(watch.changed(false).unwrap().is_none());
        assert!(watch.changed(true).unwrap().is_none(), "the same keys");
        put(&folder, "b.json", Some("w.near"), "2", 0o600);
        assert_eq!(watch.changed(false).unwrap().unwrap().secret_keys, [key("1"), key("2")]);
        fs::remove_file(folder.path().join("a.json")).unwrap();
        assert_eq!(watch.changed(false).unwrap().unwrap().secret_keys, [key("2")]);
        fs::write(folder.path().join("b.json"), "{}").unwrap();
        assert!(watch.changed(false).is_err());
        assert!(watch.changed(false).unwrap().is_none());
        assert!(watch.changed(true).is_err());
        put(&folder, "b.json", Some("w.near"), "3", 0o600);
        assert_eq!(watch.changed(false).unwrap().unwrap().secret_keys, [key("3")]);
    }
}
