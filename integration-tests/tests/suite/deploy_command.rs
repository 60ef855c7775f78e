//! Deploying with the command `outlayer deploy`, as one does on testnet.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::{Context, Result};
use outlayer_integration_tests::{artifacts, node};
use outlayer_protocol::{
    methods,
    views::{ConfigView, WorkerView},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_command_deploys_initialises_and_registers_workers() -> Result<()> {
    let node = node::start().await?;
    let account = node.dev_create_account().await?;
    let worker = node.dev_create_account().await?;
    artifacts::wasm("outlayer_contract")?;
    let keys = tempfile::tempdir()?;
    let key_file = keys.path().join("contract.json");
    let secret = account.secret_key().to_string();
    std::fs::write(
        &key_file,
        json!({ "account_id": account.id(), "private_key": secret }).to_string(),
    )?;
    std::fs::set_permissions(&key_file, Permissions::from_mode(0o600))?;

    let mut deploy = Command::new(node::testbed_binary()?);
    deploy
        .args(["outlayer", "deploy"])
        .arg(artifacts::workspace().join("target/wasm/outlayer_contract.wasm"));
    deploy
        .args([
            "--rpc-url",
            &node.rpc_addr(),
            "--worker",
            worker.id().as_str(),
            "--json",
            "--key-file",
        ])
        .arg(&key_file);
    let output = tokio::task::spawn_blocking(move || deploy.output()).await??;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).context("JSON")?;
    assert_eq!(said["contract_id"], account.id().as_str());

    let config: ConfigView = node.view(account.id(), methods::GET_CONFIG).await?.json()?;
    assert_eq!((&config.owner_id, config.paused), (account.id(), false));
    let view =
        node.view(account.id(), methods::GET_WORKER).args_json(json!({ "worker_id": worker.id() }));
    let registered: Option<WorkerView> = view.await?.json()?;
    assert_eq!(registered.context("registered")?.worker_id, *worker.id());
    Ok(())
}
