//! Requests on which several workers must agree: no caller has to trust a single worker, and a
//! single worker cannot stop a request.

use std::time::Duration;

use anyhow::{Context, Result};
use near_workspaces::{Account, AccountId, result::ExecutionFinalResult};
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{DAPP_GAS, events, settlement},
};
use outlayer_protocol::{
    ExecutionRecord, ExecutionRequest, ExecutionResponse, Hash32, NearToken, Outcome, RequestId,
    config::Prices, events::Event, methods, pricing, record::commitment, views::WorkerView,
};

use crate::common::{NOTHING, refusal};

async fn registered(testbed: &Testbed) -> Result<Account> {
    let worker = testbed.node.dev_create_account().await?;
    testbed.register_worker(worker.id()).await?;
    Ok(worker)
}

fn for_two(code: Hash32, input: &str) -> ExecutionRequest {
    ExecutionRequest { approvals: 2, ..request(code, input) }
}

async fn digest(testbed: &Testbed, response: &ExecutionResponse) -> Result<Hash32> {
    let live = testbed.live(response.request_id).await?.context("live")?;
    Ok(ExecutionRecord::new(&live.request, response).digest())
}

async fn commit(
    testbed: &Testbed,
    worker: &Account,
    request_id: RequestId,
    commitment: Hash32,
) -> Result<ExecutionFinalResult> {
    let args = serde_json::json!({ "request_id": request_id, "commitment": commitment });
    let call = worker.call(testbed.contract.id(), methods::COMMIT_EXECUTION);
    Ok(call.args_json(args).gas(DAPP_GAS).transact().await?)
}

/// Commits to the digest of the record that `response` gives.
async fn commit_to(
    testbed: &Testbed,
    worker: &Account,
    response: &ExecutionResponse,
) -> Result<ExecutionFinalResult> {
    let digest = digest(testbed, response).await?;
    commit(testbed, worker, response.request_id, commitment(&digest, worker.id())).await
}

fn lie(truth: &ExecutionResponse, output: &str) -> ExecutionResponse {
    ExecutionResponse { output: output.into(), ..truth.clone() }
}

async fn view(testbed: &Testbed, worker: &AccountId) -> Result<WorkerView> {
    let args = serde_json::json!({ "worker_id": worker });
    let view: Option<WorkerView> =
        testbed.contract.view(methods::GET_WORKER).args_json(args).await?.json()?;
    view.context("registered")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_honest_workers_settle_with_the_truth_while_one_lies_and_one_is_dead() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let other = registered(&testbed).await?;
    let liar = registered(&testbed).await?;
    let dead = registered(&testbed).await?;

    let asked = testbed.ask(&caller, &for_two(echo, "the truth")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    let digest_of_truth = digest(&testbed, &truth).await?;
    // The liar is the first to commit, and submits its body as soon as there is a second
    // commitment.
    let lie = lie(&truth, "a lie");
    assert!(commit_to(&testbed, &liar, &lie).await?.is_success());
    let early = testbed.resolve(&liar, &lie).await?;
    assert!(
        refusal(early).contains("needs 2 commitments before a body, 1 stand"),
        "a body alone settles nothing"
    );
    let serving = [testbed.serve()?, testbed.serve_with(testbed.worker_config(&other)?)?];
    // Views make no blocks. Submitting again and again would make many, and use up the time until
    // the deadline.
    while let Some(live) = testbed.live(request_id).await? {
        if live.request.commitments.len() > 1 {
            // The body is disputed, or it comes too late.
            let _ = testbed.resolve(&liar, &lie).await?;
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let settled = settlement(result)?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "the truth".into() });
    assert_eq!(settled.digest, Some(digest_of_truth));
    let Some(Event::ExecutionCompleted(completed)) = events.last() else { panic!("{events:?}") };
    let mut paid = completed.workers.clone();
    paid.sort();
    let mut honest = vec![testbed.worker.id().clone(), other.id().clone()];
    honest.sort();
    assert_eq!(paid, honest);

    // The fee is split evenly, and the liar is counted.
    let (one, two) = (view(&testbed, &honest[0]).await?, view(&testbed, &honest[1]).await?);
    assert_eq!((one.settled, two.settled), (1, 1));
    let difference = one.earnings.as_yoctonear().abs_diff(two.earnings.as_yoctonear());
    assert!(one.earnings > NOTHING && difference <= 1, "{one:?} {two:?}");
    let funds = testbed.funds().await?;
    assert_eq!(
        one.earnings.as_yoctonear() + two.earnings.as_yoctonear(),
        funds.earnings.as_yoctonear()
    );
    assert_eq!(
        funds.earnings.as_yoctonear() + funds.protocol.as_yoctonear(),
        settled.fee.as_yoctonear()
    );
    let liar = view(&testbed, liar.id()).await?;
    assert_eq!((liar.lost, liar.earnings), (1, NOTHING));
    let dead = view(&testbed, dead.id()).await?;
    assert_eq!((dead.lost, dead.settled, dead.earnings), (0, 0, NOTHING));
    for one in serving {
        one.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_worker_that_copies_what_is_public_earns_nothing() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let other = registered(&testbed).await?;
    let lazy = registered(&testbed).await?;
    let (worker, contract) = (&testbed.worker, &testbed.contract);

    // The lazy worker repeats another's commitment. But a commitment is bound to its author.
    let asked = testbed.ask(&caller, &for_two(echo, "work")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    assert!(commit_to(&testbed, worker, &truth).await?.is_success());
    let live = testbed.live(request_id).await?.context("live")?.request;
    let copied = live.commitments[0].hash;
    assert!(commit(&testbed, &lazy, request_id, copied).await?.is_success());
    // A body with less support than the request asks for settles nothing, and nobody can commit to
    // its digest any more.
    let disputed = testbed.resolve(worker, &truth).await?;
    let events_of = events(&disputed);
    let [Event::ExecutionDisputed(dispute)] = &events_of[..] else { panic!("{events_of:?}") };
    assert_eq!(
        (&dispute.supporters[..], &dispute.opponents[..]),
        (&[worker.id().clone()][..], &[lazy.id().clone()][..])
    );
    let late = commit_to(&testbed, &other, &truth).await?;
    assert!(refusal(late).contains("whose body is public"));
    let cancel = serde_json::json!({ "request_id": request_id });
    let cancelled = caller.call(testbed.dapp.id(), "cancel").args_json(cancel).max_gas();
    assert!(cancelled.transact().await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::Cancelled);
    let before = view(&testbed, lazy.id()).await?;

    // There are two honest commitments, and between them a copy of the first: only work is paid.
    let asked = testbed.ask(&caller, &for_two(echo, "more work")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    assert!(commit_to(&testbed, worker, &truth).await?.is_success());
    let live = testbed.live(request_id).await?.context("live")?.request;
    let copied = live.commitments[0].hash;
    assert!(commit(&testbed, &lazy, request_id, copied).await?.is_success());
    assert!(commit_to(&testbed, &other, &truth).await?.is_success());
    // The lazy worker may even submit the body. Who is paid follows from the commitments.
    assert!(testbed.resolve(&lazy, &truth).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert!(matches!(settled.outcome, Outcome::Completed { .. }));
    let after = view(&testbed, lazy.id()).await?;
    assert_eq!((after.earnings, after.settled, after.lost), (before.earnings, 0, 1));
    for id in [worker.id(), other.id()] {
        assert_eq!(view(&testbed, id).await?.settled, 1);
    }
    let withdrawn = worker.call(contract.id(), methods::WITHDRAW_EARNINGS).args_json(());
    let withdrawn = withdrawn.deposit(NearToken::from_yoctonear(1)).max_gas();
    assert!(withdrawn.transact().await?.is_success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_that_all_disagree_settle_nothing_and_everything_goes_back() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let workers =
        [testbed.worker.clone(), registered(&testbed).await?, registered(&testbed).await?];
    let (funds, usage) =
        (testbed.funds().await?, testbed.contract.view_account().await?.storage_usage);

    let asked_for = for_two(echo, "who is right?");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let truth = testbed.execute(pending[0].request_id).await?;
    let bodies = [truth.clone(), lie(&truth, "one lie"), lie(&truth, "another")];
    for (worker, body) in workers.iter().zip(&bodies) {
        assert!(commit_to(&testbed, worker, body).await?.is_success());
    }
    for (worker, body) in workers.iter().zip(&bodies) {
        let resolved = testbed.resolve(worker, body).await?;
        let disputed = events(&resolved);
        assert!(
            matches!(
                &disputed[..],
                [Event::ExecutionDisputed(one)]
                    if one.supporters == [worker.id().clone()] && one.opponents.len() == 2
            ),
            "{resolved:?}"
        );
        let again = testbed.resolve(worker, body).await?;
        assert!(refusal(again).contains("was disputed before"));
    }

    testbed.advance_to(pending[0].deadline + 3).await?;
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::TimedOut);
    assert_eq!((settled.fee, settled.refund), (NOTHING, deposit));
    assert_eq!(testbed.funds().await?, funds);
    let usage_after = testbed.contract.view_account().await?.storage_usage;
    assert_eq!(usage_after, usage, "every byte is free again");
    for worker in &workers {
        let view = view(&testbed, worker.id()).await?;
        assert_eq!((view.settled, view.lost, view.earnings), (0, 0, NOTHING));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_after_a_commitment_pays_the_least_fee() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    // Only one worker is running: it commits, and waits for a second one.
    registered(&testbed).await?;
    let serving = testbed.serve()?;
    let asked_for = for_two(echo, "never mind");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = loop {
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        let live = testbed.live(request_id).await?.context("the request is live")?.request;
        if !live.commitments.is_empty() {
            break request_id;
        }
    };
    let cancel = serde_json::json!({ "request_id": request_id });
    let cancelled = caller.call(testbed.dapp.id(), "cancel").args_json(&cancel).max_gas();
    assert!(cancelled.transact().await?.is_success());
    let settled = testbed.settlement(asked).await?;
    let least = pricing::least_fee(&Prices::default(), &asked_for.limits)?;
    assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, least));
    assert_eq!(settled.refund, deposit.saturating_sub(least));
    let worker = view(&testbed, testbed.worker.id()).await?;
    let share = testbed.funds().await?.protocol;
    assert_eq!(worker.earnings.saturating_add(share), least);
    assert_eq!(worker.settled, 0, "nothing was answered");
    serving.stop().await
}
