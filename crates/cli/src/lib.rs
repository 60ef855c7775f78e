//! The developer's and operator's command for OutLayer.
//!
//! It is thin: each command reads its options, asks the library that knows the answer, and prints
//! the answer, for people or as JSON.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod advice;
mod amount;
mod audit;
mod build;
mod cache;
mod cargo;
mod cases;
mod claim;
mod code_file;
mod compare;
mod componentize;
mod contract_wasm;
mod deploy;
mod dev;
mod diff;
mod doctor;
mod engine;
mod estimate;
mod exit;
mod logs;
mod manual;
mod network;
mod networks;
mod new;
mod print;
mod publish;
mod replay;
mod request;
mod request_args;
mod run;
mod run_on_chain;
mod settings;
mod storage;
mod storage_file;
mod testkit;
mod upgrade;
mod wallet;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use outlayer_client::with_causes;

pub use engine::SANDBOX_CHILD;

/// Verifiable off-chain computation for NEAR contracts.
#[derive(Debug, Parser)]
#[command(name = "outlayer", version, propagate_version = true, after_help = exit::CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project: a guest, or a dApp's contract
    New(new::NewArgs),
    /// Build a guest or a contract to Wasm, check it, and say what a request costs
    Build(build::BuildArgs),
    /// Run a guest's cases, and show what differs from what is expected
    Test(cases::TestArgs),
    /// Start a node with the contract, a worker and accounts, and publish guests as they change
    Dev(Box<dev::DevArgs>),
    /// Execute a guest on this machine, with a made-up context and storage in memory
    Run(Box<run::RunArgs>),
    /// Make a component of a guest that was built for wasm32-wasip1
    Componentize(componentize::ComponentizeArgs),
    /// Say what a request must attach
    Estimate(Box<estimate::EstimateArgs>),
    /// Deploy the contract to an account of yours, and register workers with it
    Deploy(Box<deploy::DeployArgs>),
    /// Announce new code for the contract, and deploy it when its time has come
    Upgrade(Box<upgrade::UpgradeArgs>),
    /// Put a guest's code into the contract, and give it a name
    Publish(Box<publish::PublishArgs>),
    /// Ask for an execution, wait for the answer, and say what it cost
    Request(Box<request::RequestArgs>),
    /// Show a request, or the contract
    Status(request::StatusArgs),
    /// Wait until a request is settled
    Watch(request::WatchArgs),
    /// Cancel a request that nobody has answered
    Cancel(Box<request::CancelArgs>),
    /// Show or save what a settled request gave
    Result(request::ResultArgs),
    /// List the live requests
    Pending(request::PendingArgs),
    /// Read and change an account's storage in the contract, and pay for it
    Storage {
        #[command(subcommand)]
        command: storage::StorageCommand,
    },
    /// Take out payments that came back
    Claim(Box<claim::ClaimArgs>),
    /// Compare a contract on a network with the same bytes as a guest here
    Compare(Box<compare::CompareArgs>),
    /// Execute a settled request again from chain data alone, and compare the digests
    Replay(replay::ReplayArgs),
    /// Replay all requests from one id to another
    Audit(audit::AuditArgs),
    /// Say whether a worker could serve here, and what to do where it could not
    Doctor(Box<doctor::DoctorArgs>),
    /// Serve requests, and manage the worker that does
    Worker {
        #[command(subcommand)]
        command: worker::WorkerCommand,
    },
    /// Print what completes this command in a shell
    Completions(manual::CompletionsArgs),
    /// Write the manual pages
    Man(manual::ManArgs),
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
/// question could not be answered. `outlayer --help` lists the other exit codes.
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
        Command::New(args) => args.execute(),
        Command::Build(args) => args.execute(),
        Command::Test(args) => args.execute(),
        Command::Completions(args) => args.execute(Cli::command()),
        Command::Man(args) => args.execute(Cli::command()),
        Command::Dev(args) => args.execute(),
        Command::Run(args) => args.execute(),
        Command::Componentize(args) => args.execute(),
        Command::Estimate(args) => args.execute(),
        Command::Deploy(args) => args.execute(),
        Command::Upgrade(args) => args.execute(),
        Command::Publish(args) => args.execute(),
        Command::Request(args) => args.execute(),
        Command::Status(args) => args.execute(),
        Command::Watch(args) => args.execute(),
        Command::Cancel(args) => args.execute(),
        Command::Result(args) => args.execute(),
        Command::Pending(args) => args.execute(),
        Command::Storage { command } => command.execute(),
        Command::Claim(args) => args.execute(),
        Command::Compare(args) => args.execute(),
        Command::Replay(args) => args.execute(),
        Command::Audit(args) => args.execute(),
        Command::Doctor(args) => args.execute(),
        Command::Worker { command } => command.execute(),
        Command::Testkit { command } => command.execute(),
        Command::SandboxChild { .. } => engine::serve_as_child(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let (code, is_news) = exit::of_error(&error);
            if is_news {
                eprintln!("outlayer: {}", with_causes(error.as_ref()));
                if let Some(advice) = advice::about(&error) {
                    eprintln!("    try: {advice}");
                }
            }
            ExitCode::from(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
