//! The dApps of `examples/`, each of them on a node.

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, Contract, types::NearToken};
use outlayer_integration_tests::{Testbed, artifacts, testbed::DAPP_GAS};
use outlayer_protocol::{Bytes, ExecutionRequest, methods};
use serde_json::{Value, json};

pub(crate) async fn deploy(testbed: &Testbed, name: &str, init: Value) -> Result<Contract> {
    let dapp = testbed.node.dev_deploy(&artifacts::wasm(name)?).await?;
    let new = dapp.call("new").args_json(init);
    new.transact().await?.into_result().context("new")?;
    Ok(dapp)
}

/// What must be attached to the request that the dApp's view `request` describes.
pub(crate) async fn cost(testbed: &Testbed, dapp: &Contract, args: Value) -> Result<NearToken> {
    let request: ExecutionRequest = dapp.view("request").args_json(args).await?.json()?;
    Ok(testbed.estimate(&request).await?.total)
}

/// Cancels the only live request, as its payer.
async fn cancel(testbed: &Testbed, payer: &Account) -> Result<()> {
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let call = payer
        .call(testbed.contract.id(), methods::CANCEL_EXECUTION)
        .args_json(json!({ "request_id": request_id }))
        .max_gas();
    call.transact().await?.into_result()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ask_keeps_the_answer() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let dapp =
        deploy(&testbed, "example_ask", json!({ "outlayer": testbed.contract.id() })).await?;
    let user = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let call = user
        .call(dapp.id(), "ask")
        .args_json(json!({ "code": echo, "input": "hello" }))
        .deposit(NearToken::from_near(1))
        .gas(DAPP_GAS);
    let asked = call.transact_async().await?;
    let answer: String = testbed.finished(asked).await?.into_result()?.json()?;
    let kept: String = dapp.view("last_answer").await?.json()?;
    assert_eq!((answer.as_str(), kept.as_str()), ("hello", "hello"));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_flip_pays_a_drawn_guess_and_no_answer_is_the_players_loss() -> Result<()> {
    let testbed = Testbed::start().await?;
    let code = testbed.publish_guest("random-ark").await?;
    let init = json!({ "outlayer": testbed.contract.id(), "code": code });
    let house = deploy(&testbed, "example_coin_flip", init).await?;
    let player = testbed.node.dev_create_account().await?;
    let stake = NearToken::from_millinear(500);
    let cost = cost(&testbed, &house, json!({ "player": player.id() })).await?;
    let flip = async |guess: &str, deposit: NearToken| {
        let call = player
            .call(house.id(), "flip")
            .args_json(json!({ "guess": guess, "stake": stake }))
            .deposit(deposit)
            .gas(DAPP_GAS);
        anyhow::Ok(call.transact_async().await?)
    };
    let enough = stake.saturating_add(cost);
    let result = async |flipped| -> Result<Value> {
        Ok(testbed.finished(flipped).await?.into_result()?.json()?)
    };
    // Checks how the house's balance has moved. Before protocol version 87 the house also earned
    // from its gas, far less than the tolerance.
    let tolerance = NearToken::from_millinear(20).as_yoctonear();
    let moved = async |before: u128, expected: u128| -> Result<()> {
        let after = testbed.balance(house.id()).await?;
        ensure!(
            (expected..expected + tolerance).contains(&after),
            "{before} before, {after} after, expected {expected}"
        );
        Ok(())
    };
    let stake_yocto = stake.as_yoctonear();
    let ended = |flip: &Value| (flip["won"].as_bool(), flip["shown"].as_str().map(str::to_owned));

    // The player takes the flip back, perhaps because the seed shows that it is lost.
    let before = testbed.balance(house.id()).await?;
    let flipped = flip("heads", enough).await?;
    cancel(&testbed, &player).await?;
    assert_eq!(ended(&result(flipped).await?), (Some(false), Some("cancelled".to_owned())));
    moved(before, before + stake_yocto).await?;

    // Nobody answers.
    let before = testbed.balance(house.id()).await?;
    let flipped = flip("heads", enough).await?;
    let deadline = testbed.wait_for_pending(1).await?[0].deadline;
    testbed.advance_to(deadline + 3).await?;
    assert_eq!(ended(&result(flipped).await?), (Some(false), Some("timed_out".to_owned())));
    moved(before, before + stake_yocto).await?;

    // OutLayer refuses the request, so there is no flip, and everything goes back.
    let before = testbed.balance(house.id()).await?;
    // The estimate allows for account ids of 64 bytes, which takes 0.00256 NEAR at the most.
    let short = enough.saturating_sub(NearToken::from_millinear(3));
    let refused = result(flip("heads", short).await?).await?;
    assert!(refused["shown"].as_str().is_some_and(|text| text.contains("refused")), "{refused}");
    moved(before, before).await?;

    // A worker serves the requests. The player wins some and loses some.
    let serving = testbed.serve()?;
    let (mut won, mut lost) = (0, 0);
    for round in 0..64 {
        if won > 0 && lost > 0 {
            break;
        }
        let guess = ["heads", "tails"][round % 2];
        let before = testbed.balance(house.id()).await?;
        let shown = result(flip(guess, enough).await?).await?;
        let hit = shown["shown"] == guess;
        assert_eq!(shown["won"], json!(hit), "{shown}");
        if hit {
            won += 1;
            moved(before, before - stake_yocto).await?;
        } else {
            assert!(["heads", "tails"].map(Value::from).contains(&shown["shown"]));
            lost += 1;
            moved(before, before + stake_yocto).await?;
        }
    }
    assert!(won > 0 && lost > 0, "{won} won, {lost} lost");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_in_outlayers_storage_counts_increments_in_flight_at_once() -> Result<()> {
    let testbed = Testbed::start().await?;
    let code = testbed.publish_guest("key-value").await?;
    let init = json!({ "outlayer": testbed.contract.id(), "code": code });
    let counter = deploy(&testbed, "example_counter", init).await?;
    let user = testbed.node.dev_create_account().await?;
    let cost = cost(&testbed, &counter, json!({ "payer": user.id() })).await?;
    let serving = testbed.serve()?;
    let increment = async || {
        let call = user.call(counter.id(), "increment").args_json(json!({}));
        let call = call.deposit(cost).gas(DAPP_GAS);
        anyhow::Ok(call.transact_async().await?)
    };
    let result = async |asked| -> Result<Value> {
        Ok(testbed.finished(asked).await?.into_result()?.json()?)
    };

    let unpaid = result(increment().await?).await?;
    assert_eq!(unpaid, json!({ "failed": "storage_exhausted" }));
    let pay = user
        .call(testbed.contract.id(), methods::STORAGE_DEPOSIT)
        .args_json(json!({ "account_id": counter.id() }))
        .deposit(NearToken::from_millinear(50))
        .max_gas();
    pay.transact().await?.into_result()?;

    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(increment().await?);
    }
    let mut numbers = Vec::new();
    for one in asked {
        let counted = result(one).await?;
        numbers.push(counted["number"].as_u64().with_context(|| counted.to_string())?);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    let latest: u64 = counter.view("latest").await?.json()?;
    assert_eq!(latest, 3);
    let key = json!({ "account_id": counter.id(), "key": Bytes::from("counter") });
    let stored: Option<Bytes> =
        testbed.contract.view(methods::STORAGE_GET).args_json(key).await?.json()?;
    assert_eq!(stored, Some("3".into()));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_requests_joins_its_answers_in_order() -> Result<()> {
    const INPUTS: [&str; 5] = ["one", "two", "three", "four", "five"];
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let init = json!({ "outlayer": testbed.contract.id() });
    let batch = deploy(&testbed, "example_batch", init).await?;
    let user = testbed.node.dev_create_account().await?;
    let longest = json!({ "code": echo, "input": "three", "payer": user.id() });
    let each = cost(&testbed, &batch, longest).await?;
    let ask = async |inputs: &[&str], each: NearToken| {
        let call = user
            .call(batch.id(), "ask_all")
            .args_json(json!({ "code": echo, "inputs": inputs }))
            .deposit(each.saturating_mul(inputs.len() as u128))
            .gas(DAPP_GAS);
        anyhow::Ok(call.transact_async().await?)
    };

    let asked = ask(&INPUTS, each).await?;
    // One transaction has made several yields, all in one block.
    let pending = testbed.wait_for_pending(INPUTS.len()).await?;
    assert!(pending.iter().all(|one| one.block_height == pending[0].block_height));
    let serving = testbed.serve()?;
    let answers: Vec<String> = testbed.finished(asked).await?.into_result()?.json()?;
    assert_eq!(answers, INPUTS);

    // A request is refused because its input is longer than what was paid for. The other request is
    // answered all the same.
    let long = "x".repeat(100);
    let asked = ask(&["one", &long], each).await?;
    let answers: Vec<String> = testbed.finished(asked).await?.into_result()?.json()?;
    assert_eq!(answers[0], "one");
    assert!(answers[1].contains("refused"), "{}", answers[1]);
    serving.stop().await
}
