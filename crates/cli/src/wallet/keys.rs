//! Finds the keys of the account that signs.

use anyhow::{Context as _, anyhow, bail};
use outlayer_client::{
    At, KeyFiles, Keychain, Keys, Node, Permission, SecretKey, credential_paths,
    credentials_folder, parse_secret_key, with_causes,
};
use outlayer_protocol::AccountId;

use super::WalletArgs;
use crate::localnet;

/// The environment variable with a key, for machines where no file is wanted.
const SECRET_KEY: &str = "OUTLAYER_SECRET_KEY";

/// The account that signs, with those of its keys that can.
pub(super) struct Found {
    pub(super) account_id: AccountId,
    /// The keys that the account has on the network, with what they may do; never empty.
    pub(super) usable: Vec<(SecretKey, Permission)>,
}

/// The account that the options name, or the one that their key file names.
pub(super) fn account(args: &WalletArgs, network: &str) -> anyhow::Result<AccountId> {
    match (&args.account, &args.key_file) {
        (Some(account_id), _) => Ok(account_id.clone()),
        (None, Some(path)) => Ok(read(vec![path.clone()], None)?.account_id),
        (None, None) => Err(nobody(network)),
    }
}

fn nobody(network: &str) -> anyhow::Error {
    anyhow!(
        "nobody says who signs; give --account with the name of your account, whose key is looked \
         for where near-cli leaves it, or --key-file with a file such as \
         ~/.near-credentials/{network}/ACCOUNT.json"
    )
}

/// The keys that the options name and the account has: from the environment, from the file, from
/// near-cli's folder of credentials, or from the keychain. On localnet, those of `outlayer dev` are
/// known.
pub(super) async fn find(args: &WalletArgs, node: &Node, network: &str) -> anyhow::Result<Found> {
    let secret = std::env::var(SECRET_KEY).ok().filter(|text| !text.trim().is_empty());
    if let Some(path) = &args.key_file {
        return usable_of(read(vec![path.clone()], args.account.clone())?, node, network).await;
    }
    if let Some(secret) = secret {
        let keys = secret.split(',').map(parse_secret_key).collect::<Result<Vec<_>, _>>();
        let secret_keys = keys.with_context(|| format!("the environment variable {SECRET_KEY}"))?;
        let account_id = args.account.clone().with_context(|| {
            format!("{SECRET_KEY} has a key, and nobody says whose it is; give --account")
        })?;
        return usable_of(Keys { account_id, secret_keys }, node, network).await;
    }
    let Some(account_id) = &args.account else { return Err(nobody(network)) };
    let known = (network == localnet::NAME).then(|| localnet::key_of(account_id)).flatten();
    if let Some(key) = known {
        let keys = Keys { account_id: account_id.clone(), secret_keys: vec![key] };
        let usable = usable(&keys, node).await?;
        if !usable.is_empty() {
            return Ok(Found { account_id: account_id.clone(), usable });
        }
    }
    let folder = args.credentials_dir.clone().or_else(credentials_folder);
    let paths = folder.as_deref().map(|folder| credential_paths(folder, network, account_id));
    let in_files = match paths.filter(|paths| !paths.is_empty()) {
        Some(paths) => Some(read(paths, Some(account_id.clone()))?),
        None => None,
    };
    if let Some(keys) = &in_files {
        let usable = usable(keys, node).await?;
        if !usable.is_empty() {
            return Ok(Found { account_id: account_id.clone(), usable });
        }
    }
    let in_keychain = in_keychain(node, network, account_id).await;
    match (in_keychain, in_files) {
        (Ok(Some(keys)), _) => usable_of(keys, node, network).await,
        // The files' keys are none of the account's, and the keychain has no other.
        (_, Some(keys)) => Err(none_usable(&keys, network)),
        (in_keychain, None) => {
            let place = folder.map_or_else(
                || "~/.near-credentials".to_owned(),
                |folder| folder.join(network).display().to_string(),
            );
            let keychain = match in_keychain {
                Err(error) => with_causes(error.as_ref()),
                Ok(_) => format!("the system's keychain has no entry near-{network}-{account_id}"),
            };
            bail!(
                "no key of {account_id} was found: neither {place}/{account_id}.json nor \
                 {place}/{account_id}/KEY.json is there, and {keychain}. Import the account with \
                 `near account import-account`, give --key-file, or give --unsigned to sign with \
                 near-cli"
            )
        }
    }
}

/// Those of the keys that the account has on the network.
async fn usable(keys: &Keys, node: &Node) -> anyhow::Result<Vec<(SecretKey, Permission)>> {
    let mut usable = Vec::new();
    for key in &keys.secret_keys {
        let view = node.access_key(&keys.account_id, &key.public_key(), At::Optimistic).await?;
        usable.extend(view.map(|view| (key.clone(), view.permission)));
    }
    Ok(usable)
}

async fn usable_of(keys: Keys, node: &Node, network: &str) -> anyhow::Result<Found> {
    let usable = usable(&keys, node).await?;
    if usable.is_empty() {
        return Err(none_usable(&keys, network));
    }
    Ok(Found { account_id: keys.account_id, usable })
}

fn none_usable(keys: &Keys, network: &str) -> anyhow::Error {
    let public: Vec<String> = keys.public_keys().iter().map(ToString::to_string).collect();
    anyhow!(
        "{} does not exist on {network}, or has none of the keys that were found ({}). Check \
         --network and --account; `near account list-keys` shows an account's keys",
        keys.account_id,
        public.join(", ")
    )
}

/// Reads key files. One that others can use is used all the same, because near-cli-rs writes its
/// files so, and a warning says what to do.
fn read(paths: Vec<std::path::PathBuf>, account_id: Option<AccountId>) -> anyhow::Result<Keys> {
    let files = KeyFiles { paths, account_id };
    Ok(files.read_exposed(&mut |error| eprintln!("outlayer: warning: {error}"))?)
}

/// The account's keys with full access that the keychain has.
async fn in_keychain(
    node: &Node,
    network: &str,
    account_id: &AccountId,
) -> anyhow::Result<Option<Keys>> {
    let public_keys = node.full_access_keys(account_id, At::Optimistic).await?;
    if public_keys.is_empty() {
        bail!("{account_id} does not exist on {network}");
    }
    let keychain = Keychain::default();
    let mut secret_keys = Vec::new();
    for public_key in &public_keys {
        secret_keys.extend(keychain.key(network, account_id, public_key)?);
    }
    let account_id = account_id.clone();
    Ok((!secret_keys.is_empty()).then_some(Keys { account_id, secret_keys }))
}
