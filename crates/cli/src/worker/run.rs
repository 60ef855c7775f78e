//! `outlayer worker run`: the worker's daemon.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use outlayer_client::{At, Contract, KeyWatch, Keys, Node, NodeConfig, with_causes};
use outlayer_fetch::{FetchConfig, Web};
use outlayer_guest::{ENGINE_VERSION, EngineId};
use outlayer_protocol::{AccountId, NearToken};
use outlayer_sandbox::Sandbox;
use outlayer_secrets::WorkerKey;
use outlayer_telemetry::{
    Metrics, Telemetry, Traces,
    checks::{self, Finding, Level, Subject},
};
use outlayer_worker::{Replica, SecretsConfig, Summary, Worker, WorkerConfig};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::{self, JoinSet},
};

use super::keys::{contract_id, node_config, read_keys};
use crate::{
    engine::{self, OTHER_ENGINE, OtherEngine},
    logs::{self, LogFormat},
    settings::Settings,
};

/// Serve requests until stopped (SIGINT or SIGTERM; a second one ends it at once)
///
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
            Chain::read(settings)?;
            Options::read(settings)?;
            return Ok(true);
        }
        outlayer_sandbox::hide_memory();
        logs::init_with(&log_filter(settings)?, log_format(settings)?);
        let options = Options::read(settings)?;
        let chain = Chain::read(settings)?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let summary = runtime.block_on(serve(options, chain))?;
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

async fn serve(options: Options, mut chain: Chain) -> anyhow::Result<Summary> {
    // The handlers are in place before the worker starts, because a signal that came before them
    // would end the process at once.
    let stop = Stop::prepare()?;
    let sandbox =
        engine::of_worker(options.cache_dir.clone(), options.concurrency, options.memory_bytes)?;
    let tested = self_tested(Arc::clone(&sandbox)).await?;
    let mut sandboxes = vec![sandbox];
    for other in &options.engines {
        let (own, cache_dir) = (sandboxes.first(), options.cache_dir.as_deref());
        let own = own.map(|own| &**own);
        let sandbox = other.start(own, cache_dir, options.concurrency)?;
        let tested = self_tested(Arc::clone(&sandbox)).await?;
        tracing::info!(
            engine = %sandbox.engine(), program = %other.program.display(), tested = %tested.found,
            "another engine is served too"
        );
        sandboxes.push(sandbox);
    }
    let ids: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.engine()).collect();
    let telemetry = telemetry(&options, &chain)?;
    telemetry.self_tested(tested);
    telemetry.metrics().keys(chain.keys.secret_keys.len());
    telemetry.metrics().engines(&ids);
    let secrets_key = options.secrets.public_key();
    let subject = chain.subject(options.min_balance, ids, secrets_key)?;
    let listen = options.listen;
    let key_watch = chain.watch.take();
    let mut config = options.into_config(chain, &sandboxes)?;
    config.observer = Some(telemetry.observer());
    let worker = Arc::new(Worker::new(config)?);
    let mut watching = JoinSet::new();
    if let Some(address) = listen {
        let (serving, shown) = (Arc::clone(&worker), telemetry.clone());
        let bound = telemetry.serve(address, move |metrics| {
            shown.pulse(serving.pulse());
            metrics.children(sandboxes.iter().map(|sandbox| sandbox.children()).sum());
            metrics.endpoints(&serving.endpoints());
        });
        let bound = bound.await.with_context(|| format!("listen: {address}"))?;
        tracing::info!(%bound, "serving /metrics, /health and /ready");
        let (telemetry, serving) = (telemetry.clone(), Arc::clone(&worker));
        watching.spawn(async move {
            let keys = || Subject { public_keys: serving.public_keys(), ..subject.clone() };
            telemetry.watch(keys).await;
        });
    }
    // Also where keys do not change, so that SIGHUP does not end the process.
    let hangup = signal(SignalKind::hangup())?;
    watching.spawn(rotate(hangup, key_watch, Arc::clone(&worker), Arc::clone(telemetry.metrics())));
    let stopping = telemetry.clone();
    let summary = worker
        .run(async move {
            stop.asked().await;
            stopping.stopping();
        })
        .await;
    watching.shutdown().await;
    task::spawn_blocking(move || telemetry.stop()).await?;
    Ok(summary)
}

/// What an engine's self-test has found, which lets it serve.
async fn self_tested(sandbox: Arc<Sandbox>) -> anyhow::Result<Finding> {
    let test = move || checks::self_test(&*sandbox, sandbox.engine());
    let tested = task::spawn_blocking(test).await?;
    if tested.level == Level::Fail {
        bail!("{}. {}", tested.found, tested.advice.unwrap_or_default());
    }
    Ok(tested)
}

/// How often the key files are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(5);

/// Gives the worker the keys that its files have now, whenever these have changed and on SIGHUP.
async fn rotate(
    mut hangup: Signal,
    mut watch: Option<KeyWatch>,
    worker: Arc<Worker>,
    metrics: Arc<Metrics>,
) {
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(KEYS_EVERY), if watch.is_some() => false,
        };
        let Some(watch) = &mut watch else {
            tracing::info!("SIGHUP: the keys are from the environment, and stay as they are");
            continue;
        };
        match watch.changed(asked) {
            Ok(None) if asked => tracing::info!("SIGHUP: the keys are the same"),
            Ok(None) => {}
            Ok(Some(keys)) if keys.account_id != *worker.account_id() => tracing::error!(
                found = %keys.account_id, expected = %worker.account_id(),
                "the key files have keys of another account; the old keys stay"
            ),
            Ok(Some(keys)) => {
                let public_keys: Vec<_> =
                    keys.public_keys().iter().map(ToString::to_string).collect();
                tracing::info!(?public_keys, "these keys sign from now on");
                metrics.keys(public_keys.len());
                worker.replace_keys(keys.secret_keys);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(%error, "the key files cannot be used; the old keys stay");
            }
        }
    }
}

fn telemetry(options: &Options, chain: &Chain) -> anyhow::Result<Telemetry> {
    let traces = options
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| Traces::start(endpoint, chain.contract_id.clone(), &chain.keys.account_id))
        .transpose()?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), ENGINE_VERSION.0);
    Ok(Telemetry::new(metrics, traces))
}

/// Where the worker finds its work, and as whom it answers.
struct Chain {
    node: NodeConfig,
    contract_id: AccountId,
    keys: Keys,
    watch: Option<KeyWatch>,
}

impl Chain {
    fn read(settings: &Settings<true>) -> anyhow::Result<Self> {
        let (node, contract_id) = (node_config(settings)?, contract_id(settings)?);
        let (keys, watch) = read_keys(settings)?;
        Ok(Self { node, contract_id, keys, watch })
    }

    fn subject(
        &self,
        min_balance: NearToken,
        engines: Vec<EngineId>,
        secrets_key: Option<[u8; 32]>,
    ) -> anyhow::Result<Subject> {
        let contract = Contract::new(Node::new(&self.node)?, self.contract_id.clone());
        let (account_id, public_keys) = (self.keys.account_id.clone(), self.keys.public_keys());
        Ok(Subject { contract, account_id, public_keys, min_balance, engines, secrets_key })
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

/// The settings with their types, all but those of the chain and the keys.
pub(crate) struct Options {
    pub(crate) concurrency: usize,
    in_flight: usize,
    poll_interval: Duration,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) engines: Vec<OtherEngine>,
    pub(crate) state_dir: Option<PathBuf>,
    submit_delay: Duration,
    step_in_blocks: u64,
    replica: Replica,
    ahead_bytes_per_hour: u64,
    optimistic: bool,
    allow_private_urls: bool,
    fetch: FetchConfig,
    secrets: SecretsConfig,
    gas: u64,
    shutdown_grace: Duration,
    min_balance: NearToken,
    listen: Option<SocketAddr>,
    otlp_endpoint: Option<String>,
}

/// What `listen` may be.
const LISTEN: &str =
    "an address and port such as 127.0.0.1:9464, or a port of the loopback address";
/// What `replica` may be.
const REPLICA: &str =
    "which of the account's processes this is and how many there are, at most 64, such as 1/3";
/// What `otlp_endpoint` may be.
const OTLP: &str = "the http:// URL of a collector, such as http://127.0.0.1:4317";
const TERAGAS: u64 = 1_000_000_000_000;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

impl Options {
    /// What the worker's account should be able to spend.
    pub(crate) fn min_balance(settings: &Settings<true>) -> anyhow::Result<NearToken> {
        let milli = settings.number("min_balance", 0..=1_000_000_000)?.unwrap_or_default();
        Ok(NearToken::from_millinear(milli.into()))
    }

    /// Reads the settings. Nothing is started, and nobody is asked.
    pub(crate) fn read(settings: &Settings<true>) -> anyhow::Result<Self> {
        log_filter(settings)?;
        log_format(settings)?;
        let number = |key, range| anyhow::Ok(settings.number(key, range)?.unwrap_or_default());
        let millis = |key, range| anyhow::Ok(Duration::from_millis(number(key, range)?));
        let folder = |key| settings.value::<PathBuf>(key, "a folder");
        Ok(Self {
            concurrency: usize::try_from(number("concurrency", 1..=1_024)?)?,
            in_flight: usize::try_from(number("in_flight", 1..=100_000)?)?,
            poll_interval: millis("poll_interval", 10..=60_000)?,
            cache_dir: folder("cache_dir")?,
            memory_bytes: settings.number("memory", 64..=1 << 30)?.map(|mib| mib << 20),
            engines: OtherEngine::read_all(settings.texts("engine"))
                .map_err(|found| settings.wrong("engine", found, OTHER_ENGINE))?,
            state_dir: folder("state_dir")?.or_else(default_state_dir),
            submit_delay: millis("submit_delay", 0..=DAY_MILLIS)?,
            step_in_blocks: number("step_in_blocks", 0..=1_000)?,
            replica: settings.value("replica", REPLICA)?.unwrap_or_default(),
            ahead_bytes_per_hour: number("compile_ahead", 0..=1 << 20)? << 20,
            optimistic: settings.switch("optimistic")?,
            allow_private_urls: settings.switch("allow_private_urls")?,
            fetch: fetch_config(settings)?,
            secrets: secrets_config(settings)?,
            gas: number("tgas", 1..=1_000)?.saturating_mul(TERAGAS),
            shutdown_grace: Duration::from_secs(number("shutdown_grace", 0..=3_600)?),
            min_balance: Self::min_balance(settings)?,
            listen: settings.value_if("listen", LISTEN, |text| {
                let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                text.parse().ok().or_else(|| text.parse().ok().map(loopback))
            })?,
            otlp_endpoint: settings.value_if("otlp_endpoint", OTLP, |text| {
                text.starts_with("http://").then(|| text.to_owned())
            })?,
        })
    }

    /// The configuration of a worker that executes in these sandboxes, of which the first has this
    /// program's engine.
    fn into_config(self, chain: Chain, engines: &[Arc<Sandbox>]) -> anyhow::Result<WorkerConfig> {
        let Keys { account_id, secret_keys } = chain.keys;
        let mut secret_keys = secret_keys.into_iter();
        let secret_key = secret_keys.next().context("no key")?;
        let (own, others) = engines.split_first().context("no engine")?;
        let own = Arc::<Sandbox>::clone(own);
        let mut config = WorkerConfig::new("", chain.contract_id, account_id, secret_key, own);
        let others = others.iter().map(|one| (one.engine(), Arc::<Sandbox>::clone(one) as _));
        config.more_engines = others.collect();
        config.more_keys = secret_keys.collect();
        config.node = chain.node;
        config.state_dir = self.state_dir;
        config.concurrency = self.concurrency;
        config.places.in_flight = self.in_flight;
        config.poll_interval = self.poll_interval;
        config.code.cache_dir = self.cache_dir;
        config.code.allow_private_urls = self.allow_private_urls;
        config.fetch = self.fetch;
        config.secrets = self.secrets;
        config.submit_delay = self.submit_delay;
        config.step_in_blocks = self.step_in_blocks;
        config.replica = self.replica;
        config.ahead_bytes_per_hour = self.ahead_bytes_per_hour;
        config.gas = self.gas;
        config.shutdown_grace = self.shutdown_grace;
        config.discover_at = if self.optimistic { At::Optimistic } else { At::Final };
        Ok(config)
    }
}

/// How guests reach the network.
fn fetch_config(settings: &Settings<true>) -> anyhow::Result<FetchConfig> {
    let places = settings.number("http_places", 1..=100_000)?.unwrap_or_default();
    let mut roots = Vec::new();
    if let Some(path) = settings.value::<PathBuf>("http_roots", "a file")? {
        let pem = std::fs::read(&path);
        roots.push(pem.with_context(|| format!("http_roots: {}", path.display()))?);
    }
    let config = FetchConfig {
        places: usize::try_from(places)?,
        roots,
        allow_loopback: settings.switch("http_loopback")?,
        probes: Vec::new(),
    };
    // What is no certificate is said now, and not when a guest reaches for the network.
    Web::new(config.clone()).context("http_roots")?;
    Ok(config)
}

/// What opens secrets.
pub(crate) fn secrets_config(settings: &Settings<true>) -> anyhow::Result<SecretsConfig> {
    let files = settings.texts("secrets_key_file").iter();
    let keys = files.map(|file| WorkerKey::read(Path::new(file)));
    Ok(SecretsConfig {
        keys: keys.collect::<Result<_, _>>().context("secrets_key_file")?,
        one_endpoint: settings.switch("secrets_one_endpoint")?,
    })
}

/// Where the worker keeps its notes when nobody says where; nowhere for a user without a home.
fn default_state_dir() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")))?;
    Some(state.join("outlayer"))
}
