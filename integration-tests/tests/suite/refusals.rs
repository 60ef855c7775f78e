//! Calls that the contract refuses. Each has an error of its own, and changes nothing.

use anyhow::Result;
use near_workspaces::{result::ExecutionFinalResult, types::NearToken};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    testbed::DAPP_GAS,
};
use outlayer_protocol::{
    Config, ExecutionResponse, Outcome, methods, pricing::quote, views::FundsView,
};

/// What a refusal must not change: the contract's books, its balance, the bytes that it stores, the
/// number of live requests.
async fn state(testbed: &Testbed) -> Result<(FundsView, u128, u64, usize)> {
    let account = testbed.contract.view_account().await?;
    let pending = testbed.pending().await?.len();
    Ok((testbed.funds().await?, account.balance.as_yoctonear(), account.storage_usage, pending))
}

/// Checks that a call was refused and has left the state as it was. Before protocol version 87 the
/// contract earned from the gas of the call, so there its balance may have grown.
async fn assert_refused(
    testbed: &Testbed,
    result: ExecutionFinalResult,
    before: (FundsView, u128, u64, usize),
    expected: &str,
) -> Result<()> {
    let Err(refusal) = result.into_result() else { panic!("must be refused: {expected}") };
    let refusal = format!("{refusal:?}");
    assert!(refusal.contains(expected), "expected {expected:?} in {refusal}");
    let mut after = state(testbed).await?;
    if testbed.node.status().await?.protocol_version < 87 && after.1 > before.1 {
        after.1 = before.1;
    }
    assert_eq!(after, before, "a refusal must change nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_unknown_requests_second_and_late_answers_are_refused() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let stranger = testbed.node.dev_create_account().await?;

    let asked = testbed.ask(&caller, &request(echo, "once")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;

    let before = state(&testbed).await?;
    let refused = testbed.resolve(&stranger, &response).await?;
    assert_refused(&testbed, refused, before, "is not a registered worker").await?;

    let before = state(&testbed).await?;
    let unknown = ExecutionResponse { request_id: 1_000, ..response.clone() };
    let refused = testbed.resolve(&testbed.worker, &unknown).await?;
    assert_refused(&testbed, refused, before, "request 1000 does not exist").await?;

    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "once".into() });

    let before = state(&testbed).await?;
    let refused = testbed.resolve(&testbed.worker, &response).await?;
    assert_refused(&testbed, refused, before, "is settled already").await?;

    let late = testbed.ask(&caller, &request(echo, "too late")).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let response = testbed.execute(pending[0].request_id).await?;
    testbed.advance_to(pending[0].deadline + 3).await?;
    assert_eq!(testbed.settlement(late).await?.outcome, Outcome::TimedOut);
    let before = state(&testbed).await?;
    let refused = testbed.resolve(&testbed.worker, &response).await?;
    assert_refused(&testbed, refused, before, "is settled already").await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_answers_at_once_one_settles_and_the_other_is_refused() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let rival = testbed.node.dev_create_account().await?;
    testbed.register_worker(rival.id()).await?;

    let asked = testbed.ask(&caller, &request(echo, "race")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;
    let (one, other) = tokio::join!(
        testbed.resolve(&testbed.worker, &response),
        testbed.resolve(&rival, &response)
    );
    let results = [one?, other?];
    assert_eq!(results.iter().filter(|result| result.is_success()).count(), 1, "{results:?}");
    let refusal = results
        .into_iter()
        .find_map(|result| result.into_result().err())
        .map(|error| format!("{error:?}"));
    let refusal = refusal.expect("one is refused");
    assert!(
        refusal.contains("is answered already") || refusal.contains("is settled already"),
        "{refusal}"
    );
    assert_eq!(
        testbed.settlement(asked).await?.outcome,
        Outcome::Completed { output: "race".into() }
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_and_no_deposit_is_kept() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let good = request(echo, "fine");
    let cost = testbed.estimate(&good).await?;

    let mut greedy = good.clone();
    greedy.limits.memory_bytes = u64::MAX;
    let mut shadow = good.clone();
    shadow.env.push(("OUTLAYER_RANDOM_SEED".to_owned(), "7".to_owned()));
    // It would not end before the yield times out, however fast the worker is.
    let endless = with_fuel(good.clone(), 1_000_000_000_000);
    let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    let most = config.most_compute(&good.limits, good.http_limits());
    assert!(most.amount() >= good.limits.compute.amount(), "the default limits are accepted");
    let in_time = "[request_too_slow] 1000000000000 fuel might take longer";
    let accepted = format!("at most {most} is accepted");
    let unpublished = request(outlayer_protocol::Hash32::of(b"nothing"), "");
    let enough = NearToken::from_near(5);
    let ids = [testbed.contract.id(), caller.id(), caller.id(), caller.id()];
    let id_bytes = ids.iter().map(|id| id.as_str().len() as u64).sum();
    let byte_cost = NearToken::from_yoctonear(10_000_000_000_000_000_000);
    let exact = quote(&config, &good, None, id_bytes, byte_cost)?.total;
    let short = NearToken::from_yoctonear(exact.as_yoctonear() - 1);
    let needed = format!("{} needed", exact.as_yoctonear());
    let mut capped = good.clone();
    let max_fee = cost.max_fee.as_yoctonear() - 1;
    capped.max_fee = Some(NearToken::from_yoctonear(max_fee));

    for (request, deposit, expected) in [
        (&greedy, enough, "memory_bytes is 18446744073709551615"),
        (&endless, enough, in_time),
        (&endless, enough, accepted.as_str()),
        (&shadow, enough, "the environment variable"),
        (&unpublished, enough, "is not published"),
        (&good, short, needed.as_str()),
        (&capped, enough, "[fee_above_max] "),
    ] {
        let before = state(&testbed).await?;
        let call = caller.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
        let call = call
            .args_json(serde_json::json!({ "request": request }))
            .deposit(deposit)
            .gas(DAPP_GAS);
        assert_refused(&testbed, call.transact().await?, before, expected).await?;
    }
    let before = state(&testbed).await?;
    let call = caller.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
    let call = call
        .args_json(serde_json::json!({ "request": { "code": 7 } }))
        .deposit(enough)
        .gas(DAPP_GAS);
    assert_refused(&testbed, call.transact().await?, before, "expected CodeSource").await
}
