//! `outlayer worker`: the daemon, and what its operator asks and does beside it.

mod keys;
mod manage;
mod run;
mod status;

use clap::Subcommand;

pub(crate) use keys::{account, contract_id, node_config, read_keys};
pub(crate) use run::Options;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Serve requests until stopped (SIGINT or SIGTERM; a second one ends it at once)
    Run(Box<run::WorkerRunArgs>),
    /// Show a worker's registration, earnings, balance and keys
    Status(status::WorkerStatusArgs),
    /// Register a worker, as the contract's owner; or say what the owner must do
    Register(manage::WorkerRegisterArgs),
    /// Pay the worker's account what it has earned
    Withdraw(manage::WorkerWithdrawArgs),
}

impl WorkerCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Run(args) => args.execute(),
            Self::Status(args) => args.execute(),
            Self::Register(args) => args.execute(),
            Self::Withdraw(args) => args.execute(),
        }
    }
}
