//! How fast the node is for one client of its RPC. BENCHMARKS.md has the command and the results.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use near_crypto::{InMemorySigner, KeyFile, Signer};
use near_primitives::{
    action::{Action, DeployContractAction, FunctionCallAction, TransferAction},
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{AccountId, Balance, Gas},
};
use outlayer_localnet::{Config, Handle, node::BlockProduction, spawn};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A counter: `increment` reads and writes one value of eight bytes.
const CONTRACT: &str = r#"(module
    (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "storage_read" (func $read (param i64 i64 i64) (result i64)))
    (import "env" "read_register" (func $register (param i64 i64)))
    (memory 1)
    (data (i32.const 0) "count")
    (func (export "increment")
        (if (i64.ne (call $read (i64.const 5) (i64.const 0) (i64.const 0)) (i64.const 0))
            (then (call $register (i64.const 0) (i64.const 8))))
        (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
        (drop (call $write
            (i64.const 5) (i64.const 0) (i64.const 8) (i64.const 8) (i64.const 0)))))"#;

/// The transfers in one iteration of a throughput bench.
const TRANSFERS: u64 = 1_000;
/// The calls in one iteration of a throughput bench.
const CALLS: u64 = 300;

/// A node and its only client.
struct Bench {
    handle: Handle,
    runtime: Runtime,
    client: Client,
    signer: Signer,
    nonce: u64,
}

impl Bench {
    fn new() -> Self {
        let handle = spawn(Config {
            production: BlockProduction::Instant { heartbeat: None },
            contract_cache: None,
            ..Config::default()
        })
        .unwrap();
        let file = KeyFile::from_file(&handle.home().join("validator_key.json")).unwrap();
        Self {
            signer: InMemorySigner::from_secret_key(file.account_id, file.secret_key),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: Client::new(),
            handle,
            nonce: 0,
        }
    }

    fn head(&self) -> CryptoHash {
        *self.handle.node().chain().head().hash()
    }

    fn sign(&mut self, receiver_id: &AccountId, action: Action) -> SignedTransaction {
        self.nonce += 1;
        SignedTransaction::from_actions(
            self.nonce,
            self.signer.get_account_id(),
            receiver_id.clone(),
            &self.signer,
            vec![action],
            self.head(),
        )
    }

    /// Sends a transaction and waits until it has reached the level `until`.
    async fn send(&self, until: &str, tx: &SignedTransaction) -> Value {
        let encoded = near_primitives::serialize::to_base64(&borsh::to_vec(tx).unwrap());
        let params = json!({"signed_tx_base64": encoded, "wait_until": until});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "send_tx", "params": params});
        let request = self.client.post(self.handle.rpc_url()).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer
    }

    /// Signs and sends `count` transactions, one after the other, and waits until the last is
    /// final.
    fn burst(&mut self, count: u64, receiver_id: &AccountId, action: &Action) {
        for number in 1..=count {
            let tx = self.sign(receiver_id, action.clone());
            let until = if number < count { "NONE" } else { "FINAL" };
            self.runtime.block_on(self.send(until, &tx));
        }
    }
}

fn transfer() -> Action {
    Action::Transfer(TransferAction { deposit: Balance::from_yoctonear(1) })
}

fn increment() -> Action {
    Action::FunctionCall(Box::new(FunctionCallAction {
        method_name: "increment".to_owned(),
        args: Vec::new(),
        gas: Gas::from_teragas(10),
        deposit: Balance::ZERO,
    }))
}

fn latency_and_throughput(
    criterion: &mut Criterion,
    name: &str,
    count: u64,
    receiver_id: &AccountId,
    action: &Action,
    bench: &mut Bench,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(50);
    group.bench_function("until final", |bencher| {
        bencher.iter(|| bench.burst(1, receiver_id, action));
    });
    group.sample_size(10);
    group.throughput(Throughput::Elements(count));
    group.bench_function(format!("{count} in a row until final"), |bencher| {
        bencher.iter(|| bench.burst(count, receiver_id, action));
    });
    group.finish();
}

fn transfers(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let to = "near".parse().unwrap();
    latency_and_throughput(criterion, "transfer", TRANSFERS, &to, &transfer(), &mut bench);
}

fn calls(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let contract = bench.signer.get_account_id();
    let code = wat::parse_str(CONTRACT).unwrap();
    let deploy = Action::DeployContract(DeployContractAction { code });
    bench.burst(1, &contract, &deploy);
    latency_and_throughput(criterion, "call", CALLS, &contract, &increment(), &mut bench);
}

fn skipping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("blocks");
    group.sample_size(10);
    let manual = || {
        spawn(Config {
            production: BlockProduction::Manual,
            contract_cache: None,
            ..Config::default()
        })
        .unwrap()
    };
    group.bench_function("10000 heights skipped", |bencher| {
        bencher.iter_batched(
            manual,
            |handle| black_box(handle.fast_forward(10_000).unwrap()),
            BatchSize::PerIteration,
        );
    });
    let handle = manual();
    group.bench_function("an empty one", |bencher| {
        bencher.iter(|| handle.produce_block().unwrap());
    });
    group.finish();
}

fn starting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start");
    group.sample_size(20);
    let runtime = Runtime::new().unwrap();
    group.bench_function("spawn until /status answers", |bencher| {
        bencher.iter(|| {
            let handle = spawn(Config { contract_cache: None, ..Config::default() }).unwrap();
            let url = format!("{}/status", handle.rpc_url());
            let status = runtime.block_on(async { reqwest::get(url).await.unwrap().status() });
            assert!(status.is_success());
            handle
        });
    });
    group.finish();
}

criterion_group!(benches, starting, skipping, transfers, calls);
criterion_main!(benches);
