//! `outlayer worker`: the daemon, and what its operator asks and does beside it.

mod keys;
mod run;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Serve requests until stopped (SIGINT or SIGTERM; a second one ends it at once)
    Run(Box<run::WorkerRunArgs>),
}

impl WorkerCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Run(args) => args.execute(),
        }
    }
}
