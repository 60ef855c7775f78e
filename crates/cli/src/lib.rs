//! The developer's and operator's command for OutLayer.
//!
//! Thin: each command reads its options, asks the library that knows (`outlayer-executor`, `outlayer-worker`,
//! `outlayer-protocol`, `outlayer-componentize`), and prints what it says, for people or as JSON.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod componentize;
mod deploy;
mod estimate;
mod network;
mod print;
mod replay;
mod request_args;
mod run;
mod show;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// Verifiable off-chain computation for NEAR contracts.
#[derive(Debug, Parser)]
#[command(name = "outlayer", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Execute a guest on this machine, with a made-up context and storage in memory
    Run(Box<run::RunArgs>),
    /// Make a component of a guest that was built for wasm32-wasip1
    Componentize(componentize::ComponentizeArgs),
    /// Say what a request must attach
    Estimate(Box<estimate::EstimateArgs>),
    /// Deploy the contract to an account of yours, and register workers with it
    Deploy(Box<deploy::DeployArgs>),
    /// Execute a settled request again from chain data alone, and compare the digests
    Replay(replay::ReplayArgs),
    /// Show a live request
    Request(show::RequestArgs),
    /// List the live requests
    Pending(show::PendingArgs),
    /// Serve requests
    Worker {
        #[command(subcommand)]
        command: outlayer_worker::cli::Command,
    },
}

/// The command's `main`. 0 means that what was asked is so: the guest completed, the digests match, the request
/// was found; 1 that it is not; 2 that the question could not be answered.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// [`main`] with arguments of the caller's, the first of which is the command's own name.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = Cli::parse_from(args).command;
    // A daemon tells what it does; the other commands only what is wrong.
    outlayer_worker::cli::init_logs(if matches!(command, Command::Worker { .. }) {
        "info"
    } else {
        "warn"
    });
    let done = match command {
        Command::Run(args) => args.execute(),
        Command::Componentize(args) => args.execute(),
        Command::Estimate(args) => args.execute(),
        Command::Deploy(args) => args.execute(),
        Command::Replay(args) => args.execute(),
        Command::Request(args) => args.execute(),
        Command::Pending(args) => args.execute(),
        Command::Worker { command } => command.execute().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("outlayer: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
