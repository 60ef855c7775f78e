//! Storage: the next request reads what the last one wrote, and no update is lost between them.

use anyhow::Result;
use near_workspaces::{
    Account,
    result::ExecutionFinalResult,
    types::{Gas, NearToken},
};
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::{Bytes, ExecutionRequest, Hash32, Outcome, methods};
use serde_json::{Value, json};

use crate::common::NOTHING;

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
    Ok(testbed.contract.view(methods::STORAGE_GET).args_json(args).await?.json()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_written_by_one_request_is_read_by_the_next() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;

    let write = commands(guest, json!([set("greeting", "hello"), set("gone", "soon")]));
    let settled = testbed.settlement(testbed.ask(&caller, &write).await?).await?;
    assert!(matches!(settled.outcome, Outcome::Completed { .. }), "{settled:?}");
    assert_eq!(stored(&testbed, "greeting").await?, Some("hello".into()));

    let read =
        commands(guest, json!([op("get", "greeting"), op("remove", "gone"), op("get", "gone")]));
    let settled = testbed.settlement(testbed.ask(&caller, &read).await?).await?;
    let Outcome::Completed { output } = settled.outcome else { panic!("{:?}", settled.outcome) };
    let answer: Value = serde_json::from_slice(&output)?;
    assert_eq!(answer, json!(["hello", true, null]));
    assert_eq!(stored(&testbed, "gone").await?, None);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_one_key_in_flight_at_once_lose_no_update() -> Result<()> {
    const REQUESTS: usize = 4;
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
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
        assert!(matches!(settled.outcome, Outcome::Completed { .. }), "{:?}", settled.outcome);
    }
    assert_eq!(stored(&testbed, "counter").await?, Some(REQUESTS.to_string().as_str().into()));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_an_outdated_value_is_refused_and_executed_again() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
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
    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    assert!(matches!(testbed.settlement(first).await?.outcome, Outcome::Completed { .. }));

    let refused = testbed.resolve(&testbed.worker, &outdated).await?;
    let refusal = format!("{:?}", refused.into_result().expect_err("the key has changed"));
    assert!(refusal.contains("was read and has changed since"), "{refusal}");
    let again = testbed.execute(ids[1]).await?;
    assert!(testbed.resolve(&testbed.worker, &again).await?.is_success());
    assert!(matches!(testbed.settlement(second).await?.outcome, Outcome::Completed { .. }));
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
    let settled = testbed.settlement(testbed.ask(&caller, &write).await?).await?;
    assert_eq!(settled.outcome, Outcome::StorageExhausted);
    assert_eq!((stored(&testbed, "a").await?, stored(&testbed, "b").await?), (None, None));
    serving.stop().await
}

/// Calls one of the contract's methods as `by`.
async fn call(
    testbed: &Testbed,
    by: &Account,
    method: &str,
    args: Value,
    deposit: NearToken,
) -> Result<ExecutionFinalResult> {
    let call = by.call(testbed.contract.id(), method).args_json(args);
    Ok(call.deposit(deposit).gas(Gas::from_tgas(100)).transact().await?)
}

const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);

#[tokio::test(flavor = "multi_thread")]
async fn nep_145_speaks_json_as_the_standard_says() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = testbed.node.dev_create_account().await?;
    let friend = testbed.node.dev_create_account().await?;
    let view = async |method: &str, args: Value| -> Result<Value> {
        Ok(testbed.contract.view(method).args_json(args).await?.json()?)
    };
    let balance_of =
        async || view(methods::STORAGE_BALANCE_OF, json!({ "account_id": owner.id() })).await;
    let funds = testbed.funds().await?;
    let bounds = view(methods::STORAGE_BALANCE_BOUNDS, json!({})).await?;
    let min: u128 = bounds["min"].as_str().unwrap_or("amounts are texts").parse()?;
    assert_eq!(bounds["max"], Value::Null);
    assert_eq!(balance_of().await?, Value::Null);

    // Somebody else registers the account, and gets back what the registration does not cost.
    let near = NearToken::from_near(1);
    let register = json!({ "account_id": owner.id(), "registration_only": true });
    let registered = call(&testbed, &friend, methods::STORAGE_DEPOSIT, register, near).await?;
    let registered: Value = registered.into_result()?.json()?;
    assert_eq!(registered["total"], json!(min.to_string()));
    assert_eq!(balance_of().await?, registered);
    assert!(
        registered["available"].as_str().is_some_and(|text| text.parse::<u128>().is_ok()),
        "{registered}"
    );

    let more = NearToken::from_millinear(100);
    call(&testbed, &owner, methods::STORAGE_DEPOSIT, json!({}), more).await?.into_result()?;
    let set = json!({ "key": Bytes::from("k"), "value": Bytes::from("v") });
    call(&testbed, &owner, methods::STORAGE_SET, set, NOTHING).await?.into_result()?;
    let total = min + more.as_yoctonear();
    assert_eq!(balance_of().await?["total"], json!(total.to_string()));

    // These methods take money out, so they want one yoctoNEAR, which only a full-access key can
    // attach.
    for (method, args) in [
        (methods::STORAGE_WITHDRAW, json!({ "amount": "1" })),
        (methods::STORAGE_UNREGISTER, json!({ "force": true })),
    ] {
        let refused = call(&testbed, &owner, method, args, NOTHING).await?;
        let refused = format!("{:?}", refused.into_result().expect_err(method));
        assert!(refused.contains("expected exactly 1"), "{refused}");
    }
    let part =
        call(&testbed, &owner, methods::STORAGE_WITHDRAW, json!({ "amount": "1000" }), ONE_YOCTO)
            .await?;
    let part: Value = part.into_result()?.json()?;
    assert_eq!(part["total"], json!((total - 1_000).to_string()));
    let refused = call(&testbed, &owner, methods::STORAGE_UNREGISTER, json!({}), ONE_YOCTO).await?;
    let refused = format!("{:?}", refused.into_result().expect_err("it has a key"));
    assert!(refused.contains("still stores 1 keys"), "{refused}");
    let closed =
        call(&testbed, &owner, methods::STORAGE_UNREGISTER, json!({ "force": true }), ONE_YOCTO)
            .await?;
    assert!(closed.into_result()?.json::<bool>()?);
    assert_eq!(balance_of().await?, Value::Null);
    assert_eq!(testbed.funds().await?, funds);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_together_as_of_the_block_that_the_caller_names() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = testbed.node.dev_create_account().await?;
    let mut heights = Vec::new();
    for round in ["1", "2"] {
        for key in ["a", "b"] {
            let set = json!({ "key": Bytes::from(key), "value": Bytes::from(round) });
            call(&testbed, &owner, methods::STORAGE_SET, set, NearToken::from_millinear(50))
                .await?
                .into_result()?;
        }
        heights.push(testbed.height().await?);
    }
    let keys: Vec<Bytes> = ["a", "b", "absent"].map(Bytes::from).into();
    for (round, height) in ["1", "2"].into_iter().zip(heights) {
        let args = json!({ "account_id": owner.id(), "keys": keys });
        let view = testbed.contract.view(methods::STORAGE_GET_MANY).args_json(args);
        let values: Vec<Option<Bytes>> = view.block_height(height).await?.json()?;
        assert_eq!(values, [Some(round.into()), Some(round.into()), None]);
    }
    let args = json!({ "account_id": owner.id(), "from_index": 0, "limit": 10 });
    let listed: Vec<Bytes> =
        testbed.contract.view(methods::STORAGE_KEYS).args_json(args).await?.json()?;
    assert_eq!(listed, ["a".into(), "b".into()]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_live_request_needs_stays_and_its_deposit_comes_back_afterwards() -> Result<()>
{
    let testbed = Testbed::start().await?;
    let funds = testbed.funds().await?;
    let echo = testbed.publish_guest("echo").await?;
    let publisher = testbed.contract.as_account();
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(echo, "stay")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let delete = async |by: &Account| {
        call(&testbed, by, methods::DELETE_CODE, json!({ "hash": echo }), NOTHING).await
    };
    for (by, expected) in [(publisher, "live requests may need it"), (&caller, "publisher")] {
        let refused = format!("{:?}", delete(by).await?.into_result().expect_err(expected));
        assert!(refused.contains(expected), "{refused}");
    }
    let response = testbed.execute(request_id).await?;
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    assert!(matches!(testbed.settlement(asked).await?.outcome, Outcome::Completed { .. }));
    delete(publisher).await?.into_result()?;
    assert_eq!(testbed.funds().await?.code, funds.code);
    let info = testbed.contract.view(methods::GET_CODE_INFO).args_json(json!({ "hash": echo }));
    assert_eq!(info.await?.json::<Value>()?, Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_answers_over_one_key_sent_at_once_one_is_executed_again() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    // Two answers over one key are sent at once. The second is refused, because the first one is
    // staged, or because of what it wrote.
    let increment = commands(guest, json!([op("increment", "counter")]));
    let asked = [testbed.ask(&caller, &increment).await?, testbed.ask(&caller, &increment).await?];
    let rival = testbed.node.dev_create_account().await?;
    testbed.register_worker(rival.id()).await?;
    let pending = testbed.wait_for_pending(2).await?;
    let bodies = [
        testbed.execute(pending[0].request_id).await?,
        testbed.execute(pending[1].request_id).await?,
    ];
    let (one, other) = tokio::join!(
        testbed.resolve(&testbed.worker, &bodies[0]),
        testbed.resolve(&rival, &bodies[1])
    );
    let results = [one?, other?];
    let taken = results.iter().filter(|one| one.is_success()).count();
    assert_eq!(taken, 1, "{results:?}");
    for one in results {
        if let Err(error) = one.into_result() {
            let refused = format!("{error:?}");
            assert!(refused.contains("execute again"), "{refused}");
        }
    }
    let serving = testbed.serve()?;
    for one in asked {
        let outcome = testbed.settlement(one).await?.outcome;
        assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}");
    }
    assert_eq!(stored(&testbed, "counter").await?, Some("2".into()));
    serving.stop().await
}
