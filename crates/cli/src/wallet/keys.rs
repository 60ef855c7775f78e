//! Finds the keys of the account that signs.

use anyhow::{Context as _, bail};
use outlayer_client::{
    At, KeyFiles, Keychain, Keys, Node, credential_paths, credentials_folder, parse_secret_key,
    with_causes,
};
use outlayer_protocol::AccountId;

use super::WalletArgs;

/// The environment variable with a key, for machines where no file is wanted.
const SECRET_KEY: &str = "OUTLAYER_SECRET_KEY";

/// The keys that the options name: from the environment, from the file, from near-cli's folder of
/// credentials, or from the keychain.
pub(super) async fn find(args: &WalletArgs, node: &Node, network: &str) -> anyhow::Result<Keys> {
    if let Some(path) = &args.key_file {
        return read(vec![path.clone()], args.account.clone());
    }
    let secret = std::env::var(SECRET_KEY).ok().filter(|text| !text.trim().is_empty());
    if let Some(secret) = secret {
        let keys = secret.split(',').map(parse_secret_key).collect::<Result<Vec<_>, _>>();
        let secret_keys = keys.with_context(|| format!("the environment variable {SECRET_KEY}"))?;
        let account_id = args.account.clone().with_context(|| {
            format!("{SECRET_KEY} has a key, and nobody says whose it is; give --account")
        })?;
        return Ok(Keys { account_id, secret_keys });
    }
    let Some(account_id) = &args.account else {
        bail!(
            "nobody says who signs; give --account with the name of your account, whose key is \
             looked for where near-cli leaves it, or --key-file with a file such as \
             ~/.near-credentials/{network}/ACCOUNT.json"
        );
    };
    let folder = args.credentials_dir.clone().or_else(credentials_folder);
    let paths = folder.as_deref().map(|folder| credential_paths(folder, network, account_id));
    if let Some(paths) = paths.filter(|paths| !paths.is_empty()) {
        return read(paths, Some(account_id.clone()));
    }
    let place = folder.map_or_else(
        || "~/.near-credentials".to_owned(),
        |folder| folder.join(network).display().to_string(),
    );
    match in_keychain(node, network, account_id).await {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) => bail!(
            "no key of {account_id} was found: neither {place}/{account_id}.json nor \
             {place}/{account_id}/KEY.json is there, and the system's keychain has no entry \
             near-{network}-{account_id}. Import the account with `near account import-account`, \
             give --key-file, or give --unsigned to sign with near-cli"
        ),
        Err(error) => bail!(
            "no key of {account_id} was found: neither {place}/{account_id}.json nor \
             {place}/{account_id}/KEY.json is there, and {}. Import the account with `near account \
             import-account`, give --key-file, or give --unsigned to sign with near-cli",
            with_causes(error.as_ref())
        ),
    }
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
