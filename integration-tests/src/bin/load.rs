//! Sends many requests at once to one worker or several, and says how long it takes to settle them,
//! beside what the chain could carry in the same time, and how often a guest was executed for one.
//!
//! usage: `load [--requests N] [--workers W] [--fuel F] [--http MS] [--keys K] [--callers C]
//! [--in-process]`.
//! The node's rhythm is `LOCALNET_BLOCK_TIME`, such as `600ms`, as on mainnet. With `--fuel` each
//! guest uses all of so much fuel; without it, it returns at once. With `--http` each guest asks a
//! server on this machine that answers after so many milliseconds. With `--in-process` the workers
//! execute guests in their own process, to compare: no operator should.
//!
//! There are two bounds, and both are the node's. One is the gas that the requests really burned,
//! all receipts of request and answer together, divided by the gas of a block, times the time of a
//! block. The other is the same with compute units, which are what fills a block: a call of storage
//! counts for two to three times its gas in them.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use near_workspaces::{
    Account,
    types::{AccessKey, KeyType, NearToken, SecretKey},
};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_fetch::testing::{Answer, Server};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
};
use outlayer_protocol::{ExecutionRequest, HttpAccess, RequestId};
use outlayer_worker::Stage;
use tokio::task::JoinSet;

/// The longest run.
const PATIENCE: Duration = Duration::from_secs(900);
/// How many accounts are made at once.
const ACCOUNTS_AT_ONCE: usize = 20;

struct Options {
    requests: usize,
    workers: usize,
    /// What each guest uses; with 0 it returns at once.
    fuel: u64,
    /// How long the server takes that each guest asks, milliseconds; `None` asks none.
    http: Option<u64>,
    keys: usize,
    /// So many accounts ask, so that their transactions do not wait for each other's nonces, and
    /// the dApp's list of each one's answers stays short.
    callers: usize,
    in_process: bool,
}

/// What the worker told of its requests.
#[derive(Default)]
struct Told {
    /// When each request reached a stage for the last time, by the stage's name.
    stages: HashMap<&'static str, HashMap<RequestId, Instant>>,
    /// What the answers burned.
    answer_gas: u64,
    /// How often a guest was started.
    executions: u64,
    /// How many claims the contract took.
    claims: u64,
    transactions: HashMap<String, u64>,
    failed: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match load().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options {
        requests: 200,
        workers: 1,
        fuel: 0,
        http: None,
        keys: 4,
        callers: 0,
        in_process: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<usize> {
            let number = args.next().with_context(|| format!("{arg} needs a number"))?;
            number.parse().with_context(|| format!("{number} is no number"))
        };
        match arg.as_str() {
            "--requests" => options.requests = number()?.max(1),
            "--workers" => options.workers = number()?.max(1),
            "--fuel" => options.fuel = u64::try_from(number()?)?,
            "--http" => options.http = Some(u64::try_from(number()?)?),
            "--keys" => options.keys = number()?.max(1),
            "--callers" => options.callers = number()?,
            "--in-process" => options.in_process = true,
            other => bail!(
                "unknown argument {other}: expected --requests N, --workers W, --fuel F, \
                 --http MS, --keys K, --callers C or --in-process"
            ),
        }
    }
    if options.callers == 0 {
        options.callers = options.requests.div_ceil(20);
    }
    Ok(options)
}

async fn load() -> Result<()> {
    let options = options()?;
    let testbed = Arc::new(Testbed::start().await?);
    let callers = callers(&testbed, options.callers).await?;
    let server = match options.http {
        Some(millis) => Some(server(millis).await?),
        None => None,
    };
    let asked = match options.fuel {
        _ if server.is_some() => fetching(&testbed, server.as_ref()).await?,
        0 => request(testbed.publish_guest("echo").await?, ""),
        fuel => with_fuel(request(testbed.publish_guest("spin").await?, ""), fuel),
    };
    let cost = testbed.estimate(&asked).await?;
    let deposit = NearToken::from_yoctonear(cost.total.as_yoctonear());

    let told: Arc<Mutex<Told>> = Arc::default();
    let mut workers = vec![testbed.worker.clone()];
    while workers.len() < options.workers {
        workers.push(testbed.new_worker().await?);
    }
    let mut serving = Vec::new();
    for worker in &workers {
        let mut config = testbed.worker_config(worker)?;
        config.poll_interval = Duration::from_millis(500);
        config.fetch.allow_loopback = true;
        for key in more_keys(worker, options.keys - 1).await? {
            config.more_keys.push(key.parse().context("a worker's key")?);
        }
        let listener = Arc::clone(&told);
        config.observer = Some(Arc::new(move |stage: &Stage| listen(&listener, stage)));
        if options.in_process {
            config.engine = Arc::new(Executor::new(ExecutorConfig::default())?);
        }
        serving.push(testbed.serve_with(config)?);
    }

    let compute_before = compute_seconds(&testbed).await?;
    let first_block = testbed.node.view_block().await?;
    let began = Instant::now();
    let mut sending = JoinSet::new();
    for (number, caller) in callers.into_iter().enumerate() {
        let mine = (number..options.requests).step_by(options.callers).count();
        let (testbed, asked) = (Arc::clone(&testbed), asked.clone());
        sending.spawn(async move {
            let mut sent = Vec::new();
            for _ in 0..mine {
                sent.push(testbed.ask_with(&caller, &asked, deposit).await?);
            }
            anyhow::Ok(sent)
        });
    }
    let mut sent = Vec::new();
    while let Some(some) = sending.join_next().await {
        sent.extend(some??);
    }
    println!("sent {} in {:.1} s", options.requests, began.elapsed().as_secs_f64());

    let mut shown = 0;
    let (took, last_block) = loop {
        ensure!(began.elapsed() < PATIENCE, "not settled within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answered = reached(&told, "submitted");
        if answered / 200 > shown / 200 {
            println!("{answered} answered after {:.1} s", began.elapsed().as_secs_f64());
            shown = answered;
        }
        if answered < options.requests || !testbed.pending().await?.is_empty() {
            continue;
        }
        // Callers have their answers when the chain has no receipt left.
        let block = testbed.node.view_block().await?;
        if block.chunks().iter().all(|chunk| chunk.gas_used.as_gas() == 0) {
            break (began.elapsed().as_secs_f64(), block);
        }
    };

    // The gas of all requests, from the outcomes of some of them.
    let (mut asked_gas, mut looked) = (0u64, 0u64);
    let step = sent.len().div_ceil(50);
    for transaction in sent.into_iter().step_by(step) {
        let result = testbed.finished(transaction).await?;
        ensure!(result.is_success(), "a request failed: {result:?}");
        let outcomes = result.outcomes();
        asked_gas += outcomes.iter().map(|one| one.gas_burnt.as_gas()).sum::<u64>();
        looked += 1;
    }
    for one in serving {
        one.stop().await?;
    }
    let compute = compute_seconds(&testbed).await? - compute_before;
    let requests = u64::try_from(options.requests)?;
    let chunk_gas = tgas(chunk_gas(&testbed).await?);
    let used = used_gas(&testbed, first_block.height(), last_block.height()).await?;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let (ask, answer) = (tgas(asked_gas / looked), tgas(told.answer_gas / requests));
    let blocks = last_block.height() - first_block.height();
    let block_seconds = seconds(last_block.timestamp() - first_block.timestamp()) / to_f64(blocks);
    let bound = to_f64(requests) * (ask + answer) / chunk_gas * block_seconds;
    let rate = to_f64(requests) / took;
    let place = if options.in_process { "in the worker's process" } else { "in child processes" };
    println!(
        "settled {requests} in {took:.1} s, {rate:.1} a second, executed {place}; \
         {blocks} blocks of {block_seconds:.3} s, {} transactions with answers, {} keys",
        told.transactions.len(),
        options.keys
    );
    println!(
        "a request burns {ask:.2} Tgas and its answer {answer:.2}; a block has {chunk_gas:.0}, so \
         the chain carries {:.1} a second and needs {bound:.1} s: {:.0}% of the bound",
        to_f64(requests) / bound,
        100.0 * bound / took
    );
    // A second of compute time is 1,000 Tgas.
    let bound = compute * 1000.0 / chunk_gas * block_seconds;
    println!(
        "with their accounts' refunds they use {:.2} Tgas of compute each, which needs {bound:.1} \
         s: {:.0}% of the bound",
        compute * 1000.0 / to_f64(requests),
        100.0 * bound / took
    );
    println!(
        "{} workers, {} executions, {:.2} a request, {} claims",
        options.workers,
        told.executions,
        to_f64(told.executions) / to_f64(requests),
        told.claims
    );
    if let Some(server) = &server {
        println!(
            "at most {} exchanges at once; a request may cost {:.5} NEAR and needs {:.5} attached",
            server.most_at_once(),
            near(cost.max_fee),
            near(cost.total)
        );
    }
    println!("Tgas burned in each block: {used:?}");
    print_profile(&told, began);
    for reason in told.failed.iter().take(10) {
        println!("failed: {reason}");
    }
    Ok(())
}

/// A server that answers after so many milliseconds.
async fn server(millis: u64) -> Result<Server> {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nprice=5.25";
    let answer = Answer::After(Duration::from_millis(millis), text.into());
    Ok(Server::start(None, move |_| answer.clone()).await?)
}

/// A request for the guest that asks the server.
async fn fetching(testbed: &Testbed, server: Option<&Server>) -> Result<ExecutionRequest> {
    let server = server.context("there is no server")?;
    let access = HttpAccess { max_bytes: 256, ..HttpAccess::to(vec![server.host()]) };
    let asked = request(testbed.publish_guest("fetch").await?, server.url("/").as_str());
    Ok(ExecutionRequest { http: Some(access), ..asked })
}

fn near(amount: NearToken) -> f64 {
    amount.as_yoctonear() as f64 / 1e24
}

/// Accounts that ask.
async fn callers(testbed: &Arc<Testbed>, count: usize) -> Result<Vec<Account>> {
    let mut callers = Vec::new();
    while callers.len() < count {
        let mut making = JoinSet::new();
        for _ in 0..ACCOUNTS_AT_ONCE.min(count - callers.len()) {
            let testbed = Arc::clone(testbed);
            making.spawn(async move { testbed.node.dev_create_account().await });
        }
        while let Some(made) = making.join_next().await {
            callers.push(made??);
        }
    }
    Ok(callers)
}

/// Gives the worker's account more access keys.
async fn more_keys(worker: &Account, count: usize) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for number in 0..count {
        let key = SecretKey::from_seed(KeyType::ED25519, &format!("load key {number}"));
        let added = worker.batch(worker.id()).add_key(key.public_key(), AccessKey::full_access());
        added.transact().await?.into_result().context("adding a key")?;
        keys.push(key.to_string());
    }
    Ok(keys)
}

/// The gas that a block may burn.
async fn chunk_gas(testbed: &Testbed) -> Result<u64> {
    let block = testbed.node.view_block().await?;
    let chunk = block.chunks().first().context("a block without chunks")?.clone();
    Ok(chunk.gas_limit.as_gas())
}

/// The compute time of all chunks that the node has applied, seconds.
async fn compute_seconds(testbed: &Testbed) -> Result<f64> {
    let url = testbed.node.rpc_addr();
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let page = tokio::task::spawn_blocking(move || metrics(&address)).await??;
    let line = page.lines().find(|line| line.starts_with("near_chunk_compute_sum"));
    let line = line.context("the node tells no near_chunk_compute_sum")?;
    let (_, millis) = line.rsplit_once(' ').context("a metric without a value")?;
    Ok(millis.trim().parse::<f64>()? / 1000.0)
}

/// The node's page of metrics.
fn metrics(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// What was burned in each of these blocks, Tgas.
async fn used_gas(testbed: &Testbed, from: u64, to: u64) -> Result<Vec<u64>> {
    let mut used = Vec::new();
    for height in from + 1..=to {
        // A height may have no block.
        let Ok(block) = testbed.node.view_block().block_height(height).await else {
            continue;
        };
        let gas = block.chunks().first().map_or(0, |chunk| chunk.gas_used.as_gas());
        used.push(gas / 1_000_000_000_000);
    }
    Ok(used)
}

fn listen(told: &Mutex<Told>, stage: &Stage) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let (name, request_id) = match stage {
        Stage::Discovered { request_id } => ("discovered", request_id),
        Stage::Loaded { request_id } => ("loaded", request_id),
        Stage::Fetched { request_id, .. } => ("fetched", request_id),
        Stage::Claimed { request_id, .. } => {
            told.claims += 1;
            ("claimed", request_id)
        }
        Stage::Executing { request_id } => {
            told.executions += 1;
            ("executing", request_id)
        }
        Stage::Executed { request_id, .. } => ("executed", request_id),
        Stage::Submitting { request_id } => ("submitting", request_id),
        Stage::Submitted { request_id, transaction, gas_burnt } => {
            told.answer_gas += gas_burnt;
            *told.transactions.entry(transaction.to_string()).or_default() += 1;
            ("submitted", request_id)
        }
        Stage::Settled { request_id } => ("settled", request_id),
        Stage::Failed { request_id, reason } => {
            told.failed.push(format!("request {request_id}: {reason}"));
            return;
        }
        _ => return,
    };
    told.stages.entry(name).or_default().insert(*request_id, Instant::now());
}

fn reached(told: &Mutex<Told>, stage: &str) -> usize {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.stages.get(stage).map_or(0, HashMap::len)
}

/// Prints when the stages were reached, and how long requests waited between two of them.
fn print_profile(told: &Told, began: Instant) {
    const STAGES: [&str; 8] = [
        "discovered",
        "loaded",
        "fetched",
        "executing",
        "executed",
        "submitting",
        "submitted",
        "settled",
    ];
    let empty = HashMap::new();
    println!(
        "{:<12} {:>8} {:>8} {:>8}   seconds since the stage before",
        "stage", "n", "first", "last"
    );
    let mut before: Option<&HashMap<RequestId, Instant>> = None;
    for stage in STAGES {
        let times = told.stages.get(stage).unwrap_or(&empty);
        let since = |time: &Instant| time.saturating_duration_since(began).as_secs_f64();
        let first = times.values().min().map_or(0.0, since);
        let last = times.values().max().map_or(0.0, since);
        let mut waits: Vec<f64> = times
            .iter()
            .filter_map(|(id, time)| Some(time.saturating_duration_since(*before?.get(id)?)))
            .map(|wait| wait.as_secs_f64())
            .collect();
        waits.sort_by(f64::total_cmp);
        let at = |part: usize| waits.get(waits.len().saturating_sub(1) * part / 100).copied();
        let (half, most) = (at(50).unwrap_or(0.0), at(95).unwrap_or(0.0));
        println!(
            "{stage:<12} {:>8} {first:>8.1} {last:>8.1}   median {half:.3}, 95% {most:.3}",
            times.len()
        );
        before = Some(times);
    }
}

#[allow(clippy::cast_precision_loss)]
fn to_f64(number: u64) -> f64 {
    number as f64
}

fn tgas(gas: u64) -> f64 {
    to_f64(gas) / 1e12
}

fn seconds(nanos: u64) -> f64 {
    to_f64(nanos) / 1e9
}
