//! A node that answers anything: whatever it sends, the client neither panics nor waits for long,
//! believes nothing that contradicts the question, and says what was wrong in a few words.
//!
//! Each answer begins as one that a node in order gives. Then parts of it are replaced by what no
//! node should send: numbers at the ends of their ranges, other types, texts and lists that are far
//! too long, or nothing at all.

use std::{sync::Mutex, time::Duration};

use near_crypto::KeyType;
use near_primitives::hash::CryptoHash;
use outlayer_protocol::{Bytes, CodeRef, ExecutionRequest, Hash32, NearToken, index::PendingEntry};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    At, ChainError, EndpointUrl, Node, NodeConfig, SecretKey, SendError, SigningAccount,
    testing::{
        Answer, CONTRACT, Chain, Change, FakeNode, config, executed, handler_error, header_at,
        invalid_nonce, request_view, status, unknown_block, view_bytes, view_result,
    },
    trace,
};

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What stands in the place of a part of an answer.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![
            Just(u64::MAX),
            Just(u64::MAX - 1),
            Just(i64::MAX as u64),
            Just(u64::from(u32::MAX)),
            Just(0),
            any::<u64>()
        ]
        .prop_map(Value::from),
        prop_oneof![Just(i64::MIN), Just(-1), any::<i64>()].prop_map(Value::from),
        prop_oneof![Just(f64::MAX), Just(-0.5), Just(f64::MIN_POSITIVE)].prop_map(Value::from),
        prop_oneof![
            Just(String::new()),
            Just(u128::MAX.to_string()),
            Just("-1".to_owned()),
            Just("9".repeat(40)),
            Just("x".repeat(20_000)),
            Just("🦀".repeat(2_000)),
            Just("2999-12-31T23:59:59.999999999Z".to_owned()),
            Just("-9999-01-01T00:00:00Z".to_owned()),
            any::<String>()
        ]
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        vec(any::<u8>(), 0..40).prop_map(Value::from),
        (1usize..200).prop_map(|depth| (0..depth).fold(Value::Null, |inner, _| json!([inner]))),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec((any::<usize>(), prop::option::weighted(0.9, junk())), 0..4)
}

/// What a node in order answers, or one in trouble.
fn usual(kind: u8, method: &str, params: &Value) -> Answer {
    let at = |answer: Value| Answer::Result(answer);
    match (method, params["request_type"].as_str()) {
        (_, _) if kind == 0 => Answer::Error(handler_error("INTERNAL_ERROR", &json!({}))),
        ("status", _) => at(status("testnet", &CryptoHash([1; 32]), 100)),
        ("block", _) if kind == 1 => Answer::Error(unknown_block()),
        ("block", _) => at(json!({ "author": "v.near", "header": header_at(100), "chunks": [] })),
        ("query", Some("view_account")) => at(json!({
            "amount": "1", "locked": "0", "code_hash": "11111111111111111111111111111111",
            "storage_usage": 200, "storage_paid_at": 0, "block_height": 100,
            "block_hash": "11111111111111111111111111111111"
        })),
        ("query", Some("view_access_key")) => at(json!({
            "nonce": 40, "permission": { "FunctionCall": {
                "allowance": "1", "receiver_id": CONTRACT, "method_names": ["a"]
            } }, "block_height": 100, "block_hash": "11111111111111111111111111111111"
        })),
        ("query", _) => match params["method_name"].as_str().unwrap_or_default() {
            "get_request" => {
                view_result(&json!({ "live": request_view(&config(), 7, "an input") }))
            }
            "get_requests" => {
                let views = [Some(request_view(&config(), 7, "an input")), None];
                view_bytes(&borsh::to_vec(&views.to_vec()).unwrap())
            }
            "pending_index" => {
                let entry = PendingEntry::from(&request_view(&config(), 7, "x").request);
                view_bytes(&borsh::to_vec(&vec![entry]).unwrap())
            }
            "shares_index" => view_bytes(&borsh::to_vec(&Vec::<u8>::new()).unwrap()),
            "get_config" => view_result(&json!({
                "owner_id": "owner.near", "paused": false, "config": config()
            })),
            "list_workers" => view_result(&json!([{
                "worker_id": "worker.near", "earnings": "1", "settled": 1, "lost": 0, "missed": 0,
                "suspended": false, "metadata": ""
            }])),
            "storage_get" | "get_code" => view_result(&json!(Bytes::from(&b"bytes"[..]))),
            _ => view_result(&json!(null)),
        },
        ("send_tx", _) if kind == 2 => invalid_nonce(41, u64::MAX - 1),
        ("send_tx" | "tx", _) if kind == 3 => Answer::Result(json!({
            "final_execution_status": "INCLUDED"
        })),
        ("send_tx" | "tx", _) => executed(&CryptoHash([9; 32]), Ok(b"done")),
        _ => at(Value::Null),
    }
}

/// The same, changed: the answer itself, or inside the bytes that a view gives.
fn hostile(kind: u8, method: &str, params: &Value, changes: &[Change], inside: bool) -> Answer {
    usual(kind, method, params).changed(changes, inside)
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, rng_seed: RngSeed::Fixed(12), ..Default::default() })
}

/// Bounds that an error's text keeps, whatever the node has said.
fn is_short(error: &impl std::error::Error) -> bool {
    crate::with_causes(error).chars().count() < 4_000
}

fn heard<T>(result: Result<T, ChainError>) -> Option<T> {
    result.inspect_err(|error| assert!(is_short(error), "{error}")).ok()
}

/// Asks every question there is.
async fn ask_everything(node: &Node) {
    let contract = crate::Contract::new(node.clone(), CONTRACT.parse().unwrap());
    let (account, hash) = ("worker.near".parse().unwrap(), CryptoHash([9; 32]));
    let key = SecretKey::from_seed(KeyType::ED25519, "worker").public_key();
    for at in [At::Final, At::Optimistic, At::Height(100), At::Hash(hash)] {
        heard(node.block(at).await);
    }
    let at = At::Optimistic;
    heard(node.status().await);
    heard(node.check_network().await);
    let _ = format!("{:?}", node.health());
    if let Some(Some(balance)) = heard(node.balance(&account, at).await) {
        assert!(balance.free() <= balance.amount);
    }
    if let Some(Some(key)) = heard(node.access_key(&account, &key, at).await) {
        let _ = (key.permission.allowance(), key.permission.may_call(contract.id(), "a"));
    }
    if let Some(Some(view)) = heard(contract.request(7, at).await) {
        assert_eq!(view.request.id(), 7);
        let _ = view.check(contract.id());
    }
    if let Some(views) = heard(contract.requests(&[7, 8], at).await) {
        assert_eq!(views.len(), 2);
        let ids: Vec<_> = views.iter().flatten().map(|view| view.request.id()).collect();
        assert!(ids.iter().all(|id| [7, 8].contains(id)), "{ids:?}");
    }
    if let Some(index) = heard(contract.pending(3, at).await) {
        assert!(index.entries.len() <= 3);
        let claims = index.entries.iter().flat_map(|entry| &entry.claims);
        assert!(claims.map(|claims| claims.made.len()).all(|count| count <= 3));
    }
    if let Some((_, shares)) = heard(contract.open_shares(3, at).await) {
        assert!(shares.len() <= 3);
    }
    if let Some(workers) = heard(contract.workers(3, at).await) {
        assert!(workers.len() <= 3);
    }
    heard(contract.shares(7, at).await);
    heard(contract.result(7, at).await);
    heard(contract.config(at).await);
    heard(contract.funds(at).await);
    heard(contract.claimable(&account, at).await);
    heard(contract.worker(&account, at).await);
    heard(contract.storage_get(&account, b"k", at).await);
    heard(contract.code_info(&Hash32::default(), at).await);
    heard(contract.code(&Hash32::default(), 0, 3, at).await);
    let code = CodeRef { hash: Hash32::default(), url: None };
    heard(contract.estimate(&ExecutionRequest::new(code, ""), at).await);
    heard(trace::transaction(node, hash, &account).await);
}

#[test]
fn no_answer_of_a_node_makes_the_client_panic_or_hang_or_speak_at_length() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = (0u8..8, any::<bool>(), changes());
    let run = |(kind, inside, changes): (u8, bool, Vec<Change>)| {
        runtime.block_on(async {
            let node = FakeNode::start(move |method, params| {
                hostile(kind, method, params, &changes, inside)
            })
            .await;
            let began = Instant::now();
            let asked = timeout(PATIENCE, ask_everything(&node.node())).await;
            prop_assert!(asked.is_ok(), "it hangs for {:?}", began.elapsed());
            Ok(())
        })
    };
    runner(128).run(&cases, run).unwrap();
}

#[test]
fn no_answer_of_one_among_three_changes_what_two_honest_endpoints_agree_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = (0u8..8, any::<bool>(), changes(), 0usize..3);
    let run = |(kind, inside, changes, place): (u8, bool, Vec<Change>, usize)| {
        runtime.block_on(async {
            let honest = |method: &str, params: &Value| usual(9, method, params);
            let nodes = [FakeNode::start(honest).await, FakeNode::start(honest).await];
            let liar = FakeNode::start(move |method, params| match method {
                // It says that it serves this network: otherwise it is not asked at all.
                "status" => usual(9, method, params),
                _ => hostile(kind, method, params, &changes, inside),
            })
            .await;
            let mut urls: Vec<EndpointUrl> =
                nodes.iter().map(|node| node.url.as_str().into()).collect();
            urls.insert(place, liar.url.as_str().into());
            let config = NodeConfig { endpoints: urls, quorum: 2, ..liar.config() };
            let node = Node::new(&config).unwrap();
            let contract = crate::Contract::new(node.clone(), CONTRACT.parse().unwrap());
            for at in [At::Final, At::Optimistic, At::Height(100)] {
                let block = node.block(at).await;
                let found = block.as_ref().map(|block| (block.height, block.timestamp)).ok();
                prop_assert_eq!(found, Some((100, 1_000_000_000)), "{}: {:?}", at, block);
                let state = contract.request(7, at).await;
                let expected = request_view(&crate::testing::config(), 7, "an input");
                let is_right = matches!(&state, Ok(Some(view)) if *view == expected);
                prop_assert!(is_right, "{at}: {state:?}");
            }
            Ok(())
        })
    };
    runner(64).run(&cases, run).unwrap();
}

#[test]
fn no_answer_of_a_node_makes_a_transaction_panic_or_wait_beyond_its_patience() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let cases = vec((0u8..8, changes()), 32);
    let run = |all: Vec<(u8, Vec<Change>)>| {
        runtime.block_on(async {
            let mut calls = Vec::new();
            for (kind, changes) in all {
                calls.push(tokio::spawn(async move {
                    let node = FakeNode::start(move |method, params| {
                        hostile(kind, method, params, &changes, false)
                    })
                    .await;
                    let key = SecretKey::from_seed(KeyType::ED25519, "worker");
                    let account = "worker.near".parse().unwrap();
                    let account = SigningAccount::new(node.node(), account, key)
                        .with_patience(Duration::from_millis(300));
                    let (contract, nothing) =
                        (CONTRACT.parse().unwrap(), NearToken::from_yoctonear(0));
                    let called = account.call(&contract, "a", Vec::new(), 1, nothing);
                    let called = timeout(PATIENCE, called).await;
                    let called: Result<_, SendError> = called.expect("it hangs");
                    called.inspect_err(|error| assert!(is_short(error), "{error}"))
                }));
            }
            for call in calls {
                let ended = call.await;
                prop_assert!(ended.is_ok(), "{ended:?}");
            }
            Ok(())
        })
    };
    runner(2).run(&cases, run).unwrap();
}

/// The chain's own rules for nonces: one must be above the last, and below a bound that grows with
/// the height.
#[tokio::test]
async fn a_nonce_at_the_end_of_its_range_is_forgotten_when_a_node_tells_the_truth() {
    let lies = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (told, chain) = (std::sync::Arc::clone(&lies), Mutex::new(Chain::new(config())));
    let node = FakeNode::start(move |method, params| {
        let first = |told: &std::sync::atomic::AtomicU32| {
            told.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0
        };
        match (method, params["request_type"].as_str()) {
            ("query", Some("view_access_key")) if first(&told) => Answer::Result(json!({
                "nonce": u64::MAX, "permission": "FullAccess", "block_height": 100,
                "block_hash": "11111111111111111111111111111111"
            })),
            ("send_tx", _) => {
                let encoded: Bytes =
                    serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
                let signed: near_primitives::transaction::SignedTransaction =
                    borsh::from_slice(&encoded).unwrap();
                let (nonce, bound) = (signed.transaction.nonce().nonce(), 100_000_000u64);
                if nonce < bound {
                    return executed(&signed.get_hash(), Ok(b"done"));
                }
                let invalid = json!({ "NonceTooLarge": {
                    "tx_nonce": nonce, "upper_bound": bound
                } });
                let mut error = handler_error("INVALID_TRANSACTION", &json!({}));
                error["data"] = json!({ "TxExecutionError": { "InvalidTxError": invalid } });
                Answer::Error(error)
            }
            _ => chain.lock().unwrap().answer(method, params),
        }
    })
    .await;
    let key = SecretKey::from_seed(KeyType::ED25519, "worker");
    let account = SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key);
    let (contract, nothing) = (CONTRACT.parse().unwrap(), NearToken::from_yoctonear(0));
    let outcome = account.call(&contract, "a", Vec::new(), 1, nothing).await.unwrap();
    assert_eq!(outcome.result, Ok(b"done".to_vec()));
    assert!(lies.load(std::sync::atomic::Ordering::Relaxed) >= 2, "the chain is asked again");
}

/// The most that a view can give, and an answer that would take far more memory than it has bytes.
#[tokio::test]
async fn an_answer_that_grows_when_it_is_parsed_is_refused() {
    let node = FakeNode::start(|_, params| match params["method_name"].as_str() {
        Some("most") => view_bytes(&vec![255; 4 << 20]),
        _ => Answer::Http(200, format!("[{}0]", "0,".repeat(15 << 20)).into_bytes()),
    })
    .await;
    let config = NodeConfig {
        max_answer_bytes: NodeConfig::new("http://x").max_answer_bytes,
        timeout: 5 * PATIENCE,
        budget: 5 * PATIENCE,
        ..node.config()
    };
    let (node, contract) = (Node::new(&config).unwrap(), CONTRACT.parse().unwrap());
    let most = node.view(&contract, "most", Vec::new(), At::Final).await.unwrap();
    assert_eq!(most.len(), 4 << 20);
    let error = node.view(&contract, "zeros", Vec::new(), At::Final).await.unwrap_err();
    assert!(error.to_string().contains("more than 1000000 values"), "{error}");
}
