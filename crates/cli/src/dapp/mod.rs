//! `outlayer dapp`: a developer's own contract, which asks OutLayer. It is deployed, called, and
//! asked.

mod arguments;
mod call;
mod deploy;
mod view;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum DappCommand {
    Deploy(Box<deploy::DeployArgs>),
    Call(Box<call::CallArgs>),
    View(view::ViewArgs),
}

impl DappCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Deploy(args) => args.execute(),
            Self::Call(args) => args.execute(),
            Self::View(args) => args.execute(),
        }
    }
}
