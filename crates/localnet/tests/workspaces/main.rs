//! What near-workspaces asks of a node: the behaviours that its own tests cover, through its own
//! start of the binary.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod blocks;
mod calls;
mod gas;
mod patches;

use near_workspaces::network::Sandbox;
use near_workspaces::{Contract, Worker};
use std::sync::Once;

/// `hello`, `echo`, `read` and `write` of one key, `panic_msg` and more.
pub(crate) const BASIC: &[u8] = include_bytes!("../golden/contracts/basic.wasm");

/// A node of its own, started by near-sandbox from the binary of this package.
pub(crate) async fn worker() -> Worker<Sandbox> {
    static BINARY: Once = Once::new();
    // SAFETY: every test comes through here before it reads the environment, and the variable is
    // written once.
    BINARY.call_once(|| unsafe {
        std::env::set_var("NEAR_SANDBOX_BIN_PATH", env!("CARGO_BIN_EXE_localnet"));
    });
    near_workspaces::sandbox().await.unwrap()
}

/// The basic contract on a node of its own.
pub(crate) async fn basic() -> (Worker<Sandbox>, Contract) {
    let worker = worker().await;
    let contract = worker.dev_deploy(BASIC).await.unwrap();
    (worker, contract)
}
