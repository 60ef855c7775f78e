//! What one request writes the next one reads, and nothing is lost between them.

use anyhow::Result;
use near_workspaces::types::NearToken;
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::{Bytes, ExecutionRequest, Hash32, Outcome};
use serde_json::{Value, json};

async fn pay_for_storage(testbed: &Testbed) -> Result<()> {
    let call = testbed
        .worker
        .call(testbed.contract.id(), "storage_deposit");
    let call = call
        .args_json(json!({ "account_id": testbed.dapp.id() }))
        .deposit(NearToken::from_near(1))
        .max_gas();
    call.transact().await?.into_result()?;
    Ok(())
}

fn commands(guest: Hash32, commands: Value) -> ExecutionRequest {
    request(guest, commands.to_string().as_str())
}

fn op(name: &str, key: &str) -> Value {
    json!({ "op": name, "key": key })
}

fn set(key: &str, value: &str) -> Value {
    json!({ "op": "set", "key": key, "value": value })
}

async fn stored(testbed: &Testbed, key: &str) -> Result<Option<Bytes>> {
    let args = json!({ "account_id": testbed.dapp.id(), "key": Bytes::from(key) });
    Ok(testbed
        .contract
        .view("storage_get")
        .args_json(args)
        .await?
        .json()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_written_by_one_request_is_read_by_the_next() -> Result<()> {
    let testbed = Testbed::start().await?;
    pay_for_storage(&testbed).await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;

    let write = commands(
        guest,
        json!([set("greeting", "hello"), set("gone", "soon")]),
    );
    let settled = testbed
        .settlement(testbed.ask(&caller, &write).await?)
        .await?;
    assert!(
        matches!(settled.outcome, Outcome::Completed { .. }),
        "{settled:?}"
    );
    assert_eq!(stored(&testbed, "greeting").await?, Some("hello".into()));

    let read = commands(
        guest,
        json!([
            op("get", "greeting"),
            op("remove", "gone"),
            op("get", "gone")
        ]),
    );
    let settled = testbed
        .settlement(testbed.ask(&caller, &read).await?)
        .await?;
    let Outcome::Completed { output } = settled.outcome else {
        panic!("{:?}", settled.outcome)
    };
    let answer: Value = serde_json::from_slice(&output)?;
    assert_eq!(answer, json!(["hello", true, null]));
    assert_eq!(stored(&testbed, "gone").await?, None);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_one_key_in_flight_at_once_lose_no_update() -> Result<()> {
    const REQUESTS: usize = 4;
    let testbed = Testbed::start().await?;
    pay_for_storage(&testbed).await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let increment = commands(guest, json!([op("increment", "counter")]));
    let mut asked = Vec::new();
    for _ in 0..REQUESTS {
        asked.push(testbed.ask(&caller, &increment).await?);
    }
    testbed.wait_for_pending(REQUESTS).await?;
    let serving = testbed.serve()?;
    for one in asked {
        let settled = testbed.settlement(one).await?;
        assert!(
            matches!(settled.outcome, Outcome::Completed { .. }),
            "{:?}",
            settled.outcome
        );
    }
    assert_eq!(
        stored(&testbed, "counter").await?,
        Some(REQUESTS.to_string().as_str().into())
    );
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_an_outdated_value_is_refused_and_executed_again() -> Result<()> {
    let testbed = Testbed::start().await?;
    pay_for_storage(&testbed).await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let increment = commands(guest, json!([op("increment", "counter")]));
    let first = testbed.ask(&caller, &increment).await?;
    let second = testbed.ask(&caller, &increment).await?;
    let pending = testbed.wait_for_pending(2).await?;
    let mut ids: Vec<_> = pending.iter().map(|one| one.request_id).collect();
    ids.sort_unstable();

    let outdated = testbed.execute(ids[1]).await?;
    let response = testbed.execute(ids[0]).await?;
    assert!(
        testbed
            .resolve(&testbed.worker, &response)
            .await?
            .is_success()
    );
    assert!(matches!(
        testbed.settlement(first).await?.outcome,
        Outcome::Completed { .. }
    ));

    let refused = testbed.resolve(&testbed.worker, &outdated).await?;
    let refusal = format!(
        "{:?}",
        refused.into_result().expect_err("the key has changed")
    );
    assert!(
        refusal.contains("was read and has changed since"),
        "{refusal}"
    );
    let again = testbed.execute(ids[1]).await?;
    assert!(testbed.resolve(&testbed.worker, &again).await?.is_success());
    assert!(matches!(
        testbed.settlement(second).await?.outcome,
        Outcome::Completed { .. }
    ));
    assert_eq!(stored(&testbed, "counter").await?, Some("2".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_has_not_paid_settles_as_exhausted_with_nothing_written() -> Result<()> {
    let testbed = Testbed::start().await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let write = commands(guest, json!([set("a", "1"), set("b", "2")]));
    let settled = testbed
        .settlement(testbed.ask(&caller, &write).await?)
        .await?;
    assert_eq!(settled.outcome, Outcome::StorageExhausted);
    assert_eq!(
        (stored(&testbed, "a").await?, stored(&testbed, "b").await?),
        (None, None)
    );
    serving.stop().await
}
