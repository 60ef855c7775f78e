//! Where nearcore's own limits and rules meet a request: gas, sizes, batches, keys, accounts that go, callbacks that fail.

use anyhow::{Context, Result};
use near_workspaces::{
    Account,
    operations::Function,
    result::ExecutionFinalResult,
    types::{AccessKey, Gas, KeyType, SecretKey},
};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::request,
    testbed::{DAPP_GAS, MAX_GAS, events, settlement},
};
use outlayer_protocol::{
    Bytes, CodeRef, Compute, Config, ExecutionRequest, ExecutionResponse, Hash32, NearToken,
    Outcome, ResourceLimits, Status, events::Event,
};
use serde_json::{Value, json};

const NOTHING: NearToken = NearToken::from_yoctonear(0);

fn refusal(result: ExecutionFinalResult) -> String {
    match result.into_result() {
        Ok(_) => String::new(),
        Err(error) => format!("{error:?}"),
    }
}

/// Limits of a request that writes little and keeps nothing.
fn small() -> ResourceLimits {
    ResourceLimits {
        output_bytes: 1_000,
        journal_bytes: 0,
        storage_reads: 0,
        storage_writes: 0,
        ..ResourceLimits::default()
    }
}

/// A request for code that nobody can have: it waits until its end.
fn unanswerable(caller: &Account) -> ExecutionRequest {
    let code = CodeRef {
        hash: Hash32::of(b"nowhere"),
        url: Some("https://nowhere.example/guest.wasm".to_owned()),
    };
    ExecutionRequest {
        limits: small(),
        refund_to: Some(caller.id().clone()),
        ..ExecutionRequest::new(code, "")
    }
}

async fn estimated_gas(testbed: &Testbed, request: &ExecutionRequest) -> Result<u64> {
    let gas: Value = testbed
        .contract
        .view("estimate_gas")
        .args_json(json!({ "request": request }))
        .await?
        .json()?;
    match &gas {
        Value::String(text) => Ok(text.parse()?),
        other => other.as_u64().context("gas"),
    }
}

/// Asks the contract itself, and not through a dApp.
async fn request_directly(
    testbed: &Testbed,
    caller: &Account,
    request: &ExecutionRequest,
    gas: u64,
) -> Result<near_workspaces::operations::TransactionStatus> {
    let deposit = testbed.estimate(request).await?.total;
    let call = caller
        .call(testbed.contract.id(), "request_execution")
        .args_json(json!({ "request": request }))
        .deposit(deposit);
    Ok(call.gas(Gas::from_gas(gas)).transact_async().await?)
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

    // A worker that attaches too little has changed nothing, and may try again.
    let response = testbed.execute(request_id).await?;
    let submit = async |gas: Gas| -> Result<ExecutionFinalResult> {
        let call =
            testbed.worker.call(testbed.contract.id(), "resolve_execution").args_borsh(&response);
        Ok(call.gas(gas).transact().await?)
    };
    let before = testbed.live(request_id).await?;
    let refused = refusal(submit(Gas::from_tgas(2)).await?);
    assert!(refused.contains("xceeded"), "{refused}");
    assert_eq!(testbed.live(request_id).await?, before);
    assert!(submit(Gas::from_tgas(15)).await?.is_success());
    let result = testbed.finished(asked).await?;
    let settled: outlayer_protocol::Settlement = result.into_result()?.json()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "gas".into() });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_near_the_limit_of_a_transaction_makes_the_round_trip() -> Result<()> {
    // In base64 a third more: the transaction may have 1.5 MiB.
    const BYTES: usize = 1 << 20;
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    config.bounds.input_bytes = u32::try_from(BYTES)?;
    let set = testbed.contract.call("set_config").args_json(json!({ "config": config })).max_gas();
    set.transact().await?.into_result()?;
    let serving = testbed.serve()?;

    let input: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
    let asked_for = ExecutionRequest {
        limits: small(),
        refund_to: Some(caller.id().clone()),
        ..request(echo, input)
    };
    let call = caller
        .call(testbed.contract.id(), "request_execution")
        .args_json(json!({ "request": asked_for }))
        .deposit(NearToken::from_near(30));
    let asked = call.gas(MAX_GAS).transact_async().await?;
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let Some(Event::ExecutionRequested(requested)) = events.first() else { panic!("{events:?}") };
    assert_eq!(requested.input_hash, Hash32::of(&asked_for.input));
    let settled: outlayer_protocol::Settlement = result.into_result()?.json()?;
    // The guest has read it all, and was stopped when it wrote more than it may.
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
    let set = testbed.contract.call("set_config").args_json(json!({ "config": config })).max_gas();
    set.transact().await?.into_result()?;

    // Each of these characters is six bytes in JSON.
    let url = format!("https://{}", "\u{1}".repeat(2_040));
    let mut asked_for = unanswerable(&caller);
    asked_for.code.url = Some(url.clone());
    let asked = request_directly(&testbed, &caller, &asked_for, DAPP_GAS.as_gas()).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let cancel = caller.call(testbed.contract.id(), "cancel_execution");
    let cancel = cancel.args_json(json!({ "request_id": request_id })).max_gas();
    cancel.transact().await?.into_result()?;
    let result = testbed.finished(asked).await?;
    let longest = result.logs().iter().map(|line| line.len()).max().unwrap_or(0);
    assert!((12_240..=16_384).contains(&longest), "{longest}");
    let events = events(&result);
    let Some(Event::ExecutionRequested(requested)) = events.first() else { panic!("{events:?}") };
    assert_eq!(requested.code.url, Some(url));

    // One that would be longer is refused, with the bound, and not by the node.
    asked_for.code.url = Some(format!("https://{}", "\u{1}".repeat(2_041)));
    let call = caller.call(testbed.contract.id(), "request_execution");
    let call = call.args_json(json!({ "request": asked_for })).deposit(NearToken::from_near(1));
    let refused = refusal(call.gas(DAPP_GAS).transact().await?);
    assert!(refused.contains("url_bytes is 2049, more than the 2048"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refund_of_a_payer_that_is_gone_waits_until_it_is_back() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let create = async || -> Result<Account> {
        let create = caller.create_subaccount("payer");
        let created = create.initial_balance(NearToken::from_near(2)).transact().await?;
        Ok(created.into_result()?)
    };
    let payer = create().await?;
    let asked_for =
        ExecutionRequest { refund_to: Some(payer.id().clone()), ..request(echo, "who pays?") };
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let payer_id = payer.id().clone();
    assert!(payer.delete_account(caller.id()).await?.is_success());
    let response = testbed.execute(request_id).await?;
    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert!(settled.refund > NOTHING);

    let claimable = async || -> Result<NearToken> {
        let args = json!({ "account_id": payer_id });
        let view = testbed.contract.view("get_claimable").args_json(args);
        Ok(view.await?.json()?)
    };
    assert_eq!(claimable().await?, settled.refund);
    assert_eq!(testbed.funds().await?.claimable, settled.refund);

    let payer = create().await?;
    let before = testbed.balance(&payer_id).await?;
    let claim =
        payer.call(testbed.contract.id(), "claim").args_json(json!({})).gas(Gas::from_tgas(30));
    let claimed: NearToken = claim.transact().await?.into_result()?.json()?;
    assert_eq!((claimed, claimable().await?), (settled.refund, NOTHING));
    // What the claim itself cost is far below what it brought.
    let after = testbed.balance(&payer_id).await?;
    let (won, refund) = (after.saturating_sub(before), settled.refund.as_yoctonear());
    assert!(won > refund / 2 && won < refund, "{won} of {refund}");
    let again =
        payer.call(testbed.contract.id(), "claim").args_json(json!({})).gas(Gas::from_tgas(30));
    assert!(refusal(again.transact().await?).contains("nothing is due"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dapps_callback_that_panics_undoes_nothing_of_the_settlement() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for =
        ExecutionRequest { refund_to: Some(caller.id().clone()), ..request(echo, "panic!") };
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = caller
        .call(testbed.dapp.id(), "ask_and_panic")
        .args_json(json!({ "request": asked_for }))
        .deposit(deposit)
        .gas(DAPP_GAS)
        .transact_async()
        .await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let before = testbed.balance(caller.id()).await?;
    let response = testbed.execute(request_id).await?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    let result = testbed.finished(asked).await?;
    let events = events(&result);
    let Some(Event::ExecutionCompleted(completed)) = events.last() else { panic!("{events:?}") };
    let (fee, refund) = (completed.fee, completed.refund);
    assert!(refusal(result).contains("this callback always panics"));

    assert!(testbed.live(request_id).await?.is_none());
    let funds = testbed.funds().await?;
    assert_eq!(funds.earnings.saturating_add(funds.protocol), fee);
    assert_eq!(funds.deposits, NOTHING);
    assert_eq!(fee.saturating_add(refund), deposit);
    let after = testbed.balance(caller.id()).await?;
    assert!(after >= before + refund.as_yoctonear(), "the refund has arrived: {before}, {after}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_from_one_batch_of_actions_are_two_requests() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut batch = caller.batch(testbed.contract.id());
    for input in ["first", "second"] {
        let asked_for = ExecutionRequest { limits: small(), ..request(echo, input) };
        let deposit = testbed.estimate(&asked_for).await?.total;
        let call = Function::new("request_execution").args_json(json!({ "request": asked_for }));
        batch = batch.call(call.deposit(deposit).gas(Gas::from_tgas(100)));
    }
    let asked = batch.transact_async().await?;
    let pending = testbed.wait_for_pending(2).await?;
    let (one, other) = (
        testbed.live(pending[0].request_id).await?.context("live")?,
        testbed.live(pending[1].request_id).await?.context("live")?,
    );
    assert_eq!(pending[0].block_height, pending[1].block_height);
    assert_ne!(one.request.data_id, other.request.data_id);
    assert_ne!(one.request.context.random_seed, other.request.context.random_seed);

    // Settled in the opposite order.
    let mut ids: Vec<_> = pending.iter().map(|one| one.request_id).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    for request_id in ids {
        let response = testbed.execute(request_id).await?;
        let resolved = testbed.resolve(&testbed.worker, &response).await?;
        assert!(resolved.is_success(), "{resolved:?}");
    }
    let result = testbed.finished(asked).await?;
    let completed = events(&result)
        .into_iter()
        .filter(|event| matches!(event, Event::ExecutionCompleted(_)))
        .count();
    assert_eq!(completed, 2);
    // The transaction's result is that of its last action.
    let settled: outlayer_protocol::Settlement = result.into_result()?.json()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "second".into() });
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_answered_in_its_own_block_settles() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    testbed.register_worker(testbed.dapp.id()).await?;
    let asked_for = unanswerable(&caller);
    let answer = ExecutionResponse {
        request_id: 0,
        status: Status::Completed,
        output: "at once".into(),
        used: Compute::Fuel(1),
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
    };
    let args = json!({ "request": asked_for, "answer": Bytes(borsh::to_vec(&answer)?) });
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = caller
        .call(testbed.dapp.id(), "ask_and_answer")
        .args_json(args)
        .deposit(deposit)
        .gas(DAPP_GAS)
        .transact_async()
        .await?;
    let result = testbed.finished(asked).await?;
    let Some(Event::ExecutionRequested(requested)) = events(&result).into_iter().next() else {
        panic!("{result:?}")
    };
    assert_eq!(requested.request_id, 0);
    let settled_at = testbed.settled_at(&result).await?;
    assert!(
        settled_at <= requested.context.block_height + 2,
        "asked at {}, settled at {settled_at}",
        requested.context.block_height
    );
    assert_eq!(settlement(result)?.outcome, Outcome::Completed { output: "at once".into() });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_resolve_execution_alone_is_all_that_a_worker_needs() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let key = SecretKey::from_random(KeyType::ED25519);
    let allowance = NearToken::from_near(1);
    let access = AccessKey::function_call_access(
        testbed.contract.id(),
        &["resolve_execution"],
        Some(allowance),
    );
    let added = testbed.worker.batch(testbed.worker.id()).add_key(key.public_key(), access);
    added.transact().await?.into_result()?;
    let limited = Account::from_secret_key(testbed.worker.id().clone(), key, &testbed.node);

    let serving = testbed.serve_with(testbed.worker_config(&limited)?)?;
    let asked = testbed.ask(&caller, &request(echo, "a limited key")).await?;
    assert_eq!(
        testbed.settlement(asked).await?.outcome,
        Outcome::Completed { output: "a limited key".into() }
    );
    serving.stop().await?;

    // Whoever steals it cannot take what the worker has earned.
    let stolen = limited
        .call(testbed.contract.id(), "withdraw_earnings")
        .args_json(json!({}))
        .transact()
        .await;
    let refused = match stolen {
        Ok(result) => refusal(result),
        Err(error) => format!("{error:?}"),
    };
    assert!(refused.contains("MethodNameMismatch"), "{refused}");
    assert!(testbed.funds().await?.earnings > NOTHING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_callback_left_that_ran_out_of_gas_anyone_sweeps() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let stranger = testbed.node.dev_create_account().await?;
    let funds = testbed.funds().await?;
    let asked_for = unanswerable(&caller);
    let deposit = testbed.estimate(&asked_for).await?.total;
    let asked = testbed.ask(&caller, &asked_for).await?;
    let pending = testbed.wait_for_pending(1).await?;
    let request_id = pending[0].request_id;

    // The gas that was set aside is enough for the request as it was made. So the record is made larger by other means:
    // reading it takes more than that.
    let mut live = testbed.live(request_id).await?.context("live")?.request;
    live.args = vec![String::new(); 20_000];
    let key = [&b"r"[..], &request_id.to_be_bytes()].concat();
    testbed.node.patch_state(testbed.contract.id(), &key, &borsh::to_vec(&live)?).await?;
    let patched = testbed.live(request_id).await?.context("patched")?.request;
    assert_eq!(patched, live, "the record's key or encoding has changed");

    testbed.advance_to(pending[0].deadline + 3).await?;
    let result = testbed.finished(asked).await?;
    let failures = format!("{:?}", result.receipt_failures());
    assert!(failures.contains("xceeded"), "{failures}");
    let answer = settlement(result);
    assert!(answer.is_err(), "{answer:?}");
    assert!(
        testbed.live(request_id).await?.is_some(),
        "the failed callback must have undone what it did"
    );
    assert_eq!(testbed.funds().await?.deposits, funds.deposits.saturating_add(deposit));

    let sweep = async || -> Result<ExecutionFinalResult> {
        let call = stranger.call(testbed.contract.id(), "sweep_expired");
        let call = call.args_json(json!({ "request_id": request_id }));
        Ok(call.gas(DAPP_GAS).transact().await?)
    };
    assert!(refusal(sweep().await?).contains("can be swept from block"));
    testbed.advance_to(live.terms.sweep_from).await?;
    let before = testbed.balance(caller.id()).await?;
    let swept = sweep().await?;
    assert!(
        matches!(&events(&swept)[..], [Event::ExecutionTimedOut(event)] if event.refund == deposit),
        "{swept:?}"
    );
    assert!(testbed.live(request_id).await?.is_none());
    assert_eq!(testbed.funds().await?, funds);
    // The transfer is a receipt of its own.
    let mut after = testbed.balance(caller.id()).await?;
    for _ in 0..100 {
        if after > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        after = testbed.balance(caller.id()).await?;
    }
    assert_eq!(after - before, deposit.as_yoctonear(), "the payer is whole");
    assert!(refusal(sweep().await?).contains("is settled already"));
    Ok(())
}

/// The contract's code with a section added that means nothing.
fn other_code() -> Result<Vec<u8>> {
    let mut code = artifacts::wasm("outlayer_contract")?;
    code.extend(b"\0\x07\x05build2");
    Ok(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_live_across_an_upgrade_settle() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let code = other_code()?;
    let owner = testbed.contract.as_account();
    let propose = owner
        .call(testbed.contract.id(), "propose_upgrade")
        .args_json(json!({ "code_hash": Hash32::of(&code) }));
    propose.max_gas().transact().await?.into_result()?;
    let announced: Value = testbed.contract.view("get_upgrade").await?.json()?;
    let from_height = announced["from_height"].as_u64().context("from_height")?;
    let upgrade = async || -> Result<ExecutionFinalResult> {
        let call = owner.call(testbed.contract.id(), "upgrade").args(code.clone());
        Ok(call.gas(MAX_GAS).transact().await?)
    };
    assert!(refusal(upgrade().await?).contains("the upgrade may be made from block"));

    testbed.advance_to(from_height - 30).await?;
    let answered = testbed.ask(&caller, &request(echo, "across an upgrade")).await?;
    testbed.wait_for_pending(1).await?;
    let forgotten = testbed.ask(&caller, &unanswerable(&caller)).await?;
    let pending = testbed.wait_for_pending(2).await?;
    let before = testbed.contract.view_code().await?;
    testbed.advance_to(from_height).await?;
    let upgraded = upgrade().await?;
    assert!(upgraded.is_success(), "{upgraded:?}");
    let after = testbed.contract.view_code().await?;
    assert!(before != after && after == code, "the new code stands");
    assert_eq!(testbed.pending().await?, pending);

    let deadline = pending.iter().map(|one| one.deadline).max().unwrap_or(0);
    let request_id = pending.iter().map(|one| one.request_id).min().unwrap_or(0);
    let response = testbed.execute(request_id).await?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    assert_eq!(
        testbed.settlement(answered).await?.outcome,
        Outcome::Completed { output: "across an upgrade".into() }
    );
    testbed.advance_to(deadline + 3).await?;
    let settled = testbed.settlement(forgotten).await?;
    assert_eq!((settled.outcome, settled.fee), (Outcome::TimedOut, NOTHING));
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    Ok(())
}
