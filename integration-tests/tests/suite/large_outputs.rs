//! Outputs that are too large for one transaction: how large they can be, and who may send them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{
    Account, operations::TransactionStatus, result::ExecutionFinalResult, types::NearToken,
};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    testbed::{MAX_GAS, events},
};
use outlayer_protocol::{
    Bytes, CodeRef, Compute, ExecutionRequest, ExecutionResponse, Hash32, JournalEntry, Outcome,
    ReadEntry, ResponseFormat, ResponsePart, Settlement, Status,
    capacity::{MAX_JSON_OUTPUT_BYTES, MAX_OUTPUT_BYTES, MAX_PROOF_BYTES, proof_bytes},
    events::Event,
    limits::MAX_KEY_BYTES,
    methods,
    upload::TURN_BLOCKS,
};
use outlayer_worker::{Stage, WorkerConfig};
use serde_json::{Value, json};

/// What the guest `big` writes.
fn alphabet(bytes: u32) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(bytes as usize).collect()
}

/// A request for `bytes` of output that may neither read nor write storage.
fn large(big: Hash32, bytes: u32, format: ResponseFormat) -> ExecutionRequest {
    let mut request = with_fuel(request(big, bytes.to_string().into_bytes()), 1_000_000_000);
    // With more memory, less fuel is accepted.
    request.limits.memory_bytes = 16 << 20;
    request.limits.output_bytes = bytes;
    request.limits = request.limits.with_storage(0, 0, 0);
    request.response_format = format;
    request
}

/// Gas for the dApp's callback, which decodes the settlement and hashes the output.
const CALLBACK_GAS: u64 = 300_000_000_000_000;

/// Sends a request through the dApp. The callback decodes the output, and answers with its length
/// and hash.
async fn ask(
    testbed: &Testbed,
    caller: &Account,
    request: &ExecutionRequest,
) -> Result<TransactionStatus> {
    let args = json!({ "request": request });
    let gas: Value = testbed.contract.view(methods::ESTIMATE_GAS).args_json(args).await?.json()?;
    let args = json!({ "request": request, "gas": gas, "callback_gas": CALLBACK_GAS.to_string() });
    let call = caller.call(testbed.dapp.id(), "ask_and_hash").args_json(args);
    let call = call.deposit(testbed.estimate(request).await?.total);
    Ok(call.gas(MAX_GAS).transact_async().await?)
}

/// Checks that the dApp's callback found `output`.
fn check_answer(result: ExecutionFinalResult, output: &[u8]) -> Result<()> {
    let answer: Value = result.into_result()?.json()?;
    let expected = json!({ "bytes": output.len(), "hash": Hash32::of(output) });
    ensure!(answer == expected, "found {answer}, expected {expected}");
    Ok(())
}

/// A configuration with an observer, and the list to which it adds each stage.
fn observed(mut config: WorkerConfig) -> (WorkerConfig, Arc<Mutex<Vec<Stage>>>) {
    let told: Arc<Mutex<Vec<Stage>>> = Arc::default();
    let listener = Arc::clone(&told);
    config.observer = Some(Arc::new(move |stage: &Stage| {
        if let Ok(mut told) = listener.lock() {
            told.push(stage.clone());
        }
    }));
    (config, told)
}

/// How many bytes of a body the contract had after each part.
fn sent(told: &Mutex<Vec<Stage>>) -> Vec<u32> {
    let told = told.lock().map(|told| told.clone()).unwrap_or_default();
    let sent = told.into_iter().filter_map(|stage| match stage {
        Stage::Sent { sent_bytes, .. } => Some(sent_bytes),
        _ => None,
    });
    sent.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_outputs_reach_a_callback_that_decodes_them_and_more_is_refused() -> Result<()>
{
    let testbed = Testbed::start().await?;
    let big = testbed.publish_guest("big").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let worker = testbed.worker.id();
    for (format, most) in
        [(ResponseFormat::Borsh, MAX_OUTPUT_BYTES), (ResponseFormat::Json, MAX_JSON_OUTPUT_BYTES)]
    {
        let request = large(big, most, format);
        let (before, earned) = (testbed.balance(worker).await?, testbed.funds().await?.earnings);
        let asked = ask(&testbed, &caller, &request).await?;
        let result = testbed.finished(asked).await?;
        let output = alphabet(most);
        let completed = events(&result).into_iter().find_map(|event| match event {
            Event::ExecutionCompleted(completed) => Some(completed),
            _ => None,
        });
        let completed = completed.with_context(|| format!("{:?}", result.receipt_failures()))?;
        assert_eq!(completed.output_bytes, u64::from(most));
        assert_eq!(completed.output_hash, Hash32::of(&output));
        let burnt: Vec<_> = result
            .receipt_outcomes()
            .iter()
            .map(|outcome| outcome.gas_burnt.as_gas() / 1_000_000_000_000)
            .filter(|burnt| *burnt > 5)
            .collect();
        println!("{most} bytes in {format:?}: receipts of {burnt:?} Tgas");
        check_answer(result, &output)?;
        let spent = before - testbed.balance(worker).await?;
        let earned = testbed.funds().await?.earnings.saturating_sub(earned).as_yoctonear();
        println!("the worker spent {spent} yoctoNEAR and earned {earned}");
        assert!(earned > spent, "{earned} earned, {spent} spent");

        let more = large(big, most + 1, format);
        let refused = testbed.estimate(&more).await.err().context("more than can be settled")?;
        let text = format!("{refused:?}");
        assert!(
            text.contains(&format!("output_bytes is {}, more than the {most} ", most + 1)),
            "{text}"
        );
    }
    assert_eq!(testbed.pending().await?, []);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_halfway_goes_on_where_it_was_when_it_is_started_again() -> Result<()> {
    let testbed = Testbed::start().await?;
    let big = testbed.publish_guest("big").await?;
    let caller = testbed.node.dev_create_account().await?;
    let bytes = 3 << 20;
    let asked = ask(&testbed, &caller, &large(big, bytes, ResponseFormat::Borsh)).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;

    let (mut config, first) = observed(testbed.worker_config(&testbed.worker)?);
    config.shutdown_grace = Duration::ZERO;
    let serving = testbed.serve_with(config)?;
    while sent(&first).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(serving);
    // A part that was on its way when the worker stopped still arrives.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let there = testbed.live(request_id).await?.context("live")?.request;
    let staged = there.upload.context("an upload")?.staged_bytes;
    assert!(staged >= 1 << 20 && staged < bytes, "{staged}");

    let (config, second) = observed(testbed.worker_config(&testbed.worker)?);
    let serving = testbed.serve_with(config)?;
    check_answer(testbed.finished(asked).await?, &alphabet(bytes))?;
    assert!(sent(&second).iter().all(|sent| *sent > staged), "{staged}: {:?}", sent(&second));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_may_be_asked_for_together_fits_into_what_a_receipt_can_read() -> Result<()> {
    const VALUES: u32 = 16;
    const READS: u32 = 32;
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let contract = testbed.contract.id();
    let deposit = caller.call(contract, methods::STORAGE_DEPOSIT).args_json(json!({}));
    deposit.deposit(NearToken::from_near(20)).max_gas().transact().await?.into_result()?;
    let value = Bytes(vec![b'v'; (1 << 20) / VALUES as usize]);
    let key = |n: u32| Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat());
    for n in 0..VALUES {
        let args = json!({ "key": key(n), "value": value });
        let set = caller.call(contract, methods::STORAGE_SET).args_json(args);
        set.max_gas().transact().await?.into_result()?;
    }

    // The request has a large input, reads many keys, replaces values, and has as much output as
    // these leave room for.
    let code =
        CodeRef { hash: Hash32::of(b"nowhere"), url: Some("https://nowhere.example".into()) };
    let mut request = ExecutionRequest::new(code, vec![b'i'; 256 << 10]);
    request.response_format = ResponseFormat::Borsh;
    request.limits.storage_reads = READS;
    request.limits.storage_writes = VALUES;
    request.limits.journal_bytes = 64 << 10;
    request.limits.output_bytes = 1;
    let room = MAX_PROOF_BYTES - proof_bytes(&request);
    request.limits.output_bytes = u32::try_from(room)?;
    while proof_bytes(&request) > MAX_PROOF_BYTES {
        request.limits.output_bytes -= 1;
    }
    let total = testbed.estimate(&request).await?.total;
    let mut more = request.clone();
    more.limits.output_bytes += 100;
    let refused = testbed.estimate(&more).await.err().context("more than can be read")?;
    assert!(format!("{refused:?}").contains("a receipt of NEAR may read 4000000"), "{refused:?}");

    let call =
        caller.call(contract, methods::REQUEST_EXECUTION).args_json(json!({ "request": request }));
    let asked = call.deposit(total).gas(MAX_GAS).transact_async().await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = ExecutionResponse {
        request_id,
        status: Status::Completed,
        output: vec![b'o'; request.limits.output_bytes as usize].into(),
        used: Compute::Fuel(1),
        reads: (0..READS)
            .map(|n| ReadEntry {
                key: key(n),
                value_hash: (n < VALUES).then(|| Hash32::of(&value)),
            })
            .collect(),
        journal: (0..VALUES)
            .map(|n| JournalEntry { key: key(n), value: Some(vec![b'n'; 3_000].into()) })
            .collect(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    };
    let (digest, whole) = (testbed.digest(&response).await?, borsh::to_vec(&response)?.len());
    for start in (0..whole).step_by(1 << 20) {
        let range = start..whole.min(start + (1 << 20));
        let sent = send(&testbed, &testbed.worker, &response, digest, range).await?;
        assert!(sent.is_success(), "{:?}", sent.into_result().err());
    }
    let result = testbed.finished(asked).await?;
    let settled: Settlement = borsh::from_slice(&result.into_result()?.raw_bytes()?)?;
    assert_eq!(settled.outcome, Outcome::Completed { output: response.output });
    Ok(())
}

/// Sends one part of the borsh of `response`.
async fn send(
    testbed: &Testbed,
    account: &Account,
    response: &ExecutionResponse,
    digest: Hash32,
    range: std::ops::Range<usize>,
) -> Result<ExecutionFinalResult> {
    let whole = borsh::to_vec(response)?;
    let part = ResponsePart {
        request_id: response.request_id,
        digest,
        total_bytes: u32::try_from(whole.len())?,
        offset: u32::try_from(range.start)?,
        bytes: whole[range].into(),
    };
    let call = account.call(testbed.contract.id(), methods::STAGE_RESPONSE).args_borsh(part);
    Ok(call.gas(MAX_GAS).transact().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_in_parts_holds_a_request_up_for_no_longer_than_a_turn() -> Result<()> {
    let testbed = Testbed::start().await?;
    let big = testbed.publish_guest("big").await?;
    let caller = testbed.node.dev_create_account().await?;
    let griefer = testbed.node.dev_create_account().await?;
    testbed.register_worker(griefer.id()).await?;
    let bytes = 1_200_000;
    let asked = ask(&testbed, &caller, &large(big, bytes, ResponseFormat::Json)).await?;
    let pending = testbed.wait_for_pending(1).await?[0].clone();
    let request_id = pending.request_id;
    let mut rubbish = testbed.execute(request_id).await?;
    let truth = testbed.digest(&rubbish).await?;
    rubbish.output = vec![b'?'; bytes as usize].into();
    let first = send(&testbed, &griefer, &rubbish, truth, 0..1_000_000).await?;
    assert!(first.is_success(), "{first:?}");
    let since =
        testbed.live(request_id).await?.context("live")?.request.upload.context("upload")?.since;
    // The last part makes the body whole, and shows that it does not have the digest that its first
    // part named.
    let whole = borsh::to_vec(&rubbish)?.len();
    let last = send(&testbed, &griefer, &rubbish, truth, 1_000_000..whole).await?;
    let text = format!("{:?}", last.into_result().err());
    assert!(text.contains("[digest_differs]"), "{text}");

    let mut config = testbed.worker_config(&testbed.worker)?;
    config.step_in_blocks = 0;
    let serving = testbed.serve_with(config)?;
    let result = testbed.finished(asked).await?;
    let settled_at = testbed.settled_at(&result).await?;
    check_answer(result, &alphabet(bytes))?;
    assert!(
        settled_at >= since + TURN_BLOCKS,
        "settled at {settled_at}, the turn began at {since}"
    );
    assert!(settled_at <= pending.deadline, "{settled_at}, {pending:?}");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_agree_on_a_large_output_settle_it_and_the_one_that_stalls_is_replaced()
-> Result<()> {
    let testbed = Testbed::start_with_timer().await?;
    let big = testbed.publish_guest("big").await?;
    let caller = testbed.node.dev_create_account().await?;
    let other = testbed.new_worker().await?;
    testbed.set_block_time(Duration::from_millis(150));
    testbed.wait_for_workers();
    let bytes = 1_200_000;
    let mut request = large(big, bytes, ResponseFormat::Borsh);
    (request.approvals, request.spares) = (2, 0);
    let asked = ask(&testbed, &caller, &request).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;
    let digest = testbed.digest(&response).await?;
    // The other worker commits first, and the one that serves commits after it. Its turn to send
    // comes 30 blocks after the other's.
    testbed.commit_to(&other, request_id, digest).await?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.step_in_blocks = 30;
    let serving = testbed.serve_with(config)?;
    while testbed.agreement(request_id).await?.votes.len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let revealed = testbed.reveal(&other, request_id, digest).await?;
    ensure!(revealed.is_success(), "{revealed:?}");
    while testbed.agreement(request_id).await?.supporters(digest).len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It sends its first part, and nothing after that.
    let sent = send(&testbed, &other, &response, digest, 0..1_000_000).await?;
    ensure!(sent.is_success(), "{sent:?}");
    let since =
        testbed.live(request_id).await?.context("live")?.request.upload.context("upload")?.since;
    let result = testbed.finished(asked).await?;
    let settled_at = testbed.settled_at(&result).await?;
    ensure!(
        settled_at >= since + TURN_BLOCKS,
        "settled at {settled_at}, the turn began at {since}"
    );
    let workers = events(&result).into_iter().find_map(|event| match event {
        Event::ExecutionCompleted(completed) => Some(completed.workers),
        _ => None,
    });
    assert_eq!(workers.map(|workers| workers.len()), Some(2));
    check_answer(result, &alphabet(bytes))?;
    serving.stop().await
}
