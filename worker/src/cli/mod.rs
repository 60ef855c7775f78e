//! The daemon's command line: `outlayer-worker run …`.

mod key_file;
mod run;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::{Parser, Subcommand};

pub use key_file::{KeyFile, KeyFileError};
pub use run::RunArgs;

/// OutLayer's worker: executes what contracts ask for, and submits the answers.
#[derive(Debug, Parser)]
#[command(name = "outlayer-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The worker's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests until stopped (SIGINT or SIGTERM)
    Run(Box<RunArgs>),
}

impl Command {
    /// Runs the command; logs go to stderr, filtered by `RUST_LOG` (`info` when it is not set).
    ///
    /// # Errors
    /// What kept the worker from starting.
    pub fn execute(self) -> anyhow::Result<()> {
        let Self::Run(args) = self;
        args.execute()
    }
}

/// The daemon's `main`.
pub fn main() -> ExitCode {
    init_logs("info");
    match Cli::parse().command.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlayer-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Sends logs to stderr, filtered by `RUST_LOG`; by `default` (a filter such as `info`) when it is not set.
pub fn init_logs(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // Colours would come between a field's name and its value in a log that a program reads.
    let colours = std::io::stderr().is_terminal();
    // Whoever embeds this may have set up logging already; that one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .try_init();
}
