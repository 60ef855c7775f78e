//! Requests on which several workers must agree: no caller has to trust a single worker, and a
//! single worker cannot stop a request.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, types::NearToken};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    testbed::{Serving, events, settlement},
};
use outlayer_protocol::{
    Agreement, Bytes, Config, EngineVersion, ExecutionRequest, ExecutionResponse, Hash32, Outcome,
    Plan, RequestId,
    agreement::Stage as AgreementStage,
    commitment::commitment,
    config::Prices,
    events::{Event, ExecutionCompleted},
    methods, pricing,
};
use outlayer_worker::{Stage, WorkerConfig};
use serde_json::json;

use crate::common::{NOTHING, PATIENCE, priced, refusal, request_directly};

/// The time between two blocks. Reveals are taken for 30 blocks.
const BLOCK_TIME: Duration = Duration::from_millis(150);

/// A request that `approvals` of `approvals + spares` workers must agree on. Its turns take about
/// 60 blocks, so that a slow machine is in time.
fn for_several(code: Hash32, input: &str, (approvals, spares): (u8, u8)) -> ExecutionRequest {
    ExecutionRequest { approvals, spares, ..with_fuel(request(code, input), 2_000_000_000) }
}

fn for_two(code: Hash32, input: &str) -> ExecutionRequest {
    for_several(code, input, (2, 1))
}

/// A testbed with three workers, which are all drawn for a request of three seats.
async fn three_workers() -> Result<(Testbed, [Account; 3])> {
    three_workers_with(BLOCK_TIME).await
}

async fn three_workers_with(block_time: Duration) -> Result<(Testbed, [Account; 3])> {
    let testbed = Testbed::start_with_timer().await?;
    let workers =
        [testbed.worker.clone(), testbed.new_worker().await?, testbed.new_worker().await?];
    testbed.set_block_time(block_time);
    testbed.wait_for_workers();
    Ok((testbed, workers))
}

/// The configuration of a worker that looks as often as there are blocks.
fn attentive(testbed: &Testbed, worker: &Account) -> Result<WorkerConfig> {
    let mut config = testbed.worker_config(worker)?;
    config.poll_interval = BLOCK_TIME / 2;
    Ok(config)
}

/// Starts these workers.
fn serve(testbed: &Testbed, workers: &[Account]) -> Result<Vec<Serving>> {
    workers.iter().map(|one| testbed.serve_with(attentive(testbed, one)?)).collect()
}

async fn stop(serving: Vec<Serving>) -> Result<()> {
    for one in serving {
        one.stop().await?;
    }
    Ok(())
}

fn lie(truth: &ExecutionResponse, output: &str) -> ExecutionResponse {
    ExecutionResponse { output: output.into(), ..truth.clone() }
}

/// Waits until the agreement is what `enough` wants, or the request is settled. Views make no
/// blocks, so this takes nothing from the time until the deadline.
async fn wait_for(
    testbed: &Testbed,
    request_id: RequestId,
    enough: impl Fn(&Agreement, u64) -> bool,
) -> Result<()> {
    let begun = Instant::now();
    while let Some(live) = testbed.live(request_id).await? {
        let agreement = live.request.agreement.context("one approval is enough")?;
        if enough(&agreement, testbed.height().await?) {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "too few votes: {agreement:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn wait_for_reveals(testbed: &Testbed, request_id: RequestId) -> Result<()> {
    let revealing =
        |agreement: &Agreement, height| agreement.stage(height) == AgreementStage::Revealing;
    wait_for(testbed, request_id, revealing).await
}

/// Commits to a lie, reveals it, and sends its body, which is refused.
async fn tell(testbed: &Testbed, liar: &Account, lie: &ExecutionResponse) -> Result<()> {
    let digest = testbed.digest(lie).await?;
    testbed.commit_to(liar, lie.request_id, digest).await?;
    wait_for_reveals(testbed, lie.request_id).await?;
    let revealed = testbed.reveal(liar, lie.request_id, digest).await?;
    assert!(revealed.is_success(), "{revealed:?}");
    let body = refusal(testbed.resolve(liar, lie).await?);
    assert!(!body.is_empty(), "a lie is taken");
    Ok(())
}

/// Waits until nothing is left of a settled request.
async fn wait_until_closed(testbed: &Testbed, request_id: RequestId) -> Result<()> {
    let begun = Instant::now();
    while let Some(shares) = testbed.shares(request_id).await? {
        ensure!(begun.elapsed() < PATIENCE, "still open: {shares:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn completed(events: &[Event]) -> &ExecutionCompleted {
    match events.last() {
        Some(Event::ExecutionCompleted(completed)) => completed,
        _ => panic!("{events:?}"),
    }
}

/// How many answers of a worker were settled, and how many of its commitments lost.
async fn record(testbed: &Testbed, worker: &Account) -> Result<(u64, u64)> {
    let view = testbed.worker_view(worker.id()).await?;
    Ok((view.settled, view.lost))
}

async fn earnings(testbed: &Testbed, worker: &Account) -> Result<NearToken> {
    Ok(testbed.worker_view(worker.id()).await?.earnings)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_honest_workers_agree_and_each_of_them_is_paid() -> Result<()> {
    let (testbed, workers) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = serve(&testbed, &workers)?;
    let asked_for = for_two(echo, "the truth");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let result = testbed.finished(testbed.ask(&caller, &asked_for).await?).await?;
    let events = events(&result);
    let completed = completed(&events);
    assert!((2..=3).contains(&completed.workers.len()), "{completed:?}");
    let settled = settlement(result)?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "the truth".into() });
    let parts = [settled.fee, settled.held, settled.refund];
    assert_eq!(parts.into_iter().fold(NOTHING, NearToken::saturating_add), deposit);

    wait_until_closed(&testbed, settled.request_id.expect("an id")).await?;
    let mut earned = Vec::new();
    for worker in &workers {
        assert_eq!(record(&testbed, worker).await?, (1, 0));
        earned.push(earnings(&testbed, worker).await?);
    }
    // Each has a share, and one of them is also paid for the gas of the body.
    earned.sort_unstable();
    assert!(earned[0] > NOTHING && earned[0] == earned[1] && earned[1] < earned[2], "{earned:?}");
    let funds = testbed.funds().await?;
    assert_eq!((funds.deposits, funds.shares), (NOTHING, NOTHING));
    let all = earned.into_iter().fold(NOTHING, NearToken::saturating_add);
    assert_eq!(all, funds.earnings);
    stop(serving).await
}

/// What a liar does to a request of which it has a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// It commits to nothing that can be revealed, and sends the true body at once.
    Junk,
    /// It commits to a lie, reveals it, and sends its body.
    Told,
    /// It commits to nothing, and sends the true body again and again.
    Silent,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_cannot_end_a_request() -> Result<()> {
    let (testbed, [one, other, liar]) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = serve(&testbed, &[one.clone(), other.clone()])?;
    let mut lost = 0;
    for (lies, told) in (1..).zip([Lie::Junk, Lie::Told, Lie::Silent]) {
        let asked = testbed.ask(&caller, &for_two(echo, "the truth")).await?;
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        let truth = testbed.execute(request_id).await?;
        let digest = testbed.digest(&truth).await?;
        match told {
            Lie::Junk => {
                let junk = testbed.commit(&liar, request_id, Hash32::of(b"junk")).await?;
                assert!(junk.is_success(), "{junk:?}");
                // There are too few reveals, or the others have been faster. Between the two it is
                // taken: it is the body that the others agree on.
                let body = testbed.resolve(&liar, &truth).await?;
                if !body.is_success() {
                    let early = refusal(body);
                    let expected = ["[too_few_reveals]", "[already_answered]", "[request_settled]"];
                    assert!(expected.iter().any(|code| early.contains(code)), "{early}");
                }
                lost += 1;
            }
            Lie::Told => {
                let lie = lie(&truth, "a lie");
                tell(&testbed, &liar, &lie).await?;
                lost += 1;
            }
            Lie::Silent => {
                wait_for(&testbed, request_id, |agreement, _| agreement.votes.len() == 2).await?;
                if let Ok(agreement) = testbed.agreement(request_id).await {
                    testbed.advance_to(agreement.reveal_from()).await?;
                }
                while testbed.live(request_id).await?.is_some() {
                    // The last one may be taken: it is the body that the others agree on.
                    let _ = testbed.resolve(&liar, &truth).await?;
                    // Every call makes blocks, and so uses up the time of the others.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        let result = testbed.finished(asked).await?;
        let mut paid = completed(&events(&result)).workers.clone();
        let settled = settlement(result)?;
        assert_eq!(settled.outcome, Outcome::Completed { output: "the truth".into() }, "{told:?}");
        assert_eq!(settled.digest, Some(digest), "{told:?}");
        paid.sort();
        let mut honest = vec![one.id().clone(), other.id().clone()];
        honest.sort();
        assert_eq!(paid, honest, "{told:?}");
        // The workers close what the liar has left open.
        wait_until_closed(&testbed, request_id).await?;
        assert_eq!(testbed.funds().await?.shares, NOTHING, "{told:?}");
        assert_eq!(record(&testbed, &liar).await?, (0, lost), "{told:?}");
        for worker in [&one, &other] {
            assert_eq!(record(&testbed, worker).await?, (lies, 0), "{told:?}");
        }
    }
    stop(serving).await
}

/// A plan is what may move money, so this is the lie that pays.
#[tokio::test(flavor = "multi_thread")]
async fn a_liar_that_alters_the_plan_does_not_settle() -> Result<()> {
    let (testbed, [one, other, liar]) = three_workers().await?;
    let payout = testbed.publish_guest("payout").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = serve(&testbed, &[one.clone(), other.clone()])?;
    let input = r#"{"pot": "10", "members": [["alice.near", 2], ["bob.near", 1]]}"#;
    let mut asked_for = for_two(payout, input);
    asked_for.limits = asked_for.limits.with_plan(500);
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    let honest = testbed.digest(&truth).await?;
    let mut lie = truth.clone();
    let mut plan = Plan::decode(&truth.plan)?;
    plan.promises[0].receiver = liar.id().clone();
    lie.plan = plan.encode();
    tell(&testbed, &liar, &lie).await?;
    let settled = testbed.settlement(asked).await?;
    let (output, plan) = (truth.output.clone(), truth.plan.clone());
    assert_eq!(settled.outcome, Outcome::Planned { output, plan });
    assert_eq!(settled.digest, Some(honest));
    stop(serving).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_that_lie_differently_end_a_request_at_once_and_everything_goes_back()
-> Result<()> {
    let (testbed, [honest, liar, other]) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let (funds, usage) =
        (testbed.funds().await?, testbed.contract.view_account().await?.storage_usage);
    let serving = serve(&testbed, std::slice::from_ref(&honest))?;
    let asked_for = for_two(echo, "who is right?");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?[0].clone();
    let request_id = pending.request_id;
    let truth = testbed.execute(request_id).await?;
    for (worker, text) in [(&liar, "one lie"), (&other, "another")] {
        let digest = testbed.digest(&lie(&truth, text)).await?;
        testbed.commit_to(worker, request_id, digest).await?;
    }
    let one_lie = testbed.digest(&lie(&truth, "one lie")).await?;
    let another = testbed.digest(&lie(&truth, "another")).await?;
    wait_for_reveals(&testbed, request_id).await?;
    let (revealed, other_revealed) = tokio::try_join!(
        testbed.reveal(&liar, request_id, one_lie),
        testbed.reveal(&other, request_id, another),
    )?;
    assert!(revealed.is_success() && other_revealed.is_success(), "{other_revealed:?}");
    let result = testbed.finished(asked).await?;
    let settled_at = testbed.settled_at(&result).await?;
    assert!(settled_at < pending.deadline - 50, "settled at {settled_at}: {pending:?}");
    let settled = settlement(result)?;
    let Outcome::Disputed { digests } = settled.outcome else { panic!("{settled:?}") };
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|one| one.workers.len() == 1), "{digests:?}");
    assert_eq!((settled.fee, settled.held, settled.refund), (NOTHING, NOTHING, deposit));
    stop(serving).await?;
    assert_eq!(testbed.funds().await?, funds);
    let usage_after = testbed.contract.view_account().await?.storage_usage;
    assert_eq!(usage_after, usage, "every byte is free again");
    for worker in [&honest, &liar, &other] {
        // Nobody knows who of them is right.
        assert_eq!(record(&testbed, worker).await?, (0, 0));
        assert_eq!(earnings(&testbed, worker).await?, NOTHING);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_serves_is_closed_by_anyone_long_before_its_deadline() -> Result<()> {
    let (testbed, _) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for = for_two(echo, "is anybody there?");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?[0].clone();
    let request_id = pending.request_id;
    let early = refusal(testbed.close(&caller, request_id).await?);
    assert!(early.contains("[not_hopeless]"), "{early}");
    let from = testbed.agreement(request_id).await?.reveal_from();
    assert!(from < pending.deadline - 100, "{from} {pending:?}");
    testbed.advance_to(from).await?;
    assert!(testbed.close(&caller, request_id).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::Disputed { digests: Vec::new() });
    assert_eq!((settled.fee, settled.refund), (NOTHING, deposit));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reveals_after_the_settlement_is_paid_and_what_nobody_takes_goes_back() -> Result<()> {
    let (testbed, [first, second, late]) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    for is_silent in [false, true] {
        let mut asked_for = for_two(echo, "who is late?");
        asked_for.refund_to = Some(caller.id().clone());
        let asked = testbed.ask(&caller, &asked_for).await?;
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        let truth = testbed.execute(request_id).await?;
        let digest = testbed.digest(&truth).await?;
        for worker in [&first, &second, &late] {
            testbed.commit_to(worker, request_id, digest).await?;
        }
        assert!(testbed.reveal(&first, request_id, digest).await?.is_success());
        let resolved = testbed.reveal_and_resolve(&second, &truth).await?;
        assert!(resolved.is_success(), "{resolved:?}");
        let settled = testbed.settlement(asked).await?;
        assert!(matches!(settled.outcome, Outcome::Completed { .. }), "{settled:?}");
        assert!(settled.held > NOTHING, "{settled:?}");
        let shares = testbed.shares(request_id).await?.context("shares are open")?;
        assert_eq!(shares.held, settled.held);
        assert_eq!(testbed.funds().await?.shares, settled.held);
        let before = earnings(&testbed, &late).await?;
        let closed = if is_silent {
            let early = refusal(testbed.close(&caller, request_id).await?);
            assert!(early.contains("[shares_open]"), "{early}");
            testbed.advance_to(shares.agreement.reveal_until()).await?;
            let reveal = refusal(testbed.reveal(&late, request_id, digest).await?);
            assert!(reveal.contains("[too_late_to_reveal]"), "{reveal}");
            let closed = testbed.close(&caller, request_id).await?;
            assert_eq!(earnings(&testbed, &late).await?, before);
            assert_eq!(record(&testbed, &late).await?, (1, 1));
            closed
        } else {
            let revealed = testbed.reveal(&late, request_id, digest).await?;
            assert!(earnings(&testbed, &late).await? > before, "{revealed:?}");
            assert_eq!(record(&testbed, &late).await?, (1, 0));
            revealed
        };
        assert!(closed.is_success(), "{closed:?}");
        let events = events(&closed);
        let Some(Event::SharesClosed(event)) = events.last() else { panic!("{events:?}") };
        // The caller that closes is no worker. The last reveal is paid for closing, too.
        let paid = shares.share.saturating_add(shares.close_fee);
        let taken = if is_silent { NOTHING } else { paid };
        assert_eq!(event.refund, shares.held.saturating_sub(taken));
        assert_eq!(testbed.shares(request_id).await?, None);
        assert_eq!(testbed.funds().await?.shares, NOTHING);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_stopped_at_the_settlement_reveal_and_close_when_they_are_started_again()
-> Result<()> {
    // Workers are started while the turns run, so these take longer.
    let (testbed, [first, second, third]) = three_workers_with(3 * BLOCK_TIME).await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    // In the first case the third worker is away between its commitment and the settlement. In the
    // second one it never reveals, and those that have settled the request are stopped then.
    for comes_back in [true, false] {
        let asked = testbed.ask(&caller, &for_two(echo, "work")).await?;
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        let has_votes =
            |count: usize| move |agreement: &Agreement, _| agreement.votes.len() >= count;
        if comes_back {
            let serving = serve(&testbed, std::slice::from_ref(&third))?;
            wait_for(&testbed, request_id, has_votes(1)).await?;
            stop(serving).await?;
        } else {
            testbed.commit_to(&third, request_id, Hash32::of(b"nothing")).await?;
        }
        let before = record(&testbed, &third).await?;
        let serving = serve(&testbed, &[first.clone(), second.clone()])?;
        let settled = testbed.settlement(asked).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: "work".into() });
        stop(serving).await?;
        let shares = testbed.shares(request_id).await?.context("the shares are open")?;
        if !comes_back {
            // Nobody does anything until the time for reveals is nearly over.
            testbed.advance_to(shares.agreement.reveal_until().saturating_sub(4)).await?;
        }
        let again = if comes_back { third.clone() } else { second.clone() };
        let serving = serve(&testbed, &[again])?;
        wait_until_closed(&testbed, request_id).await?;
        stop(serving).await?;
        assert_eq!(testbed.funds().await?.shares, NOTHING);
        let (settled, lost) = record(&testbed, &third).await?;
        let gained = (settled - before.0, lost - before.1);
        assert_eq!(gained, if comes_back { (1, 0) } else { (0, 1) });
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_commitment_cannot_be_revealed() -> Result<()> {
    let (testbed, [first, second, lazy]) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &for_two(echo, "work")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    let digest = testbed.digest(&truth).await?;
    testbed.commit_to(&first, request_id, digest).await?;
    let copied = testbed.agreement(request_id).await?.votes[0].commitment;
    // Whoever guesses the digest cannot tell without the salt.
    assert_ne!(copied, commitment(&digest, first.id(), 0, &[0; 16]));
    assert!(testbed.commit(&lazy, request_id, copied).await?.is_success());
    testbed.commit_to(&second, request_id, digest).await?;
    assert!(testbed.reveal(&first, request_id, digest).await?.is_success());
    // Digest and salt are public now, and of no use to another account.
    let revealed = refusal(testbed.reveal(&lazy, request_id, digest).await?);
    assert!(revealed.contains("[wrong_reveal]"), "{revealed}");
    let resolved = testbed.reveal_and_resolve(&second, &truth).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    let settled = testbed.settlement(asked).await?;
    assert!(matches!(settled.outcome, Outcome::Completed { .. }), "{settled:?}");
    let until = testbed.shares(request_id).await?.context("open")?.agreement.reveal_until();
    testbed.advance_to(until).await?;
    assert!(testbed.close(&caller, request_id).await?.is_success());
    assert_eq!(record(&testbed, &lazy).await?, (0, 1));
    assert_eq!(earnings(&testbed, &lazy).await?, NOTHING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_changed_voids_the_round_and_the_next_one_settles() -> Result<()> {
    let (testbed, workers) = three_workers().await?;
    testbed.pay_for_storage().await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let increment = json!([{ "op": "increment", "key": "counter" }]).to_string();
    // Shorter turns than those of other requests here, so that another round has time.
    let increment = with_fuel(for_two(guest, &increment), 1_000_000_000);
    let again: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut serving = Vec::new();
    for worker in &workers {
        let mut config = attentive(&testbed, worker)?;
        let listener = Arc::clone(&again);
        config.observer = Some(Arc::new(move |stage: &Stage| {
            if let (Stage::Again { reason, .. }, Ok(mut again)) = (stage, listener.lock()) {
                again.push(reason.clone());
            }
        }));
        serving.push(testbed.serve_with(config)?);
    }
    // Both read the counter as it stood when they were made, so one of them is outdated when the
    // other is settled.
    let asked = [testbed.ask(&caller, &increment).await?, testbed.ask(&caller, &increment).await?];
    for one in asked {
        let settled = testbed.settlement(one).await?;
        assert!(matches!(settled.outcome, Outcome::Completed { .. }), "{settled:?}");
    }
    let args = json!({ "account_id": testbed.dapp.id(), "key": Bytes::from("counter") });
    let counter: Option<Bytes> =
        testbed.contract.view(methods::STORAGE_GET).args_json(args).await?.json()?;
    assert_eq!(counter, Some("2".into()), "no update is lost");
    stop(serving).await?;
    let again = again.lock().map_err(|_| anyhow::anyhow!("an observer panicked"))?;
    assert!(again.iter().any(|reason| reason.contains("round 1")), "{again:?}");
    Ok(())
}

/// The requester has all seats execute, changes the key that they read by a cheap request of its
/// own, and cancels.
#[tokio::test(flavor = "multi_thread")]
async fn who_voids_a_round_and_cancels_pays_for_the_round() -> Result<()> {
    let testbed = Testbed::start().await?;
    let workers =
        [testbed.worker.clone(), testbed.new_worker().await?, testbed.new_worker().await?];
    testbed.pay_for_storage().await?;
    let guest = testbed.publish_guest("key-value").await?;
    let caller = testbed.node.dev_create_account().await?;
    let increment = json!([{ "op": "increment", "key": "counter" }]).to_string();
    let asked_for = for_two(guest, &increment);
    let cost = testbed.estimate(&asked_for).await?;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let truth = testbed.execute(request_id).await?;
    let digest = testbed.digest(&truth).await?;
    for worker in &workers {
        testbed.commit_to(worker, request_id, digest).await?;
    }
    for worker in &workers[..2] {
        assert!(testbed.reveal(worker, request_id, digest).await?.is_success());
    }
    let cheap = testbed.ask(&caller, &request(guest, increment.as_str())).await?;
    let cheap_id = testbed.wait_for_pending(2).await?[1].request_id;
    let body = testbed.execute(cheap_id).await?;
    assert!(testbed.resolve(&workers[0], &body).await?.is_success());
    let changed = testbed.settlement(cheap).await?;
    assert!(matches!(changed.outcome, Outcome::Completed { .. }), "{changed:?}");
    let mut before = Vec::new();
    for worker in &workers {
        before.push(earnings(&testbed, worker).await?);
    }
    let voided = testbed.resolve(&workers[1], &truth).await?;
    let events = events(&voided);
    assert!(matches!(&events[..], [Event::RoundVoided(event)] if event.round == 1), "{events:?}");

    let cancel = json!({ "request_id": request_id });
    let cancelled = caller.call(testbed.dapp.id(), "cancel").args_json(&cancel).max_gas();
    assert!(cancelled.transact().await?.is_success());
    let settled = testbed.settlement(asked).await?;
    let least = pricing::least_fee(&Prices::default(), &priced(&asked_for))?;
    assert_eq!(cost.voided, least);
    assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, least.saturating_mul(3)));
    assert_eq!(settled.refund, cost.total.saturating_sub(settled.fee));
    let bps = Config::new(EngineVersion(0), 0).protocol_share_bps;
    let net = least.saturating_sub(pricing::protocol_share(least, bps));
    for (worker, before) in workers.iter().zip(before) {
        assert_eq!(earnings(&testbed, worker).await?.saturating_sub(before), net);
    }
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_more_seats_than_workers_is_refused() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.new_worker().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked =
        request_directly(&testbed, &caller, &for_two(echo, ""), 300_000_000_000_000).await?;
    let refused = refusal(testbed.finished(asked).await?);
    assert!(refused.contains("[too_few_workers]"), "{refused}");
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    // Without a spare there are enough.
    let asked_for = for_several(echo, "enough", (2, 0));
    let asked = testbed.ask(&caller, &asked_for).await?;
    let drawn = testbed.agreement(testbed.wait_for_pending(1).await?[0].request_id).await?.drawn;
    assert_eq!(drawn.len(), 2);
    drop(asked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_after_a_commitment_pays_the_least_fee() -> Result<()> {
    let (testbed, workers) = three_workers().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    // Only one worker is running: it commits, and waits for the others.
    let serving = testbed.serve()?;
    let asked_for = for_two(echo, "never mind");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let before = testbed.funds().await?.protocol;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = loop {
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        if !testbed.agreement(request_id).await?.votes.is_empty() {
            break request_id;
        }
    };
    let cancel = json!({ "request_id": request_id });
    let cancelled = caller.call(testbed.dapp.id(), "cancel").args_json(&cancel).max_gas();
    assert!(cancelled.transact().await?.is_success());
    let settled = testbed.settlement(asked).await?;
    let least = pricing::least_fee(&Prices::default(), &priced(&asked_for))?;
    assert_eq!((settled.outcome, settled.fee), (Outcome::Cancelled, least));
    assert_eq!(settled.refund, deposit.saturating_sub(least));
    let worker = testbed.worker_view(workers[0].id()).await?;
    let share = testbed.funds().await?.protocol.saturating_sub(before);
    assert_eq!(worker.earnings.saturating_add(share), least);
    assert_eq!(worker.settled, 0, "nothing was answered");
    serving.stop().await
}
