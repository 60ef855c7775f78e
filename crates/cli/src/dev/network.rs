//! The node of `outlayer dev`, with the contract on it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use outlayer_client::{Action, At, CallOutcome, Contract, Node, NodeConfig, SigningAccount};
use outlayer_executor::{ENGINE_VERSION, NEAR_CONFIG_VERSION};
use outlayer_localnet::{
    Config as NodeOptions, Handle, SpawnError,
    home::{Home, InitOptions},
    node::BlockProduction,
    spawn,
};
use outlayer_protocol::{Config, NearToken, methods, secrets::key_word};
use serde_json::{Value, json};

use crate::localnet::{self, BALANCE, CONTRACT, WORKER};

/// The most gas that a transaction may have, which localnet's accounts can always pay for.
const GAS: u64 = 1_000_000_000_000_000;

/// What pays for the storage of each developer's account: enough for a megabyte.
const STORAGE: NearToken = NearToken::from_near(10);

/// A node that runs within this process, and OutLayer on it.
pub(super) struct Network {
    /// The node ends with this.
    handle: Handle,
    /// The contract, deployed and initialised.
    pub(super) contract: Contract,
    /// Whether the chain was there already.
    pub(super) continued: bool,
}

/// Where the chain of a node is kept, and how the node runs.
pub(super) struct Options<'a> {
    pub(super) state: &'a Path,
    pub(super) rpc_addr: SocketAddr,
    pub(super) production: BlockProduction,
}

impl Network {
    /// Starts the node, deploys the contract where it is missing, and registers the worker.
    pub(super) async fn start(options: Options<'_>, code: Vec<u8>) -> anyhow::Result<Self> {
        let continued = prepare_home(options.state)?;
        let config = NodeOptions {
            rpc_addr: options.rpc_addr,
            state: Some(options.state.to_owned()),
            production: options.production,
            ..NodeOptions::default()
        };
        let handle = spawn(config).map_err(advised)?;
        let node = Node::new(&NodeConfig::new(handle.rpc_url()))?;
        let (id, key) = (localnet::id(CONTRACT)?, localnet::key(CONTRACT));
        let owner = SigningAccount::new(node.clone(), id, key);
        let contract = Contract::new(node, owner.id().clone());
        deploy(&contract, &owner, code, options.state).await?;
        set_up(&contract, &owner).await?;
        Ok(Self { handle, contract, continued })
    }

    pub(super) fn rpc_url(&self) -> String {
        self.handle.rpc_url()
    }
}

/// Makes the genesis with the accounts where there is none yet. Says whether there was one.
fn prepare_home(state: &Path) -> anyhow::Result<bool> {
    let home = state.join("home");
    if home.exists() {
        // Another program may have made the folder, such as localnet itself.
        let ours = localnet::ALL.iter().all(|name| home.join(format!("{name}.json")).is_file());
        ensure!(
            ours,
            "{} has a chain that `outlayer dev` has not made; name another folder with --state",
            state.display()
        );
        return Ok(true);
    }
    // Made beside it, so that a start that is interrupted leaves no half of it.
    let unfinished = state.join("home.new");
    remove(&unfinished)?;
    let new = Home::new(&unfinished);
    new.init(&InitOptions { chain_id: Some(localnet::NAME.to_owned()), ..InitOptions::default() })?;
    for name in localnet::ALL {
        new.add_account(&localnet::id(name)?, &localnet::key(name), BALANCE)?;
    }
    fs::rename(&unfinished, &home).with_context(|| home.display().to_string())?;
    Ok(false)
}

fn remove(folder: &PathBuf) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

/// The error of a node that does not start, with what to do.
fn advised(error: SpawnError) -> anyhow::Error {
    let advice = match &error {
        SpawnError::Listen { .. } => {
            "; another node may be running there: end it, or choose another address with \
             --rpc-addr, such as 127.0.0.1:0 for any free port"
        }
        _ => "",
    };
    anyhow::anyhow!("{error}{advice}")
}

/// Deploys and initialises the contract, unless the chain has it.
async fn deploy(
    contract: &Contract,
    owner: &SigningAccount,
    code: Vec<u8>,
    state: &Path,
) -> anyhow::Result<()> {
    match contract.config(At::Optimistic).await {
        Ok(found) => {
            let (found, expected) = (found.config.engine_version, ENGINE_VERSION);
            if found != expected {
                bail!(
                    "the contract in {} is set to engine {}, and this command has engine {}; \
                     remove the folder to begin anew, or name another one with --state",
                    state.display(),
                    found.0,
                    expected.0
                );
            }
            return Ok(());
        }
        Err(error) if error.is_transient() => return Err(error.into()),
        // The account has no contract yet.
        Err(_) => {}
    }
    let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    let args = json!({ "owner_id": owner.id(), "config": config }).to_string().into_bytes();
    let init = Action::Call {
        method: methods::NEW.to_owned(),
        args,
        gas: GAS,
        deposit: NearToken::from_yoctonear(0),
    };
    let deployed = owner.send(owner.id(), &[Action::Deploy(code), init], &|_| {}).await?;
    returned("deploying the contract", deployed)?;
    Ok(())
}

/// Registers the worker, and pays for what the guests of the developers' accounts store. One
/// transaction does all of it, or nothing.
async fn set_up(contract: &Contract, owner: &SigningAccount) -> anyhow::Result<()> {
    let worker_id = localnet::id(WORKER)?;
    if contract.worker(&worker_id, At::Optimistic).await?.is_some() {
        return Ok(());
    }
    let call = |method: &str, args: Value, deposit| Action::Call {
        method: method.to_owned(),
        args: args.to_string().into_bytes(),
        gas: GAS / 4,
        deposit,
    };
    let metadata = key_word(&localnet::secrets_key().public());
    let register = json!({ "worker_id": worker_id, "metadata": metadata });
    let mut actions = vec![call(methods::REGISTER_WORKER, register, NearToken::from_yoctonear(1))];
    for account_id in localnet::DEVELOPERS {
        let args = json!({ "account_id": account_id });
        actions.push(call(methods::STORAGE_DEPOSIT, args, STORAGE));
    }
    returned("setting the contract up", owner.send(owner.id(), &actions, &|_| {}).await?)?;
    Ok(())
}

/// What a call returned, or why it failed.
fn returned(what: &str, outcome: CallOutcome) -> anyhow::Result<Vec<u8>> {
    outcome
        .result
        .map_err(|reason| anyhow::anyhow!("{what}, transaction {}: {reason}", outcome.transaction))
}
