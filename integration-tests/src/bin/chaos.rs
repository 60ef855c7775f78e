//! Lets workers serve under faults that are drawn from seeds, and holds each run against the rules
//! of `outlayer_integration_tests::faults`. Ends at the first seed that breaks one.
//!
//! usage: `chaos [--seeds A..B | --kills STRIDE] [--requests N] [--chains C]`. So many chains are
//! run at once. With `--kills` nothing goes wrong but that the worker's process is killed: at its
//! first exchange with the node, and at every exchange after it, or at every STRIDE-th. With
//! `RUST_LOG`, such as `outlayer_worker=debug`, the log of workers in this process goes to the
//! standard error.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use outlayer_integration_tests::faults::chaos::{kill_at_each, run_all};
use tracing_subscriber::EnvFilter;

/// Runs that take longer are named.
const SLOW: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .with_writer(std::io::stderr)
        .init();
    match chaos().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn chaos() -> Result<()> {
    let (mut seeds, mut kills, mut requests, mut chains) = (0..100, None, 3, 5);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--seeds" => {
                let (first, end) = value.split_once("..").context("expected --seeds A..B")?;
                seeds = first.parse()?..end.parse()?;
            }
            "--kills" => kills = Some(value.parse::<u64>()?.max(1)),
            "--requests" => requests = value.parse()?,
            "--chains" => chains = value.parse()?,
            other => {
                bail!(
                    "unknown argument {other}: expected --seeds A..B, --kills STRIDE, --requests N \
                     or --chains C"
                )
            }
        }
    }
    let began = Instant::now();
    if let Some(stride) = kills {
        let (points, report) = kill_at_each(stride, requests, chains).await?;
        let took = began.elapsed().as_secs_f64();
        println!("killed at {points} points in {took:.0} s; {report}");
        return Ok(());
    }
    let done = Arc::new(AtomicU64::new(0));
    let finished = move |seed, took: Duration| {
        if took > SLOW {
            println!("seed {seed} took {:.1} s", took.as_secs_f64());
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            println!("{done} seeds after {:.0} s", began.elapsed().as_secs_f64());
        }
    };
    let report = run_all(seeds, requests, chains, finished).await?;
    #[allow(clippy::cast_precision_loss)]
    let rate = report.runs as f64 * 3_600.0 / began.elapsed().as_secs_f64();
    println!("{report}; {rate:.0} seeds an hour on {chains} chains");
    Ok(())
}
