//! Sends many small requests at once to one worker, and says how long it takes to settle them.
//!
//! usage: `load [--requests N] [--in-process]`. The node's rhythm is `LOCALNET_BLOCK_TIME`, such as
//! `600ms`, as on mainnet. With `--in-process` the worker executes guests in its own process, to
//! compare: no operator should.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use near_workspaces::types::NearToken;
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_integration_tests::{Testbed, guests::request};

/// So many accounts ask, so that their transactions do not wait for each other's nonces.
const CALLERS: usize = 10;
/// The longest run.
const PATIENCE: Duration = Duration::from_secs(600);

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

async fn load() -> Result<()> {
    let (mut requests, mut in_process) = (200, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--requests" => {
                let number = args.next().context("--requests needs a number")?;
                requests = number.parse().with_context(|| format!("{number} is no number"))?;
            }
            "--in-process" => in_process = true,
            other => bail!("unknown argument {other}: expected --requests N or --in-process"),
        }
    }
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(testbed.node.dev_create_account().await?);
    }
    let asked = request(echo, "");
    let deposit = testbed.estimate(&asked).await?.total;
    let deposit = NearToken::from_yoctonear(deposit.as_yoctonear());
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.poll_interval = Duration::from_millis(500);
    if in_process {
        config.engine = Arc::new(Executor::new(ExecutorConfig::default())?);
    }

    let began = Instant::now();
    for number in 0..requests {
        // What became of it is read from the dApp.
        let _ = testbed.ask_with(&callers[number % CALLERS], &asked, deposit).await?;
    }
    let sent = began.elapsed();
    println!("sent {requests} in {:.1} s", sent.as_secs_f64());
    let serving = testbed.serve_with(config)?;
    let mut seen = 0;
    while seen < requests || !testbed.pending().await?.is_empty() {
        ensure!(began.elapsed() < PATIENCE, "not settled within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut answers = 0;
        for caller in &callers {
            let args = serde_json::json!({ "asker": caller.id() });
            let theirs: Vec<String> = testbed.dapp.view("answers").args_json(args).await?.json()?;
            answers += theirs.len();
        }
        if answers / 50 > seen / 50 {
            println!("{answers} settled after {:.1} s", began.elapsed().as_secs_f64());
        }
        seen = answers;
    }
    let took = (began.elapsed() - sent).as_secs_f64();
    let place = if in_process { "in the worker's process" } else { "in child processes" };
    #[allow(clippy::cast_precision_loss)]
    let rate = requests as f64 / took;
    println!("settled {requests} in {took:.1} s, {rate:.1} a second, executed {place}");
    serving.stop().await
}
