//! How a worker is configured.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use outlayer_client::{At, Backoff, NodeConfig, SecretKey};
use outlayer_guest::Engine;
use outlayer_modules::CodeConfig;
use outlayer_protocol::AccountId;

use super::Observer;

/// A worker's configuration.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The node that the worker asks, and how.
    pub node: NodeConfig,
    /// The account of the OutLayer contract.
    pub contract_id: AccountId,
    /// The worker's account, which is registered with the contract.
    pub account_id: AccountId,
    /// A key of that account. A function-call key for the contract is enough.
    pub secret_key: SecretKey,
    /// The most executions at once.
    pub concurrency: usize,
    /// The most requests that are served at once: those that execute, those that are submitted, and
    /// those that wait for other workers to agree. Only the first of them count for `concurrency`.
    pub in_flight: usize,
    /// The time between two looks at the pending requests.
    pub poll_interval: Duration,
    /// How code is fetched and kept.
    pub code: CodeConfig,
    /// What runs guests. A process that holds a key should give them to others to run.
    pub engine: Arc<dyn Engine>,
    /// The folder in which the worker notes requests whose guest ended its process, so that a
    /// worker that is started again does not take them up at once. It is made when it is missing.
    /// `None` remembers them in memory only.
    pub state_dir: Option<PathBuf>,
    /// The block at which requests are looked for. With [`At::Final`] no execution depends on a
    /// block that a reorg may replace. A chain without reorgs can be served at [`At::Optimistic`],
    /// a little sooner.
    pub discover_at: At,
    /// The wait between an execution and its submission. With it a standby worker lets others
    /// answer first.
    pub submit_delay: Duration,
    /// How many blocks each worker further down a request's order waits before it steps in: to
    /// serve it, or where several must agree, to send the body or to close it. With 0 the worker
    /// does so at once.
    pub step_in_blocks: u64,
    /// The gas attached to a submission, in units of gas.
    pub gas: u64,
    /// The waits after failures, for each request.
    pub backoff: Backoff,
    /// The waits after an attempt whose guest ended its process, or was given up.
    pub process_backoff: Backoff,
    /// How long the requests in flight may take to end when the worker is stopped.
    pub shutdown_grace: Duration,
    /// Is told about every step of every request.
    pub observer: Option<Observer>,
}

impl WorkerConfig {
    /// A worker that serves `contract_id` as `account_id`, through the node at `rpc_url`, with
    /// `engine`.
    pub fn new(
        rpc_url: impl Into<outlayer_client::EndpointUrl>,
        contract_id: AccountId,
        account_id: AccountId,
        secret_key: SecretKey,
        engine: Arc<dyn Engine>,
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
            engine,
            state_dir: None,
            discover_at: At::Final,
            submit_delay: Duration::ZERO,
            step_in_blocks: 4,
            // The most that one call may have on every network.
            gas: 300_000_000_000_000,
            backoff: Backoff { first: Duration::from_millis(500), most: Duration::from_secs(30) },
            process_backoff: Backoff {
                first: Duration::from_secs(10),
                most: Duration::from_secs(600),
            },
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
    use near_crypto::KeyType;
    use outlayer_executor::{Executor, ExecutorConfig};

    use super::*;

    #[test]
    fn the_secret_key_does_not_show() {
        let key: SecretKey = SecretKey::from_seed(KeyType::ED25519, "worker");
        let account = |id: &str| id.parse::<AccountId>().unwrap();
        let engine = Arc::new(Executor::new(ExecutorConfig::default()).unwrap());
        let config = WorkerConfig::new(
            "http://x",
            account("outlayer.near"),
            account("worker.near"),
            key.clone(),
            engine,
        );
        let text = format!("{config:?}");
        assert!(text.contains("worker.near"), "{text}");
        let secret = key.to_string();
        assert!(!text.contains(secret.trim_start_matches("ed25519:")), "{text}");
    }
}
