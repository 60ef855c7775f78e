//! Runs one seed after the other, and holds each against the rules.
//!
//! Most of a run is waiting: for an answer that does not come, for a block, until a fault has
//! passed. So [`run_all`] has several chains at once, each with runs of its own.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, operations::TransactionStatus, types::NearToken};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_localnet::Handle;
use outlayer_protocol::{Hash32, Outcome, events::Event, views::FundsView};
use outlayer_worker::WorkerConfig;
use tokio::task::JoinSet;

use super::{
    plan::{Cut, Draws, EndpointPlan, Plan},
    proxy::Proxy,
    record::Record,
};
use crate::{
    Testbed,
    guests::request,
    testbed::{events, settlement},
};

/// The longest time that a run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What happened in the runs.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many seeds were run.
    pub runs: u64,
    /// How many requests were made.
    pub requests: u64,
    /// How the requests ended, by the name of the outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How many exchanges the worker had with its endpoints.
    pub exchanges: u64,
    /// How many of these went wrong.
    pub faults: u64,
    /// How many transactions the worker signed.
    pub signed: u64,
    /// How many of these were executed.
    pub executed: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, requests, outcomes, exchanges, faults, signed, executed } = self;
        write!(
            f,
            "{runs} seeds, {requests} requests: {outcomes:?}; {exchanges} exchanges, of which \
             {faults} went wrong; {signed} transactions signed, {executed} executed"
        )
    }
}

impl Report {
    /// Adds what happened in other runs.
    fn add(&mut self, other: &Self) {
        let Self { runs, requests, outcomes, exchanges, faults, signed, executed } = other;
        self.runs += runs;
        self.requests += requests;
        for (name, count) in outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        self.exchanges += exchanges;
        self.faults += faults;
        self.signed += signed;
        self.executed += executed;
    }
}

/// Runs the seeds, each with `count` requests, on as many chains as `chains` says. After each seed
/// `finished` is told which one it was and how long it took.
///
/// # Errors
/// When a chain does not start, or a rule is broken. The message names the seed, and the runs on
/// the other chains are broken off.
pub async fn run_all(
    seeds: Range<u64>,
    count: usize,
    chains: usize,
    finished: impl Fn(u64, Duration) + Clone + Send + 'static,
) -> Result<Report> {
    let next = Arc::new(AtomicU64::new(seeds.start));
    let mut running = JoinSet::new();
    for _ in 0..chains.max(1) {
        let (next, finished) = (Arc::clone(&next), finished.clone());
        running.spawn(async move {
            let mut chaos = Chaos::start().await?;
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return anyhow::Ok(chaos.report);
                }
                let began = Instant::now();
                chaos.run(seed, count).await?;
                finished(seed, began.elapsed());
            }
        });
    }
    let mut report = Report::default();
    while let Some(ended) = running.join_next().await {
        report.add(&ended??);
    }
    Ok(report)
}

/// Kills the worker's daemon at its first exchange with the node, and at every `stride`-th one
/// after it, until it has settled all `count` requests before. Each point has two runs: the node
/// has executed the call, or has not. Returns how many points there were, too.
///
/// # Errors
/// As [`run_all`].
pub async fn kill_at_each(stride: u64, count: usize, chains: usize) -> Result<(u64, Report)> {
    let (next, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
    let mut running = JoinSet::new();
    for _ in 0..chains.max(1) {
        let (next, last) = (Arc::clone(&next), Arc::clone(&last));
        running.spawn(async move {
            let (mut chaos, mut points) = (Chaos::start().await?, 0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let cut = Cut { at: 1 + number / 2 * stride, executed: number % 2 == 1 };
                if cut.at >= last.load(Ordering::Relaxed) {
                    return anyhow::Ok((points, chaos.report));
                }
                if chaos.run_killed(cut, count).await? {
                    points += 1;
                } else {
                    last.fetch_min(cut.at, Ordering::Relaxed);
                }
            }
        });
    }
    let (mut points, mut report) = (0, Report::default());
    while let Some(ended) = running.join_next().await {
        let (some, its) = ended??;
        points += some;
        report.add(&its);
    }
    Ok((points, report))
}

/// A chain with OutLayer on it, on which seeds are run.
pub struct Chaos {
    handle: Handle,
    testbed: Testbed,
    caller: Account,
    guest: Hash32,
    engine: Arc<Executor>,
    report: Report,
}

impl Chaos {
    /// Starts a chain.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        let (handle, testbed) = Testbed::start_with_faults().await?;
        let guest = testbed.publish_guest("echo").await?;
        let caller = testbed.node.dev_create_account().await?;
        let engine = Arc::new(Executor::new(ExecutorConfig::default())?);
        Ok(Self { handle, testbed, caller, guest, engine, report: Report::default() })
    }

    /// Makes `count` requests, and lets a worker serve them under the plan of `seed`.
    ///
    /// # Errors
    /// When a rule is broken. The message names the seed.
    pub async fn run(&mut self, seed: u64, count: usize) -> Result<()> {
        let plan = Plan::of(seed);
        let shown = format!("{plan:?}");
        self.run_plan(plan, count).await.with_context(|| format!("seed {seed}: {shown}"))
    }

    async fn run_plan(&mut self, plan: Plan, count: usize) -> Result<()> {
        let input = format!("seed {}", plan.seed);
        let asked = self.ask(&input, count).await?;
        let mut proxies = Vec::new();
        for endpoint in plan.endpoints {
            proxies.push(self.proxy(endpoint, &asked).await?);
        }
        for fault in plan.transactions {
            self.handle.next_transaction(fault);
        }
        let config = self.config(&proxies, plan.quorum)?;
        let mut serving = self.testbed.serve_with(config.clone())?;
        let began = Instant::now();
        let (mut reorgs, mut restarts) = (plan.reorgs, plan.restarts);
        let mut draws = Draws::new(plan.seed);
        while !self.testbed.pending().await?.is_empty() {
            ensure!(began.elapsed() < PATIENCE, "requests are live after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(40)).await;
            if reorgs > 0 && self.handle.reorg(1 + usize::try_from(reorgs % 2)?).is_ok() {
                reorgs -= 1;
            }
            if restarts > 0 && draws.percent(20) {
                drop(serving);
                serving = self.testbed.serve_with(config.clone())?;
                restarts -= 1;
            }
        }
        serving.stop().await?;
        // What the run has not used up must not meet the next one.
        while self.handle.faults_to_come() > 0 {
            self.testbed.node.dev_create_account().await.ok();
        }
        self.check(asked, 1 + plan.restarts, plan.reorgs > 0, &proxies).await
    }

    /// Makes `count` requests, lets the daemon serve them in a process of its own, kills it at
    /// `cut`, and starts another one. Returns whether the point came before all was settled.
    ///
    /// # Errors
    /// When a rule is broken. The message names the point.
    pub async fn run_killed(&mut self, cut: Cut, count: usize) -> Result<bool> {
        self.run_cut(cut, count).await.with_context(|| format!("killed at {cut:?}"))
    }

    async fn run_cut(&mut self, cut: Cut, count: usize) -> Result<bool> {
        let input = format!("exchange {}, {}", cut.at, cut.executed);
        let asked = self.ask(&input, count).await?;
        let folder = tempfile::tempdir()?;
        let state = folder.path().to_string_lossy().into_owned();
        let args = ["--state-dir", state.as_str(), "--shutdown-grace", "0"];
        let proxies = [
            self.proxy(EndpointPlan::sound(Some(cut)), &asked).await?,
            self.proxy(EndpointPlan::sound(None), &asked).await?,
        ];
        let mut lives = 0;
        for proxy in &proxies {
            let mut daemon = self.testbed.daemon::<&str>(&proxy.url, &[], &args)?;
            lives += 1;
            let began = Instant::now();
            while !proxy.is_cut() && !self.testbed.pending().await?.is_empty() {
                daemon.check()?;
                ensure!(
                    began.elapsed() < PATIENCE,
                    "requests are live after {PATIENCE:?}\n{}",
                    daemon.log()
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            daemon.kill()?;
            if !proxy.is_cut() {
                break;
            }
        }
        self.check(asked, lives, false, &proxies).await?;
        Ok(lives > 1)
    }

    async fn proxy(&self, plan: EndpointPlan, asked: &Requests) -> Result<Proxy> {
        Proxy::start(Arc::clone(self.handle.node()), plan, Arc::clone(&asked.record)).await
    }

    /// Holds what became of the requests against the rules, after so many lives of a worker.
    async fn check(
        &mut self,
        asked: Requests,
        lives: usize,
        forked: bool,
        proxies: &[Proxy],
    ) -> Result<()> {
        let Requests { sent, before, told, record } = asked;
        let count = sent.len();
        let (mut fees, mut ids) = (0, Vec::new());
        for (input, transaction) in sent {
            let result = self.testbed.finished(transaction).await?;
            let ended = events(&result).into_iter().filter(is_end).count();
            ensure!(ended == 1, "{input} ended {ended} times, expected once");
            let settled = settlement(result)?;
            let expected = Outcome::Completed { output: input.as_str().into() };
            let outcome = settled.outcome.name();
            ensure!(settled.outcome == expected, "{input} ended as {outcome}");
            *self.report.outcomes.entry(outcome).or_default() += 1;
            fees += settled.fee.as_yoctonear();
            ids.extend(settled.request_id);
        }
        ids.sort_unstable();
        ids.dedup();
        ensure!(ids.len() == count, "{} ids for {count} requests", ids.len());
        let told = self.answers().await? - told;
        ensure!(told == count, "the callers were told {told} times, expected {count}");
        before.only_fees_moved(&self.testbed, fees).await?;
        let executed = record.executed_once_each(&self.handle, lives, forked)?;

        let report = &mut self.report;
        report.runs += 1;
        report.requests += u64::try_from(count)?;
        report.signed += u64::try_from(record.signed())?;
        report.executed += u64::try_from(executed)?;
        for proxy in proxies {
            let (exchanges, faults) = proxy.counts();
            report.exchanges += exchanges;
            report.faults += faults;
        }
        Ok(())
    }

    /// A worker that reaches the node through the proxies, with waits that suit a test.
    fn config(&self, proxies: &[Proxy], quorum: usize) -> Result<WorkerConfig> {
        let millis = Duration::from_millis;
        let mut config = self.testbed.worker_config(&self.testbed.worker)?;
        config.engine = Arc::clone(&self.engine) as _;
        config.poll_interval = millis(50);
        config.backoff.first = millis(50);
        config.backoff.most = millis(500);
        config.node.endpoints = proxies.iter().map(|proxy| proxy.url.clone().into()).collect();
        config.node.quorum = quorum;
        config.node.timeout = millis(2_000);
        config.node.failover_timeout = millis(1_000);
        config.node.backoff.first = millis(20);
        config.node.backoff.most = millis(200);
        Ok(config)
    }

    /// Makes `count` requests whose inputs begin with `name`.
    async fn ask(&self, name: &str, count: usize) -> Result<Requests> {
        let before = Before::of(&self.testbed).await?;
        let told = self.answers().await?;
        let deposit = self.testbed.estimate(&request(self.guest, "")).await?.total;
        // An input of a hundred bytes costs a little more than none; the rest comes back.
        let deposit = NearToken::from_yoctonear(deposit.as_yoctonear() * 2);
        let mut sent = Vec::new();
        for number in 0..count {
            let input = format!("{name}, request {number}");
            let mut request = request(self.guest, input.as_str());
            // Otherwise what is left would stay with the dApp, and after a hundred runs on one
            // chain the caller could attach no more.
            request.refund_to = Some(self.caller.id().clone());
            sent.push((input, self.testbed.ask_with(&self.caller, &request, deposit).await?));
        }
        self.testbed.wait_for_pending(count).await?;
        Ok(Requests { sent, before, told, record: Arc::default() })
    }

    /// How many times the caller was told of a settlement.
    async fn answers(&self) -> Result<usize> {
        let args = serde_json::json!({ "asker": self.caller.id() });
        let answers: Vec<String> =
            self.testbed.dapp.view("answers").args_json(args).await?.json()?;
        Ok(answers.len())
    }
}

fn is_end(event: &Event) -> bool {
    matches!(
        event,
        Event::ExecutionCompleted(_)
            | Event::ExecutionTimedOut(_)
            | Event::ExecutionCancelled(_)
            | Event::ExecutionDisputed(_)
    )
}

/// The requests of one run.
struct Requests {
    /// Their inputs and transactions.
    sent: Vec<(String, TransactionStatus)>,
    before: Before,
    /// How many times the caller had been told of a settlement before.
    told: usize,
    /// What workers sign for them.
    record: Arc<Record>,
}

/// What the contract held before a run.
struct Before {
    funds: FundsView,
    balance: u128,
}

impl Before {
    async fn of(testbed: &Testbed) -> Result<Self> {
        let balance = testbed.balance(testbed.contract.id()).await?;
        Ok(Self { funds: testbed.funds().await?, balance })
    }

    /// Checks that the contract has gained the fees of the run, and nothing else.
    async fn only_fees_moved(self, testbed: &Testbed, fees: u128) -> Result<()> {
        let Self { funds, balance } = Self::of(testbed).await?;
        let taken =
            |funds: &FundsView| funds.earnings.as_yoctonear() + funds.protocol.as_yoctonear();
        let expected = (self.funds.deposits, self.funds.claimable, taken(&self.funds) + fees);
        let found = (funds.deposits, funds.claimable, taken(&funds));
        ensure!(
            found == expected,
            "deposits, refunds, fees: found {found:?}, expected {expected:?}"
        );
        let gained = balance - self.balance;
        ensure!(gained == fees, "the contract has gained {gained} yocto, expected {fees}");
        Ok(())
    }
}
