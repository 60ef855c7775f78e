//! Keys as each of NEAR's tools leaves them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Result, ensure};
use near_workspaces::Account;
use outlayer_integration_tests::Testbed;
use serde_json::json;

use super::home::Home;

/// A command that signs and changes nothing but a key.
const SIGN: [&str; 4] = ["storage", "set", "k", "v"];

async fn user(testbed: &Testbed) -> Result<(Home, Account)> {
    let user = testbed.node.dev_create_account().await?;
    let deposit = user.call(testbed.contract.id(), "storage_deposit").args_json(json!({}));
    let deposit = deposit.deposit(near_workspaces::types::NearToken::from_millinear(100));
    deposit.max_gas().transact().await?.into_result()?;
    Ok((Home::new(testbed)?, user))
}

fn write(path: &Path, content: &serde_json::Value, mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content.to_string())?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_of_near_cli_signs() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let id = user.id().as_str();
    let named = [&SIGN[..], &["--account", id]].concat();
    let none = home.run(&named).await?.with(2)?;
    for part in [".json nor", "KEY.json is there", "--unsigned"] {
        ensure!(none.stderr.contains(part), "{none:?}");
    }

    // near-cli-rs writes its files so that others can read them, if they can enter the folder.
    let path = home.import(&user)?;
    fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    let signed = home.run(&named).await?.with(0)?;
    ensure!(signed.stderr.contains("chmod 600"), "{signed:?}");
    let path = path.display().to_string();
    home.run(&[&SIGN[..], &["--key-file", &path]].concat()).await?.with(0)?;
    // A daemon refuses such a file, and reads one of its owner's.
    let worker = ["worker", "status", "--key-file", &path];
    let refused = home.run(&worker).await?.with(2)?;
    ensure!(refused.stderr.contains("chmod 600"), "{refused:?}");
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    home.run(&worker).await?.with(1)?;
    home.run(&["worker", "status", "--account", id]).await?.with(1)?;

    // Only the folder of several keys is left; one of its keys is none of the account's.
    fs::remove_file(&path)?;
    let folder = home.credentials().join(id);
    let other = testbed.node.dev_create_account().await?;
    let foreign = json!({
        "public_key": other.secret_key().public_key().to_string(),
        "private_key": other.secret_key().to_string(),
    });
    write(&folder.join("ed25519_1.json"), &foreign, 0o600)?;
    home.run(&named).await?.with(0)?;
    fs::remove_dir_all(&folder)?;

    // near-cli in JavaScript.
    let old = json!({
        "account_id": id, "public_key": user.secret_key().public_key().to_string(),
        "private_key": user.secret_key().to_string(),
    });
    write(&home.credentials().join(format!("{id}.json")), &old, 0o600)?;
    home.run(&named).await?.with(0)?;
    fs::remove_dir_all(home.credentials())?;

    let missing = home.run(&[&SIGN[..], &["--key-file", "/nope"]].concat()).await?.with(2)?;
    for part in ["/nope", "Expected a key file here", "private_key"] {
        ensure!(missing.stderr.contains(part), "{missing:?}");
    }

    // From the environment.
    let mut command = home.command(&named)?;
    command.env("OUTLAYER_SECRET_KEY", user.secret_key().to_string());
    home.output(command).await?.with(0)?;
    Ok(())
}

/// A stand-in for libsecret's program, which answers as the Secret Service would with the entry
/// that near-cli-rs makes.
#[tokio::test(flavor = "multi_thread")]
async fn the_keychain_of_the_system_signs() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let id = user.id().as_str();
    let (public, secret) = (user.secret_key().public_key().to_string(), user.secret_key());
    let entry = json!({ "public_key": public, "private_key": secret.to_string() }).to_string();
    let programs = home.path().join("bin");
    fs::create_dir_all(&programs)?;
    let script = format!(
        "#!/bin/sh\necho \"$@\" >>{log}\n\
         [ \"$*\" = 'lookup service near-localnet-{id} username {id}:{public}' ] || exit 1\n\
         printf '%s' '{entry}'\n",
        log = home.path().join("asked").display()
    );
    let program = programs.join("secret-tool");
    fs::write(&program, script)?;
    fs::set_permissions(&program, Permissions::from_mode(0o700))?;
    let mut command = home.command(&[&SIGN[..], &["--account", id]].concat())?;
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", programs.display()));
    home.output(command).await?.with(0)?;
    let asked = fs::read_to_string(home.path().join("asked"))?;
    ensure!(!asked.contains(&secret.to_string()), "no key is an argument: {asked}");

    // Also when there is a file, whose key the account does not have any more.
    let other = testbed.node.dev_create_account().await?;
    let stale = json!({ "private_key": other.secret_key().to_string() });
    write(&home.credentials().join(format!("{id}.json")), &stale, 0o600)?;
    let mut command = home.command(&[&SIGN[..], &["--account", id]].concat())?;
    command.env("PATH", format!("{}:{path}", programs.display()));
    home.output(command).await?.with(0)?;
    let neither = home.run(&[&SIGN[..], &["--account", id]].concat()).await?.with(2)?;
    let key = other.secret_key().public_key().to_string();
    ensure!(neither.stderr.contains(&key), "the keys that were found are named: {neither:?}");
    Ok(())
}
