//! The node as a whole: the chain as users of the library see it, the RPC on the wire, a client of
//! NEAR's RPC from the registry, injected faults, kept chains, memory, and malformed input.
//!
//! This is one program, because each links NEAR's VM. Beside it is `golden`. The tests with
//! near-workspaces as the client are in `integration-tests`, which is compiled without being
//! optimised: with this package's profile they alone would take a minute of a processor.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod commands;
mod errors;
mod faults;
mod gas_keys;
mod global_contracts;
mod inputs;
mod light_client;
mod memory;
mod near_api;
mod parameters;
mod robustness;
mod rpc;
mod state;
mod universal;

use std::{path::Path, sync::OnceLock, time::Duration};

use near_crypto::{InMemorySigner, KeyFile, Signer};
use near_primitives::{
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{AccountId, Balance},
};
use outlayer_localnet::{Config, Handle, node::BlockProduction};
use serde_json::{Value, json};

/// How long a test waits for what comes at once, unless the machine is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of HTTP. Making one reads the system's certificates, so all tests share it. They have
/// runtimes of their own, so it keeps no connection.
fn http() -> reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    let make = || reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    HTTP.get_or_init(make).clone()
}

/// Calls a method of the RPC. Returns the whole reply.
fn call(handle: &Handle, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = http().post(handle.rpc_url()).json(&body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() })
}

fn manual() -> Config {
    Config { production: BlockProduction::Manual, contract_cache: None, ..Config::default() }
}

fn root(home: &Path) -> Signer {
    let file = KeyFile::from_file(&home.join("validator_key.json")).unwrap();
    InMemorySigner::from_secret_key(file.account_id, file.secret_key)
}

/// A transfer of 1 NEAR from the root account.
fn transfer(home: &Path, to: &str, nonce: u64, block_hash: CryptoHash) -> SignedTransaction {
    let signer = root(home);
    SignedTransaction::send_money(
        nonce,
        signer.get_account_id(),
        to.parse().unwrap(),
        &signer,
        Balance::from_near(1),
        block_hash,
    )
}

/// Sends 1 NEAR to `near`. Returns the hash of the transaction.
fn send(handle: &Handle, nonce: u64) -> CryptoHash {
    send_to(handle, "near", nonce)
}

fn send_to(handle: &Handle, to: &str, nonce: u64) -> CryptoHash {
    let head = *handle.node().chain().head().hash();
    let tx = transfer(handle.home(), to, nonce, head);
    handle.node().submit(tx).unwrap()
}

/// The balance of an account, in yoctoNEAR.
fn balance(handle: &Handle, account: &str) -> u128 {
    let account: AccountId = account.parse().unwrap();
    let state = handle.node().chain().state();
    state.account(&account).unwrap().amount().as_yoctonear()
}

/// The height of the block that includes a transaction.
fn height_of(handle: &Handle, hash: &CryptoHash) -> Option<u64> {
    let chain = handle.node().chain();
    chain.history().transaction(hash).map(|(height, _)| *height)
}
