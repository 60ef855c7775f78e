//! Creates the account that becomes a contract, as a subaccount of one whose key is at hand.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{Action, At, KeyType, SecretKey, credentials_folder, write_credential};
use outlayer_protocol::{AccountId, NearToken};
use serde_json::Value;

use crate::{
    amount,
    network::NodeArgs,
    print,
    wallet::{Planned, Wallet, WalletArgs},
};

/// How the account is created.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Create the account first, as a subaccount of an account whose key is at hand: c.bob.testnet
    /// is created by bob.testnet. Its new key is written to the folder of credentials
    #[arg(long, requires = "account")]
    pub(crate) create: bool,
    /// What a created account gets from its parent [default: what the contract needs and 1 NEAR]
    #[arg(long, requires = "create", value_parser = amount::parse)]
    initial_balance: Option<NearToken>,
    /// A file with a key of the parent [default: it is looked for where near-cli leaves it]
    #[arg(long, requires = "create")]
    parent_key_file: Option<PathBuf>,
}

/// The account that was created, or that would be.
pub(crate) struct Created {
    pub(crate) wallet: Wallet,
    /// What was to be printed as JSON.
    pub(crate) documents: Vec<Value>,
}

impl CreateArgs {
    /// Creates the account that `wallet` names, for a contract that needs so much. Its key is
    /// written to a file before the account exists, so that no account is made whose key is lost.
    pub(crate) async fn account(
        &self,
        wallet: WalletArgs,
        node_args: &NodeArgs,
        needed: NearToken,
        as_json: bool,
    ) -> anyhow::Result<Created> {
        let least = || needed.saturating_add(NearToken::from_near(1));
        let balance = self.initial_balance.unwrap_or_else(least);
        let id = wallet.account.clone().context("--create needs --account")?;
        let Some(parent) = id.as_str().split_once('.').and_then(|(_, parent)| parent.parse().ok())
        else {
            bail!("{id} is no subaccount; --create makes accounts such as outlayer.YOU.testnet");
        };
        let parent: AccountId = parent;
        if wallet.unsigned {
            bail!(
                "--create makes a key for the account, so it cannot be combined with --unsigned; \
                 create it with `near account create-account`"
            );
        }
        let signer = WalletArgs {
            account: Some(parent.clone()),
            key_file: self.parent_key_file.clone(),
            ..wallet.clone()
        };
        let signer = signer.open(node_args, as_json).await?;
        let (node, network) = (signer.node.clone(), signer.network().to_owned());
        if node.account_code(&id, At::Optimistic).await?.is_some() {
            bail!("{id} exists already, so it is not created; leave --create out to deploy to it");
        }
        let secret_key = SecretKey::from_random(KeyType::ED25519);
        let create = Planned {
            purpose: format!("create {id} with a key that is made now"),
            receiver: id.clone(),
            actions: vec![
                Action::CreateAccount,
                Action::Transfer(balance),
                Action::AddFullAccessKey(secret_key.public_key()),
            ],
            code_file: None,
        };
        if signer.only_prints() {
            signer.send(&create).await?;
            let documents = signer.documents();
            return Ok(Created { wallet: signer.of_another(id), documents });
        }
        let folder = wallet.credentials_dir.clone().or_else(credentials_folder);
        let folder = folder.context("there is no home folder; name one with --credentials-dir")?;
        let path = write_credential(&folder, &network, &id, &secret_key).with_context(|| {
            format!("the key of {id} cannot be written to {}", folder.join(&network).display())
        })?;
        let outcome = signer.send(&create).await.with_context(|| {
            format!("{id} was not created; its key stays in {}", path.display())
        })?;
        if !as_json {
            print::line("created", format!("{id} with {}", print::near(balance)));
            print::line("key", path.display());
            if let Some(outcome) = outcome {
                print::line("transaction", outcome.transaction);
            }
        }
        let own = WalletArgs { key_file: Some(path), account: Some(id), ..wallet };
        Ok(Created { wallet: own.open(node_args, as_json).await?, documents: Vec::new() })
    }
}
