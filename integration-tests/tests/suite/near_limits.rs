//! Where nearcore's limits on gas and sizes meet a request.

use anyhow::{Context, Result};
use near_workspaces::{result::ExecutionFinalResult, types::Gas};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{DAPP_GAS, MAX_GAS, events},
};
use outlayer_protocol::{
    Config, ExecutionRequest, Hash32, NearToken, Outcome, Settlement, events::Event, methods,
    response::Answer,
};
use serde_json::{Value, json};

use crate::common::{code_at, refusal, request_directly, small, unanswerable};

async fn estimated_gas(testbed: &Testbed, request: &ExecutionRequest) -> Result<u64> {
    let gas: Value = testbed
        .contract
        .view(methods::ESTIMATE_GAS)
        .args_json(json!({ "request": request }))
        .await?
        .json()?;
    match &gas {
        Value::String(text) => Ok(text.parse()?),
        other => other.as_u64().context("gas"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_gas_changes_nothing_at_any_stage_and_the_estimate_is_enough() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for = ExecutionRequest {
        limits: small(),
        refund_to: Some(caller.id().clone()),
        ..request(echo, "gas")
    };
    let gas = estimated_gas(&testbed, &asked_for).await?;
    let funds = testbed.funds().await?;
    for (too_little, expected) in [(gas - 1, "needed"), (300_000_000_000, "xceeded")] {
        let asked = request_directly(&testbed, &caller, &asked_for, too_little).await?;
        let refused = refusal(testbed.finished(asked).await?);
        assert!(refused.contains(expected), "{too_little}: {refused}");
        assert_eq!(testbed.funds().await?, funds);
        assert!(testbed.pending().await?.is_empty());
    }
    let asked = request_directly(&testbed, &caller, &asked_for, gas).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;

    // A worker that attaches too little gas changes nothing, and may try again.
    let response = testbed.execute(request_id).await?;
    let digest = testbed.digest(&response).await?;
    let answer = Answer { response, digest, salt: None };
    let submit = async |gas: Gas| -> Result<ExecutionFinalResult> {
        let call = testbed
            .worker
            .call(testbed.contract.id(), methods::RESOLVE_EXECUTION)
            .args_borsh(&answer);
        Ok(call.gas(gas).transact().await?)
    };
    let before = testbed.live(request_id).await?;
    let refused = refusal(submit(Gas::from_tgas(2)).await?);
    assert!(refused.contains("xceeded"), "{refused}");
    assert_eq!(testbed.live(request_id).await?, before);
    assert!(submit(Gas::from_tgas(15)).await?.is_success());
    let result = testbed.finished(asked).await?;
    let settled: Settlement = result.into_result()?.json()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "gas".into() });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_near_the_limit_of_a_transaction_makes_the_round_trip() -> Result<()> {
    // Base64 makes a third more of it, and a transaction may have 1.5 MiB.
    const BYTES: usize = 1 << 20;
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    config.bounds.input_bytes = u32::try_from(BYTES)?;
    let set = testbed.contract.call(methods::SET_CONFIG).args_json(json!({ "config": config }));
    set.deposit(NearToken::from_yoctonear(1)).max_gas().transact().await?.into_result()?;
    let serving = testbed.serve()?;

    let input: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
    let asked_for = ExecutionRequest {
        limits: small(),
        refund_to: Some(caller.id().clone()),
        ..request(echo, input)
    };
    let call = caller
        .call(testbed.contract.id(), methods::REQUEST_EXECUTION)
        .args_json(json!({ "request": asked_for }))
        .deposit(NearToken::from_near(30));
    let asked = call.gas(MAX_GAS).transact_async().await?;
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let Some(Event::ExecutionRequested(requested)) = events.first() else { panic!("{events:?}") };
    assert_eq!(requested.input_hash, Hash32::of(&asked_for.input));
    let settled: Settlement = result.into_result()?.json()?;
    // The guest read all of it, and was stopped when it wrote more output than it may.
    assert!(matches!(settled.outcome, Outcome::LimitExceeded { .. }), "{:?}", settled.outcome);
    assert!(settled.used.amount() > 0);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_event_stays_below_the_16_384_bytes_that_a_receipt_may_log() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    config.bounds.url_bytes = 2_048;
    let set = testbed.contract.call(methods::SET_CONFIG).args_json(json!({ "config": config }));
    set.deposit(NearToken::from_yoctonear(1)).max_gas().transact().await?.into_result()?;

    // Each of these characters takes six bytes in JSON.
    let url = format!("https://{}", "\u{1}".repeat(2_040));
    let mut asked_for = unanswerable(&caller);
    asked_for.code = code_at(url.clone());
    let asked = request_directly(&testbed, &caller, &asked_for, DAPP_GAS.as_gas()).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let cancel = caller.call(testbed.contract.id(), methods::CANCEL_EXECUTION);
    let cancel = cancel.args_json(json!({ "request_id": request_id })).max_gas();
    cancel.transact().await?.into_result()?;
    let result = testbed.finished(asked).await?;
    let longest = result.logs().iter().map(|line| line.len()).max().unwrap_or(0);
    assert!((12_240..=16_384).contains(&longest), "{longest}");
    let events = events(&result);
    let Some(Event::ExecutionRequested(requested)) = events.first() else { panic!("{events:?}") };
    assert_eq!(requested.code.url, Some(url));

    // A longer URL is refused, and it is the contract that refuses it, with the bound.
    asked_for.code = code_at(format!("https://{}", "\u{1}".repeat(2_041)));
    let call = caller.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
    let call = call.args_json(json!({ "request": asked_for })).deposit(NearToken::from_near(1));
    let refused = refusal(call.gas(DAPP_GAS).transact().await?);
    assert!(refused.contains("url_bytes is 2049, more than the 2048"), "{refused}");
    Ok(())
}
