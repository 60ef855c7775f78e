//! `outlayer worker status`: what the chain knows of a worker.

use clap::Args;
use outlayer_client::{AccessKeyView, At, Contract, Node, Permission};
use outlayer_protocol::{AccountId, NearToken, views::WorkerView};
use serde::Serialize;

use super::keys::{account, contract_id, node_config, read_keys};
use crate::{network::block_on, print, settings::Settings};

/// Show a worker's registration, earnings, balance and keys
///
/// It exits with 0 when the worker is registered and not suspended, and with 1 otherwise.
#[derive(Args, Debug)]
pub(crate) struct WorkerStatusArgs {
    #[command(flatten)]
    settings: Settings<false>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    account_id: AccountId,
    contract_id: AccountId,
    /// `None` when it is not registered.
    registration: Option<WorkerView>,
    /// What the account can spend; `None` when it does not exist.
    free_balance: Option<NearToken>,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    public_key: String,
    /// `None` when the account does not have the key.
    permission: Option<&'static str>,
    /// The gas fees that it may still pay; `None` for any amount.
    allowance: Option<NearToken>,
    receiver_id: Option<String>,
    methods: Vec<String>,
}

impl Key {
    fn new(public_key: String, view: Option<AccessKeyView>) -> Self {
        match view.map(|view| view.permission) {
            None => Self {
                public_key,
                permission: None,
                allowance: None,
                receiver_id: None,
                methods: Vec::new(),
            },
            Some(Permission::FullAccess) => Self {
                public_key,
                permission: Some("full_access"),
                allowance: None,
                receiver_id: None,
                methods: Vec::new(),
            },
            Some(Permission::FunctionCall { allowance, receiver_id, methods }) => Self {
                public_key,
                permission: Some("function_call"),
                allowance,
                receiver_id: Some(receiver_id),
                methods,
            },
        }
    }
}

impl WorkerStatusArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        crate::logs::init("warn");
        let settings = &self.settings;
        let contract = Contract::new(Node::new(&node_config(settings)?)?, contract_id(settings)?);
        // The account's name is enough; with the keys at hand, they are looked at too.
        let has_keys =
            !settings.texts("key_file").is_empty() || !settings.texts("secret_key").is_empty();
        let (account_id, public_keys) = match account(settings)? {
            Some(account_id) if !has_keys => (account_id, Vec::new()),
            _ => {
                let (keys, _) = read_keys(settings)?;
                let public_keys = keys.public_keys();
                (keys.account_id, public_keys)
            }
        };
        let status = block_on(async move {
            let node = contract.node();
            let registration = contract.worker(&account_id, At::Optimistic).await?;
            let balance = node.balance(&account_id, At::Optimistic).await?;
            let mut keys = Vec::new();
            for key in public_keys {
                let view = node.access_key(&account_id, &key, At::Optimistic).await?;
                keys.push(Key::new(key.to_string(), view));
            }
            Ok(Status {
                contract_id: contract.id().clone(),
                free_balance: balance.map(|balance| balance.free()),
                account_id,
                registration,
                keys,
            })
        })?;
        if self.json {
            print::json(&status)?;
        } else {
            show(&status);
        }
        Ok(status.registration.is_some_and(|worker| !worker.suspended))
    }
}

fn show(status: &Status) {
    print::line("worker", &status.account_id);
    print::line("contract", &status.contract_id);
    match &status.registration {
        None => print::line("registered", "no; see `outlayer worker register`"),
        Some(worker) => {
            let state = if worker.suspended { "yes, and suspended by the owner" } else { "yes" };
            print::line("registered", state);
            if !worker.metadata.is_empty() {
                print::line("metadata", print::text(worker.metadata.as_bytes()));
            }
            print::line("settled", format!("{} answers", worker.settled));
            print::line("lost", format!("{} commitments", worker.lost));
            print::line("missed", format!("{} claims", worker.missed));
            print::line("earned", print::near(worker.earnings));
        }
    }
    match status.free_balance {
        None => print::line("balance", "the account does not exist"),
        Some(free) => print::line("balance", format!("{} can be spent", print::near(free))),
    }
    for key in &status.keys {
        let may = match key.permission {
            None => "is not a key of the account".to_owned(),
            Some("full_access") => "may do everything with the account".to_owned(),
            Some(_) => {
                let receiver = key.receiver_id.as_deref().unwrap_or_default();
                let methods = match key.methods.as_slice() {
                    [] => "every method".to_owned(),
                    some => some.join(", "),
                };
                let gas = match key.allowance {
                    None => "any gas fees".to_owned(),
                    Some(left) => format!("gas fees of {} more", print::near(left)),
                };
                format!("may call {methods} of {receiver}, and pay {gas}")
            }
        };
        print::line("key", format!("{} {}", key.public_key, print::text(may.as_bytes())));
    }
}
