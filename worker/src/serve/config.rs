//! How a worker is configured.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use outlayer_client::{At, Backoff, EndpointUrl, NodeConfig, SecretKey};
use outlayer_fetch::FetchConfig;
use outlayer_guest::{Engine, EngineId, Engines};
use outlayer_modules::CodeConfig;
use outlayer_protocol::AccountId;
use outlayer_secrets::WorkerKey;

use super::{Observer, Replica};

/// How many requests may be in each stage at once. Each bound is on its own, so what waits in one
/// stage holds nothing up in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The most requests that are under way at all, with those that wait for the chain.
    pub in_flight: usize,
    /// The most requests that are loaded, or are loaded and wait for their execution.
    pub prepared: usize,
    /// The most downloads from URLs at once, each of the largest code. Smaller code that waits for
    /// its execution takes as much of this as it is long.
    pub downloads: usize,
    /// The same for code that comes from the contract.
    pub published: usize,
    /// The most bytes of answers that are executed and not sent yet. When they are used up, no
    /// execution begins.
    pub answer_bytes: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            in_flight: 4_096,
            prepared: 128,
            downloads: 16,
            published: 8,
            answer_bytes: 256 << 20,
        }
    }
}

/// How a worker opens the secrets of requests.
#[derive(Clone, Debug, Default)]
pub struct SecretsConfig {
    /// The worker's X25519 keys. Its metadata publish the public half of the first; the others open
    /// what was sealed to them before. Without a key the worker serves no request with secrets.
    pub keys: Vec<WorkerKey>,
    /// Whether one endpoint is believed about what a secret is opened for. It is meant for
    /// development: who controls that endpoint could have the worker open any secret that is sealed
    /// to it, for a request that was never made.
    pub one_endpoint: bool,
}

impl SecretsConfig {
    /// The public half of the key that the worker's metadata should publish.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        self.keys.first().map(WorkerKey::public)
    }
}

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
    /// More keys of that account. With several keys, several transactions are under way at once.
    /// Several processes may share the account when each has keys of its own, and a `replica`; the
    /// salts of commitments come from `secret_key`.
    pub more_keys: Vec<SecretKey>,
    /// Which of the account's processes this is. Without it, each process serves every request that
    /// is the account's to serve, and all but one in vain.
    pub replica: Replica,
    /// The most executions at once.
    pub concurrency: usize,
    /// How many requests may be in each of the other stages.
    pub places: Places,
    /// The longest time between two questions for the newest block while there is work. Without
    /// work it is asked for once a block, and no more often than this.
    pub poll_interval: Duration,
    /// How code is fetched and kept.
    pub code: CodeConfig,
    /// How guests reach the network. Without probes, the endpoints of `node` are those.
    pub fetch: FetchConfig,
    /// How it opens secrets.
    pub secrets: SecretsConfig,
    /// How many bytes of code that was published or named in the contract are compiled in an hour
    /// before anybody asks for them. With 0 none are.
    pub ahead_bytes_per_hour: u64,
    /// What runs guests. A process that holds a key should give them to others to run.
    pub engine: Arc<dyn Engine>,
    /// Engines of other versions, for the requests that pin them: during an upgrade a worker serves
    /// those of before and those of after it.
    pub more_engines: Vec<(EngineId, Arc<dyn Engine>)>,
    /// The folder in which the worker notes requests whose guest ended its process, so that a
    /// worker that is started again does not take them up at once. It is made when it is missing.
    /// `None` remembers them in memory only.
    pub state_dir: Option<PathBuf>,
    /// The block at which requests are looked for. At [`At::Optimistic`], the default, a request is
    /// served about two blocks sooner. Should a reorg replace its block, an execution was in vain,
    /// and the contract refuses the answer, which costs its gas. At [`At::Final`] no execution
    /// depends on a block that a reorg may replace.
    pub discover_at: At,
    /// The wait between an execution and its submission. With it a standby worker lets others
    /// answer first.
    pub submit_delay: Duration,
    /// How many blocks an answer takes to land, and so each worker further down a request's order
    /// waits at least before it steps in: to serve it, or where several must agree, to send the
    /// body or to close it. The time that the execution should take comes on top of it, and one
    /// that takes long is claimed. With 0 the worker serves everything at once and claims nothing.
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
        rpc_url: impl Into<EndpointUrl>,
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
            more_keys: Vec::new(),
            replica: Replica::ONLY,
            concurrency: 2,
            places: Places::default(),
            poll_interval: Duration::from_millis(500),
            code: CodeConfig::default(),
            fetch: FetchConfig::default(),
            secrets: SecretsConfig::default(),
            ahead_bytes_per_hour: 128 << 20,
            engine,
            more_engines: Vec::new(),
            state_dir: None,
            discover_at: At::Optimistic,
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

    /// How guests reach the network, with probes.
    pub(super) fn probed_fetch(&self) -> FetchConfig {
        let mut fetch = self.fetch.clone();
        if fetch.probes.is_empty() {
            let endpoints = self.node.endpoints.iter();
            fetch.probes = endpoints.filter_map(EndpointUrl::host_and_port).collect();
        }
        fetch
    }

    /// All engines that the worker has.
    pub(super) fn engines(&self) -> Engines {
        let own = Engines::own(Arc::clone(&self.engine));
        let more = self.more_engines.iter();
        more.fold(own, |engines, (id, engine)| engines.with(*id, Arc::clone(engine)))
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
