//! The account that signs a command's transactions: where its keys are found, and whether the
//! transactions are sent or only printed.

mod keys;
mod near_cli;
mod planned;

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{
    At, CallOutcome, CryptoHash, Node, Permission, PublicKey, SecretKey, SigningAccount,
};
use outlayer_protocol::{AccountId, Bytes};
use serde_json::{Value, json};

use crate::{network::NodeArgs, print, progress::Progress};

pub(crate) use planned::{Planned, call};

#[derive(Clone, Debug, Args)]
pub(crate) struct WalletArgs {
    /// The account that signs [default: the one that the key file names]. Without --key-file, its
    /// key is looked for where near-cli leaves it: in ~/.near-credentials, and in the keychain of
    /// the system
    #[arg(long, env = "OUTLAYER_ACCOUNT")]
    pub(crate) account: Option<AccountId>,
    /// A file with a key of the account, as near-cli writes it
    #[arg(long, env = "OUTLAYER_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Where near-cli keeps its credentials [default: ~/.near-credentials]
    #[arg(long, env = "OUTLAYER_CREDENTIALS_DIR")]
    pub(crate) credentials_dir: Option<PathBuf>,
    /// Print every transaction that would be sent, and send none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print each transaction for near-cli, which signs it with a hardware key or from its keychain
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) unsigned: bool,
    /// The key that near-cli will sign with [default: the account's first key with full access]
    #[arg(long, requires = "unsigned")]
    pub(crate) public_key: Option<PublicKey>,
}

/// What becomes of a transaction.
enum Use {
    /// It is signed with one of these keys and sent.
    Send(Vec<(SecretKey, Permission)>),
    /// It is printed.
    DryRun,
    /// It is printed for near-cli.
    Unsigned(Option<PublicKey>),
}

/// The account that signs.
pub(crate) struct Wallet {
    pub(crate) node: Node,
    /// The name that NEAR's command lines have for the network.
    network: String,
    pub(crate) id: AccountId,
    used: Use,
    as_json: bool,
    /// How many transactions have been printed.
    printed: AtomicU64,
    /// Those that are to be printed as JSON, which is one document.
    documents: Mutex<Vec<Value>>,
}

impl WalletArgs {
    /// Finds the account and its keys. `json` says how printed transactions are shown.
    pub(crate) async fn open(self, node: &NodeArgs, as_json: bool) -> anyhow::Result<Wallet> {
        let (node, name) = node.node()?;
        let network = match name {
            Some(name) => name.to_owned(),
            None => node.status().await?.chain_id,
        };
        let (printed, documents) = (AtomicU64::new(0), Mutex::default());
        if self.dry_run || self.unsigned {
            let id = keys::account(&self, &network)?;
            let used = if self.dry_run { Use::DryRun } else { Use::Unsigned(self.public_key) };
            return Ok(Wallet { node, network, id, used, as_json, printed, documents });
        }
        let keys::Found { account_id: id, usable } = keys::find(&self, &node, &network).await?;
        let used = Use::Send(usable);
        Ok(Wallet { node, network, id, used, as_json, printed, documents })
    }
}

impl Wallet {
    /// The name that NEAR's command lines have for the network.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// The same for another account, whose transactions are printed too.
    pub(crate) fn of_another(self, id: AccountId) -> Self {
        Self { id, ..self }
    }

    /// Whether transactions are printed, and none is sent.
    pub(crate) fn only_prints(&self) -> bool {
        !matches!(self.used, Use::Send(_))
    }

    /// Sends a transaction and waits for its outcome, or prints it: then there is none.
    ///
    /// # Errors
    /// When it cannot be sent, its outcome is not known within a minute, or an action failed.
    pub(crate) async fn send(&self, planned: &Planned) -> anyhow::Result<Option<CallOutcome>> {
        self.transact(planned, false, &|_| {}).await
    }

    /// The same, but it waits for as long as it takes to know the outcome. `signed` gets the hash
    /// before the transaction is sent.
    ///
    /// # Errors
    /// When it cannot be sent, or an action failed.
    pub(crate) async fn send_noting(
        &self,
        planned: &Planned,
        signed: &(dyn Fn(CryptoHash) + Send + Sync),
    ) -> anyhow::Result<Option<CallOutcome>> {
        self.transact(planned, true, signed).await
    }

    async fn transact(
        &self,
        planned: &Planned,
        patient: bool,
        signed: &(dyn Fn(CryptoHash) + Send + Sync),
    ) -> anyhow::Result<Option<CallOutcome>> {
        let keys = match &self.used {
            Use::Send(keys) => keys,
            Use::DryRun => {
                self.print(planned, None)?;
                return Ok(None);
            }
            Use::Unsigned(public_key) => {
                let key = match public_key {
                    Some(key) => key.clone(),
                    None => self.first_key().await?,
                };
                let (id, ahead) = (&self.id, self.printed.load(Ordering::Relaxed));
                let Planned { receiver, actions, .. } = planned;
                let bytes =
                    SigningAccount::unsigned(&self.node, id, key, receiver, actions, ahead).await?;
                self.print(planned, Some(&Bytes(bytes)))?;
                return Ok(None);
            }
        };
        let may = |permission: &Permission| planned.may_be_signed_with(permission);
        let Some((key, _)) = keys.iter().find(|(_, permission)| may(permission)) else {
            bail!(
                "the key of {} is a function-call key, which cannot attach NEAR or does not allow \
                 this call; give --key-file with a full-access key of {}",
                self.id,
                self.id
            );
        };
        let _progress = Progress::start(planned.purpose.as_str());
        let account = SigningAccount::new(self.node.clone(), self.id.clone(), key.clone());
        let account = if patient { account.patient() } else { account };
        let outcome = account.send(&planned.receiver, &planned.actions, signed).await?;
        if let Err(reason) = &outcome.result {
            bail!("{}, transaction {}: {reason}", planned.name(), outcome.transaction);
        }
        Ok(Some(outcome))
    }

    async fn first_key(&self) -> anyhow::Result<PublicKey> {
        let keys = self.node.full_access_keys(&self.id, At::Optimistic).await?;
        let readable = keys.iter().find_map(|key| key.parse().ok());
        readable.with_context(|| {
            format!(
                "{} does not exist on {}, or has no full-access key; name the key that will sign \
                 with --public-key",
                self.id, self.network
            )
        })
    }

    fn print(&self, planned: &Planned, unsigned: Option<&Bytes>) -> anyhow::Result<()> {
        let number = self.printed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let long = near_cli::ArgumentsFile {
            path: format!("{}-{number}.args", planned.name()),
            is_written: matches!(self.used, Use::Unsigned(_)),
        };
        let command = near_cli::command(planned, &self.id, &self.network, &long)?;
        if self.as_json {
            let document = planned.as_json(&self.id, &command, unsigned);
            self.documents.lock().unwrap_or_else(PoisonError::into_inner).push(document);
            return Ok(());
        }
        planned.show(number, &self.id, &command, unsigned, &self.network)
    }

    /// The transactions that were to be printed as JSON.
    pub(crate) fn documents(&self) -> Vec<Value> {
        std::mem::take(&mut *self.documents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends a command whose transactions were only printed.
    pub(crate) fn printed(&self) -> anyhow::Result<bool> {
        if self.as_json {
            print::json(&json!({ "transactions": self.documents() }))?;
        }
        Ok(true)
    }
}
