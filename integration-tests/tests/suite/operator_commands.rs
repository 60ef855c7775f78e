//! The commands with which an operator looks after a worker, against the real contract.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::Account;
use outlayer_integration_tests::{Testbed, artifacts::workspace, guests::request, node};
use outlayer_protocol::NearToken;
use serde_json::{Value, json};

fn key_file(folder: &Path, account: &Account) -> Result<PathBuf> {
    let path = folder.join(format!("{}.json", account.id()));
    let content =
        json!({ "account_id": account.id(), "private_key": account.secret_key().to_string() });
    fs::write(&path, content.to_string())?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(path)
}

/// Runs a command of `outlayer` with `--json`.
async fn run(testbed: &Testbed, key_file: &Path, arguments: &[&str]) -> Result<(Output, Value)> {
    let mut command = Command::new(node::testbed_binary()?);
    command
        .arg("outlayer")
        .args(arguments)
        .arg("--json")
        .args(["--rpc-url", &testbed.node.rpc_addr()])
        .args(["--contract", testbed.contract.id().as_str()])
        .arg("--key-file")
        .arg(key_file);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output, said))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_registers_a_worker_looks_after_it_and_withdraws_what_it_has_earned()
-> Result<()> {
    let testbed = Testbed::start().await?;
    let folder = tempfile::tempdir()?;
    let worker = key_file(folder.path(), &testbed.worker)?;

    let (ended, status) = run(&testbed, &worker, &["worker", "status"]).await?;
    assert_eq!(ended.status.code(), Some(0), "{status}");
    assert_eq!(status["registration"]["settled"], 0, "{status}");
    assert_eq!(status["keys"][0]["permission"], "full_access", "{status}");

    let (_, report) = run(&testbed, &worker, &["doctor"]).await?;
    let findings = report["findings"].as_array().context("findings")?;
    for check in ["contract", "account", "balance", "registration", "engine"] {
        let found = findings.iter().find(|one| one["check"] == check).context(check)?;
        assert_eq!(found["level"], "ok", "{found}");
    }

    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let asked = testbed.ask(&caller, &request(echo, "paid")).await?;
    testbed.settlement(asked).await?;
    serving.stop().await?;
    let earned = testbed.worker_view(testbed.worker.id()).await?.earnings;
    assert!(earned > NearToken::from_yoctonear(0));

    let (ended, withdrawn) = run(&testbed, &worker, &["worker", "withdraw"]).await?;
    assert_eq!(ended.status.code(), Some(0), "{withdrawn}");
    assert_eq!(withdrawn["withdrawn"], json!(earned), "{withdrawn}");
    let left = testbed.worker_view(testbed.worker.id()).await?.earnings;
    assert_eq!(left, NearToken::from_yoctonear(0));
    let (ended, _) = run(&testbed, &worker, &["worker", "withdraw"]).await?;
    assert_eq!(ended.status.code(), Some(1), "there is nothing more");

    // A second worker: its operator is told to ask the owner, who registers it.
    let second = testbed.node.dev_create_account().await?;
    let its_key = key_file(folder.path(), &second)?;
    let (ended, said) = run(&testbed, &its_key, &["worker", "register"]).await?;
    assert_eq!((ended.status.code(), &said["state"]), (Some(1), &json!("needs_owner")));
    let owner = key_file(folder.path(), testbed.contract.as_account())?;
    let register = ["worker", "register", "--worker", second.id().as_str()];
    let (ended, said) = run(&testbed, &owner, &register).await?;
    assert_eq!((ended.status.code(), &said["state"]), (Some(0), &json!("registered")));
    let (ended, _) = run(&testbed, &its_key, &["worker", "status"]).await?;
    assert_eq!(ended.status.code(), Some(0));
    Ok(())
}

/// The calls of this command on `docs/operators.md`, in its order.
fn calls_of_the_page() -> Result<Vec<String>> {
    let page = fs::read_to_string(workspace().join("docs/operators.md"))?;
    let (mut calls, mut begun) = (Vec::new(), String::new());
    for line in page.lines().filter(|line| line.starts_with("    ")) {
        match line.trim().strip_suffix('\\') {
            Some(first) => begun += first,
            None => calls.push(std::mem::take(&mut begun) + line.trim()),
        }
    }
    let call = |line: &String| {
        let line = line.strip_prefix("sudo -u outlayer ").unwrap_or(line);
        line.strip_prefix("outlayer ").map(str::to_owned)
    };
    Ok(calls.iter().filter_map(call).collect())
}

/// With the settings that the page begins with, which name another network, account and folders.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operators_page_has_an_operator_run_works_with_its_settings() -> Result<()> {
    let testbed = Testbed::start().await?;
    let folder = tempfile::tempdir()?;
    let here = folder.path().to_str().context("a folder's name")?;
    for name in ["keys", "secrets"] {
        fs::create_dir(folder.path().join(name))?;
    }
    let key = key_file(&folder.path().join("keys"), &testbed.worker)?.display().to_string();
    let settings = fs::read_to_string(workspace().join("deploy/worker.toml"))?;
    let rpc_url = testbed.node.rpc_addr();
    let mut settings: String = settings
        .lines()
        .filter(|line| !line.starts_with("chain_id"))
        .fold(String::new(), |text, line| text + line + "\n");
    for (of_the_page, ours) in [
        ("https://rpc.testnet.near.org", rpc_url.as_str()),
        ("outlayer.testnet", testbed.contract.id().as_str()),
        ("/etc/outlayer", here),
        ("/var/cache/outlayer", here),
        ("/var/lib/outlayer", here),
    ] {
        ensure!(settings.contains(of_the_page), "deploy/worker.toml has no {of_the_page}");
        settings = settings.replace(of_the_page, ours);
    }
    fs::write(folder.path().join("worker.toml"), settings)?;
    let calls = calls_of_the_page()?;
    for call in &calls {
        let call = call.replace("/etc/outlayer", here).replace("FULL_ACCESS_KEY.json", &key);
        let mut command = Command::new(node::testbed_binary()?);
        command.arg("outlayer").args(call.split(' ').filter(|word| !word.is_empty()));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        // How fast this machine is beside other tests, and what has not been earned yet, are no
        // faults of the page.
        let may_be_no = call.starts_with("doctor") || call.starts_with("worker withdraw");
        let expected = if may_be_no { 0..=1 } else { 0..=0 };
        let code = output.status.code().context("a signal")?;
        ensure!(expected.contains(&code), "{call}: {output:?}");
    }
    ensure!(calls.len() > 5, "{calls:?}");
    Ok(())
}
