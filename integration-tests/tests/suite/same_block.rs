//! Requests that share a block: with each other, and with their answer.

use anyhow::{Context, Result};
use near_workspaces::{operations::Function, types::Gas};
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{DAPP_GAS, events, settlement},
};
use outlayer_protocol::{
    Bytes, Compute, ExecutionRequest, ExecutionResponse, Hash32, Outcome, Settlement, Status,
    events::Event, machine::Phase, methods, response::Answer,
};
use serde_json::json;

use crate::common::{NOTHING, small};

#[tokio::test(flavor = "multi_thread")]
async fn requests_from_one_batch_of_actions_are_two_requests() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut batch = caller.batch(testbed.contract.id());
    for input in ["first", "second"] {
        let asked_for = ExecutionRequest { limits: small(), ..request(echo, input) };
        let deposit = testbed.estimate(&asked_for).await?.total;
        let call =
            Function::new(methods::REQUEST_EXECUTION).args_json(json!({ "request": asked_for }));
        batch = batch.call(call.deposit(deposit).gas(Gas::from_tgas(100)));
    }
    let asked = batch.transact_async().await?;
    let pending = testbed.wait_for_pending(2).await?;
    let (one, other) = (
        testbed.live(pending[0].request_id).await?.context("live")?,
        testbed.live(pending[1].request_id).await?.context("live")?,
    );
    assert_eq!(pending[0].block_height, pending[1].block_height);
    assert_ne!(one.request.data_id, other.request.data_id);
    assert_ne!(one.request.context.random_seed, other.request.context.random_seed);

    // They are settled in the opposite order.
    let mut ids: Vec<_> = pending.iter().map(|one| one.request_id).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    for request_id in ids {
        let response = testbed.execute(request_id).await?;
        let resolved = testbed.resolve(&testbed.worker, &response).await?;
        assert!(resolved.is_success(), "{resolved:?}");
    }
    let result = testbed.finished(asked).await?;
    let completed = events(&result)
        .into_iter()
        .filter(|event| matches!(event, Event::ExecutionCompleted(_)))
        .count();
    assert_eq!(completed, 2);
    // The transaction's result is that of its last action.
    let settled: Settlement = result.into_result()?.json()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "second".into() });
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_the_requests_own_block_cannot_know_its_digest() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    testbed.register_worker(testbed.dapp.id()).await?;
    let asked_for = ExecutionRequest { limits: small(), ..request(echo, "at once") };
    let response = ExecutionResponse {
        request_id: 0,
        status: Status::Completed,
        output: "at once".into(),
        used: Compute::Fuel(1),
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    };
    let answer = Answer { response, digest: Hash32::of(b"a guess"), salt: None };
    let args = json!({ "request": asked_for, "answer": Bytes(borsh::to_vec(&answer)?) });
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = caller
        .call(testbed.dapp.id(), "ask_and_answer")
        .args_json(args)
        .deposit(deposit)
        .gas(DAPP_GAS)
        .transact_async()
        .await?;
    // The digest contains the block's random seed, which nobody has seen before the block.
    let pending = testbed.wait_for_pending(1).await?;
    assert_eq!(pending[0].request_id, 0);
    let live = testbed.live(0).await?.context("the request is live")?.request;
    assert_eq!(live.phase, Phase::Pending);
    let honest = testbed.execute(0).await?;
    assert!(testbed.resolve(&testbed.worker, &honest).await?.is_success());
    let result = testbed.finished(asked).await?;
    let failures = format!("{:?}", result.receipt_failures());
    assert!(failures.contains("[digest_differs]"), "{failures}");
    assert_eq!(settlement(result)?.outcome, Outcome::Completed { output: "at once".into() });
    Ok(())
}
