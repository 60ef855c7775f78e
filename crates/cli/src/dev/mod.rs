//! `outlayer dev`: a node, the contract, a worker and accounts in one terminal.
//!
//! `network` starts the node and deploys the contract, `guests` builds and publishes the guests,
//! `watch` does so again when `stamp` tells that their files have changed, and `report` says what
//! happens. The accounts and their keys are those of `crate::localnet`.

mod guests;
mod network;
mod report;
mod stamp;
mod watch;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use outlayer_localnet::{cli::block_production, node::BlockProduction};
use outlayer_sandbox::Sandbox;
use outlayer_worker::{SecretsConfig, Worker, WorkerConfig};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task,
};

use self::{
    guests::Guest,
    network::{Network, Options},
    report::{Account, Event, Listened, Published, Ready, Report},
};
use crate::{contract_wasm, engine, localnet};

/// Start a node with the contract, a worker and accounts, and publish guests as they change
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// A guest to publish, and to publish again when it changes: its Wasm, or the folder of its
    /// package, which is built first; may be given several times
    guests: Vec<PathBuf>,
    /// The folder in which the chain is kept, so that the next start continues it
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// The address that the node listens on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:3030")]
    rpc_addr: SocketAddr,
    /// `instant` (a block as soon as there is work), or the time between blocks, such as `600ms`
    #[arg(long, default_value = "instant", value_parser = production)]
    block_time: BlockProduction,
    /// The contract's Wasm [default: the one that is part of this command]
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How many requests are executed at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn production(text: &str) -> Result<BlockProduction, String> {
    block_production(text).map_err(|error| error.to_string())
}

/// How long the requests that are being executed may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// The longest time between two questions of the worker for the newest block.
const POLL: Duration = Duration::from_millis(100);

/// The folder of a chain. One that was made for this run goes away with it.
struct State {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl State {
    fn open(given: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = given {
            std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
            let path = std::path::absolute(path)?;
            return Ok(Self { path, temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("outlayer-dev-").tempdir()?;
        Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    fn kept(&self) -> Option<PathBuf> {
        self.temporary.is_none().then(|| self.path.clone())
    }
}

/// The signals that end the command.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn prepare() -> anyhow::Result<Self> {
        let (interrupt, terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl DevArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let begun = Instant::now();
        // What can be found wrong without starting anything.
        let code = contract_wasm::read(self.contract.as_deref())?.code;
        let guests = guests::find(&self.guests)?;
        let state = State::open(self.state.clone())?;
        let (report, printer) = Report::start(self.json)?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(async {
            let mut stop = Stop::prepare()?;
            tokio::select! {
                ended = self.run(begun, code, guests, &state, &report) => ended,
                () = stop.asked() => Ok(()),
            }
        });
        // Nobody waits any more for what is still running.
        runtime.shutdown_timeout(GRACE);
        if ended.is_ok() {
            report.say(Event::Stopped);
        }
        drop(report);
        printer.finish();
        ended.map(|()| true)
    }

    /// Runs everything until it is dropped.
    async fn run(
        &self,
        begun: Instant,
        code: Vec<u8>,
        mut guests: Vec<Guest>,
        state: &State,
        report: &Report,
    ) -> anyhow::Result<()> {
        let concurrency = usize::from(self.concurrency);
        let cache = state.path.join("cache");
        let engine = {
            let cache = cache.clone();
            task::spawn_blocking(move || engine::of_worker(Some(cache), concurrency, None))
        };
        let keys = localnet::write_keys(&state.path.join("credentials"))?;
        let options =
            Options { state: &state.path, rpc_addr: self.rpc_addr, production: self.block_time };
        let network = Network::start(options, code).await?;
        let worker = self.worker(&network, engine.await??, &state.path, report)?;
        let mut published = Vec::new();
        for guest in &mut guests {
            published.push(guest.publish(&network.contract).await?);
        }
        let call = call_to_paste(&network, guests.first().zip(published.first()))?;
        let account = |name: &&str| {
            let key_file = keys.join(format!("{name}.json"));
            anyhow::Ok(Account { account_id: localnet::id(name)?, key_file })
        };
        report.say(Event::Ready(Ready {
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            rpc_url: network.rpc_url(),
            contract_id: network.contract.id().clone(),
            worker_id: worker.account_id().clone(),
            accounts: localnet::ALL.iter().map(account).collect::<anyhow::Result<_>>()?,
            state: state.kept(),
            continued: network.continued,
            guests: published,
            call,
        }));
        tokio::select! {
            _ = worker.run(std::future::pending()) => {}
            () = watch::watch(guests, network.contract.clone(), report.clone()) => {}
        }
        Ok(())
    }

    /// The worker, which serves as the account that is registered.
    fn worker(
        &self,
        network: &Network,
        engine: Arc<Sandbox>,
        state: &Path,
        report: &Report,
    ) -> anyhow::Result<Worker> {
        let engine = Arc::new(Listened { engine, report: report.clone() });
        let mut config = WorkerConfig::new(
            network.rpc_url(),
            network.contract.id().clone(),
            localnet::id(localnet::WORKER)?,
            localnet::key(localnet::WORKER),
            engine,
        );
        config.concurrency = usize::from(self.concurrency);
        config.poll_interval = POLL;
        config.state_dir = Some(state.join("worker"));
        config.code.cache_dir = Some(state.join("cache"));
        // A developer serves guests from this machine.
        config.code.allow_private_urls = true;
        config.fetch.allow_loopback = true;
        // The network is this process.
        config.secrets = SecretsConfig { keys: vec![localnet::secrets_key()], one_endpoint: true };
        config.shutdown_grace = GRACE;
        let report = report.clone();
        config.observer = Some(Arc::new(move |stage| report.stage(stage)));
        Ok(Worker::new(config)?)
    }
}

/// A request for the first guest; without one, a question to the contract.
fn call_to_paste(network: &Network, guest: Option<(&Guest, &Published)>) -> anyhow::Result<String> {
    let on = match network.rpc_url() {
        url if url == localnet::RPC_URL => format!("--network {}", localnet::NAME),
        url => format!("--network {} --rpc-url {url}", localnet::NAME),
    };
    let Some((guest, published)) = guest else {
        return Ok(format!("outlayer status {on}"));
    };
    Ok(format!(
        "outlayer request {on} --account {} --name {} {}",
        localnet::DEVELOPER,
        published.name,
        guest.request_options(published.code_bytes)?,
    ))
}
