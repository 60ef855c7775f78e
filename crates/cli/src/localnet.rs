//! What `outlayer dev` has on its network: the contract, the accounts, and their keys.
//!
//! Everybody knows these keys: they are derived from the accounts' names, so that they are the same
//! in each run, and the commands know them without a file. They are worth nothing on any other
//! network.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use near_crypto::KeyType;
use outlayer_client::SecretKey;
use outlayer_protocol::AccountId;
use outlayer_secrets::{WorkerKey, write_private};
use serde_json::json;

/// The name of the network, and of its chain.
pub(crate) const NAME: &str = "localnet";

/// Where its node listens unless it is told otherwise.
pub(crate) const RPC_URL: &str = "http://127.0.0.1:3030";

/// The account with the contract, which is its own owner.
pub(crate) const CONTRACT: &str = "outlayer.test.near";
/// The account of the worker.
pub(crate) const WORKER: &str = "worker.test.near";
/// The developer's account, which publishes the guests.
pub(crate) const DEVELOPER: &str = "alice.test.near";
/// Another account, to try what somebody else would see.
const OTHER: &str = "bob.test.near";
/// An account for the developer's own contract.
const DAPP: &str = "dapp.test.near";
/// The accounts that make requests.
pub(crate) const DEVELOPERS: [&str; 3] = [DEVELOPER, OTHER, DAPP];
/// All accounts that a new chain has, besides those of localnet's own.
pub(crate) const ALL: [&str; 5] = [CONTRACT, WORKER, DEVELOPER, OTHER, DAPP];

/// What each account has when the chain begins: 100,000 NEAR, in yoctoNEAR.
pub(crate) const BALANCE: u128 = 100_000 * 10u128.pow(24);

/// The id of one of the accounts.
pub(crate) fn id(name: &str) -> anyhow::Result<AccountId> {
    name.parse().with_context(|| format!("the account {name}"))
}

/// The key of one of the accounts.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(KeyType::ED25519, name)
}

/// The key of this account, if it is one of them.
pub(crate) fn key_of(account_id: &AccountId) -> Option<SecretKey> {
    ALL.contains(&account_id.as_str()).then(|| key(account_id.as_str()))
}

/// The key to which secrets are sealed for the worker.
pub(crate) fn secrets_key() -> WorkerKey {
    WorkerKey::derive(format!("the secrets of {WORKER}").as_bytes())
}

/// Writes the keys as near-cli does, in `folder/localnet`, for other programs, and returns that
/// folder. Files that are there already stay.
pub(crate) fn write_keys(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.join(NAME);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for name in ALL {
        let path = folder.join(format!("{name}.json"));
        if path.exists() {
            continue;
        }
        let key = key(name);
        let content = json!({
            "account_id": name, "public_key": key.public_key(), "private_key": key,
        });
        // The commands refuse key files that others may read.
        write_private(&path, &content.to_string()).with_context(|| path.display().to_string())?;
    }
    Ok(folder)
}
