//! Makes more requests at once than a worker can serve, and says how many it settles, how many time
//! out, and how much memory it takes.
//!
//! usage: `flood [--requests N] [--payers P] [--senders S] [--fuel F] [--block-millis M]`. With
//! `--fuel` each guest uses all of so much fuel; without it, it returns at once.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use outlayer_integration_tests::faults::flood::{Flood, flood};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flood: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let block_time = Duration::from_millis(600);
    let mut plan = Flood { requests: 10_000, payers: 20, senders: 100, fuel: 0, block_time };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a number"))?;
        let number: usize = value.parse().with_context(|| format!("{value} is no number"))?;
        match arg.as_str() {
            "--requests" => plan.requests = number.max(1),
            "--payers" => plan.payers = number.max(2),
            "--senders" => plan.senders = number,
            "--fuel" => plan.fuel = number.try_into()?,
            "--block-millis" => plan.block_time = Duration::from_millis(number.max(1).try_into()?),
            other => bail!(
                "unknown argument {other}: expected --requests N, --payers P, --senders S, \
                 --fuel F or --block-millis M"
            ),
        }
    }
    println!("{}", flood(plan).await?);
    Ok(())
}
