//! `outlayer worker`: the daemon, and what its operator asks and does beside it.

mod keys;
mod manage;
mod run;
mod secrets_key;
mod status;

use clap::Subcommand;

pub(crate) use keys::{account, contract_id, node_config, read_keys};
pub(crate) use run::{Options, secrets_config};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    Run(Box<run::WorkerRunArgs>),
    Status(status::WorkerStatusArgs),
    Register(manage::WorkerRegisterArgs),
    Withdraw(manage::WorkerWithdrawArgs),
    SecretsKey(secrets_key::WorkerSecretsKeyArgs),
}

impl WorkerCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Run(args) => args.execute(),
            Self::Status(args) => args.execute(),
            Self::Register(args) => args.execute(),
            Self::Withdraw(args) => args.execute(),
            Self::SecretsKey(args) => args.execute(),
        }
    }
}
