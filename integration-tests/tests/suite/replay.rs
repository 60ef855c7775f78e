//! Anyone can verify a settled request from chain data alone.

use std::process::Command;

use anyhow::{Context, Result};
use near_workspaces::types::NearToken;
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    node,
    testbed::{events, settlement},
};
use outlayer_protocol::{ExecutionRecord, Hash32, Limit, Outcome, events::Event, methods};
use serde_json::{Value, json};

/// Runs `outlayer replay` as a process of its own. Returns whether the digests match, and the
/// report.
pub(crate) async fn replay(
    testbed: &Testbed,
    transaction: &str,
    signer: &str,
) -> Result<(bool, Value)> {
    let mut command = Command::new(node::testbed_binary()?);
    command
        .args([
            "outlayer",
            "replay",
            "--rpc-url",
            &testbed.node.rpc_addr(),
            "--contract",
            testbed.contract.id().as_str(),
        ])
        .args(["--tx", transaction, "--signer", signer, "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report =
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text} {errors}"))?;
    Ok((output.status.success(), report))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_fresh_processes_give_the_digest_of_the_completion_event() -> Result<()> {
    let testbed = Testbed::start().await?;
    let deposit = testbed.worker.call(testbed.contract.id(), methods::STORAGE_DEPOSIT);
    let deposit = deposit
        .args_json(json!({ "account_id": testbed.dapp.id() }))
        .deposit(NearToken::from_near(1));
    deposit.max_gas().transact().await?.into_result()?;
    let guest = testbed.publish_guest("key-value").await?;
    let ark = testbed.publish_guest("random-ark").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;

    // These guests use storage, randomness and the clock, which all enter the record.
    let increment = request(
        guest,
        json!([{ "op": "increment", "key": "n" }, { "op": "get", "key": "n" }])
            .to_string()
            .as_str(),
    );
    for asked_for in [increment.clone(), increment, request(ark, "{}")] {
        let asked = testbed.ask(&caller, &asked_for).await?;
        let (hash, signer) = (asked.hash().to_string(), asked.sender_id().to_string());
        let result = testbed.finished(asked).await?;
        let events = events(&result);
        assert!(matches!(settlement(result)?.outcome, Outcome::Completed { .. }));
        let Some(Event::ExecutionCompleted(completed)) = events.last() else {
            panic!("{events:?}")
        };
        for _ in 0..2 {
            let (matches, report) = replay(&testbed, &hash, &signer).await?;
            assert!(matches, "{report}");
            assert_eq!(report["digest"], completed.digest.to_string(), "{report}");
        }
    }
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_confirms_that_code_was_longer_than_declared() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked_for = request(testbed.publish_guest("echo").await?, "too long");
    asked_for.limits.max_module_bytes = 1_000;
    let serving = testbed.serve()?;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let (hash, signer) = (asked.hash().to_string(), asked.sender_id().to_string());
    let settled = testbed.settlement(asked).await?;
    let outcome = Outcome::LimitExceeded { which: Limit::ModuleBytes, limit: 1_000 };
    assert_eq!(settled.outcome, outcome);
    let (matches, report) = replay(&testbed, &hash, &signer).await?;
    assert!(matches, "{report}");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_answer_is_told_by_a_replay() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(echo, "truth")).await?;
    let (hash, signer) = (asked.hash().to_string(), asked.sender_id().to_string());
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let mut lie = testbed.execute(request_id).await?;
    let live = testbed.live(request_id).await?.context("live")?.request;
    let honest = ExecutionRecord::new(&live, &lie).digest();
    lie.output = "falsehood".into();
    assert!(testbed.resolve(&testbed.worker, &lie).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert_ne!(settled.digest, Some(honest));

    let (matches, report) = replay(&testbed, &hash, &signer).await?;
    assert!(!matches, "{report}");
    assert_eq!(report["digest"], honest.to_string(), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_live_request_binds_what_the_chain_shows() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(echo, "bound")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let live = testbed.live(request_id).await?.context("live")?.request;
    let response = testbed.execute(request_id).await?;
    let record = ExecutionRecord::new(&live, &response);

    assert_eq!(record.code_hash, echo);
    assert_eq!(record.input_hash, Hash32::of(b"bound"));
    assert_eq!(&record.context.contract_id, testbed.contract.id());
    assert_eq!(&record.context.signer_id, caller.id());
    assert_eq!(&record.context.predecessor_id, testbed.dapp.id());
    let block = testbed.node.view_block().block_height(record.context.block_height).await?;
    assert_eq!(record.context.block_timestamp, block.header().timestamp_nanosec());

    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    assert_eq!(testbed.settlement(asked).await?.digest, Some(record.digest()));
    Ok(())
}
