//! Runs one seed after the other, and holds each against the rules.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, operations::TransactionStatus, types::NearToken};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_localnet::{Config, Handle};
use outlayer_protocol::{Hash32, Outcome, events::Event, views::FundsView};
use outlayer_worker::WorkerConfig;

use super::{
    plan::{Draws, Plan},
    proxy::Proxy,
    record::Record,
};
use crate::{
    Testbed,
    guests::request,
    node,
    testbed::{events, settlement},
};

/// The longest time that a run may take.
const PATIENCE: Duration = Duration::from_secs(150);

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
        let (handle, node) = node::start_within(Config::default()).await?;
        let testbed = Testbed::on(node).await?;
        let guest = testbed.publish_guest("echo").await?;
        let caller = testbed.node.dev_create_account().await?;
        let engine = Arc::new(Executor::new(ExecutorConfig::default())?);
        Ok(Self { handle, testbed, caller, guest, engine, report: Report::default() })
    }

    /// What has happened so far.
    pub fn report(&self) -> &Report {
        &self.report
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
        let before = Before::of(&self.testbed).await?;
        let told = self.answers().await?;
        let asked = self.ask(plan.seed, count).await?;
        let record = Arc::new(Record::default());
        let mut proxies = Vec::new();
        for endpoint in plan.endpoints {
            let node = Arc::clone(self.handle.node());
            proxies.push(Proxy::start(node, endpoint, Arc::clone(&record)).await?);
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
        let (mut fees, mut ids) = (0, Vec::new());
        for (input, transaction) in asked {
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
        let executed = record.executed_once_each(&self.handle, 1 + plan.restarts)?;

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

    async fn ask(&self, seed: u64, count: usize) -> Result<Vec<(String, TransactionStatus)>> {
        let deposit = self.testbed.estimate(&request(self.guest, "")).await?.total;
        // An input of a hundred bytes costs a little more than none; the rest comes back.
        let deposit = NearToken::from_yoctonear(deposit.as_yoctonear() * 2);
        let mut asked = Vec::new();
        for number in 0..count {
            let input = format!("seed {seed}, request {number}");
            let request = request(self.guest, input.as_str());
            asked.push((input, self.testbed.ask_with(&self.caller, &request, deposit).await?));
        }
        self.testbed.wait_for_pending(count).await?;
        Ok(asked)
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
