//! `outlayer worker run`: the worker's daemon.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use outlayer_client::{At, KeyFile, SecretKey};
use outlayer_protocol::AccountId;
use outlayer_worker::{Worker, WorkerConfig};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::engine;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Serve requests until stopped (SIGINT or SIGTERM)
    Run(Box<WorkerRunArgs>),
}

/// Each option can also be given as an environment variable.
#[derive(Args)]
pub(crate) struct WorkerRunArgs {
    /// URL of a NEAR node's JSON-RPC endpoint
    #[arg(long, env = "OUTLAYER_RPC_URL")]
    rpc_url: String,
    /// The OutLayer contract
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    contract: AccountId,
    /// The worker's account, registered with the contract [default: the key file's]
    #[arg(long, env = "OUTLAYER_WORKER_ACCOUNT")]
    account: Option<AccountId>,
    /// NEAR credentials: JSON with account_id, and private_key or secret_key
    #[arg(long, env = "OUTLAYER_KEY_FILE", required_unless_present = "secret_key")]
    key_file: Option<PathBuf>,
    /// The account's secret key, where no file is wanted (environment only)
    #[arg(env = "OUTLAYER_SECRET_KEY", hide = true, hide_env_values = true, long = "secret-key")]
    secret_key: Option<String>,
    /// The most executions at once
    #[arg(long, env = "OUTLAYER_CONCURRENCY", default_value_t = 2)]
    concurrency: usize,
    /// The most requests that are served at once, with those that wait for the chain
    #[arg(long, env = "OUTLAYER_IN_FLIGHT", default_value_t = 4_096)]
    in_flight: usize,
    /// Milliseconds between two looks at the pending requests
    #[arg(long, env = "OUTLAYER_POLL_INTERVAL", default_value_t = 500)]
    poll_interval: u64,
    /// Where code, and what it compiles to, is kept between runs [default: in memory only]
    #[arg(long, env = "OUTLAYER_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// MiB of this machine's memory that all executions together may take; one that does not fit
    /// beside the others waits [default: half of it]
    #[arg(long, env = "OUTLAYER_MEMORY")]
    memory: Option<u64>,
    /// Where requests are noted whose guest ended its process [default: outlayer in
    /// XDG_STATE_HOME, or in ~/.local/state]
    #[arg(long, env = "OUTLAYER_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Milliseconds between an execution and its submission: a standby worker lets others answer
    /// first
    #[arg(long, env = "OUTLAYER_SUBMIT_DELAY", default_value_t = 0)]
    submit_delay: u64,
    /// Blocks that each worker further down a request's order waits before it steps in
    #[arg(long, env = "OUTLAYER_STEP_IN_BLOCKS", default_value_t = 4)]
    step_in_blocks: u64,
    /// Look for requests in the newest block, which a reorg may still replace, and not in the
    /// newest final one
    #[arg(long, env = "OUTLAYER_OPTIMISTIC")]
    optimistic: bool,
    /// Fetch code also from URLs inside this machine and its private networks
    #[arg(long, env = "OUTLAYER_ALLOW_PRIVATE_URLS")]
    allow_private_urls: bool,
    /// Tgas attached to a submission
    #[arg(long, env = "OUTLAYER_TGAS", default_value_t = 300)]
    tgas: u64,
}

impl fmt::Debug for WorkerRunArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerRunArgs")
            .field("contract", &self.contract)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl WorkerCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let Self::Run(args) = self;
        args.execute()
    }
}

impl WorkerRunArgs {
    /// Runs a worker until SIGINT or SIGTERM.
    fn execute(self) -> anyhow::Result<bool> {
        outlayer_sandbox::hide_memory();
        let worker = Worker::new(self.into_config()?)?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let summary = runtime.block_on(async {
            // The handlers are in place before the worker starts, because a signal that came before
            // them would end the process at once.
            let (mut interrupt, mut terminate) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let stop = async move {
                tokio::select! {
                    _ = interrupt.recv() => tracing::info!("SIGINT"),
                    _ = terminate.recv() => tracing::info!("SIGTERM"),
                }
            };
            anyhow::Ok(worker.run(stop).await)
        })?;
        tracing::info!(
            settled = summary.settled,
            failed = summary.failed,
            "the worker has stopped"
        );
        // Nobody waits any more for the result of an execution that is still running.
        runtime.shutdown_timeout(Duration::from_millis(200));
        Ok(true)
    }

    fn into_config(self) -> anyhow::Result<WorkerConfig> {
        let (file_account, secret_key) = match (self.secret_key, &self.key_file) {
            // Parsed here and not by clap, because clap's message would show the key.
            (Some(key), _) => {
                let parsed = key.parse::<SecretKey>().ok();
                let parsed = parsed
                    .context("the secret key is invalid: expected ed25519:… or secp256k1:…")?;
                (None, parsed)
            }
            (None, Some(path)) => {
                let file = KeyFile::read(path)?;
                (file.account_id, file.secret_key)
            }
            (None, None) => anyhow::bail!("give --key-file"),
        };
        let account_id = self
            .account
            .or(file_account)
            .context("give --account: the key file names no account")?;
        let engine = engine::of_worker(
            self.cache_dir.clone(),
            self.concurrency,
            self.memory.map(|mib| mib.saturating_mul(1 << 20)),
        )?;
        let mut config =
            WorkerConfig::new(self.rpc_url, self.contract, account_id, secret_key, engine);
        config.state_dir = self.state_dir.or_else(default_state_dir);
        config.concurrency = self.concurrency;
        config.places.in_flight = self.in_flight;
        config.poll_interval = Duration::from_millis(self.poll_interval.max(10));
        config.code.cache_dir = self.cache_dir;
        config.code.allow_private_urls = self.allow_private_urls;
        config.submit_delay = Duration::from_millis(self.submit_delay);
        config.step_in_blocks = self.step_in_blocks;
        config.gas = self.tgas.saturating_mul(1_000_000_000_000);
        if self.optimistic {
            config.discover_at = At::Optimistic;
        }
        Ok(config)
    }
}

/// Where the worker keeps its notes when nobody says where; nowhere for a user without a home.
fn default_state_dir() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")))?;
    Some(state.join("outlayer"))
}
