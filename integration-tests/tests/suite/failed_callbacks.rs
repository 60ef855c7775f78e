//! Callbacks that fail: the dApp's, and the contract's own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use near_workspaces::result::ExecutionFinalResult;
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{DAPP_GAS, events, settlement},
};
use outlayer_protocol::{ExecutionRequest, events::Event, methods};
use serde_json::json;

use crate::common::{NOTHING, PATIENCE, refusal, unanswerable};

#[tokio::test(flavor = "multi_thread")]
async fn a_dapps_callback_that_panics_undoes_nothing_of_the_settlement() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for =
        ExecutionRequest { refund_to: Some(caller.id().clone()), ..request(echo, "panic!") };
    let deposit = testbed.estimate(&asked_for).await?.total;
    let protocol = testbed.funds().await?.protocol;
    let asked = caller
        .call(testbed.dapp.id(), "ask_and_panic")
        .args_json(json!({ "request": asked_for }))
        .deposit(deposit)
        .gas(DAPP_GAS)
        .transact_async()
        .await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let before = testbed.balance(caller.id()).await?;
    let response = testbed.execute(request_id).await?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let Some(Event::ExecutionCompleted(completed)) = events.last() else { panic!("{events:?}") };
    let (fee, refund) = (completed.fee, completed.refund);
    assert!(refusal(result).contains("this callback always panics"));

    assert!(testbed.live(request_id).await?.is_none());
    let funds = testbed.funds().await?;
    let share = funds.protocol.saturating_sub(protocol);
    assert_eq!(funds.earnings.saturating_add(share), fee);
    assert_eq!(funds.deposits, NOTHING);
    assert_eq!(fee.saturating_add(refund), deposit);
    let after = testbed.balance(caller.id()).await?;
    assert!(after >= before + refund.as_yoctonear(), "the refund has arrived: {before}, {after}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_callback_left_that_ran_out_of_gas_anyone_sweeps() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let stranger = testbed.node.dev_create_account().await?;
    let funds = testbed.funds().await?;
    let asked_for = unanswerable(&caller);
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let request_id = pending[0].request_id;

    // The gas that was set aside is enough for the request as it was made. So the test makes the
    // record larger, until reading it takes more gas than that.
    let mut live = testbed.live(request_id).await?.context("live")?.request;
    live.args = vec![String::new(); 20_000];
    let key = [&b"R"[..], &request_id.to_be_bytes()].concat();
    // No short response is staged, so the length of one comes first, which is 0.
    let entry = [vec![0; 2], borsh::to_vec(&live)?].concat();
    testbed.node.patch_state(testbed.contract.id(), &key, &entry).await?;
    let patched = testbed.live(request_id).await?.context("patched")?.request;
    assert_eq!(patched, live, "the record's key or encoding has changed");

    testbed.advance_to(pending[0].deadline + 3).await?;
    let result = testbed.finished(asked).await?;
    let failures = format!("{:?}", result.receipt_failures());
    assert!(failures.contains("xceeded"), "{failures}");
    let answer = settlement(result);
    assert!(answer.is_err(), "{answer:?}");
    assert!(
        testbed.live(request_id).await?.is_some(),
        "the failed callback must have undone what it did"
    );
    assert_eq!(testbed.funds().await?.deposits, funds.deposits.saturating_add(deposit));

    let sweep = async || -> Result<ExecutionFinalResult> {
        let call = stranger.call(testbed.contract.id(), methods::SWEEP_EXPIRED);
        let call = call.args_json(json!({ "request_id": request_id }));
        Ok(call.gas(DAPP_GAS).transact().await?)
    };
    assert!(refusal(sweep().await?).contains("can be swept from block"));
    testbed.advance_to(live.terms.sweep_from).await?;
    let before = testbed.balance(caller.id()).await?;
    let swept = sweep().await?;
    assert!(
        matches!(&events(&swept)[..], [Event::ExecutionTimedOut(event)] if event.refund == deposit),
        "{swept:?}"
    );
    assert!(testbed.live(request_id).await?.is_none());
    assert_eq!(testbed.funds().await?, funds);
    // The refund is a receipt of its own, which may come a little later.
    let mut after = testbed.balance(caller.id()).await?;
    let begun = Instant::now();
    while after == before && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = testbed.balance(caller.id()).await?;
    }
    assert_eq!(after - before, deposit.as_yoctonear(), "the payer is whole");
    assert!(refusal(sweep().await?).contains("is settled already"));
    Ok(())
}
