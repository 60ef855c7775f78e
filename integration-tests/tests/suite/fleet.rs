//! Several workers that share the requests: hardly any is executed twice, and when one of them dies
//! the others serve what it has begun.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use near_workspaces::Account;
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    testbed::Serving,
};
use outlayer_protocol::Outcome;
use outlayer_worker::Stage;

/// A request that takes so long that workers claim it. Its guest uses all of its fuel.
const LONG: u64 = 1_500_000_000;
/// One that is not claimed.
const LIGHT: u64 = 500_000_000;

/// What the workers told, by their numbers.
type Told = Arc<Mutex<Vec<(usize, Stage)>>>;

fn all(told: &Told) -> MutexGuard<'_, Vec<(usize, Stage)>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Fleet {
    testbed: Testbed,
    accounts: Vec<Account>,
    serving: Vec<Option<Serving>>,
    told: Told,
}

impl Fleet {
    /// So many workers, which all serve.
    async fn start(workers: usize, block_time: Duration) -> Result<Self> {
        let testbed = Testbed::start_with_timer().await?;
        let mut accounts = vec![testbed.worker.clone()];
        while accounts.len() < workers {
            accounts.push(testbed.new_worker().await?);
        }
        testbed.set_block_time(block_time);
        testbed.wait_for_workers();
        let told = Told::default();
        let mut fleet = Self { testbed, accounts, serving: Vec::new(), told };
        for number in 0..workers {
            fleet.serving.push(None);
            fleet.serve(number, block_time)?;
        }
        Ok(fleet)
    }

    fn serve(&mut self, number: usize, block_time: Duration) -> Result<()> {
        let mut config = self.testbed.worker_config(&self.accounts[number])?;
        config.poll_interval = block_time / 2;
        config.concurrency = 1;
        let told = Arc::clone(&self.told);
        config.observer = Some(Arc::new(move |stage: &Stage| {
            all(&told).push((number, stage.clone()));
        }));
        self.serving[number] = Some(self.testbed.serve_with(config)?);
        Ok(())
    }

    /// How often a guest was started.
    fn executions(&self) -> usize {
        let told = all(&self.told);
        told.iter().filter(|(_, stage)| matches!(stage, Stage::Executing { .. })).count()
    }

    /// Waits until a worker has told what `wanted` asks for, and gives its number.
    async fn wait_for(&self, wanted: impl Fn(&Stage) -> bool) -> Result<usize> {
        let begun = Instant::now();
        loop {
            let found = all(&self.told).iter().find(|(_, one)| wanted(one)).cloned();
            if let Some((number, _)) = found {
                return Ok(number);
            }
            ensure!(begun.elapsed() < crate::common::PATIENCE, "no worker got so far");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) -> Result<()> {
        for serving in self.serving.into_iter().flatten() {
            serving.stop().await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_workers_under_load_execute_hardly_anything_twice() -> Result<()> {
    const EACH: usize = 15;
    let fleet = Fleet::start(5, Duration::from_millis(600)).await?;
    let testbed = &fleet.testbed;
    let spin = testbed.publish_guest("spin").await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked = Vec::new();
    for _ in 0..EACH {
        asked.push(testbed.ask(&caller, &with_fuel(request(spin, ""), LONG)).await?);
        asked.push(testbed.ask(&caller, &request(echo, "light")).await?);
    }
    for transaction in asked {
        let settled = testbed.settlement(transaction).await?;
        let answered = [Outcome::OutOfFuel, Outcome::Completed { output: "light".into() }];
        ensure!(answered.contains(&settled.outcome), "{settled:?}");
    }
    let executions = fleet.executions();
    ensure!(executions * 10 < 2 * EACH * 11, "{executions} executions of {} requests", 2 * EACH);
    // Whoever answers has claimed, and nobody has missed a claim.
    for account in &fleet.accounts {
        let missed = testbed.worker_view(account.id()).await?.missed;
        ensure!(missed == 0, "{} has missed {missed} claims", account.id());
    }
    fleet.stop().await
}

/// Whether a stage is the one at which its worker dies.
type Moment = fn(&Stage) -> bool;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_leaves_behind_that_dies_at_any_moment_another_one_answers() -> Result<()> {
    const BLOCK_TIME: Duration = Duration::from_millis(200);
    let moments: [(Moment, u64); 5] = [
        (|stage| matches!(stage, Stage::Discovered { .. }), LONG),
        (|stage| matches!(stage, Stage::Claimed { .. }), LONG),
        (|stage| matches!(stage, Stage::Executing { .. }), LONG),
        (|stage| matches!(stage, Stage::Executed { .. }), LONG),
        (|stage| matches!(stage, Stage::Executing { .. }), LIGHT),
    ];
    let mut fleet = Fleet::start(3, BLOCK_TIME).await?;
    let spin = fleet.testbed.publish_guest("spin").await?;
    let caller = fleet.testbed.node.dev_create_account().await?;
    for (number, (moment, fuel)) in moments.into_iter().enumerate() {
        all(&fleet.told).clear();
        let asked = with_fuel(request(spin, ""), fuel);
        let transaction = fleet.testbed.ask(&caller, &asked).await?;
        let victim = fleet.wait_for(moment).await?;
        // Dropped, it ends at once, whatever it is doing.
        drop(fleet.serving[victim].take());
        let settled = fleet.testbed.settlement(transaction).await?;
        ensure!(settled.outcome == Outcome::OutOfFuel, "moment {number}: {settled:?}");
        fleet.serve(victim, BLOCK_TIME).context("the worker starts again")?;
    }
    fleet.stop().await
}
