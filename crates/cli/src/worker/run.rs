//! `outlayer worker run`: the worker's daemon.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use outlayer_client::{At, Keys, NodeConfig};
use outlayer_protocol::AccountId;
use outlayer_worker::{Worker, WorkerConfig};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use super::keys::{self, contract_id, node_config};
use crate::{
    engine,
    logs::{self, LogFormat},
    settings::Settings,
};

/// Each option can also be given as an environment variable, or in the file that --config names.
#[derive(Args, Debug)]
pub(crate) struct WorkerRunArgs {
    #[command(flatten)]
    settings: Settings<true>,
    /// Print the settings that hold, and where each comes from, and end
    #[arg(long)]
    print_config: bool,
    /// Print them as JSON
    #[arg(long, requires = "print_config")]
    json: bool,
}

impl WorkerRunArgs {
    /// Runs a worker until SIGINT or SIGTERM.
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let settings = &self.settings;
        if self.print_config {
            settings.print(self.json)?;
            Options::read(settings)?;
            return Ok(true);
        }
        outlayer_sandbox::hide_memory();
        logs::init_with(&log_filter(settings)?, log_format(settings)?);
        let options = Options::read(settings)?;
        let worker = Worker::new(options.into_config()?)?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let summary = runtime.block_on(async {
            // The handlers are in place before the worker starts, because a signal that came before
            // them would end the process at once.
            let stop = Stop::prepare()?;
            anyhow::Ok(worker.run(stop.asked()).await)
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
}

/// The signals that stop the worker.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

/// What a shell gives for a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

impl Stop {
    fn prepare() -> anyhow::Result<Self> {
        let (interrupt, terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Is ready at the first signal. A second one ends the process at once: whatever the worker was
    /// doing is on the chain, and is found there by the next worker.
    async fn asked(mut self) {
        let signal = self.next().await;
        tracing::info!(
            signal,
            "no more requests are taken; those in flight may end; a second signal ends at once"
        );
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::warn!(signal, "a second signal: the process ends at once");
            std::process::exit(INTERRUPTED);
        });
    }
}

fn log_filter(settings: &Settings<true>) -> anyhow::Result<String> {
    let expected = "levels such as info, or info,outlayer_worker=debug";
    let filter = settings
        .value_if("log", expected, |text| logs::is_filter(text).then(|| text.to_owned()))?;
    Ok(filter.unwrap_or_default())
}

fn log_format(settings: &Settings<true>) -> anyhow::Result<LogFormat> {
    let format = settings.value_if("log_format", "text or json", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })?;
    Ok(format.unwrap_or_default())
}

/// The settings with their types.
struct Options {
    keys: Keys,
    node: NodeConfig,
    contract_id: AccountId,
    concurrency: usize,
    in_flight: usize,
    poll_interval: Duration,
    cache_dir: Option<PathBuf>,
    memory_bytes: Option<u64>,
    state_dir: Option<PathBuf>,
    submit_delay: Duration,
    step_in_blocks: u64,
    optimistic: bool,
    allow_private_urls: bool,
    gas: u64,
    shutdown_grace: Duration,
}

const TERAGAS: u64 = 1_000_000_000_000;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

impl Options {
    /// Reads every setting and the keys. Nothing is started, and nobody is asked.
    fn read(settings: &Settings<true>) -> anyhow::Result<Self> {
        log_filter(settings)?;
        log_format(settings)?;
        let number = |key, range| anyhow::Ok(settings.number(key, range)?.unwrap_or_default());
        let millis = |key, range| anyhow::Ok(Duration::from_millis(number(key, range)?));
        let folder = |key| settings.value::<PathBuf>(key, "a folder");
        Ok(Self {
            node: node_config(settings)?,
            contract_id: contract_id(settings)?,
            concurrency: usize::try_from(number("concurrency", 1..=1_024)?)?,
            in_flight: usize::try_from(number("in_flight", 1..=100_000)?)?,
            poll_interval: millis("poll_interval", 10..=60_000)?,
            cache_dir: folder("cache_dir")?,
            memory_bytes: settings.number("memory", 64..=1 << 30)?.map(|mib| mib << 20),
            state_dir: folder("state_dir")?.or_else(default_state_dir),
            submit_delay: millis("submit_delay", 0..=DAY_MILLIS)?,
            step_in_blocks: number("step_in_blocks", 0..=1_000)?,
            optimistic: settings.switch("optimistic")?,
            allow_private_urls: settings.switch("allow_private_urls")?,
            gas: number("tgas", 1..=1_000)?.saturating_mul(TERAGAS),
            shutdown_grace: Duration::from_secs(number("shutdown_grace", 0..=3_600)?),
            // Last, so that everything else has been looked at when a file is missing.
            keys: keys::read(settings)?.0,
        })
    }

    fn into_config(self) -> anyhow::Result<WorkerConfig> {
        let engine =
            engine::of_worker(self.cache_dir.clone(), self.concurrency, self.memory_bytes)?;
        let Keys { account_id, secret_keys } = self.keys;
        let mut secret_keys = secret_keys.into_iter();
        let secret_key = secret_keys.next().context("no key")?;
        let mut config = WorkerConfig::new("", self.contract_id, account_id, secret_key, engine);
        config.more_keys = secret_keys.collect();
        config.node = self.node;
        config.state_dir = self.state_dir;
        config.concurrency = self.concurrency;
        config.places.in_flight = self.in_flight;
        config.poll_interval = self.poll_interval;
        config.code.cache_dir = self.cache_dir;
        config.code.allow_private_urls = self.allow_private_urls;
        config.submit_delay = self.submit_delay;
        config.step_in_blocks = self.step_in_blocks;
        config.gas = self.gas;
        config.shutdown_grace = self.shutdown_grace;
        config.discover_at = if self.optimistic { At::Optimistic } else { At::Final };
        Ok(config)
    }
}

/// Where the worker keeps its notes when nobody says where; nowhere for a user without a home.
fn default_state_dir() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")))?;
    Some(state.join("outlayer"))
}
