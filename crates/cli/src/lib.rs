//! The developer's and operator's command for OutLayer.
//!
//! It is thin: each command reads its options, asks the library that knows the answer, and prints
//! the answer, for people or as JSON.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cache;
mod componentize;
mod deploy;
mod doctor;
mod engine;
mod estimate;
mod logs;
mod network;
mod print;
mod replay;
mod request_args;
mod run;
mod settings;
mod show;
mod testkit;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use outlayer_client::with_causes;

pub use engine::SANDBOX_CHILD;

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
    /// Say whether a worker could serve here, and what to do where it could not
    Doctor(Box<doctor::DoctorArgs>),
    /// Serve requests, and manage the worker that does
    Worker {
        #[command(subcommand)]
        command: worker::WorkerCommand,
    },
    /// Run parts of OutLayer for the tests of a dApp
    #[command(hide = true)]
    Testkit {
        #[command(subcommand)]
        command: testkit::TestkitCommand,
    },
    /// Run guests for the process that started this one
    #[command(name = engine::SANDBOX_CHILD, hide = true)]
    SandboxChild {
        /// What tells this child from others in a list of processes
        name: Option<String>,
    },
}

/// The command's `main`. It exits with 0 when the answer is yes: the guest completed, the digests
/// match, the request was found. It exits with 1 when the answer is no, and with 2 when the
/// question could not be answered.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// [`main`] with the caller's arguments, the first of which is the command's own name.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = Cli::parse_from(args).command;
    // The commands for operators say themselves what is logged, and so does what the test kit runs;
    // a child logs to nobody.
    let says_itself = matches!(
        command,
        Command::Worker { .. }
            | Command::Doctor(_)
            | Command::Testkit { .. }
            | Command::SandboxChild { .. }
    );
    if !says_itself {
        logs::init("warn");
    }
    let done = match command {
        Command::Run(args) => args.execute(),
        Command::Componentize(args) => args.execute(),
        Command::Estimate(args) => args.execute(),
        Command::Deploy(args) => args.execute(),
        Command::Replay(args) => args.execute(),
        Command::Request(args) => args.execute(),
        Command::Pending(args) => args.execute(),
        Command::Doctor(args) => args.execute(),
        Command::Worker { command } => command.execute(),
        Command::Testkit { command } => command.execute(),
        Command::SandboxChild { .. } => engine::serve_as_child(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("outlayer: {}", with_causes(error.as_ref()));
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
