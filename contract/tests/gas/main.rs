//! The gas of the contract's calls, measured on its Wasm in a node's virtual machine. What a
//! request sets aside for its settlement is enough for the largest one, no worker loses by
//! answering, no call becomes more expensive unnoticed, and the Wasm stays small.
//!
//! `gas.txt` has the numbers of the last accepted measurement. When one has moved by more than 5%,
//! the test prints the new table. If the change is wanted,
//! `UPDATE_SNAPSHOTS=1 cargo test --workspace --test gas` writes the file anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod many;
mod scenario;
mod vm;

use std::path::Path;

use near_vm_runner::logic::{ReturnData, types::PromiseResult};
use outlayer_protocol::{
    AccountId, CodeRef, Compute, ExecutionRequest, ExecutionResponse, Hash32, OnRefusal, Outcome,
    ResponseFormat, Settlement, Status,
    capacity::{MAX_JSON_OUTPUT_BYTES, MAX_OUTPUT_BYTES},
    index::PendingPage,
    methods,
    pricing::answer_gas,
    response::MAX_REASON_BYTES,
};

use crate::{scenario::*, vm::VIEW};

/// The largest Wasm that is accepted, bytes. Each byte costs every call 1,089,295 gas.
const MAX_WASM_BYTES: usize = 300 << 10;
/// How far a number may move, percent.
const TOLERANCE: u64 = 5;
/// How much of the gas that is set aside may be needed, in percent.
const MOST_USED: u64 = 95;
/// How much more than an answer of nothing burns its model may say, in percent of what it burns.
const MOST_MODELLED: u64 = 120;
const GIGA: u64 = 1_000_000_000;

/// Settlements of every kind, the largest among them.
fn scenarios() -> Vec<(&'static str, Measured)> {
    let mut all = Vec::new();
    let mut vm = contract(&config());
    let mut add = |name, measured| all.push((name, measured));

    add("nothing", settle(&mut vm, &request(0), &answer(0)));
    add("output of 1 KB", settle(&mut vm, &request_for(&answer(1_024)), &answer(1_024)));
    add("largest input", settle(&mut vm, &request(256 << 10), &answer(0)));
    for (name, format, output) in [
        ("256 KiB of output in JSON", ResponseFormat::Json, 256 << 10),
        ("256 KiB of output in borsh", ResponseFormat::Borsh, 256 << 10),
        ("largest output in JSON", ResponseFormat::Json, MAX_JSON_OUTPUT_BYTES as usize),
        ("largest output in borsh", ResponseFormat::Borsh, MAX_OUTPUT_BYTES as usize),
    ] {
        let asked = ExecutionRequest { response_format: format, ..request_for(&answer(output)) };
        add(name, settle(&mut vm, &asked, &answer(output)));
    }

    let mut texts = request(0);
    texts.code = code_at(format!("https://{}", "u".repeat(1_016)));
    texts.args = vec![String::new(); 4 << 10];
    add("most arguments", settle(&mut vm, &texts, &answer(0)));
    texts.args.clear();
    texts.env = (0..680u32).map(|n| (format!("{:04}", n + 1_000), String::new())).collect();
    add("most variables", settle(&mut vm, &texts, &answer(0)));
    texts.env.clear();
    texts.args = vec!["x".repeat((4 << 10) - 1)];
    add("longest argument", settle(&mut vm, &texts, &answer(0)));
    let failed = Status::Trapped { reason: "r".repeat(MAX_REASON_BYTES) };
    let failed = ExecutionResponse { status: failed, ..answer(0) };
    add("longest reason", settle(&mut vm, &request(0), &failed));
    let mut published = request(0);
    published.code = CodeRef { hash: Hash32::of(PUBLISHED), url: None }.into();
    add("published code", settle(&mut vm, &published, &answer(0)));
    let mut implicit = request(0);
    implicit.refund_to = Some("f".repeat(64).parse().unwrap());
    add("a payer that has to be created", settle(&mut vm, &implicit, &answer(0)));
    let mut agreed = request(0);
    (agreed.approvals, agreed.spares) = (4, 3);
    add("7 workers agree", settle(&mut vm, &agreed, &answer(0)));
    for (name, late) in [
        ("4 workers agree, 3 reveal late", Late::AllButOne),
        ("4 workers agree, 3 close late", Late::All),
    ] {
        add(name, settle_early(&mut vm, &agreed, &answer(0), late));
        let mut implicit = agreed.clone();
        implicit.refund_to = Some("e".repeat(64).parse().unwrap());
        let measured = settle_early(&mut vm, &implicit, &answer(0), late);
        check_pay(name, &measured);
    }
    add("4 workers agree, 3 lie", settle_disputed(&mut vm, &agreed, &answer(0)));
    agreed.limits = agreed.limits.with_storage(1, 0, 0);
    let stale = reads(1, |_| Some(1));
    let measured = settle_after_void(&mut vm, &agreed, &stale, &answer(0));
    add("7 workers agree after a void round", measured);

    let mut long = request(0);
    long.limits.compute = Compute::Fuel(3_000_000_000);
    add("3 claims, 2 missed", settle(&mut vm, &long, &answer(0)));

    let mut secret = with_secrets(&mut vm);
    add("4 secrets", settle(&mut vm, &secret, &answer(0)));
    (secret.approvals, secret.spares) = (4, 3);
    add("4 secrets, 7 workers agree", settle(&mut vm, &secret, &answer(0)));

    let kept = ExecutionRequest { keep_result_blocks: 1, ..request_for(&answer(1_024)) };
    add("output of 1 KB that is kept", settle(&mut vm, &kept, &answer(1_024)));

    for (name, response_format, bytes) in [
        ("plan of 1 KB that is kept", ResponseFormat::Json, 1 << 10),
        ("64 KiB of plan in JSON, kept", ResponseFormat::Json, 64 << 10),
        ("64 KiB of plan in borsh, kept", ResponseFormat::Borsh, 64 << 10),
    ] {
        let planned = ExecutionResponse { plan: vec![b'p'; bytes].into(), ..answer(0) };
        let kept =
            ExecutionRequest { keep_result_blocks: 1, response_format, ..request_for(&planned) };
        add(name, settle(&mut vm, &kept, &planned));
    }

    let mut run = |name, body: ExecutionResponse| {
        add(name, settle(&mut vm, &request_for(&body), &body));
    };
    run("256 absent keys read", reads(KEYS, |_| None));
    run("256 new keys", writes(0..KEYS, |_| Some(0)));
    run("256 keys read", reads(KEYS, |_| Some(0)));
    run("256 keys read and written", both(KEYS));

    let mut everything = both(KEYS);
    everything.output = vec![b'o'; 200 << 10].into();
    let mut at_once = request_for(&everything);
    at_once.input = vec![b'i'; 100 << 10].into();
    at_once.args = vec!["x".repeat((4 << 10) - 1)];
    (at_once.approvals, at_once.spares) = (4, 3);
    at_once.code = texts.code;
    at_once.refund_to = implicit.refund_to;
    add("much of everything at once", settle(&mut vm, &at_once, &everything));

    let mut run = |name, body: ExecutionResponse| {
        add(name, settle(&mut vm, &request_for(&body), &body));
    };
    run("256 keys removed", writes(0..KEYS, |_| None));
    (0..8).for_each(|n| run("60 KB written", writes([n], |_| Some(60_000))));
    run("8 values of 60 KB removed", writes(0..8, |_| None));
    (0..8).for_each(|n| run("60 KB written again", writes([n], |_| Some(60_000))));
    run("8 values of 60 KB overwritten", writes(0..8, |_| Some(0)));
    (0..8).for_each(|n| run("8 KB written", writes([n], |_| Some(8_192))));
    run("8 values of 8 KB overwritten", writes(0..8, |_| Some(0)));
    all.dedup_by_key(|(name, _)| *name);
    all
}

/// The numbers that a line of `gas.txt` has.
fn numbers(line: &str) -> Vec<u64> {
    let mut numbers: Vec<_> =
        line.split_whitespace().rev().map_while(|word| word.parse().ok()).take(5).collect();
    numbers.reverse();
    numbers
}

/// The numbers of a line of `gas.txt`, in Ggas.
fn row(measured: &Measured) -> [u64; 5] {
    let Measured { request, resolve, settle, refund, compute, .. } = *measured;
    [request, resolve, settle, refund, compute].map(|gas| gas / GIGA)
}

/// Checks that workers are paid for at least the gas that they burned, at twice NEAR's lowest price
/// and after the protocol's share, and that a small request does not pay for much more.
fn check_pay(name: &str, measured: &Measured) {
    let Measured { submit, submit_model, commit, commit_model, close, close_model, won, .. } =
        *measured;
    if close > 0 {
        println!("{name}: {close} to close, the model says {close_model}");
    }
    assert!(close <= close_model, "{name}: {close} to close, the model says {close_model}");
    assert!(submit <= submit_model, "{name}: {submit} to submit, the model says {submit_model}");
    assert!(commit <= commit_model, "{name}: {commit} to commit, the model says {commit_model}");
    assert!(won >= 0, "{name}: a worker loses {won} yoctoNEAR");
    let most = submit / 100 * MOST_MODELLED;
    assert!(name != "nothing" || submit_model <= most, "{name}: {submit_model}, expected {most}");
}

#[test]
fn every_settlement_fits_into_the_gas_that_was_set_aside_and_no_call_became_dearer() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("gas.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, accepted): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    let mut accepted = accepted.into_iter();
    let (mut table, mut moved) = (String::new(), Vec::new());
    for (name, measured) in scenarios() {
        check_pay(name, &measured);
        let Measured { estimated, requested, reserved, settle, .. } = measured;
        let enough = |used: u64, given: u64| used <= given / 100 * MOST_USED;
        assert!(enough(settle, reserved), "{name}: {settle} of {reserved} to settle");
        let (own, given) = (requested - reserved, estimated - reserved);
        assert!(enough(own, given), "{name}: {own} of {given} to request");

        let [request, resolve, settle, refund, compute] = row(&measured);
        table += &format!("{name:32} {request:7} {resolve:7} {settle:7} {refund:7} {compute:8}\n");
        let line = accepted.next().unwrap_or_default();
        let close = |old: u64, new: u64| old.abs_diff(new) * 100 <= old * TOLERANCE;
        let pairs: Vec<_> = numbers(line).into_iter().zip(row(&measured)).collect();
        let same = pairs.len() == 5 && pairs.into_iter().all(|(old, new)| close(old, new));
        if !line.starts_with(name) || !same {
            moved.push(name);
        }
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, head.join("\n") + "\n" + &table).unwrap();
        return;
    }
    assert!(moved.is_empty(), "{moved:?} moved; the numbers are now:\n{table}");
    assert_eq!(accepted.next(), None, "gas.txt has a line too many");
}

/// README.md states these amounts.
#[test]
fn a_refusal_returns_within_the_gas_that_is_promised() {
    let mut vm = contract(&config());
    let implicit: AccountId = "f".repeat(64).parse().unwrap();
    for (payer, most) in [(DAPP.parse().unwrap(), 10_000), (implicit, 18_000)] {
        let request = ExecutionRequest {
            on_refusal: OnRefusal::Return,
            refund_to: Some(payer),
            ..request(0)
        };
        let args = serde_json::json!({ "request": request });
        let gas = most * GIGA;
        // The deposit is too small, and so is the gas.
        let refused =
            vm.call(vm::Call { deposit: 1, gas, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
        let ReturnData::Value(returned) = &refused.return_data else {
            panic!("{:?}", refused.return_data)
        };
        let settlement: Settlement = serde_json::from_slice(returned).unwrap();
        let Outcome::Refused { code, .. } = &settlement.outcome else { panic!("{settlement:?}") };
        assert_eq!(code, "insufficient_gas");
        assert_eq!(settlement.refund.as_yoctonear(), 1);
    }
}

/// What a call computes beyond the gas that it burns is for accesses to storage.
#[test]
fn the_callback_of_a_payment_that_arrived_takes_no_access_to_storage() {
    let mut vm = contract(&config());
    let mut refunded = |result| {
        let args = serde_json::json!({ "account_id": DAPP, "amount": "1000" });
        let call = call(vm::CONTRACT, methods::ON_REFUND, args);
        let outcome = vm.call(vm::Call { result: Some(result), ..call });
        (outcome.burnt_gas.as_gas(), outcome.compute_usage)
    };
    let (arrived, computed) = refunded(PromiseResult::Successful(Vec::new().into()));
    assert_eq!(arrived, computed);
    let (bounced, computed) = refunded(PromiseResult::Failed);
    assert!(bounced > arrived && computed > bounced, "{arrived}, {bounced} {computed}");
}

#[test]
fn the_model_has_what_near_charges_for_a_signed_call() {
    let vm = vm::Vm::new();
    assert_eq!(vm.gas_of_signing("", b""), answer_gas::CALL);
    assert_eq!(vm.gas_of_signing("m", b"ab"), answer_gas::CALL + 3 * answer_gas::PER_CALL_BYTE);
}

#[test]
fn the_wasm_is_small() {
    let found = vm::contract().len();
    assert!(found <= MAX_WASM_BYTES, "the Wasm has {found} bytes, allowed are {MAX_WASM_BYTES}");
}

/// The gas that a view burns for a page of `limit`.
fn page_of(vm: &mut vm::Vm, view: &str, limit: u64) -> u64 {
    let from = if view == methods::SHARES_INDEX { "from_index" } else { "from_id" };
    let args = serde_json::json!({ from: 0, "limit": limit });
    vm.view(call("anyone.near", view, args)).burnt_gas.as_gas()
}

/// The gas that `list_pending` burns for a page of `limit`.
fn page(vm: &mut vm::Vm, limit: u64) -> u64 {
    page_of(vm, methods::LIST_PENDING, limit)
}

/// A contract with so many live requests like this one.
fn with_live(request: &ExecutionRequest, count: u32) -> vm::Vm {
    let mut vm = contract(&config());
    for _ in 0..13 {
        let args = serde_json::json!({ "request": request });
        vm.call(vm::Call { deposit: NEAR, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
    }
    vm.chain.repeat_requests(13, count);
    vm
}

#[test]
fn a_view_holds_two_thousand_requests_of_the_index() {
    let mut asked = request(10);
    asked.refund_to = Some("p".repeat(64).parse().unwrap());
    let mut vm = with_live(&asked, 2_000);
    let [none, many] = [0, 2_000].map(|limit| page_of(&mut vm, methods::PENDING_INDEX, limit));
    let each = (many - none) / 2_000;
    println!("{none} gas for none, {each} for each: {} fit", (VIEW - none) / each);
    assert!(many <= VIEW, "{many} for 2,000");
    let [none, some] = [0, 200].map(|limit| page(&mut vm, limit));
    let each = (some - none) / 200;
    println!("in JSON {none} gas for none, {each} for each: {} fit", (VIEW - none) / each);
}

#[test]
fn a_view_of_the_largest_requests_ends_early_and_says_where_to_go_on() {
    let mut asked = request(10);
    asked.args = vec![String::new(); 32_768 / 4 / 4];
    let mut vm = with_live(&asked, 1_500);
    let args = serde_json::json!({ "from_id": 0, "limit": 1_500 });
    let outcome = vm.view(call("anyone.near", methods::PENDING_INDEX, args));
    let burned = outcome.burnt_gas.as_gas();
    let ReturnData::Value(page) = outcome.return_data else { panic!("no page") };
    let page: PendingPage = borsh::from_slice(&page).unwrap();
    println!("{burned} gas for {}", page.entries.len());
    assert!(burned <= VIEW, "{burned} for {}", page.entries.len());
    assert!((100..1_500).contains(&page.entries.len()), "{}", page.entries.len());
    assert_eq!(page.next_id, Some(page.entries.len() as u64));
}

#[test]
fn a_view_holds_the_open_shares_of_five_hundred_requests() {
    let mut vm = contract(&config());
    let mut agreed = request(0);
    (agreed.approvals, agreed.spares) = (4, 3);
    agreed.refund_to = Some("p".repeat(64).parse().unwrap());
    for _ in 0..3 {
        settle_early(&mut vm, &agreed, &answer(0), Late::None);
    }
    let [one, three] = [1, 3].map(|limit| page_of(&mut vm, methods::SHARES_INDEX, limit));
    let each = (three - one) / 2;
    println!("{each} gas for each: {} fit", (VIEW - one) / each);
    assert!(one + 500 * each <= VIEW, "{each} for each");
}

#[test]
fn a_page_of_the_pending_list_costs_what_it_returns_and_not_what_there_is_or_was() {
    let mut vm = contract(&config());
    let ask = |vm: &mut vm::Vm, count: u32| {
        for _ in 0..count {
            let args = serde_json::json!({ "request": request(10) });
            vm.call(vm::Call { deposit: NEAR, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
        }
    };
    ask(&mut vm, 10);
    let (empty, five, ten) = (page(&mut vm, 0), page(&mut vm, 5), page(&mut vm, 10));
    let close = |one: u64, other: u64| one.abs_diff(other) * 100 <= one;
    assert!(close(ten - five, five - empty), "{empty} {five} {ten}");
    ask(&mut vm, 190);
    let of_many = page(&mut vm, 5);
    assert!(close(five, of_many), "{five} of 10, {of_many} of 200");
    for _ in 0..50 {
        settle(&mut vm, &request_for(&answer(10)), &answer(10));
    }
    let after_many = page(&mut vm, 5);
    assert!(close(five, after_many), "{five} at first, {after_many} after 50 settlements");
}
