//! What near-workspaces needs from a node: the behaviour that its own tests cover, with a node that
//! it has started itself from the binary.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod blocks;
mod calls;
mod gas;
mod patches;

use std::sync::Once;

use near_workspaces::{Contract, Worker, network::Sandbox};

/// A contract with the methods `hello`, `echo`, `read` and `write` (of one key), `panic_msg` and
/// more.
pub(crate) const BASIC: &[u8] = include_bytes!("../golden/contracts/basic.wasm");

/// A new node, which near-sandbox starts from this package's binary.
pub(crate) async fn worker() -> Worker<Sandbox> {
    static BINARY: Once = Once::new();
    // SAFETY: the variable is set once, and every test comes through here before it reads the
    // environment.
    BINARY.call_once(|| unsafe {
        std::env::set_var("NEAR_SANDBOX_BIN_PATH", env!("CARGO_BIN_EXE_localnet"));
    });
    near_workspaces::sandbox().await.unwrap()
}

/// The basic contract on a new node.
pub(crate) async fn basic() -> (Worker<Sandbox>, Contract) {
    let worker = worker().await;
    let contract = worker.dev_deploy(BASIC).await.unwrap();
    (worker, contract)
}
