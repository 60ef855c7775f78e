//! What near-workspaces needs from a node: the behaviour that its own tests cover, with a node that
//! it has started itself from a binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod blocks;
mod calls;
mod gas;
mod patches;

use near_workspaces::{Contract, Worker, network::Sandbox};
use outlayer_integration_tests::node;

/// A contract with the methods `hello`, `echo`, `read` and `write` (of one key), `panic_msg` and
/// more.
const BASIC: &[u8] =
    include_bytes!("../../../../crates/localnet/tests/golden/contracts/basic.wasm");

/// A new node.
async fn worker() -> Worker<Sandbox> {
    node::start().await.unwrap()
}

/// The basic contract on a new node.
async fn basic() -> (Worker<Sandbox>, Contract) {
    let worker = worker().await;
    let contract = worker.dev_deploy(BASIC).await.unwrap();
    (worker, contract)
}
