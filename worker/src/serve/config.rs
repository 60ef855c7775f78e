//! What a worker is told.

use std::{fmt, time::Duration};

use near_crypto::SecretKey;
use outlayer_executor::ExecutorConfig;
use outlayer_protocol::AccountId;

use super::Observer;
use crate::{
    chain::{At, Backoff, NodeConfig},
    code::CodeConfig,
};

/// A worker's configuration.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The node.
    pub node: NodeConfig,
    /// The OutLayer contract.
    pub contract_id: AccountId,
    /// The worker's account, registered with the contract.
    pub account_id: AccountId,
    /// A key of that account. A function-call key for the contract is enough.
    pub secret_key: SecretKey,
    /// Executions at once.
    pub concurrency: usize,
    /// Requests served at once: executing, submitting, or waiting for others to commit.
    pub in_flight: usize,
    /// How often the contract is asked for requests.
    pub poll_interval: Duration,
    /// Fetching and keeping code.
    pub code: CodeConfig,
    /// The engine.
    pub executor: ExecutorConfig,
    /// Where requests are looked for: [`At::Final`], so that no execution depends on a block that may be replaced. A chain
    /// that never replaces a block can be served at [`At::Optimistic`], a little sooner.
    pub discover_at: At,
    /// Waited between an execution and its submission. A standby worker gives others the first go with it.
    pub submit_delay: Duration,
    /// Blocks that each worker further down a request's order waits before it steps in; 0 serves everything at once.
    pub step_in_blocks: u64,
    /// Gas attached to a submission.
    pub gas: u64,
    /// Waits after a failure, for each request.
    pub backoff: Backoff,
    /// How long requests in flight may take to end when the worker is stopped.
    pub shutdown_grace: Duration,
    /// Is told about every request's steps.
    pub observer: Option<Observer>,
}

impl WorkerConfig {
    /// A worker of `account_id` for the contract on the node at `rpc_url`.
    pub fn new(
        rpc_url: impl Into<String>,
        contract_id: AccountId,
        account_id: AccountId,
        secret_key: SecretKey,
    ) -> Self {
        Self {
            node: NodeConfig::new(rpc_url),
            contract_id,
            account_id,
            secret_key,
            concurrency: 2,
            in_flight: 16,
            poll_interval: Duration::from_millis(500),
            code: CodeConfig::default(),
            executor: ExecutorConfig::default(),
            discover_at: At::Final,
            submit_delay: Duration::ZERO,
            step_in_blocks: 4,
            // The most that every network grants one call.
            gas: 300_000_000_000_000,
            backoff: Backoff { first: Duration::from_millis(500), most: Duration::from_secs(30) },
            shutdown_grace: Duration::from_secs(10),
            observer: None,
        }
    }
}

impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("contract_id", &self.contract_id)
            .field("account_id", &self.account_id)
            .field("public_key", &self.secret_key.public_key().to_string())
            .field("concurrency", &self.concurrency)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_key_does_not_show() {
        let key: SecretKey = SecretKey::from_seed(near_crypto::KeyType::ED25519, "worker");
        let account = |id: &str| id.parse::<AccountId>().unwrap();
        let config = WorkerConfig::new(
            "http://x",
            account("outlayer.near"),
            account("worker.near"),
            key.clone(),
        );
        let text = format!("{config:?}");
        assert!(text.contains("worker.near"), "{text}");
        let secret = key.to_string();
        assert!(!text.contains(secret.trim_start_matches("ed25519:")), "{text}");
    }
}
