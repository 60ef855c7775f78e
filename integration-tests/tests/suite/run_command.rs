//! `outlayer run` with what a chain has: a whole request, or a block.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, Result};
use outlayer_fetch::testing::{Answer, Server};
use outlayer_integration_tests::{Testbed, artifacts, guests::request, node};
use outlayer_protocol::HttpAccess;
use serde_json::{Value, json};

/// Runs a guest of `wasi-examples/` with what the testbed's chain has.
async fn run(testbed: &Testbed, guest: &str, arguments: &[&str]) -> Result<Output> {
    artifacts::wasm(guest)?;
    let mut command = Command::new(node::testbed_binary()?);
    command.args(["outlayer", "run"]);
    command.arg(artifacts::workspace().join(format!("target/wasm/{guest}.wasm")));
    command.args(arguments).arg("--json").args(["--rpc-url", &testbed.node.rpc_addr()]);
    command.args(["--contract", testbed.contract.id().as_str()]);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

fn report(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_on_a_request_of_the_chain_while_it_is_live_and_later() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(echo, "from the chain")).await?;
    let live = testbed.wait_for_pending(1).await?;
    let [live] = live.as_slice() else { unreachable!() };
    let (id, height) = (live.request_id.to_string(), testbed.height().await?);

    let ran = report(&run(&testbed, "echo", &["--request", &id]).await?)?;
    assert_eq!(ran["status"], "completed");
    assert_eq!(ran["output"], json!(outlayer_protocol::Bytes::from("from the chain")));
    // Another guest sees the accounts and the block of the same request.
    let other = report(&run(&testbed, "context", &["--request", &id]).await?)?;
    let output: outlayer_protocol::Bytes = serde_json::from_value(other["output"].clone())?;
    let output = String::from_utf8(output.0)?;
    for seen in [testbed.dapp.id().as_str(), caller.id().as_str()] {
        assert!(output.contains(seen), "{seen} is not in {output}");
    }

    let serving = testbed.serve()?;
    testbed.settlement(asked).await?;
    serving.stop().await?;
    // The block before its settlement is found.
    let settled = run(&testbed, "echo", &["--network", "localnet", "--request", &id]).await?;
    let said = String::from_utf8_lossy(&settled.stderr).into_owned();
    assert!(said.contains("is settled; it is read as it was after block "), "{said}");
    assert_eq!(report(&settled)?, ran);
    let height = height.to_string();
    let again = report(&run(&testbed, "echo", &["--request", &id, "--block", &height]).await?)?;
    assert_eq!((&again["output"], &again["used"]), (&ran["output"], &ran["used"]));
    let newest = testbed.height().await?.to_string();
    let late = run(&testbed, "echo", &["--request", &id, "--block", &newest]).await?;
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(late.status.code() == Some(2) && said.contains("leave --block out"), "{said}");
    let never = run(&testbed, "echo", &["--request", "1000"]).await?;
    assert_eq!(never.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&never.stderr).contains("was never made"));

    // Only the block's height and time.
    let ran = report(&run(&testbed, "context", &["--block", &height]).await?)?;
    let output: outlayer_protocol::Bytes = serde_json::from_value(ran["output"].clone())?;
    assert!(String::from_utf8(output.0)?.contains(&height));
    Ok(())
}

/// What a guest of the chain was answered answers it here, unless a file or this machine's network
/// is to.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_on_the_transcript_of_a_request_of_the_chain() -> Result<()> {
    let testbed = Testbed::start().await?;
    let fetch = testbed.publish_guest("fetch").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = AtomicU64::new(0);
    let answer = move |_: &str| Answer::ok(&format!("price={}", asked.fetch_add(1, Relaxed)));
    let server = Server::start(None, answer).await?;
    let host = server.host();
    let mut fetching = request(fetch, server.url("/").into_bytes());
    fetching.http = Some(HttpAccess::to(vec![host.clone()]));
    let asked = testbed.ask(&caller, &fetching).await?;
    let live = testbed.wait_for_pending(1).await?;
    let [live] = live.as_slice() else { unreachable!() };
    let id = live.request_id.to_string();
    let answered = |report: &Value| -> Result<String> {
        let output: outlayer_protocol::Bytes = serde_json::from_value(report["output"].clone())?;
        Ok(String::from_utf8(output.0)?)
    };

    let unanswered = run(&testbed, "fetch", &["--request", &id]).await?;
    let said = String::from_utf8_lossy(&unanswered.stderr).into_owned();
    assert!(!unanswered.status.success() && said.contains("give --transcript FILE"), "{said}");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("transcript.json");
    let file = file.to_str().context("the path is no text")?;
    let here = ["--request", &id, "--http", &host, "--transcript-to", file];
    let here = report(&run(&testbed, "fetch", &here).await?)?;
    assert_eq!(answered(&here)?, "200 price=0");
    let again = ["--request", &id, "--transcript", file];
    assert_eq!(report(&run(&testbed, "fetch", &again).await?)?, here);

    let mut config = testbed.worker_config(&testbed.worker)?;
    config.fetch.allow_loopback = true;
    let serving = testbed.serve_with(config)?;
    testbed.settlement(asked).await?;
    serving.stop().await?;
    drop(server);
    let settled = run(&testbed, "fetch", &["--request", &id]).await?;
    let said = String::from_utf8_lossy(&settled.stderr).into_owned();
    assert!(said.contains("from its settled transcript"), "{said}");
    assert_eq!(answered(&report(&settled)?)?, "200 price=1");
    Ok(())
}
