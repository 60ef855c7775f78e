//! A request is made, executed and settled, and every yoctoNEAR is accounted for.

use anyhow::{Context, Result};
use near_workspaces::types::NearToken;
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{burnt, events, settlement},
};
use outlayer_protocol::{Compute, ExecutionRecord, Hash32, Outcome, events::Event};

#[tokio::test(flavor = "multi_thread")]
async fn the_dapps_callback_receives_the_output_of_the_guest() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;

    let asked = testbed.ask(&caller, &request(echo, "Guten Tag, 世界! \u{1} \"quoted\"")).await?;
    let settled = testbed.settlement(asked).await?;
    assert_eq!(
        settled.outcome,
        Outcome::Completed { output: "Guten Tag, 世界! \u{1} \"quoted\"".into() }
    );
    assert!(matches!(settled.used, Compute::Fuel(fuel) if fuel > 0), "{:?}", settled.used);
    assert!(settled.digest.is_some());
    let request_id = settled.request_id.context("a request that was taken has an id")?;
    assert!(testbed.live(request_id).await?.is_none(), "the record must be gone");

    let answers: Vec<String> = testbed
        .dapp
        .view("answers")
        .args_json(serde_json::json!({ "asker": caller.id() }))
        .await?
        .json()?;
    assert_eq!(answers.len(), 1, "the dApp's callback must run once: {answers:?}");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_yocto_is_accounted_for() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked_for = request(echo, "what does it cost?");
    asked_for.refund_to = Some(caller.id().clone());
    let cost = testbed.estimate(&asked_for).await?;
    let excess = NearToken::from_near(1).as_yoctonear();
    let deposit = cost.total.as_yoctonear() + excess;

    let accounts = [caller.id(), testbed.dapp.id(), testbed.contract.id(), testbed.worker.id()];
    let balances = async || -> Result<Vec<u128>> {
        let mut balances = Vec::new();
        for account in accounts {
            balances.push(testbed.balance(account).await?);
        }
        Ok(balances)
    };
    let (before, funds_before) = (balances().await?, testbed.funds().await?);

    let asked = testbed.ask_with(&caller, &asked_for, NearToken::from_yoctonear(deposit)).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let request_id = pending[0].request_id;
    let held = testbed.funds().await?;
    assert_eq!(
        held.deposits.as_yoctonear() - funds_before.deposits.as_yoctonear(),
        deposit,
        "while the request lives, the contract holds the whole deposit"
    );

    let response = testbed.execute(request_id).await?;
    let live = testbed.live(request_id).await?.context("live")?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let settled = settlement(result.clone())?;
    let (after, funds) = (balances().await?, testbed.funds().await?);

    // Fee and refund.
    let (fee, refund) = (settled.fee.as_yoctonear(), settled.refund.as_yoctonear());
    assert_eq!(fee + refund, deposit);
    assert!(
        refund > excess + cost.storage_reserve.as_yoctonear(),
        "reserve and excess come back: {refund}"
    );
    assert!(fee <= cost.max_fee.as_yoctonear());

    // The contract's books.
    let earned = funds.earnings.as_yoctonear() - funds_before.earnings.as_yoctonear();
    let share = funds.protocol.as_yoctonear() - funds_before.protocol.as_yoctonear();
    assert_eq!(earned + share, fee);
    assert_eq!(funds.deposits, funds_before.deposits);
    assert_eq!(funds.claimable, funds_before.claimable);

    // What the caller and the worker have lost together is the fee and the burnt gas, to the yocto.
    let gas = burnt(&result.into_result()?) + burnt(&resolved.into_result()?);
    assert_eq!(before[0] + before[3] - after[0] - after[3], fee + gas);
    // The contract kept the fee, and the dApp kept nothing. Before protocol version 87 contracts
    // also earned a part of the gas that they burnt.
    let kept = after[2].checked_sub(before[2]).context("the contract lost money")?;
    let won = after[1].checked_sub(before[1]).context("the dApp lost money")?;
    let rewarded = testbed.node.status().await?.protocol_version < 87;
    assert!(kept >= fee && (rewarded || kept == fee), "kept {kept}, fee {fee}");
    assert!(rewarded || won == 0, "the dApp won {won}");

    // The events agree, and the digest is the one of the record that the contract builds.
    let digest = ExecutionRecord::new(&live.request, &response).digest();
    assert_eq!(settled.digest, Some(digest));
    let [Event::ExecutionRequested(requested), Event::ExecutionCompleted(completed)] = &events[..]
    else {
        panic!("expected a requested and a completed event, found {events:?}");
    };
    assert_eq!(
        (requested.request_id, requested.context.clone()),
        (request_id, live.request.context)
    );
    assert_eq!(
        (completed.digest, completed.fee, completed.refund),
        (digest, settled.fee, settled.refund)
    );
    assert_eq!(completed.output_hash, Hash32::of(b"what does it cost?"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_of_100_kb_arrives_whole() -> Result<()> {
    const BYTES: u32 = 100_000;
    let testbed = Testbed::start().await?;
    let big = testbed.publish_guest("big").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;

    let mut asked_for = request(big, BYTES.to_string().as_str());
    asked_for.limits.output_bytes = BYTES;
    let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
    let Outcome::Completed { output } = settled.outcome else { panic!("{:?}", settled.outcome) };
    assert_eq!(output.len(), BYTES as usize);
    serving.stop().await
}
