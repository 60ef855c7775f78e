//! Requests that nobody answers, that are answered in the last blocks, or that are taken back.

use anyhow::Result;
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{events, settlement},
};
use outlayer_protocol::{Outcome, events::Event, methods};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_serves_times_out_and_everything_comes_back() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let funds_before = testbed.funds().await?;
    let mut asked_for = request(echo, "anybody?");
    asked_for.refund_to = Some(caller.id().clone());
    let deposit = testbed.estimate(&asked_for).await?.total;
    let before = testbed.balance(testbed.contract.id()).await?;

    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let (request_id, deadline) = (pending[0].request_id, pending[0].deadline);
    assert_eq!(deadline, pending[0].block_height + 200);

    // The request lives until its deadline, and not one block less.
    testbed.advance_to(deadline - 8).await?;
    let alive = testbed.live(request_id).await?.is_some();
    assert!(alive || testbed.height().await? > deadline, "settled before its deadline");

    testbed.advance_to(deadline + 3).await?;
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let settled = settlement(result)?;
    assert_eq!(settled.outcome, Outcome::TimedOut);
    assert_eq!((settled.fee.as_yoctonear(), settled.refund), (0, deposit));
    assert!(
        matches!(&events[1..], [Event::ExecutionTimedOut(event)] if event.refund == deposit),
        "{events:?}"
    );
    assert!(testbed.live(request_id).await?.is_none(), "the record must be gone");
    assert_eq!(testbed.funds().await?, funds_before);
    let version = testbed.node.status().await?.protocol_version;
    let after = testbed.balance(testbed.contract.id()).await?;
    assert!(after == before || version < 87 && after > before, "{before} before, {after} after");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_just_before_the_deadline_still_settles() -> Result<()> {
    let testbed = Testbed::start_still().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(echo, "just in time")).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let (request_id, deadline) = (pending[0].request_id, pending[0].deadline);
    let response = testbed.execute(request_id).await?;

    testbed.advance_to(deadline - 8).await?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "just in time".into() });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_takes_its_request_back_for_free() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for = request(echo, "never mind");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;

    let cancel = serde_json::json!({ "request_id": request_id });
    let stranger = caller
        .call(testbed.contract.id(), methods::CANCEL_EXECUTION)
        .args_json(&cancel)
        .max_gas()
        .transact()
        .await?;
    let refusal = format!("{:?}", stranger.into_result().expect_err("a stranger cannot cancel"));
    assert!(refusal.contains("can be cancelled by"), "{refusal}");

    let cancelled =
        caller.call(testbed.dapp.id(), "cancel").args_json(&cancel).max_gas().transact().await?;
    assert!(cancelled.is_success(), "{cancelled:?}");
    let settled = testbed.settlement(asked).await?;
    assert_eq!((settled.outcome, settled.refund), (Outcome::Cancelled, deposit));
    Ok(())
}

/// In whatever order answers and timeouts meet, an answer that was taken is settled, and a request
/// whose answer was refused times out.
#[tokio::test(flavor = "multi_thread")]
async fn answers_around_the_deadline_settle_once_in_either_order() -> Result<()> {
    const REQUESTS: usize = 8;
    let testbed = Testbed::start_still().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked_for = request(echo, "now or never");
    asked_for.refund_to = Some(caller.id().clone());
    let deposit = testbed.estimate(&asked_for).await?.total;
    let funds = testbed.funds().await?;
    let mut asked = Vec::new();
    for _ in 0..REQUESTS {
        asked.push(testbed.ask(&caller, &asked_for).await?);
    }
    let mut pending = testbed.wait_for_pending(REQUESTS).await?;
    pending.sort_by_key(|one| one.request_id);
    let mut responses = Vec::new();
    for one in &pending {
        responses.push(testbed.execute(one.request_id).await?);
    }

    // The first answer is sent well in time, the others as the deadlines pass, and the last one
    // when all deadlines have passed.
    let last = pending[REQUESTS - 1].deadline;
    testbed.advance_to(pending[0].deadline - 8).await?;
    let mut taken = Vec::new();
    for (index, response) in responses.iter().enumerate() {
        if index == REQUESTS - 1 {
            testbed.advance_to(last + 2).await?;
        }
        taken.push(testbed.resolve(&testbed.worker, response).await?.is_success());
    }
    assert!(taken[0] && !taken[REQUESTS - 1], "{taken:?}");
    testbed.advance_to(last + 5).await?;
    let mut fees = 0;
    for (one, taken) in asked.into_iter().zip(&taken) {
        let settled = testbed.settlement(one).await?;
        let outcome = &settled.outcome;
        assert_eq!(matches!(outcome, Outcome::Completed { .. }), *taken, "{outcome:?}");
        assert_eq!(*outcome == Outcome::TimedOut, !taken, "{outcome:?}");
        assert_eq!(settled.fee.saturating_add(settled.refund), deposit);
        fees += settled.fee.as_yoctonear();
    }
    let after = testbed.funds().await?;
    assert_eq!(after.deposits, funds.deposits);
    let share = after.protocol.saturating_sub(funds.protocol);
    assert_eq!(after.earnings.saturating_add(share).as_yoctonear(), fees);
    assert!(testbed.pending().await?.is_empty());
    Ok(())
}
