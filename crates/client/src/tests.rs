//! A node that fails, lies or forgets, and what the client makes of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use near_crypto::KeyType;
use near_primitives::transaction::SignedTransaction;
use outlayer_protocol::{Bytes, NearToken, RequestId, methods, views::RequestState};
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    Answer, CONTRACT, FakeNode, config, executed, header, invalid_nonce, request_view, view_bytes,
    view_result,
};

#[tokio::test]
async fn a_view_is_typed_and_asks_at_the_block_named() {
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let node = FakeNode::start(move |_, params| {
        seen.lock().unwrap().push(params.clone());
        let live = RequestState::Live(Box::new(request_view(&config(), 7, "hi")));
        view_result(&serde_json::to_value(live).unwrap())
    })
    .await;
    let hash = CryptoHash([5; 32]);
    for at in [At::Final, At::Optimistic, At::Height(90), At::Hash(hash)] {
        let found = node.contract().request(7, at).await.unwrap();
        assert_eq!(found, Some(request_view(&config(), 7, "hi")), "{at}");
    }
    let asked = asked.lock().unwrap();
    assert_eq!([&asked[0]["finality"], &asked[1]["finality"]], ["final", "optimistic"]);
    assert_eq!(
        [&asked[2]["block_id"], &asked[3]["block_id"]],
        [&json!(90), &json!(hash.to_string())]
    );
}

#[tokio::test]
async fn failures_that_pass_are_tried_again_and_others_are_not() {
    let answers: Vec<fn() -> Answer> = vec![
        || Answer::Http(503, Vec::new()),
        || Answer::Http(429, Vec::new()),
        || view_result(&json!("settled")),
        || Answer::Result(json!("another kind of result")),
        || Answer::Http(200, vec![b' '; 200_000]),
        || {
            Answer::Result(json!({
                "error": "wasm execution failed: no", "logs": [], "block_height": 1,
                "block_hash": "11111111111111111111111111111111"
            }))
        },
    ];
    let next = AtomicU32::new(0);
    let node =
        FakeNode::start(move |_, _| answers[next.fetch_add(1, Ordering::Relaxed) as usize]()).await;
    let contract = node.contract();
    assert_eq!(contract.request(7, At::Final).await.unwrap(), None);
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(contract.request(7, At::Final).await.unwrap_err());
    }
    assert!(matches!(errors[0], ChainError::Malformed { .. }), "{}", errors[0]);
    assert!(matches!(errors[1], ChainError::TooLarge { limit: 100_000, .. }), "{}", errors[1]);
    assert!(
        matches!(&errors[2], ChainError::View { reason, .. } if reason.contains("failed: no")),
        "{}",
        errors[2]
    );
    assert_eq!(node.called("query"), 6);
}

#[tokio::test]
async fn an_answer_of_a_million_values_is_not_parsed_and_a_view_as_long_is() {
    const BYTES: usize = 1_500_000;
    let node = FakeNode::start(|method, _| match method {
        "query" => view_bytes(&vec![200; BYTES]),
        _ => Answer::Result(json!(vec![200; BYTES])),
    })
    .await;
    let config = NodeConfig { max_answer_bytes: 8 << 20, attempts: 1, ..node.config() };
    let node = Node::new(&config).unwrap();
    let viewed = node.view(&CONTRACT.parse().unwrap(), "x", Vec::new(), At::Final).await.unwrap();
    assert_eq!(viewed, vec![200; BYTES]);
    let error = node.block(At::Final).await.unwrap_err();
    assert!(error.to_string().contains("more than 1000000 values"), "{error}");
}

#[tokio::test]
async fn a_node_that_stays_away_is_given_up_after_the_attempts() {
    let node = FakeNode::start(|_, _| Answer::Http(500, Vec::new())).await;
    let error = node.contract().request(7, At::Final).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(node.called("query"), 3);
}

#[tokio::test]
async fn a_block_that_is_gone_is_reported_as_such() {
    let node = FakeNode::start(|_, _| {
        Answer::Error(json!({
            "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
            "cause": { "name": "GARBAGE_COLLECTED_BLOCK", "info": {
                "block_height": 5, "block_hash": "11111111111111111111111111111111"
            } }
        }))
    })
    .await;
    let error = node.contract().request(7, At::Height(5)).await.unwrap_err();
    assert!(matches!(&error, ChainError::UnknownBlock { block, .. } if block == "#5"), "{error}");
}

/// As much of a chain as sending a transaction needs: one account with one access key.
struct Ledger {
    nonce: u64,
    /// The nonce in final blocks, where it is another one.
    final_nonce: Option<u64>,
    executed: Vec<(CryptoHash, u64)>,
    /// How many transactions came with a nonce that was used up.
    refused: u32,
    /// How many more transactions are executed without an answer.
    lost_answers: u32,
}

impl Ledger {
    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        match method {
            "block" => {
                Answer::Result(json!({ "author": "v.near", "header": header(), "chunks": [] }))
            }
            "query" => {
                let in_final_blocks = self.final_nonce.filter(|_| params["finality"] == "final");
                Answer::Result(json!({
                    "nonce": in_final_blocks.unwrap_or(self.nonce), "permission": "FullAccess",
                    "block_height": 100, "block_hash": "11111111111111111111111111111111"
                }))
            }
            "send_tx" => self.send(params),
            "tx" => {
                let hash: CryptoHash = params["tx_hash"].as_str().unwrap().parse().unwrap();
                if self.executed.iter().any(|(known, _)| *known == hash) {
                    return executed(&hash, Ok(b"hi"));
                }
                Answer::Error(json!({
                    "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
                    "cause": { "name": "UNKNOWN_TRANSACTION", "info": {
                        "requested_transaction_hash": hash.to_string()
                    } }
                }))
            }
            other => panic!("unexpected {other}"),
        }
    }

    fn send(&mut self, params: &Value) -> Answer {
        let encoded: Bytes = serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
        let signed: SignedTransaction = borsh::from_slice(&encoded).unwrap();
        let (hash, nonce) = (signed.get_hash(), signed.transaction.nonce().nonce());
        if nonce <= self.nonce {
            self.refused += 1;
            return invalid_nonce(nonce, self.nonce);
        }
        self.nonce = nonce;
        self.executed.push((hash, nonce));
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Answer::Http(502, Vec::new());
        }
        executed(&hash, Ok(b"hi"))
    }
}

async fn ledger(lost_answers: u32) -> (FakeNode, Arc<Mutex<Ledger>>) {
    let (final_nonce, executed, refused) = (None, Vec::new(), 0);
    let ledger = Ledger { nonce: 40, final_nonce, executed, refused, lost_answers };
    let ledger = Arc::new(Mutex::new(ledger));
    let shared = Arc::clone(&ledger);
    let node =
        FakeNode::start(move |method, params| shared.lock().unwrap().answer(method, params)).await;
    (node, ledger)
}

fn account(node: &FakeNode) -> SigningAccount {
    let key = SecretKey::from_seed(KeyType::ED25519, "worker");
    SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key)
}

async fn call(account: &SigningAccount, id: RequestId) -> Result<CallOutcome, SendError> {
    let contract = CONTRACT.parse().unwrap();
    let args = borsh::to_vec(&id).unwrap();
    account
        .call(&contract, methods::RESOLVE_EXECUTION, args, 1_000, NearToken::from_yoctonear(0))
        .await
}

#[tokio::test]
async fn calls_at_once_each_get_a_nonce_and_are_executed_once() {
    let (node, ledger) = ledger(0).await;
    let account = account(&node);
    let calls = (0..12).map(|id| {
        let account = account.clone();
        tokio::spawn(async move { call(&account, id).await })
    });
    for done in calls.collect::<Vec<_>>() {
        let outcome = done.await.unwrap().unwrap();
        assert_eq!((outcome.result, outcome.gas_burnt), (Ok(b"hi".to_vec()), 42));
    }
    let mut nonces: Vec<_> =
        ledger.lock().unwrap().executed.iter().map(|(_, nonce)| *nonce).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 12);
}

#[tokio::test]
async fn a_nonce_that_another_process_used_up_is_replaced() {
    let (node, ledger) = ledger(0).await;
    let account = account(&node);
    call(&account, 1).await.unwrap();
    ledger.lock().unwrap().nonce = 90;
    call(&account, 2).await.unwrap();
    assert_eq!(ledger.lock().unwrap().executed.last().unwrap().1, 91);
}

#[tokio::test]
async fn a_transaction_whose_nonce_a_fork_gives_back_is_not_signed_again() {
    let (node, ledger) = ledger(0).await;
    let account = account(&node);
    call(&account, 1).await.unwrap();
    {
        let mut ledger = ledger.lock().unwrap();
        (ledger.nonce, ledger.final_nonce) = (90, Some(41));
    }
    let called = tokio::spawn(async move { call(&account, 2).await });
    while ledger.lock().unwrap().refused < 2 && !called.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The blocks in which the nonce was used up are replaced.
    ledger.lock().unwrap().nonce = 41;
    called.await.unwrap().unwrap();
    let nonces: Vec<_> = ledger.lock().unwrap().executed.iter().map(|(_, nonce)| *nonce).collect();
    assert_eq!(nonces, [41, 42]);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_not_made_twice() {
    let (node, ledger) = ledger(1).await;
    let outcome = call(&account(&node), 1).await.unwrap();
    assert_eq!(outcome.result, Ok(b"hi".to_vec()));
    assert_eq!(ledger.lock().unwrap().executed.len(), 1);
}
