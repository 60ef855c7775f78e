//! `outlayer-worker run`.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use outlayer_protocol::AccountId;
use tokio::signal::unix::{SignalKind, signal};

use super::KeyFile;
use crate::{SecretKey, Worker, WorkerConfig, chain::At, engine::compiled_dir};

/// Options of `run`. Each can be given as an environment variable instead.
#[derive(Args)]
pub struct RunArgs {
    /// JSON-RPC address of a NEAR node
    #[arg(long, env = "OUTLAYER_RPC_URL")]
    pub rpc_url: String,
    /// The OutLayer contract
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    pub contract: AccountId,
    /// The worker's account, registered with the contract [default: the key file's]
    #[arg(long, env = "OUTLAYER_WORKER_ACCOUNT")]
    pub account: Option<AccountId>,
    /// NEAR credentials: JSON with account_id, and private_key or secret_key
    #[arg(long, env = "OUTLAYER_KEY_FILE", required_unless_present = "secret_key")]
    pub key_file: Option<PathBuf>,
    /// The account's secret key, where no file is wanted (environment only)
    #[arg(env = "OUTLAYER_SECRET_KEY", hide = true, hide_env_values = true, long = "secret-key")]
    pub secret_key: Option<String>,
    /// Executions at once
    #[arg(long, env = "OUTLAYER_CONCURRENCY", default_value_t = 2)]
    pub concurrency: usize,
    /// Requests served at once, those that wait for the chain among them
    #[arg(long, env = "OUTLAYER_IN_FLIGHT", default_value_t = 16)]
    pub in_flight: usize,
    /// Milliseconds between two looks at the pending requests
    #[arg(long, env = "OUTLAYER_POLL_INTERVAL", default_value_t = 500)]
    pub poll_interval: u64,
    /// Where code, and what it compiles to, is kept between runs [default: in memory only]
    #[arg(long, env = "OUTLAYER_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Milliseconds between an execution and its submission: a standby worker gives others the first go
    #[arg(long, env = "OUTLAYER_SUBMIT_DELAY", default_value_t = 0)]
    pub submit_delay: u64,
    /// Blocks that each worker further down a request's order waits before it steps in
    #[arg(long, env = "OUTLAYER_STEP_IN_BLOCKS", default_value_t = 4)]
    pub step_in_blocks: u64,
    /// Look for requests in the newest block, which may still be replaced, instead of the newest final one
    #[arg(long, env = "OUTLAYER_OPTIMISTIC")]
    pub optimistic: bool,
    /// Fetch code also from addresses inside this machine and its private networks
    #[arg(long, env = "OUTLAYER_ALLOW_PRIVATE_URLS")]
    pub allow_private_urls: bool,
    /// Tgas attached to a submission
    #[arg(long, env = "OUTLAYER_TGAS", default_value_t = 300)]
    pub tgas: u64,
}

impl std::fmt::Debug for RunArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunArgs")
            .field("contract", &self.contract)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl RunArgs {
    /// Runs a worker until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn execute(self) -> anyhow::Result<()> {
        let config = self.into_config()?;
        let worker = Worker::new(config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let summary = runtime.block_on(async {
            // Whoever sends the signal early must not find the default handler.
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
        // An execution that is still running has nobody to answer to.
        runtime.shutdown_timeout(Duration::from_millis(200));
        Ok(())
    }

    fn into_config(self) -> anyhow::Result<WorkerConfig> {
        let (file_account, secret_key) = match (self.secret_key, &self.key_file) {
            // Parsed here and not by clap, whose message would repeat what it was given.
            (Some(key), _) => {
                let parsed = key.parse::<SecretKey>().ok();
                (None, parsed.context("the secret key is none: expected ed25519:… or secp256k1:…")?)
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
        let mut config = WorkerConfig::new(self.rpc_url, self.contract, account_id, secret_key);
        config.concurrency = self.concurrency;
        config.in_flight = self.in_flight;
        config.poll_interval = Duration::from_millis(self.poll_interval.max(10));
        config.executor.cache_dir = self.cache_dir.as_deref().map(compiled_dir);
        config.executor.pool = u32::try_from(self.concurrency.max(1)).ok();
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
