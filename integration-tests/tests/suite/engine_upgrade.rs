//! The upgrade from one engine version to the next, while requests of both are live.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use outlayer_guest::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    node,
    testbed::{events, settlement},
};
use outlayer_protocol::{
    Config, EngineVersion, NearToken, Outcome, RequestId, events::Event, methods,
};
use serde_json::{Value, json};

use crate::common::logged;

/// The exit code of a replay that needs another engine.
const OTHER_ENGINE: i32 = 8;

/// Has new requests pin this engine version.
async fn set_engine(testbed: &Testbed, version: EngineVersion) -> Result<()> {
    let config = Config::new(version, NEAR_CONFIG_VERSION);
    let set = testbed.contract.call(methods::SET_CONFIG).args_json(json!({ "config": config }));
    set.deposit(NearToken::from_yoctonear(1)).max_gas().transact().await?.into_result()?;
    Ok(())
}

/// Runs `outlayer replay` on a request, with a further engine where there is one.
async fn replay(
    testbed: &Testbed,
    request_id: RequestId,
    engine: Option<&str>,
) -> Result<(Output, Value)> {
    let mut command = Command::new(node::testbed_binary()?);
    command
        .args(["outlayer", "replay", &request_id.to_string(), "--json"])
        .args(["--rpc-url", &testbed.node.rpc_addr()])
        .args(["--contract", testbed.contract.id().as_str()])
        .args(engine.map(|engine| format!("--engine={engine}")));
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((output, report))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `outlayer doctor`, and gives what it found.
async fn doctor(testbed: &Testbed, keys: &Path, args: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(node::testbed_binary()?);
    command
        .args(["outlayer", "doctor", "--json", "--rpc-url", &testbed.node.rpc_addr()])
        .args(["--contract", testbed.contract.id().as_str()])
        .arg("--key-file")
        .arg(keys)
        .args(args);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let report: Value = serde_json::from_slice(&output.stdout).context(said(&output))?;
    Ok(report["findings"].as_array().cloned().unwrap_or_default())
}

fn levels<'a>(findings: &'a [Value], check: &str) -> Vec<&'a Value> {
    findings.iter().filter(|one| one["check"] == check).map(|one| &one["level"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_serves_requests_of_two_engines_and_a_replay_needs_the_one_that_was_pinned()
-> Result<()> {
    let (old, new) = (EngineVersion(ENGINE_VERSION.0 - 1), ENGINE_VERSION);
    let folder = tempfile::tempdir()?;
    let program = node::claims_engine(folder.path(), old)?;
    let engine = format!("{}={}", old.0, program.display());
    let testbed = Testbed::start_still().await?;
    let url = testbed.node.rpc_addr();
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;

    // A worker that has not got the engine leaves the request, and neither fails nor loses it.
    set_engine(&testbed, old).await?;
    let before = testbed.ask(&caller, &request(echo, "before the upgrade")).await?;
    let pending = testbed.wait_for_pending(1).await?;
    assert_eq!(pending[0].engine_version, old);
    let no_wrapper: [&str; 0] = [];
    let mut daemon = testbed.daemon(&url, &no_wrapper, &[])?;
    let needed = format!("needed={}", old.0);
    logged(&mut daemon, &["another engine is needed", &needed]).await?;
    set_engine(&testbed, new).await?;
    let meanwhile = testbed.ask(&caller, &request(echo, "meanwhile")).await?;
    let settled = testbed.settlement(meanwhile).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "meanwhile".into() });
    let log = daemon.log();
    ensure!(!log.contains("no answer this time"), "{log}");
    daemon.kill()?;
    let live = testbed.pending().await?;
    assert_eq!(live, pending, "it keeps the engine that it was made under");

    // Requests of both versions are live, and one worker serves them.
    let after = testbed.ask(&caller, &request(echo, "after the upgrade")).await?;
    let live = testbed.wait_for_pending(2).await?;
    let mut versions: Vec<_> = live.iter().map(|one| one.engine_version).collect();
    versions.sort_by_key(|version| version.0);
    assert_eq!(versions, [old, new]);
    let mut daemon = testbed.daemon(&url, &no_wrapper, &["--engine", &engine])?;
    for (asked, version, output) in
        [(before, old, "before the upgrade"), (after, new, "after the upgrade")]
    {
        let result = testbed.finished(asked).await?;
        let completed = events(&result).into_iter().find_map(|event| match event {
            Event::ExecutionCompleted(completed) => Some(completed),
            _ => None,
        });
        let completed = completed.context("no event")?;
        let settled = settlement(result)?;
        assert_eq!(settled.outcome, Outcome::Completed { output: output.into() });

        let request_id = completed.request_id;
        let (ended, report) = replay(&testbed, request_id, Some(&engine)).await?;
        assert_eq!(ended.status.code(), Some(0), "{report} {}", said(&ended));
        assert_eq!(report["verdict"], "match", "{report}");
        assert_eq!(report["digest"], completed.digest.to_string(), "{report}");
        assert_eq!(report["record"]["engine_version"], version.0, "{report}");
        let (ended, report) = replay(&testbed, request_id, None).await?;
        if version == new {
            assert_eq!(ended.status.code(), Some(0), "{report} {}", said(&ended));
        } else {
            assert_eq!(ended.status.code(), Some(OTHER_ENGINE), "{report} {}", said(&ended));
            assert_eq!(report["verdict"], "needs_engine", "{report}");
            assert_eq!(report["engine_version"], old.0, "{report}");
        }
    }
    daemon.check()?;
    daemon.kill()?;

    // A program that has not got the engine that it is named for is refused.
    let wrong = format!("{}={}", old.0 + 7, program.display());
    let (ended, _) = replay(&testbed, 0, Some(&wrong)).await?;
    assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
    let expected = format!("has {old} (NEAR config {NEAR_CONFIG_VERSION}), expected engine");
    assert!(said(&ended).contains(&expected), "{}", said(&ended));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_every_engine_that_a_worker_is_given() -> Result<()> {
    let old = EngineVersion(ENGINE_VERSION.0 - 1);
    let folder = tempfile::tempdir()?;
    let program = node::claims_engine(folder.path(), old)?;
    let engine = format!("{}={}", old.0, program.display());
    let testbed = Testbed::start_still().await?;
    let keys = testbed.worker_key_file(folder.path())?;
    set_engine(&testbed, old).await?;

    let found = doctor(&testbed, &keys, &[]).await?;
    assert_eq!(levels(&found, "contract"), ["fail"], "{found:?}");
    let found = doctor(&testbed, &keys, &["--engine", &engine]).await?;
    assert_eq!(levels(&found, "contract"), ["ok"], "{found:?}");
    // This build does not know what the other engine must compute.
    assert_eq!(levels(&found, "engine"), ["ok", "warn"], "{found:?}");
    let missing = format!("{}=/no/such/program", old.0);
    let found = doctor(&testbed, &keys, &["--engine", &missing]).await?;
    assert_eq!(levels(&found, "contract"), ["fail"], "{found:?}");
    assert_eq!(levels(&found, "engine"), ["ok", "fail"], "{found:?}");
    Ok(())
}
