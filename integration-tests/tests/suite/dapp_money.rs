//! The dApps of `examples/` on a node: every yoctoNEAR that a user attaches comes back or has been
//! paid, however the request ends, and none stays with the dApp.

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, Contract, result::ExecutionFinalResult, types::NearToken};
use outlayer_integration_tests::{
    Testbed,
    testbed::{DAPP_GAS, burnt, events},
};
use outlayer_protocol::{
    ExecutionRequest, Hash32, config::Prices, events::Event, methods, pricing::least_fee,
};
use serde_json::{Value, json};

use crate::{
    common::{NOTHING, priced},
    dapps::{cost, deploy},
};

/// By how much a deposit is too small. What OutLayer estimates is enough for the longest account
/// ids, and so up to 0.00256 NEAR more than a request needs.
const SHORT: NearToken = NearToken::from_millinear(3);

/// How the requests of a call end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A worker serves them: they are completed, or the guest fails.
    Served,
    /// The deposit is too small.
    Refused,
    /// Nobody answers.
    TimedOut,
    /// The user cancels them.
    Cancelled,
    /// Two workers have committed when the user cancels them.
    CancelledLate,
    /// No worker executes them, and one closes them.
    Disputed,
}

impl End {
    /// Whether workers are paid.
    fn pays(self) -> bool {
        matches!(self, Self::Served | Self::CancelledLate | Self::Disputed)
    }
}

/// A call of a user to a dApp, which makes as many requests as it is `count`.
struct Use<'a> {
    dapp: &'a Contract,
    method: &'a str,
    args: Value,
    count: usize,
    /// What is attached.
    deposit: NearToken,
    /// The workers that commit where the end wants it.
    workers: &'a [&'a Account],
}

/// What a call cost.
#[derive(Debug)]
struct Spent {
    /// What the dApp answered.
    answer: Value,
    /// What OutLayer's workers and protocol got, yoctoNEAR.
    fee: u128,
    /// By how much the dApp's balance has grown, yoctoNEAR.
    dapp_won: i128,
    /// What the user paid apart from the gas, yoctoNEAR.
    user_paid: i128,
}

fn difference(after: u128, before: u128) -> Result<i128> {
    Ok(i128::try_from(after)? - i128::try_from(before)?)
}

async fn cancel_all(testbed: &Testbed, user: &Account, count: usize) -> Result<u128> {
    let mut gas = 0;
    for pending in testbed.wait_for_pending(count).await? {
        let call = user.call(testbed.contract.id(), methods::CANCEL_EXECUTION);
        let call = call.args_json(json!({ "request_id": pending.request_id })).max_gas();
        // Its gas refund has arrived, too, when this is over.
        let cancelled = testbed.finished(call.transact_async().await?).await?;
        gas += burnt(&cancelled.into_result()?);
    }
    Ok(gas)
}

/// Has two of the workers that were drawn commit to each request.
async fn commit_to_all(testbed: &Testbed, workers: &[&Account], count: usize) -> Result<()> {
    for pending in testbed.wait_for_pending(count).await? {
        for worker in workers {
            testbed.commit_to(worker, pending.request_id, Hash32::of(b"any")).await?;
        }
    }
    Ok(())
}

/// Has a worker close each request when it may.
async fn close_all(testbed: &Testbed, count: usize) -> Result<()> {
    for pending in testbed.wait_for_pending(count).await? {
        let from = testbed.agreement(pending.request_id).await?.reveal_from();
        testbed.advance_to(from).await?;
        let closed = testbed.close(&testbed.worker, pending.request_id).await?;
        ensure!(closed.is_success(), "{closed:?}");
    }
    Ok(())
}

fn fees(result: &ExecutionFinalResult) -> u128 {
    let fee = |event| match event {
        Event::ExecutionCompleted(completed) => completed.fee.as_yoctonear(),
        Event::ExecutionCancelled(cancelled) => cancelled.fee.as_yoctonear(),
        Event::ExecutionDisputed(disputed) => disputed.fee.as_yoctonear(),
        _ => 0,
    };
    events(result).into_iter().map(fee).sum()
}

/// Makes the call, brings its requests to their end, and checks OutLayer's books.
async fn spend(testbed: &Testbed, user: &Account, call: &Use<'_>, end: End) -> Result<Spent> {
    let Use { dapp, method, args, count, deposit, workers } = call;
    let dapp_before = testbed.balance(dapp.id()).await?;
    let (before, funds) = (testbed.balance(user.id()).await?, testbed.funds().await?);
    let serving = if end == End::Served { Some(testbed.serve()?) } else { None };
    let sent = user.call(dapp.id(), method).args_json(args).deposit(*deposit).gas(DAPP_GAS);
    let asked = sent.transact_async().await?;
    let mut gas = 0;
    if end == End::CancelledLate {
        commit_to_all(testbed, workers, *count).await?;
    }
    match end {
        End::Served | End::Refused => {}
        End::Cancelled | End::CancelledLate => gas += cancel_all(testbed, user, *count).await?,
        End::Disputed => close_all(testbed, *count).await?,
        End::TimedOut => {
            let pending = testbed.wait_for_pending(*count).await?;
            let last = pending.iter().map(|one| one.deadline).max().context("pending")?;
            testbed.advance_to(last + 3).await?;
        }
    }
    let result = testbed.finished(asked).await?;
    if let Some(serving) = serving {
        serving.stop().await?;
    }
    let fee = fees(&result);
    gas += burnt(&result.clone().into_result()?);
    let answer = result.into_result()?.json()?;

    let after = testbed.funds().await?;
    let earned = after.earnings.saturating_add(after.protocol).as_yoctonear();
    let earned_before = funds.earnings.saturating_add(funds.protocol).as_yoctonear();
    ensure!(earned - earned_before == fee, "{end:?}: OutLayer took another fee than {fee}");
    ensure!((after.deposits, after.claimable) == (funds.deposits, funds.claimable), "{after:?}");
    ensure!(testbed.pending().await?.is_empty(), "{end:?}: a request is live");
    ensure!(end.pays() == (fee > 0), "{end:?}: a fee of {fee}");
    let user_paid = difference(before, testbed.balance(user.id()).await?)? - i128::try_from(gas)?;
    let dapp_won = difference(testbed.balance(dapp.id()).await?, dapp_before)?;
    Ok(Spent { answer, fee, dapp_won, user_paid })
}

/// Before protocol version 87 a contract earned a part of the gas that it burnt, far less than
/// this.
async fn check_dapp(testbed: &Testbed, spent: &Spent, expected: i128) -> Result<()> {
    let most = match testbed.node.status().await?.protocol_version {
        ..87 => i128::try_from(NearToken::from_millinear(20).as_yoctonear())?,
        _ => 0,
    };
    let won = spent.dapp_won;
    ensure!((expected..=expected + most).contains(&won), "expected {expected}: {spent:?}");
    Ok(())
}

/// Makes a call to a dApp that has no part in the money: the user pays the fee, and nothing else.
async fn check(
    testbed: &Testbed,
    user: &Account,
    call: &Use<'_>,
    end: End,
    expected: &str,
) -> Result<()> {
    let spent = spend(testbed, user, call, end).await?;
    let answer = spent.answer.to_string();
    ensure!(answer.contains(expected), "{end:?}: expected {expected:?} in {answer}");
    ensure!(spent.user_paid == i128::try_from(spent.fee)?, "{end:?}: {spent:?}");
    check_dapp(testbed, &spent, 0).await
}

/// All ends of a call: with a guest that completes, with one that fails, and without an answer.
async fn check_all(
    testbed: &Testbed,
    user: &Account,
    good: &Use<'_>,
    bad: &Use<'_>,
    (completed, fault): (&str, &str),
) -> Result<()> {
    check(testbed, user, bad, End::Served, fault).await?;
    check(testbed, user, good, End::Served, completed).await?;
    check(testbed, user, good, End::TimedOut, "timed_out").await?;
    check(testbed, user, good, End::Cancelled, "cancelled").await?;
    let short = NearToken::from_yoctonear(good.deposit.as_yoctonear() / 2);
    let short = Use { args: good.args.clone(), deposit: short, ..*good };
    check(testbed, user, &short, End::Refused, "refused").await
}

#[tokio::test(flavor = "multi_thread")]
async fn ask_keeps_no_money_however_a_request_ends() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (echo, spin) = (testbed.publish_guest("echo").await?, testbed.publish_guest("spin").await?);
    let ask = deploy(&testbed, "example_ask", json!({ "outlayer": testbed.contract.id() })).await?;
    let user = testbed.node.dev_create_account().await?;
    let asking = async |code: Hash32| -> Result<Use<'_>> {
        let request = json!({ "code": code, "input": "hello", "payer": user.id() });
        let deposit = cost(&testbed, &ask, request).await?;
        let args = json!({ "code": code, "input": "hello" });
        Ok(Use { dapp: &ask, method: "ask", args, count: 1, deposit, workers: &[] })
    };
    let (good, bad) = (asking(echo).await?, asking(spin).await?);
    check_all(&testbed, &user, &good, &bad, ("hello", "out_of_fuel")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_keeps_no_money_however_its_requests_end() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (echo, spin) = (testbed.publish_guest("echo").await?, testbed.publish_guest("spin").await?);
    let init = json!({ "outlayer": testbed.contract.id() });
    let batch = deploy(&testbed, "example_batch", init).await?;
    let user = testbed.node.dev_create_account().await?;
    let asking = async |code: Hash32| -> Result<Use<'_>> {
        let request = json!({ "code": code, "input": "one", "payer": user.id() });
        let each = cost(&testbed, &batch, request).await?;
        // One yoctoNEAR does not divide by two.
        let deposit = each.saturating_mul(2).saturating_add(NearToken::from_yoctonear(1));
        let args = json!({ "code": code, "inputs": ["one", "two"] });
        Ok(Use { dapp: &batch, method: "ask_all", args, count: 2, deposit, workers: &[] })
    };
    let (good, bad) = (asking(echo).await?, asking(spin).await?);
    check_all(&testbed, &user, &good, &bad, ("two", "out_of_fuel")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_keeps_no_money_however_a_request_ends() -> Result<()> {
    let testbed = Testbed::start().await?;
    let code = testbed.publish_guest("key-value").await?;
    let init = json!({ "outlayer": testbed.contract.id(), "code": code });
    let counter = deploy(&testbed, "example_counter", init).await?;
    let user = testbed.node.dev_create_account().await?;
    let deposit = cost(&testbed, &counter, json!({ "payer": user.id() })).await?;
    let args = json!({});
    let increment =
        Use { dapp: &counter, method: "increment", args, count: 1, deposit, workers: &[] };
    // Nobody has paid for the bytes that the guest writes.
    check(&testbed, &user, &increment, End::Served, "storage_exhausted").await?;
    // Another account pays, so that its gas refund is not mistaken for the user's money.
    let pay = testbed
        .worker
        .call(testbed.contract.id(), methods::STORAGE_DEPOSIT)
        .args_json(json!({ "account_id": counter.id() }))
        .deposit(NearToken::from_millinear(50))
        .max_gas();
    pay.transact().await?.into_result()?;
    check(&testbed, &user, &increment, End::Served, r#""number":1"#).await?;
    check(&testbed, &user, &increment, End::TimedOut, "timed_out").await?;
    check(&testbed, &user, &increment, End::Cancelled, "cancelled").await?;
    let short = Use { deposit: deposit.saturating_sub(SHORT), ..increment };
    check(&testbed, &user, &short, End::Refused, "refused").await
}

/// Where several workers must agree, they may not, and each that has committed is paid when the
/// request is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_feed_keeps_no_money_when_its_workers_do_not_agree() -> Result<()> {
    let testbed = Testbed::start().await?;
    let others = [testbed.new_worker().await?, testbed.new_worker().await?];
    testbed.wait_for_workers();
    let init = json!({
        "outlayer": testbed.contract.id(),
        "code": testbed.publish_guest("echo").await?,
        "hosts": ["a.example"],
        "sources": ["https://a.example/price"],
    });
    let feed = deploy(&testbed, "example_price_feed", init).await?;
    let user = testbed.node.dev_create_account().await?;
    let request: ExecutionRequest =
        feed.view("request").args_json(json!({ "payer": user.id() })).await?.json()?;
    let cost = testbed.estimate(&request).await?;
    let workers = [&testbed.worker, &others[0]];
    let refresh = Use {
        dapp: &feed,
        method: "refresh",
        args: json!({}),
        count: 1,
        deposit: cost.total,
        workers: &workers,
    };
    let least = least_fee(&Prices::default(), &priced(&request))?.as_yoctonear();
    for (end, expected, fee) in [
        (End::Disputed, "disputed", cost.close.as_yoctonear()),
        (End::Cancelled, "cancelled", 0),
        (End::CancelledLate, "cancelled", 2 * least),
        (End::TimedOut, "timed_out", 0),
    ] {
        let spent = spend(&testbed, &user, &refresh, end).await?;
        ensure!(spent.answer.to_string().contains(expected), "{end:?}: {spent:?}");
        assert_eq!((spent.fee, spent.user_paid), (fee, i128::try_from(fee)?), "{end:?}");
        check_dapp(&testbed, &spent, 0).await?;
    }
    Ok(())
}

/// The player loses or wins the stake, and pays the fee besides. The house moves by the stake
/// alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_flip_moves_the_stake_and_nothing_else() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (drawing, failing) =
        (testbed.publish_guest("random-ark").await?, testbed.publish_guest("spin").await?);
    let player = testbed.node.dev_create_account().await?;
    let stake = NearToken::from_millinear(500);
    let stake_yocto = i128::try_from(stake.as_yoctonear())?;
    let mut lost_by = Vec::new();
    for (code, ends) in [
        (failing, &[End::Served][..]),
        (drawing, &[End::Served, End::TimedOut, End::Cancelled, End::Refused]),
    ] {
        let init = json!({ "outlayer": testbed.contract.id(), "code": code });
        let house = deploy(&testbed, "example_coin_flip", init).await?;
        let needed = cost(&testbed, &house, json!({ "player": player.id() })).await?;
        for end in ends {
            let short = if *end == End::Refused { SHORT } else { NearToken::default() };
            let flip = Use {
                dapp: &house,
                method: "flip",
                args: json!({ "guess": "heads", "stake": stake }),
                count: 1,
                deposit: stake.saturating_add(needed).saturating_sub(short),
                workers: &[],
            };
            let spent = spend(&testbed, &player, &flip, *end).await?;
            let lost = match (end, spent.answer["won"].as_bool()) {
                (End::Refused, Some(false)) => 0,
                (End::Served, Some(true)) if code == drawing => -stake_yocto,
                (_, Some(false)) => stake_yocto,
                _ => panic!("{end:?}: {spent:?}"),
            };
            ensure!(spent.user_paid == lost + i128::try_from(spent.fee)?, "{end:?}: {spent:?}");
            check_dapp(&testbed, &spent, lost).await?;
            // The answer says both parts of what came back.
            let back = |name: &str| -> Result<u128> {
                let amount = spent.answer[name].as_str().context(name.to_owned())?;
                Ok(amount.parse()?)
            };
            let attached = flip.deposit.as_yoctonear();
            let expected = i128::try_from(attached)? - spent.user_paid;
            assert_eq!(i128::try_from(back("paid")? + back("refund")?)?, expected, "{spent:?}");
            lost_by.push(spent.answer["shown"].to_string());
        }
    }
    let shown = lost_by.join(" ");
    for expected in ["out_of_fuel", "timed_out", "cancelled", "refused: "] {
        assert!(shown.contains(expected), "{shown}");
    }
    Ok(())
}

/// A request that does not say what becomes of a refusal fails, as before, and NEAR returns the
/// deposit to the dApp. The dApps of `examples/` all say it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_fails_leaves_the_deposit_with_the_dapp() -> Result<()> {
    let testbed = Testbed::start().await?;
    let user = testbed.node.dev_create_account().await?;
    let deposit = NearToken::from_yoctonear(1_000);
    for (on_refusal, kept) in [("panic", deposit), ("return", NOTHING)] {
        let mut request = json!({
            "code": { "hash": Hash32::of(b"nothing") },
            "refund_to": user.id(),
        });
        request["on_refusal"] = on_refusal.into();
        let request: ExecutionRequest = serde_json::from_value(request)?;
        let (before, dapp_before) =
            (testbed.balance(user.id()).await?, testbed.balance(testbed.dapp.id()).await?);
        let asked = testbed.ask_with(&user, &request, deposit).await?;
        let result = testbed.finished(asked).await?;
        let gas = burnt(&result.into_result()?);
        let paid = before - testbed.balance(user.id()).await? - gas;
        assert_eq!(paid, kept.as_yoctonear(), "{on_refusal}");
        let version = testbed.node.status().await?.protocol_version;
        // The fixture keeps the answers, whose bytes cost it no money.
        let grown = testbed.balance(testbed.dapp.id()).await? - dapp_before;
        assert!(version < 87 || grown == kept.as_yoctonear(), "{on_refusal}: {grown}");
    }
    Ok(())
}
