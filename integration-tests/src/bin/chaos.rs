//! Lets a worker serve under faults that are drawn from seeds, and holds each run against the rules
//! of `outlayer_integration_tests::faults`. Ends at the first seed that breaks one.
//!
//! usage: `chaos [--seeds A..B] [--requests N]`

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use outlayer_integration_tests::faults::chaos::Chaos;

#[tokio::main]
async fn main() -> ExitCode {
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
    for seed in seeds {
        chaos.run(seed, requests).await?;
        if chaos.report().runs % 20 == 0 {
            println!("{} after {:.0} s", chaos.report(), began.elapsed().as_secs_f64());
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = chaos.report().runs as f64 * 3_600.0 / began.elapsed().as_secs_f64();
    println!("{}; {rate:.0} seeds an hour", chaos.report());
    Ok(())
}
