//! Lets a worker serve under faults that are drawn from seeds, and holds each run against the rules
//! of `outlayer_integration_tests::faults`. Ends at the first seed that breaks one.
//!
//! usage: `chaos [--seeds A..B] [--requests N]`. With `RUST_LOG`, such as `outlayer_worker=debug`,
//! the worker's log goes to the standard error.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use outlayer_integration_tests::faults::chaos::Chaos;
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
    let (mut seeds, mut requests) = (0..100, 3);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--seeds" => {
                let (first, end) = value.split_once("..").context("expected --seeds A..B")?;
                seeds = first.parse()?..end.parse()?;
            }
            "--requests" => requests = value.parse()?,
            other => bail!("unknown argument {other}: expected --seeds A..B or --requests N"),
        }
    }
    let began = Instant::now();
    let mut chaos = Chaos::start().await?;
    println!("the chain is set up after {:.1} s", began.elapsed().as_secs_f64());
    for seed in seeds {
        let started = Instant::now();
        chaos.run(seed, requests).await?;
        if started.elapsed() > SLOW {
            println!("seed {seed} took {:.1} s", started.elapsed().as_secs_f64());
        }
        if chaos.report().runs % 20 == 0 {
            println!("{} after {:.0} s", chaos.report(), began.elapsed().as_secs_f64());
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = chaos.report().runs as f64 * 3_600.0 / began.elapsed().as_secs_f64();
    println!("{}; {rate:.0} seeds an hour", chaos.report());
    Ok(())
}
