//! A call is never executed twice, whatever becomes of the transactions that carry it: lost on the
//! way, executed without an answer, waiting in a pool until its nonce is used up, or unknown to a
//! node that lags.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use near_crypto::KeyType;
use near_primitives::{
    action::Action,
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction},
};
use outlayer_protocol::{Bytes, NearToken, methods};
use serde_json::{Value, json};

use crate::{
    SecretKey, SigningAccount,
    testing::{Answer, CONTRACT, FakeNode, executed, header, invalid_nonce},
};

const KEYS: usize = 3;
const CALLS: u64 = 12;

/// A transaction, as the chain sees it.
#[derive(Clone)]
struct Sent {
    hash: CryptoHash,
    key: String,
    nonce: u64,
    /// What is called.
    call: u64,
}

/// A chain behind a node that has bad days.
struct Chain {
    random: u64,
    nonces: HashMap<String, u64>,
    /// What was taken and is not executed yet.
    pool: Vec<Sent>,
    executed: Vec<Sent>,
    /// How often a transaction that was executed was not known.
    lagged: HashMap<CryptoHash, u32>,
}

impl Chain {
    fn new(seed: u64) -> Self {
        let (nonces, lagged) = (HashMap::new(), HashMap::new());
        Self { random: seed, nonces, pool: Vec::new(), executed: Vec::new(), lagged }
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn nonce(&mut self, key: &str) -> &mut u64 {
        self.nonces.entry(key.to_owned()).or_insert(40)
    }

    /// Executes a transaction, unless its nonce is used up.
    fn execute(&mut self, sent: Sent) {
        let nonce = self.nonce(&sent.key);
        if sent.nonce > *nonce {
            *nonce = sent.nonce;
            self.executed.push(sent);
        }
    }

    fn execute_some(&mut self) {
        while !self.pool.is_empty() && self.below(2) == 0 {
            let index = self.below(self.pool.len().try_into().unwrap()).try_into().unwrap();
            let sent = self.pool.swap_remove(index);
            self.execute(sent);
        }
    }

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        self.execute_some();
        if method != "send_tx" && self.below(10) == 0 {
            return Answer::Http(502, Vec::new());
        }
        match method {
            "block" => {
                Answer::Result(json!({ "author": "v.near", "header": header(), "chunks": [] }))
            }
            "query" => {
                let nonce = *self.nonce(params["public_key"].as_str().unwrap());
                Answer::Result(json!({
                    "nonce": nonce, "permission": "FullAccess", "block_height": 100,
                    "block_hash": "11111111111111111111111111111111"
                }))
            }
            "send_tx" => self.send(params),
            "tx" => {
                let hash: CryptoHash = params["tx_hash"].as_str().unwrap().parse().unwrap();
                let known = self.executed.iter().any(|sent| sent.hash == hash);
                let knows = self.below(3) > 0;
                let lagged = self.lagged.entry(hash).or_default();
                if known && (knows || *lagged >= 2) {
                    return executed(&hash, Ok(b"hi"));
                }
                *lagged += u32::from(known);
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
        let hash = signed.get_hash();
        let Transaction::V0(transaction) = signed.transaction else {
            panic!("expected a V0 transaction")
        };
        let [Action::FunctionCall(action)] = transaction.actions.as_slice() else {
            panic!("expected one call")
        };
        let call = borsh::from_slice(&action.args).unwrap();
        let (key, nonce) = (transaction.public_key.to_string(), transaction.nonce);
        let sent = Sent { hash, key: key.clone(), nonce, call };
        let fate = self.below(8);
        if fate == 0 {
            return Answer::Http(502, Vec::new());
        }
        if fate == 1 {
            // Another process signs with the same key.
            *self.nonce(&key) += 1;
        }
        let used = *self.nonce(&key);
        if nonce <= used {
            return invalid_nonce(nonce, used);
        }
        match fate {
            2 => {
                self.execute(sent);
                Answer::Http(502, Vec::new())
            }
            3 => {
                self.pool.push(sent);
                Answer::Http(502, Vec::new())
            }
            4 => {
                self.pool.push(sent);
                Answer::Error(json!({
                    "name": "HANDLER_ERROR", "code": -32000, "message": "Server error",
                    "cause": { "name": "TIMEOUT_ERROR", "info": {} }
                }))
            }
            _ => {
                self.execute(sent);
                executed(&hash, Ok(b"hi"))
            }
        }
    }

    fn times_executed(&self, call: u64) -> usize {
        self.executed.iter().filter(|sent| sent.call == call).count()
    }
}

async fn run(seed: u64) {
    let chain = Arc::new(Mutex::new(Chain::new(seed)));
    let shared = Arc::clone(&chain);
    let node =
        FakeNode::start(move |method, params| shared.lock().unwrap().answer(method, params)).await;
    let keys = (0..KEYS).map(|key| SecretKey::from_seed(KeyType::ED25519, &key.to_string()));
    let account = SigningAccount::with_keys(node.node(), "worker.near".parse().unwrap(), keys);
    let account = account.patient();
    let calls = (0..CALLS).map(|call| {
        let account = account.clone();
        tokio::spawn(async move {
            let (contract, args) = (CONTRACT.parse().unwrap(), borsh::to_vec(&call).unwrap());
            let nothing = NearToken::from_yoctonear(0);
            account.call(&contract, methods::CLOSE, args, 1_000, nothing).await.map(|_| call)
        })
    });
    let mut known = Vec::new();
    for done in calls.collect::<Vec<_>>() {
        known.push(done.await.unwrap());
    }
    let mut chain = chain.lock().unwrap();
    // What still waits in the pool is executed in the end.
    for sent in std::mem::take(&mut chain.pool) {
        chain.execute(sent);
    }
    for call in 0..CALLS {
        assert!(chain.times_executed(call) <= 1, "seed {seed}: call {call} was executed twice");
    }
    for call in known.into_iter().flatten() {
        assert_eq!(chain.times_executed(call), 1, "seed {seed}: call {call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_never_executed_twice_whatever_becomes_of_its_transactions() {
    for seed in 0..24 {
        run(seed).await;
    }
}
