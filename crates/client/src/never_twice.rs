//! A call is never executed twice, whatever becomes of the transactions that carry it: lost on the
//! way, executed without an answer, waiting in a pool until its nonce is used up or its key is
//! deleted, unknown to a node that lags, or refused by one.

use std::{
    collections::{HashMap, HashSet},
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
    CallOutcome, SecretKey, SendError, SigningAccount,
    testing::{
        Answer, CONTRACT, FakeNode, executed, header, header_at, invalid_nonce,
        invalid_transaction, unknown_access_key, unknown_transaction,
    },
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
    deleted: HashSet<String>,
    /// What was taken and is not executed yet.
    pool: Vec<Sent>,
    executed: Vec<Sent>,
    /// How often a transaction that was executed was not known.
    lagged: HashMap<CryptoHash, u32>,
}

impl Chain {
    fn new(seed: u64) -> Self {
        let (nonces, deleted, lagged) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { random: seed, nonces, deleted, pool: Vec::new(), executed: Vec::new(), lagged }
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

    /// Executes a transaction, unless its nonce is used up or its key gone.
    fn execute(&mut self, sent: Sent) {
        if self.deleted.contains(&sent.key) {
            return;
        }
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
                let key = params["public_key"].as_str().unwrap();
                if self.deleted.contains(key) {
                    return unknown_access_key(key, 100);
                }
                let nonce = *self.nonce(key);
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
        let fate = self.below(12);
        if fate == 0 {
            return Answer::Http(502, Vec::new());
        }
        if fate == 1 {
            // Another process signs with the same key.
            *self.nonce(&key) += 1;
        }
        if self.deleted.len() < KEYS - 1 && self.below(25) == 0 {
            self.deleted.insert(key.clone());
        }
        let lags = match fate {
            5 => Some(expired()),
            6 => Some(too_large(nonce)),
            7 => Some(congested()),
            8 => Some(no_key(&key)),
            _ if self.deleted.contains(&key) => Some(no_key(&key)),
            _ => None,
        };
        if let Some(refused) = lags {
            return refused;
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

fn expired() -> Answer {
    invalid_transaction(&json!("Expired"))
}

fn too_large(nonce: u64) -> Answer {
    invalid_transaction(&json!({ "NonceTooLarge": { "tx_nonce": nonce, "upper_bound": nonce } }))
}

fn congested() -> Answer {
    invalid_transaction(&json!({ "ShardCongested": { "shard_id": 0, "congestion_level": 0.9 } }))
}

fn no_key(public_key: &str) -> Answer {
    let found = json!({ "account_id": "worker.near", "public_key": public_key });
    invalid_transaction(&json!({ "InvalidAccessKeyError": { "AccessKeyNotFound": found } }))
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

/// A node that loses the answer to the first transaction, refuses it `times` in the way that
/// `refused` says, and executes it when it comes again after that. What else it is sent, it
/// executes at once.
struct Refusing {
    sent: Vec<SignedTransaction>,
    refused: fn(&SignedTransaction) -> Answer,
    times: usize,
    /// The height of the newest final block, and of the first one without the key that signed
    /// first.
    height: u64,
    deleted_at: u64,
    /// The nonce of each key in final blocks.
    nonce: u64,
}

impl Refusing {
    async fn start(self) -> (FakeNode, Arc<Mutex<Self>>) {
        let shared = Arc::new(Mutex::new(self));
        let answering = Arc::clone(&shared);
        let answer =
            move |method: &str, params: &Value| answering.lock().unwrap().answer(method, params);
        (FakeNode::start(answer).await, shared)
    }

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        match method {
            "block" => {
                let header = header_at(self.height);
                Answer::Result(json!({ "author": "v.near", "header": header, "chunks": [] }))
            }
            "query" => {
                let key = params["public_key"].as_str().unwrap();
                let first = self.sent.first().map(|sent| sent.transaction.public_key().to_string());
                if self.height >= self.deleted_at && first.is_some_and(|first| first == key) {
                    return unknown_access_key(key, self.height);
                }
                Answer::Result(json!({
                    "nonce": self.nonce, "permission": "FullAccess", "block_height": self.height,
                    "block_hash": "11111111111111111111111111111111"
                }))
            }
            "send_tx" => {
                let encoded: Bytes =
                    serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
                let signed: SignedTransaction = borsh::from_slice(&encoded).unwrap();
                let is_first =
                    self.sent.first().is_none_or(|first| first.get_hash() == signed.get_hash());
                self.sent.push(signed.clone());
                match self.sent.len() {
                    1 => Answer::Http(502, Vec::new()),
                    count if is_first && count <= self.times.saturating_add(1) => {
                        (self.refused)(&signed)
                    }
                    _ => executed(&signed.get_hash(), Ok(b"hi")),
                }
            }
            "tx" => Answer::Error(unknown_transaction(
                &params["tx_hash"].as_str().unwrap().parse().unwrap(),
            )),
            other => panic!("unexpected {other}"),
        }
    }

    /// How many different transactions came.
    fn signed(&self) -> usize {
        self.sent.iter().map(SignedTransaction::get_hash).collect::<HashSet<_>>().len()
    }
}

fn refused_by_key(signed: &SignedTransaction) -> Answer {
    no_key(&signed.transaction.public_key().to_string())
}

const REFUSING: Refusing = Refusing {
    sent: Vec::new(),
    refused: refused_by_key,
    times: 3,
    height: 100,
    deleted_at: u64::MAX,
    nonce: 40,
};

async fn call_with(node: &FakeNode, keys: usize) -> Result<CallOutcome, SendError> {
    let keys = (0..keys).map(|key| SecretKey::from_seed(KeyType::ED25519, &key.to_string()));
    let account = SigningAccount::with_keys(node.node(), "worker.near".parse().unwrap(), keys);
    let (contract, nothing) = (CONTRACT.parse().unwrap(), NearToken::from_yoctonear(0));
    account.patient().call(&contract, methods::CLOSE, Vec::new(), 1_000, nothing).await
}

#[tokio::test]
async fn a_node_that_lags_and_refuses_what_was_sent_does_not_make_it_void() {
    let refusals: [fn(&SignedTransaction) -> Answer; 4] = [
        |_| expired(),
        |signed| too_large(signed.transaction.nonce().nonce()),
        |_| congested(),
        refused_by_key,
    ];
    for refused in refusals {
        let (node, refusing) = Refusing { refused, ..REFUSING }.start().await;
        call_with(&node, 2).await.unwrap();
        let refusing = refusing.lock().unwrap();
        assert_eq!((refusing.signed(), refusing.sent.len()), (1, 5));
    }
}

#[tokio::test]
async fn what_was_sent_is_void_when_final_blocks_are_too_late_for_it() {
    let refusing = Refusing { refused: |_| expired(), times: usize::MAX, ..REFUSING };
    let (node, refusing) = refusing.start().await;
    let called = tokio::spawn(async move { call_with(&node, 1).await });
    while refusing.lock().unwrap().sent.is_empty() {
        tokio::task::yield_now().await;
    }
    let valid_until = 100 + 86_400;
    for height in [valid_until, valid_until + 1] {
        let so_far = refusing.lock().unwrap().sent.len();
        refusing.lock().unwrap().height = height;
        while refusing.lock().unwrap().sent.len() < so_far + 2 && !called.is_finished() {
            tokio::task::yield_now().await;
        }
        let is_valid = height == valid_until;
        assert_eq!(refusing.lock().unwrap().signed() == 1, is_valid, "{height}");
    }
    called.await.unwrap().unwrap();
    assert_eq!(refusing.lock().unwrap().signed(), 2);
}

#[tokio::test]
async fn a_call_whose_key_is_deleted_is_signed_with_another_or_fails() {
    for keys in [2, 1] {
        let gone = Refusing { times: usize::MAX, deleted_at: 101, ..REFUSING };
        let (node, refusing) = gone.start().await;
        let called = tokio::spawn(async move { call_with(&node, keys).await });
        while refusing.lock().unwrap().sent.len() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(refusing.lock().unwrap().signed(), 1, "the final block has the key");
        refusing.lock().unwrap().height = 101;
        let called = called.await.unwrap();
        match keys {
            1 => assert!(matches!(called, Err(SendError::NoAccessKey { .. })), "{called:?}"),
            _ => assert_eq!(called.unwrap().result, Ok(b"hi".to_vec())),
        }
        assert_eq!(refusing.lock().unwrap().signed(), keys);
    }
}

#[tokio::test]
async fn a_final_block_from_before_a_key_was_added_does_not_say_that_it_is_gone() {
    let refusing = Refusing { times: 4, ..REFUSING };
    let (node, refusing) = refusing.start().await;
    let called = tokio::spawn(async move { call_with(&node, 2).await });
    while refusing.lock().unwrap().sent.is_empty() {
        tokio::task::yield_now().await;
    }
    {
        // The key's nonce was read after block 100.
        let mut lagging = refusing.lock().unwrap();
        (lagging.height, lagging.deleted_at) = (99, 0);
    }
    called.await.unwrap().unwrap();
    assert_eq!(refusing.lock().unwrap().signed(), 1);
}
