//! `outlayer dapp call`: calls a method of a contract in a transaction, and says what came of the
//! requests that it made.

use anyhow::{Context as _, ensure};
use clap::Args;
use outlayer_client::{Action, At, Contract, CryptoHash};
use outlayer_protocol::{AccountId, ExecutionRequest, NearToken};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments;
use crate::{
    amount,
    network::{NetworkArgs, block_on},
    print, progress, request,
    wallet::{Planned, WalletArgs},
};

/// Units of gas in a Tgas.
const TERAGAS: u64 = 1_000_000_000_000;

/// Call a contract, and say what came of the requests that it made
///
/// A dApp must be given what its requests cost. With --price-of it is asked for them first, by the
/// view that the dApps of OutLayer's examples have: it takes the arguments of the call and the
/// `payer`, who signs, and returns the request or a list of requests.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The contract that is called
    dapp: AccountId,
    /// Its method
    method: String,
    /// The method's arguments: NAME=TEXT or NAME:=JSON each, or one JSON object
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Attach what the requests cost that this view of the contract gives, such as `request`
    #[arg(long, value_name = "VIEW", conflicts_with = "deposit")]
    price_of: Option<String>,
    /// What to attach [default: nothing]
    #[arg(long, value_parser = amount::parse)]
    deposit: Option<NearToken>,
    /// The gas to attach, Tgas
    #[arg(long, value_name = "TGAS", default_value_t = 300)]
    gas: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a dApp's view of its requests returns.
#[derive(Deserialize)]
#[serde(untagged)]
enum Requests {
    One(Box<ExecutionRequest>),
    Several(Vec<ExecutionRequest>),
}

impl CallArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let args = arguments::parse(&self.arguments)?;
        block_on(self.run(args))
    }

    async fn run(self, args: Map<String, Value>) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let wallet = self.wallet.clone().open(&self.network.node, self.json).await?;
        let deposit = match &self.price_of {
            Some(view) => self.price(&contract, view, args.clone(), &wallet.id).await?,
            None => self.deposit.unwrap_or(NearToken::from_yoctonear(0)),
        };
        let planned = Planned {
            purpose: format!("call {} of {}", self.method, self.dapp),
            receiver: self.dapp.clone(),
            actions: vec![Action::Call {
                method: self.method.clone(),
                args: serde_json::to_vec(&args)?,
                gas: self.gas.saturating_mul(TERAGAS),
                deposit,
            }],
            code_file: None,
        };
        if !wallet.only_prints() && self.price_of.is_some() {
            eprintln!("attaching {}; what is not spent comes back", print::near(deposit));
        }
        let note = |hash: CryptoHash| progress::note(&format!("transaction {hash}"));
        let Some(outcome) = wallet.send_noting(&planned, &note).await? else {
            return wallet.printed();
        };
        let bytes = outcome.result.map_err(anyhow::Error::msg)?;
        let returned = arguments::returned(&bytes);
        let made = request::made_by(&contract, outcome.transaction, &wallet.id).await?;
        if self.json {
            print::json(&json!({
                "transaction": outcome.transaction.to_string(), "returned": returned,
                "requests": made.documents(&contract).await?,
            }))?;
        } else {
            print::line("returned", arguments::shown(&returned));
            made.show(&contract).await?;
        }
        Ok(made.all_completed())
    }

    /// What the requests cost at most that the dApp would make.
    async fn price(
        &self,
        contract: &Contract,
        view: &str,
        mut args: Map<String, Value>,
        payer: &AccountId,
    ) -> anyhow::Result<NearToken> {
        args.entry("payer").or_insert_with(|| json!(payer));
        let args = serde_json::to_vec(&args)?;
        let found = contract.node().view(&self.dapp, view, args, At::Optimistic).await?;
        let requests: Requests = serde_json::from_slice(&found).with_context(|| {
            format!("{view} of {}: expected a request of OutLayer, or a list of them", self.dapp)
        })?;
        let requests = match requests {
            Requests::One(request) => vec![*request],
            Requests::Several(requests) => requests,
        };
        ensure!(!requests.is_empty(), "{view} of {} returned no request", self.dapp);
        let mut total = NearToken::from_yoctonear(0);
        for request in &requests {
            let cost = contract.estimate(request, At::Optimistic).await?;
            total = total.saturating_add(cost.total);
        }
        Ok(total)
    }
}
