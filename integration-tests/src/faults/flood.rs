//! More requests at once than a worker can serve, and what becomes of them.
//!
//! All requests are live before the worker's daemon starts. Then it settles what it can, and the
//! others time out. Half of the requests have the same payer.

use std::{
    fmt, fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, operations::TransactionStatus, types::NearToken};
use outlayer_localnet::{Config, node::BlockProduction};
use outlayer_protocol::{Outcome, index::PendingPage, methods};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Testbed,
    guests::{request, with_fuel},
    node::{self, SETUP_BLOCK_TIME},
    pace::Pace,
    testbed::settlement,
};

/// The longest time until all requests are over.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// The shortest time between two blocks while the requests are made, and how much of it each
/// request needs. None may time out before all are live, on a busy machine either.
const ASKING_BLOCK_TIME: Duration = Duration::from_millis(500);
const ASKING_TIME: Duration = Duration::from_micros(150);

/// How many requests there are, and how fast the chain is.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// How many requests are made.
    pub requests: usize,
    /// How many accounts pay for them. The first pays for half of the requests.
    pub payers: usize,
    /// How many accounts send them, at the same time. They are the payers, and others.
    pub senders: usize,
    /// What each guest uses; with 0 it returns at once.
    pub fuel: u64,
    /// The time between two blocks once the worker serves. A request lives for 200 of them. It is
    /// longer on a slow machine, so that a process executes no fewer than [`LEAST`] guests
    /// meanwhile.
    pub block_time: Duration,
}

/// How many guests a process executes while a request lives, at the least.
pub const LEAST: u32 = 30;

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct FloodReport {
    /// How many were live when the worker started.
    pub live: usize,
    /// How many were answered.
    pub settled: usize,
    /// How many timed out, each with a full refund.
    pub timed_out: usize,
    /// How many guests were executed.
    pub executed: usize,
    /// Of each payer: how many requests it paid for, and how many of them were answered.
    pub payers: Vec<(usize, usize)>,
    /// The most memory of the daemon's own process, KiB.
    pub daemon_kib: u64,
    /// The most memory of all its children together, KiB: what each had at most, added up.
    pub children_kib: u64,
    /// How long the worker had, from its start until no request was live.
    pub served_for: Duration,
}

impl fmt::Display for FloodReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live, settled, timed_out, executed, payers, .. } = self;
        let of_small = payers.iter().skip(1).map(|(_, settled)| *settled);
        write!(
            f,
            "{live} live at once: {settled} settled in {:.1} s, {timed_out} timed out; {executed} \
             executions; the greedy payer had {:?} settled, each other one {:?} to {:?}; at most \
             {} MiB in the daemon, {} MiB in its children",
            self.served_for.as_secs_f64(),
            payers.first().map(|(_, settled)| settled),
            of_small.clone().min(),
            of_small.max(),
            self.daemon_kib >> 10,
            self.children_kib >> 10
        )
    }
}

struct Sent {
    payer: usize,
    transaction: TransactionStatus,
}

/// Makes the requests, starts a worker's daemon when all are live, and waits until none is.
///
/// # Errors
/// When a request ends neither answered nor timed out with a full refund, or the contract keeps
/// money that is not its own.
pub async fn flood(plan: Flood) -> Result<FloodReport> {
    let config = Config { production: BlockProduction::Manual, ..Config::default() };
    let (handle, node) = node::start_within(config).await?;
    let pace = Pace::start(Arc::clone(handle.node()), SETUP_BLOCK_TIME);
    let testbed = Arc::new(Testbed::on(node).await?);
    let before = testbed.funds().await?;
    let requests = u32::try_from(plan.requests).unwrap_or(u32::MAX);
    let asking = ASKING_TIME.saturating_mul(requests).max(ASKING_BLOCK_TIME);
    let accounts = accounts(&testbed, plan).await?;
    pace.set(asking);
    let (sent, deposit) = ask(&testbed, plan, accounts).await?;
    let began = Instant::now();
    let live = loop {
        let live = testbed.pending().await?.len();
        if live == plan.requests || began.elapsed() > asking * 20 {
            break live;
        }
        tokio::time::sleep(asking).await;
    };
    pace.set(plan.block_time.max(execution_time(&testbed).await? * LEAST / 200));

    let state = tempfile::tempdir()?;
    let folder = state.path().to_string_lossy().into_owned();
    let url = testbed.node.rpc_addr();
    let mut daemon = testbed.daemon::<&str>(&url, &[], &["--state-dir", &folder])?;
    let mut report = FloodReport { live, ..FloodReport::default() };
    let began = Instant::now();
    loop {
        daemon.check()?;
        report.daemon_kib = report.daemon_kib.max(peak_kib(daemon.pid()));
        let children = children(daemon.pid()).into_iter().map(peak_kib).sum();
        report.children_kib = report.children_kib.max(children);
        if !is_any_live(&testbed).await? {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "requests are live after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    report.served_for = began.elapsed();
    let is_execution = |line: &&str| line.contains("serve::attempt") && line.contains("digest");
    report.executed = daemon.log().lines().filter(is_execution).count();
    daemon.kill()?;

    report.payers = vec![(0, 0); plan.payers];
    for Sent { payer, transaction } in sent {
        let settled = settlement(testbed.finished(transaction).await?)?;
        let counts = report.payers.get_mut(payer).context("a payer")?;
        counts.0 += 1;
        if settled.outcome == Outcome::TimedOut {
            ensure!(
                settled.fee.as_yoctonear() == 0 && settled.refund == deposit,
                "a request timed out with {settled:?}, expected a refund of {deposit:?}"
            );
            report.timed_out += 1;
        } else {
            let is_answer =
                matches!(settled.outcome, Outcome::Completed { .. } | Outcome::OutOfFuel);
            ensure!(is_answer, "a request ended as {:?}", settled.outcome);
            report.settled += 1;
            counts.1 += 1;
        }
    }
    let after = testbed.funds().await?;
    ensure!(
        (after.deposits, after.claimable) == (before.deposits, before.claimable),
        "deposits and refunds: {:?}, expected {:?}",
        (after.deposits, after.claimable),
        (before.deposits, before.claimable)
    );
    Ok(report)
}

/// Makes the senders' accounts. The same account pays for all of them, so they are made one after
/// the other: its transactions must come in the order of their nonces.
async fn accounts(testbed: &Testbed, plan: Flood) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for _ in 0..plan.senders.max(plan.payers * 2) {
        accounts.push(testbed.node.dev_create_account().await?);
    }
    Ok(accounts)
}

/// Sends the requests. Returns them, and what each has attached.
async fn ask(
    testbed: &Arc<Testbed>,
    plan: Flood,
    accounts: Vec<Account>,
) -> Result<(Vec<Sent>, NearToken)> {
    let mut asked = match plan.fuel {
        0 => request(testbed.publish_guest("echo").await?, ""),
        fuel => with_fuel(request(testbed.publish_guest("spin").await?, ""), fuel),
    };
    let senders = accounts.len();
    asked.refund_to = accounts.first().map(|account| account.id().clone());
    let deposit = testbed.estimate(&asked).await?.total;
    let attached = NearToken::from_yoctonear(deposit.as_yoctonear());
    let ids: Vec<_> = accounts.iter().map(|account| account.id().clone()).collect();
    let mut sending = JoinSet::new();
    for (number, account) in accounts.into_iter().enumerate() {
        let mine = (number..plan.requests).step_by(senders).count();
        // Half of the senders send for the first payer.
        let payer = if number < senders / 2 { 0 } else { 1 + number % (plan.payers.max(2) - 1) };
        let (testbed, mut asked) = (Arc::clone(testbed), asked.clone());
        asked.refund_to = ids.get(payer).cloned();
        sending.spawn(async move {
            let mut sent = Vec::new();
            for _ in 0..mine {
                let transaction = testbed.ask_with(&account, &asked, attached).await?;
                sent.push(Sent { payer, transaction });
            }
            anyhow::Ok(sent)
        });
    }
    let mut sent = Vec::new();
    while let Some(some) = sending.join_next().await {
        sent.extend(some??);
    }
    Ok((sent, deposit))
}

/// How long this machine takes for one of the requests, once its code is compiled.
async fn execution_time(testbed: &Testbed) -> Result<Duration> {
    let request_id = testbed.pending().await?.first().context("a live request")?.request_id;
    testbed.execute(request_id).await?;
    let began = Instant::now();
    testbed.execute(request_id).await?;
    Ok(began.elapsed())
}

/// Whether any request is live. A page may be empty though later ones are not.
async fn is_any_live(testbed: &Testbed) -> Result<bool> {
    let mut from_id = Some(0);
    while let Some(id) = from_id {
        let view = testbed.contract.view(methods::LIST_PENDING);
        let page = view.args_json(json!({ "from_id": id, "limit": 1_000 })).await?;
        let PendingPage { entries, next_id } = page.json()?;
        if !entries.is_empty() {
            return Ok(true);
        }
        from_id = next_id;
    }
    Ok(false)
}

/// The most memory that a process has had so far, KiB; 0 when it has ended.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

/// The other processes of the group that `leader` leads.
fn children(leader: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name in parentheses: state, parent, group.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let group = after_name.split_whitespace().nth(2).and_then(|group| group.parse().ok());
        *pid != leader && group == Some(leader)
    })
    .collect()
}
