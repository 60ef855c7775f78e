//! `outlayer dapp view`: asks a contract, which costs nothing.

use clap::Args;
use outlayer_client::At;
use outlayer_protocol::AccountId;

use super::arguments;
use crate::{
    network::{NodeArgs, block_on},
    print,
};

/// Ask a view of a contract
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// The contract
    dapp: AccountId,
    /// Its method
    method: String,
    /// The method's arguments: NAME=TEXT or NAME:=JSON each, or one JSON object
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ViewArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let args = serde_json::to_vec(&arguments::parse(&self.arguments)?)?;
        let (node, _) = self.node.node()?;
        let returned = block_on(async {
            Ok(node.view(&self.dapp, &self.method, args, At::Optimistic).await?)
        })?;
        let returned = arguments::returned(&returned);
        if self.json {
            print::json(&returned)?;
        } else {
            print::raw(format_args!("{}\n", arguments::shown(&returned)));
        }
        Ok(true)
    }
}
