//! A worker on a chain of its own, from discovery to settlement.

mod agreement;
mod claims;
mod fleet;
pub(super) mod hostile;
pub(super) mod kills;
mod replicas;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use near_crypto::{KeyType, SecretKey};
use outlayer_client::testing::{Answer, CONTRACT, Chain, FakeNode, WORKER};
use outlayer_executor::{ENGINE_VERSION, Executor, ExecutorConfig, NEAR_CONFIG_VERSION};
use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot};
use outlayer_protocol::{Config, Hash32, NearToken, Outcome, RequestId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A configuration whose requests this build can execute.
pub(super) fn config_of_this_build() -> Config {
    Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION)
}

/// Writes "hi" to its standard output.
const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\02\00\00\00")
    (data (i32.const 16) "hi")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

fn hello() -> Vec<u8> {
    wat::parse_str(HELLO).unwrap()
}

pub(super) fn config(node: &FakeNode) -> WorkerConfig {
    let id = |text: &str| text.parse().unwrap();
    let key = SecretKey::from_seed(KeyType::ED25519, "worker");
    let engine = Arc::new(Executor::new(ExecutorConfig::default()).unwrap());
    let mut config = WorkerConfig::new(&node.url, id(CONTRACT), id(WORKER), key, engine);
    config.node = node.config();
    config.poll_interval = Duration::from_millis(10);
    config.backoff.first = Duration::from_millis(10);
    config.shutdown_grace = Duration::from_millis(50);
    config.ahead_bytes_per_hour = 0;
    config
}

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a worker until `enough` says so. Returns what it told its observer.
async fn run_until(
    mut config: WorkerConfig,
    chain: &Arc<Mutex<Chain>>,
    mut enough: impl FnMut(&mut Chain, &[Stage]) -> bool,
) -> Vec<Stage> {
    let told: Arc<Mutex<Vec<Stage>>> = Arc::default();
    config.observer = Some(observer(&told, chain));
    let worker = Worker::new(config).unwrap();
    let stop = async {
        while !enough(&mut chain.lock().unwrap(), &told.lock().unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, worker.run(stop)).await.is_err() {
        let told = told.lock().unwrap();
        let last = told.get(told.len().saturating_sub(20)..).unwrap_or_default();
        let live: Vec<_> = chain.lock().unwrap().live.keys().copied().collect();
        panic!("not enough happened: {live:?} are live, and at last {last:#?}");
    }
    std::mem::take(&mut *told.lock().unwrap())
}

/// Notes what a worker tells, and has no time pass on the chain while it executes.
fn observer(told: &Arc<Mutex<Vec<Stage>>>, chain: &Arc<Mutex<Chain>>) -> Observer {
    // Those of a worker that was stopped are over.
    chain.lock().unwrap().executing.clear();
    let (told, chain) = (Arc::clone(told), Arc::clone(chain));
    Arc::new(move |stage| {
        told.lock().unwrap().push(stage.clone());
        match stage {
            Stage::Executing { request_id } => {
                chain.lock().unwrap().executing.insert(*request_id);
            }
            Stage::Executed { request_id, .. }
            | Stage::Failed { request_id, .. }
            | Stage::TooLate { request_id }
            | Stage::Left { request_id } => {
                chain.lock().unwrap().executing.remove(request_id);
            }
            _ => {}
        }
    })
}

fn settled(chain: &Chain) -> Vec<(RequestId, Outcome)> {
    let mut settled: Vec<_> =
        chain.settled.iter().map(|one| (one.request_id.unwrap(), one.outcome.clone())).collect();
    settled.sort_by_key(|(id, _)| *id);
    settled
}

/// Of how many settlements the worker has heard. The chain has them earlier.
fn heard_of(told: &[Stage]) -> usize {
    told.iter().filter(|stage| matches!(stage, Stage::Settled { .. })).count()
}

fn said_hi() -> Outcome {
    Outcome::Completed { output: "hi".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_requests_at_once_are_each_executed_submitted_and_settled_once() {
    let mut state = Chain::new(config_of_this_build());
    (0..20).for_each(|id| state.ask(id, &hello()));
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |_, told| heard_of(told) == 20).await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), (0..20).map(|id| (id, said_hi())).collect::<Vec<_>>());
    assert_eq!(chain.refused, [""; 0]);
    let submitted = told.iter().filter(|stage| matches!(stage, Stage::Submitted { .. })).count();
    assert_eq!(submitted, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_before_submission_leaves_nothing_behind_that_the_next_one_lacks() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    let (node, chain) = state.start().await;
    // Without a bound on its grace, it would be waited for beyond the patience of this test.
    let slow = WorkerConfig { submit_delay: 10 * PATIENCE, ..config(&node) };
    let executed =
        |told: &[Stage]| told.iter().any(|stage| matches!(stage, Stage::Executed { .. }));
    run_until(slow, &chain, |_, told| executed(told)).await;
    assert_eq!(settled(&chain.lock().unwrap()), []);
    run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    assert_eq!(settled(&chain.lock().unwrap()), [(7, said_hi())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_with_another_hash_never_runs_and_holds_up_nobody() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.ask(8, b"what was asked for");
    let hash = Hash32::of(b"what was asked for").to_string();
    state.codes.insert(hash, hello());
    let (node, chain) = state.start().await;
    let failed = |told: &[Stage]| {
        told.iter().any(|stage| matches!(stage, Stage::Failed { request_id: 8, .. }))
    };
    let told =
        run_until(config(&node), &chain, |chain, told| chain.settled.len() == 1 && failed(told))
            .await;
    assert_eq!(settled(&chain.lock().unwrap()), [(7, said_hi())]);
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Executed { request_id: 8, .. })));
    assert!(
        told.iter().any(
            |stage| matches!(stage, Stage::Failed { reason, .. } if reason.contains("SHA-256"))
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_somebody_else_gave_first_is_no_failure() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.before_resolve = Some(|chain| {
        chain.live.remove(&7);
    });
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, _| !chain.refused.is_empty()).await;
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_request_that_the_node_made_up_is_refused_and_reported() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.shown = Some(|view| {
        view.input = "another input".into();
        view.request.input_hash = Hash32::of(&view.input);
    });
    let (node, chain) = state.start().await;
    let mut worker = config(&node);
    worker.backoff.first = Duration::from_secs(60);
    worker.backoff.most = Duration::from_secs(60);
    let failed = |told: &[Stage]| told.iter().any(|stage| matches!(stage, Stage::Failed { .. }));
    let told = run_until(worker, &chain, |_, told| failed(told)).await;
    let reason = told.iter().find_map(|stage| match stage {
        Stage::Failed { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    let reason = reason.unwrap();
    assert!(reason.contains("[digest_differs]"), "{reason}");
    let executed = told.iter().find_map(|stage| match stage {
        Stage::Executed { digest, .. } => Some(digest.to_string()),
        _ => None,
    });
    assert!(reason.contains(&executed.unwrap()), "{reason}");
    assert_eq!(settled(&chain.lock().unwrap()), []);

    // Another node tells the truth, and the same worker answers.
    chain.lock().unwrap().shown = None;
    run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    assert_eq!(settled(&chain.lock().unwrap()), [(7, said_hi())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_does_not_delay_a_shutdown() {
    for hanging in ["list_workers", "pending_index", "view_account", "get_requests"] {
        let mut state = Chain::new(config_of_this_build());
        state.ask(7, &hello());
        let chain = Mutex::new(state);
        let hangs: Arc<std::sync::atomic::AtomicBool> = Arc::default();
        let hung = Arc::clone(&hangs);
        let node = FakeNode::start(move |method, params| {
            if params["method_name"] == hanging || params["request_type"] == hanging {
                hung.store(true, Ordering::Relaxed);
                return Answer::Hang;
            }
            chain.lock().unwrap().answer(method, params)
        })
        .await;
        let mut config = config(&node);
        config.node.timeout = 10 * PATIENCE;
        let worker = Worker::new(config).unwrap();
        let told = tokio::sync::Notify::new();
        let stopping = async {
            while !hangs.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Long enough for the worker to wait for the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
            told.notify_one();
        };
        let running = worker.run(told.notified());
        let both = async { tokio::join!(stopping, running) };
        let ended = tokio::time::timeout(PATIENCE, both).await;
        assert!(ended.is_ok(), "{hanging} delays the shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_looked_at_while_a_question_about_the_account_hangs() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.time_passes = true;
    let chain = Mutex::new(state);
    let (hangs, looks) = (AtomicUsize::new(0), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&looks);
    let node = FakeNode::start(move |method, params| {
        if params["request_type"] == "view_account" {
            hangs.fetch_add(1, Ordering::SeqCst);
            return Answer::Hang;
        }
        if params["method_name"] == "pending_index" && hangs.load(Ordering::SeqCst) > 0 {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        chain.lock().unwrap().answer(method, params)
    })
    .await;
    let mut config = config(&node);
    config.node.timeout = 10 * PATIENCE;
    let worker = Worker::new(config).unwrap();
    let looked = async {
        while looks.load(Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, worker.run(looked)).await;
    assert!(ended.is_ok(), "{} looks while the question hangs", looks.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_what_one_look_reads_are_found_too() {
    use super::stage::discover::{look, source::BlockTime, window::Window};
    let mut state = Chain::new(config_of_this_build());
    (0..12).for_each(|id| state.ask(id, &hello()));
    let (node, chain) = state.start().await;
    let services = services::Services::new(config(&node)).unwrap();
    let (mut times, mut window) = (BlockTime::default(), Window::of(5));
    let mut ids = Vec::new();
    for _ in 0..3 {
        let block = services.contract.node().block(outlayer_client::At::Optimistic).await.unwrap();
        let look = look(&services, block, &mut times, &mut window).await.unwrap();
        ids.push(look.live().len());
        let gone = look.shows(99);
        assert_eq!(gone, stage::discover::Liveness::Unknown, "the index was not read to its end");
    }
    assert_eq!(ids, [5, 10, 12]);
    chain.lock().unwrap().live.retain(|id, _| *id < 3);
    let block = services.contract.node().block(outlayer_client::At::Optimistic).await.unwrap();
    let look = look(&services, block, &mut times, &mut window).await.unwrap();
    assert_eq!(look.live().len(), 3);
    assert_eq!(look.shows(5), stage::discover::Liveness::Gone);
}

/// Reads the key "k" and writes its value to its standard output.
const READ: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "outlayer" "storage_read" (func $read (param i32 i32 i32 i32) (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00")
    (data (i32.const 16) "k")
    (func (export "_start")
        (i32.store (i32.const 4) (i32.wrap_i64
            (call $read (i32.const 16) (i32.const 1) (i32.const 64) (i32.const 64))))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changed_before_the_submission_is_read_again() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &wat::parse_str(READ).unwrap());
    state.storage.insert(b"k".to_vec(), b"old".to_vec());
    state.before_resolve = Some(|chain| {
        chain.storage.insert(b"k".to_vec(), b"new".to_vec());
    });
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(7, Outcome::Completed { output: "new".into() })]);
    assert_eq!(chain.refused.len(), 1, "{:?}", chain.refused);
    assert!(
        told.iter().any(|stage| matches!(stage, Stage::Again { request_id: 7, .. })),
        "{told:?}"
    );
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_readers_comes_again_without_another_execution() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.waits = 3;
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    let chain = chain.lock().unwrap();
    assert_eq!((settled(&chain), chain.waits), (vec![(7, said_hi())], 0));
    let executed = told.iter().filter(|stage| matches!(stage, Stage::Executed { .. })).count();
    assert_eq!(executed, 1, "{told:?}");
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
}

/// An engine whose process ends when it meets another guest than [`hello`], at first, and until it
/// has executed that one so often.
struct Fragile {
    executor: Executor,
    hellos: usize,
    crashes: AtomicUsize,
    executed: AtomicUsize,
}

impl Engine for Fragile {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        if job.code.bytes() == hello() {
            let execution = self.executor.execute(job, snapshot);
            self.executed.fetch_add(1, Ordering::SeqCst);
            return execution;
        }
        if self.crashes.load(Ordering::SeqCst) < 2
            || self.executed.load(Ordering::SeqCst) < self.hellos
        {
            self.crashes.fetch_add(1, Ordering::SeqCst);
            return Err(Fault::Process("it was ended by signal 6 (SIGABRT)".to_owned()));
        }
        self.executor.execute(job, snapshot)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_ends_its_process_is_set_aside_and_the_others_go_on() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &wat::parse_str(READ).unwrap());
    for request_id in 8..12 {
        state.ask(request_id, &hello());
    }
    let (node, chain) = state.start().await;
    let folder = tempfile::tempdir().unwrap();
    let executor = Executor::new(ExecutorConfig::default()).unwrap();
    let mut config = config(&node);
    let (crashes, executed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // The others are served while this guest is set aside again and again.
    config.engine = Arc::new(Fragile { executor, hellos: 4, crashes, executed });
    config.state_dir = Some(folder.path().to_owned());
    config.process_backoff.first = Duration::from_millis(300);
    let began = Instant::now();
    let told = run_until(config, &chain, |_, told| heard_of(told) == 5).await;
    let took = began.elapsed();
    assert_eq!(chain.lock().unwrap().settled.len(), 5);
    let failed: Vec<_> = told
        .iter()
        .filter_map(|stage| match stage {
            Stage::Failed { request_id, reason } => Some((*request_id, reason.clone())),
            _ => None,
        })
        .collect();
    // Set aside at least twice: for 300 and for 600 milliseconds.
    assert!(failed.len() >= 2 && took >= Duration::from_millis(900), "{took:?} {failed:?}");
    assert!(failed.iter().all(|(id, reason)| *id == 7 && reason.contains("SIGABRT")), "{failed:?}");
    let notes = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(notes.path()).unwrap(), "[]", "it is over");
}

/// A web server whose answers never end: a byte now and then. Returns a URL, and how many answers
/// it has begun.
async fn dripping() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/module.wasm", listener.local_addr().unwrap());
    let begun: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&begun);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while written.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    written = stream.write_all(b"x").await;
                }
            });
        }
    });
    (url, begun)
}

/// Code of the contract, and one more URL, that are asked for when a dripping URL has each place.
const PUBLISHED: RequestId = 100;
const BY_URL: RequestId = 101;

/// Serves them until so many requests are settled. Returns which, in that order. A URL that drips
/// is given up after `slow_start`.
async fn beside_dripping_urls(slow_start: Duration, enough: usize) -> Vec<RequestId> {
    let (url, begun) = dripping().await;
    let good = web_server(hello()).await;
    let mut state = Chain::new(config_of_this_build());
    let places = Places::default().downloads;
    for id in 0..u64::try_from(places).unwrap() {
        state.ask(id, &id.to_le_bytes());
        state.live.get_mut(&id).unwrap().request.code.url = Some(format!("{url}?{id}"));
    }
    state.storage.insert(b"k".to_vec(), b"hi".to_vec());
    let (node, chain) = state.start().await;
    let mut config = config(&node);
    config.code.allow_private_urls = true;
    config.code.slow_start = slow_start;
    config.code.timeout = 10 * PATIENCE;
    let mut is_asked = false;
    run_until(config, &chain, |chain, _| {
        if !is_asked && begun.load(Ordering::Relaxed) >= places {
            is_asked = true;
            chain.ask(PUBLISHED, &wat::parse_str(READ).unwrap());
            chain.ask(BY_URL, &hello());
            chain.live.get_mut(&BY_URL).unwrap().request.code.url = Some(good.clone());
            chain.height += 1;
        }
        chain.settled.len() == enough
    })
    .await;
    let chain = chain.lock().unwrap();
    assert!(settled(&chain).iter().all(|(_, outcome)| *outcome == said_hi()));
    chain.settled.iter().filter_map(|one| one.request_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_dripping_urls_as_there_are_places_hold_up_no_code_of_the_contract() {
    // They are not given up, and so the other URL has no place.
    assert_eq!(beside_dripping_urls(10 * PATIENCE, 1).await, [PUBLISHED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_dripping_urls_as_there_are_places_hold_up_other_urls_for_a_while_only() {
    let mut served = beside_dripping_urls(Duration::from_secs(2), 2).await;
    served.sort_unstable();
    assert_eq!(served, [PUBLISHED, BY_URL]);
}

/// Counts the executions that may use no fuel, which only compile.
struct CompilesAhead(Arc<Executor>, Arc<AtomicUsize>);

impl Engine for CompilesAhead {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let execution = self.0.execute(job, snapshot);
        if job.limits.compute.amount() == 0 {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        execution
    }
}

/// One of the two is no WebAssembly, and the worker goes on.
#[tokio::test]
async fn published_code_is_compiled_before_anybody_asks_for_it() {
    let mut state = Chain::new(config_of_this_build());
    let code = hello();
    for published in [code.clone(), b"nothing".to_vec()] {
        state.codes.insert(Hash32::of(&published).to_string(), published);
    }
    let (node, chain) = state.start().await;
    let mut config = config(&node);
    let executor = Arc::new(Executor::new(ExecutorConfig::default()).unwrap());
    let compiled = Arc::<AtomicUsize>::default();
    config.engine = Arc::new(CompilesAhead(Arc::clone(&executor), Arc::clone(&compiled)));
    config.ahead_bytes_per_hour = 128 << 20;
    let so_far = Arc::clone(&compiled);
    run_until(config, &chain, move |chain, told| {
        let is_compiled = so_far.load(Ordering::SeqCst) >= 2;
        if is_compiled && chain.live.is_empty() && chain.settled.is_empty() {
            assert_eq!(executor.cache_counts().compiled, 1);
            chain.ask(1, &code);
            chain.height += 1;
        }
        assert!(executor.cache_counts().compiled <= 1);
        heard_of(told) > 0
    })
    .await;
    assert_eq!(settled(&chain.lock().unwrap()), [(1, said_hi())]);
    assert_eq!(compiled.load(Ordering::SeqCst), 2, "each piece of code once");
}

/// A web server that answers everything with `body`. Returns a URL.
async fn web_server(body: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/module.wasm", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lags_does_not_have_an_answer_signed_again() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    // The settlement takes so long that the record is looked at, and a node shows it as it was
    // before the answer.
    state.looks = 40;
    state.stale = state.live.clone();
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(7, said_hi())]);
    assert_eq!(chain.signed.len(), 1, "{:?}", chain.calls);
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_pay_for_an_answer_executes_nothing_until_it_can() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.balance = NearToken::from_millinear(299);
    let (node, chain) = state.start().await;
    let began = Instant::now();
    let told = run_until(config(&node), &chain, |_, _| began.elapsed().as_millis() > 500).await;
    assert_eq!(told, []);
    chain.lock().unwrap().balance = NearToken::from_millinear(300);
    run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    assert_eq!(settled(&chain.lock().unwrap()), [(7, said_hi())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_no_longer_be_answered_is_not_executed() {
    let mut state = Chain::new(config_of_this_build());
    state.ask(7, &hello());
    state.height = 299;
    let (node, chain) = state.start().await;
    let late = |told: &[Stage]| told.contains(&Stage::TooLate { request_id: 7 });
    let told = run_until(config(&node), &chain, |_, told| late(told)).await;
    assert_eq!(told, [Stage::TooLate { request_id: 7 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_ready_together_share_calls_and_records_share_views() {
    const REQUESTS: u64 = 60;
    let mut state = Chain::new(config_of_this_build());
    (0..REQUESTS).for_each(|id| state.ask(id, &hello()));
    let (node, chain) = state.start().await;
    let all = usize::try_from(REQUESTS).unwrap();
    let told = run_until(config(&node), &chain, |chain, _| chain.settled.len() == all).await;
    let transactions: std::collections::HashSet<_> = told
        .iter()
        .filter_map(|stage| match stage {
            Stage::Submitted { transaction, .. } => Some(*transaction),
            _ => None,
        })
        .collect();
    // Every call takes the chain's lock, and what becomes ready meanwhile comes together.
    assert!(transactions.len() < all, "{}", transactions.len());
    assert_eq!(chain.lock().unwrap().refused, [""; 0]);
}
