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
mod dapp;
mod deploy;
mod dev;
mod diff;
mod doctor;
mod engine;
mod estimate;
mod exit;
mod http_args;
mod localnet;
mod logs;
mod manual;
mod network;
mod networks;
mod new;
#[cfg(test)]
mod pages;
mod plan_lines;
mod print;
mod profile;
mod progress;
mod publish;
mod replay;
mod request;
mod request_args;
mod run;
mod run_on_chain;
mod secrets;
mod settings;
mod storage;
mod storage_file;
mod testkit;
mod transcript_file;
mod upgrade;
mod wallet;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
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
    New(new::NewArgs),
    Build(build::BuildArgs),
    Test(cases::TestArgs),
    Dev(Box<dev::DevArgs>),
    Run(Box<run::RunArgs>),
    Componentize(componentize::ComponentizeArgs),
    Estimate(Box<estimate::EstimateArgs>),
    Deploy(Box<deploy::DeployArgs>),
    Upgrade(Box<upgrade::UpgradeArgs>),
    Publish(Box<publish::PublishArgs>),
    Request(Box<request::RequestArgs>),
    Status(request::StatusArgs),
    Watch(request::WatchArgs),
    Cancel(Box<request::CancelArgs>),
    Result(request::ResultArgs),
    Pending(request::PendingArgs),
    /// Read and change an account's storage in the contract, and pay for it
    Storage {
        #[command(subcommand)]
        command: storage::StorageCommand,
    },
    /// Seal secrets to workers, show their terms, and remove them
    Secrets {
        #[command(subcommand)]
        command: secrets::SecretsCommand,
    },
    Claim(Box<claim::ClaimArgs>),
    /// Deploy a contract of yours that asks OutLayer, call it, and ask its views
    Dapp {
        #[command(subcommand)]
        command: dapp::DappCommand,
    },
    Compare(Box<compare::CompareArgs>),
    Replay(replay::ReplayArgs),
    Audit(audit::AuditArgs),
    Doctor(Box<doctor::DoctorArgs>),
    /// Serve requests, and manage the worker that does
    Worker {
        #[command(subcommand)]
        command: worker::WorkerCommand,
    },
    Completions(manual::CompletionsArgs),
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
    let matches = Cli::command().get_matches_from(args);
    let json = wants_json(&matches);
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
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
        Command::Secrets { command } => command.execute(),
        Command::Claim(args) => args.execute(),
        Command::Dapp { command } => command.execute(),
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
                tell(&error, code, json);
            }
            ExitCode::from(code)
        }
    }
}

/// Whether the command that was called has the option `--json`, and it is set.
fn wants_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, matches)) => wants_json(matches),
        None => matches!(matches.try_get_one("json"), Ok(Some(true))),
    }
}

/// Says on the standard error what went wrong: to people, or to a program in one line of JSON.
fn tell(error: &anyhow::Error, exit_code: u8, json: bool) {
    let (text, advice) = (with_causes(error.as_ref()), advice::about(error));
    if json {
        let line = serde_json::json!({ "error": text, "try": advice, "exit_code": exit_code });
        eprintln!("{line}");
        return;
    }
    eprintln!("outlayer: {text}");
    if let Some(advice) = advice {
        eprintln!("    try: {advice}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// The help of each command in `command`, by its name.
    fn helps(command: &clap::Command, above: &str) -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = format!("{above}{}", one.get_name());
            let text = |text: Option<&clap::builder::StyledStr>| {
                text.map(ToString::to_string).unwrap_or_default()
            };
            let (short, long) = (text(one.get_about()), text(one.get_long_about()));
            all.extend(helps(one, &format!("{name} ")));
            all.push((name, short, long));
        }
        all
    }

    #[test]
    fn every_command_says_what_it_does_and_the_longer_help_is_not_lost() {
        let mut said = std::collections::BTreeSet::new();
        for (name, short, long) in helps(&Cli::command(), "") {
            assert!(short.len() > 10 && !short.ends_with('.'), "{name}: {short}");
            assert!(said.insert(short.clone()), "{name} has the help of another: {short}");
            assert!(long.is_empty() || long.starts_with(&short), "{name}: {long}");
            for (command, part) in [
                ("audit", "exits with 3"),
                ("deploy", "refuses to replace"),
                ("storage set", "is free unless"),
                ("watch", "exits with 0"),
            ] {
                assert!(name != command || long.contains(part), "{name}: {long}");
            }
        }
        assert!(said.len() > 30, "{said:?}");
    }
}
