//! A worker that dies between execution and submission, and is started again.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use outlayer_integration_tests::{Testbed, guests::request, node, testbed::events};
use outlayer_protocol::{Outcome, events::Event};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_before_it_submits_and_started_again_settles_once() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;

    let keys = tempfile::tempdir()?;
    let key_file = keys.path().join("worker.json");
    let secret = testbed.worker.secret_key();
    let credentials = serde_json::json!({
        "account_id": testbed.worker.id(),
        "public_key": secret.public_key().to_string(),
        "private_key": secret.to_string(),
    });
    std::fs::write(&key_file, credentials.to_string())?;
    std::fs::set_permissions(&key_file, Permissions::from_mode(0o600))?;
    let mut daemon = Command::new(node::testbed_binary()?)
        .args([
            "outlayer",
            "worker",
            "run",
            "--rpc-url",
            &testbed.node.rpc_addr(),
            "--contract",
            testbed.contract.id().as_str(),
        ])
        .arg("--key-file")
        .arg(&key_file)
        .args(["--poll-interval", "200", "--submit-delay", "600000"])
        .stderr(Stdio::piped())
        .spawn()
        .context("the worker's daemon")?;

    let asked = testbed.ask(&caller, &request(echo, "twice started")).await?;
    let log = BufReader::new(daemon.stderr.take().context("the daemon's log")?);
    let executed = log.lines().map_while(Result::ok).find(|line| line.contains("executed"));
    daemon.kill()?;
    daemon.wait()?;
    let executed = executed.context("the daemon ended without executing the request")?;
    assert!(executed.contains("request"), "{executed}");
    assert_eq!(testbed.pending().await?.len(), 1, "nothing was submitted: {executed}");

    let serving = testbed.serve()?;
    let result = testbed.finished(asked).await?;
    let completed = events(&result)
        .into_iter()
        .filter(|event| matches!(event, Event::ExecutionCompleted(_)))
        .count();
    assert_eq!(completed, 1);
    let settled = outlayer_integration_tests::testbed::settlement(result)?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "twice started".into() });
    serving.stop().await
}
