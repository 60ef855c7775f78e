//! `outlayer run`: executes a guest on this machine.

use std::{path::PathBuf, sync::Arc};

use anyhow::bail;
use clap::Args;
use outlayer_guest::{
    Code, Connected, ENGINE_VERSION, Engine, Execution, Job, NEAR_CONFIG_VERSION, Secrets,
    Snapshot, SnapshotError,
};
use outlayer_protocol::{
    AccountId, Bytes, CodeRef, Compute, Config, ExecutionContext, ExecutionRequest, Hash32,
    JournalEntry, NearToken, Plan, RequestId, Status,
    http::{Answered, Transcript},
    pricing::{Asked, quote, response_fee},
    random_seed,
    reserve::MOST_ID_BYTES,
};
use serde::Serialize;

use crate::{
    code_file,
    engine::EngineArgs,
    estimate::STORAGE_BYTE_COST,
    http_args::NetworkOptions,
    plan_lines, print, profile,
    progress::Progress,
    request_args::{RequestOptions, pair},
    run_on_chain::ChainArgs,
    secrets::OpeningOptions,
    storage_file::{self, Storage},
};

/// The account that asks when nobody names one.
const PREDECESSOR: &str = "dapp.near";
/// The account that signs when nobody names one.
const SIGNER: &str = "alice.near";
/// The contract when there is none.
const CONTRACT: &str = "outlayer.near";
/// The height of a block that nobody names.
const BLOCK_HEIGHT: u64 = 100_000_000;
/// Its time, nanoseconds since 1970.
const BLOCK_TIMESTAMP: u64 = 1_700_000_000_000_000_000;

/// Execute a guest on this machine, with a made-up context and storage in memory
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The guest's Wasm
    wasm: PathBuf,
    #[command(flatten)]
    request: RequestOptions,
    /// A key and value that the guest finds in storage, KEY=VALUE; may be given several times
    #[arg(long = "storage", value_parser = pair)]
    storage: Vec<(String, String)>,
    /// A JSON file with the keys and values that the guest finds in storage; empty when there is no
    /// such file
    #[arg(long, value_name = "FILE")]
    storage_file: Option<PathBuf>,
    /// Write the storage as the guest leaves it back to this file, if the guest completes
    #[arg(long, requires = "storage_file")]
    keep_storage: bool,
    /// The request's id, as the guest is told
    #[arg(long, default_value_t = 0)]
    request_id: RequestId,
    /// The block seed that the random seed is made from, 64 hex digits
    #[arg(long, default_value_t = Hash32::default())]
    block_seed: Hash32,
    /// The account that asks, as the guest is told
    #[arg(long, default_value = PREDECESSOR)]
    predecessor: AccountId,
    /// The account that signed, as the guest is told
    #[arg(long, default_value = SIGNER)]
    signer: AccountId,
    /// Height of the block, as the guest is told
    #[arg(long, default_value_t = BLOCK_HEIGHT)]
    block_height: u64,
    /// Timestamp of the block, nanoseconds, as the guest is told
    #[arg(long, default_value_t = BLOCK_TIMESTAMP)]
    block_timestamp: u64,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    openings: OpeningOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// Show what each function of the guest used: a core module under fuel, in this process
    #[arg(long)]
    profile: bool,
    /// Give the guest the variables of --env and no others, as suites of tests for WASI expect. It
    /// runs in this process. What a worker answers has the variables of the context as well
    #[arg(long, conflicts_with_all = ["live", "profile"])]
    no_system_env: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A result with its profile, as JSON shows them.
#[derive(Serialize)]
struct Profiled {
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<profile::Shown>,
}

/// The result of a run, as JSON shows it.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) status: Status,
    pub(crate) output: Bytes,
    pub(crate) logs: Bytes,
    pub(crate) used: Compute,
    /// The functions that the guest was in when it trapped, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trapped_in: Vec<String>,
    code_hash: Hash32,
    reads: Vec<Bytes>,
    pub(crate) journal: Vec<JournalEntry>,
    /// What the guest would have its caller do.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    /// What it was answered over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Transcript>,
    fee: NearToken,
    attach: NearToken,
}

/// An execution that is to be made.
pub(crate) struct Run {
    pub(crate) request: ExecutionRequest,
    pub(crate) context: ExecutionContext,
    /// Prices it.
    pub(crate) config: Config,
    /// The secrets that its guest is given.
    pub(crate) secrets: Option<Secrets>,
}

/// The context of a request that was never made. What is attached is filled in later.
pub(crate) fn made_up_context() -> anyhow::Result<ExecutionContext> {
    Ok(ExecutionContext {
        request_id: 0,
        contract_id: CONTRACT.parse()?,
        block_height: BLOCK_HEIGHT,
        block_timestamp: BLOCK_TIMESTAMP,
        epoch_height: epoch_of(BLOCK_HEIGHT),
        random_seed: random_seed(0, Hash32::default().as_bytes()),
        signer_id: SIGNER.parse()?,
        predecessor_id: PREDECESSOR.parse()?,
        attached_deposit: NearToken::from_yoctonear(0),
    })
}

/// About the epoch of a block: an epoch has 43,200 blocks.
pub(crate) fn epoch_of(block_height: u64) -> u64 {
    block_height / 43_200
}

/// The contract's default configuration.
pub(crate) fn default_config() -> Config {
    Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION)
}

impl RunArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = code_file::read(&self.wasm)?;
        let json = self.json;
        let profiler = self.profile.then(|| self.engine.profiler()).transpose()?.map(Arc::new);
        let engine: Arc<dyn Engine> = match &profiler {
            Some(profiler) => Arc::<profile::Profiler>::clone(profiler),
            None if self.no_system_env => {
                Arc::new(self.engine.executor()?.without_context_variables())
            }
            None => self.engine.engine()?,
        };
        let report = if self.chain.is_of_request() {
            let hosts = self.request.hosts().to_vec();
            self.chain.execute(engine, code, self.openings.read()?, hosts, self.network)?
        } else {
            if !self.openings.is_empty() {
                bail!(
                    "--secret is an opening of a secret that a request of the chain pins \
                     (--request); --env NAME=VALUE gives a guest a value without one"
                );
            }
            self.execute_made_up(&*engine, &code)?
        };
        let profile = profiler.and_then(|profiler| profiler.profile()).map(profile::Shown::from);
        let completed = report.status == Status::Completed;
        if json {
            print::json(&Profiled { report, profile })?;
            return Ok(completed);
        }
        show(&report);
        if let Some(profile) = profile {
            profile.show();
        }
        Ok(completed)
    }

    /// Executes the request that the options describe, with the storage that they name.
    fn execute_made_up(self, engine: &dyn Engine, code: &[u8]) -> anyhow::Result<Report> {
        let mut context = ExecutionContext {
            request_id: self.request_id,
            block_height: self.block_height,
            block_timestamp: self.block_timestamp,
            epoch_height: epoch_of(self.block_height),
            random_seed: random_seed(self.request_id, self.block_seed.as_bytes()),
            signer_id: self.signer,
            predecessor_id: self.predecessor,
            ..made_up_context()?
        };
        if let Some(block) = self.chain.block()? {
            context.block_height = block.height;
            context.block_timestamp = block.timestamp;
            context.epoch_height = epoch_of(block.height);
        }
        let request = self.request.into_request(CodeRef { hash: Hash32::of(code), url: None })?;
        let mut storage = match &self.storage_file {
            Some(path) => storage_file::read(path)?,
            None => Storage::new(),
        };
        let given = self.storage.into_iter();
        storage.extend(given.map(|(key, value)| (key.into_bytes(), value.into_bytes())));
        let config = default_config();
        let run = Run { request, context, config, secrets: None };
        let network = &self.network;
        let read = |key: &[u8]| Ok(storage.get(key).cloned());
        let report = run.execute_over(engine, code, network, None, read)?;
        if let Some(path) = self.storage_file.filter(|_| self.keep_storage)
            && report.status == Status::Completed
        {
            storage_file::apply(&mut storage, &report.journal);
            storage_file::write(&path, &storage)?;
        }
        Ok(report)
    }
}

impl Run {
    /// Executes the request over the network that the options say, if it has HTTP, or else over
    /// what was `settled`, and keeps what was exchanged as they say.
    pub(crate) fn execute_over(
        self,
        engine: &dyn Engine,
        code: &[u8],
        options: &NetworkOptions,
        settled: Option<Transcript>,
        mut storage: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, SnapshotError>,
    ) -> anyhow::Result<Report> {
        let (contract_id, secrets) = (&self.context.contract_id, self.secrets.clone());
        let network = options.network(contract_id, &self.request, secrets.as_ref(), settled)?;
        let Some(mut network) = network else { return self.execute(engine, code, &mut storage) };
        let mut outside = Connected { snapshot: storage, network: network.fetch() };
        let report = self.execute(engine, code, &mut outside)?;
        options.keep(&network, secrets.as_ref(), &report.transcript.clone().unwrap_or_default())?;
        Ok(report)
    }

    /// Executes the request as a worker would, and prices it as the contract would. A context
    /// without a deposit has the one that the request must attach.
    pub(crate) fn execute(
        mut self,
        engine: &dyn Engine,
        code: &[u8],
        snapshot: &mut dyn Snapshot,
    ) -> anyhow::Result<Report> {
        let Self { request, context, config, secrets } = &mut self;
        request.validate(config)?;
        let attach = quote(config, request, None, MOST_ID_BYTES, STORAGE_BYTE_COST)?.total;
        if context.attached_deposit == NearToken::from_yoctonear(0) {
            context.attached_deposit = attach;
        }
        let code = Code::of(code);
        let code_hash = code.hash();
        let given = secrets.as_ref().map_or(&[][..], Secrets::variables);
        let job = Job { secrets: given, ..Job::of_request(code, request, context) };
        let execution = {
            let _progress = Progress::start("compiling and executing the guest");
            engine.execute(&job, snapshot)?
        };
        let Execution { logs, backtrace, plan, mut transcript, .. } = execution.clone();
        if let Some(secrets) = secrets {
            secrets.conceal(&mut transcript);
        }
        let response = execution.into_response(context.request_id);
        let fee = response_fee(&config.prices, &Asked::of(config, request), &response)?.total();
        Ok(Report {
            status: response.status,
            output: response.output,
            logs: logs.into(),
            used: response.used,
            trapped_in: backtrace.frames().to_vec(),
            code_hash,
            reads: response.reads.into_iter().map(|read| read.key).collect(),
            journal: response.journal,
            plan: Some(plan).filter(|plan| !plan.promises.is_empty()),
            transcript: Some(transcript).filter(|transcript| !transcript.exchanges.is_empty()),
            fee,
            attach,
        })
    }
}

fn show(report: &Report) {
    if !report.logs.is_empty() {
        eprint!("{}", print::text(&report.logs));
    }
    print::line("status", print::status(&report.status));
    for (how, name) in print::frames(&report.trapped_in) {
        print::line(how, name);
    }
    if report.status == Status::Completed {
        print::line("output", print::text(&report.output));
    }
    print::line("used", report.used);
    print::line("code", report.code_hash);
    for key in &report.reads {
        print::line("read", print::text(key));
    }
    for entry in &report.journal {
        let value = entry
            .value
            .as_ref()
            .map_or_else(|| "removed".to_owned(), |value| format!("= {}", print::text(value)));
        print::line("write", format!("{} {value}", print::text(&entry.key)));
    }
    if let Some(plan) = &report.plan {
        plan_lines::show(plan);
    }
    for exchange in report.transcript.iter().flat_map(|transcript| &transcript.exchanges) {
        print::line("http", answered(&exchange.answered));
    }
    print::line("fee", print::near(report.fee));
    print::line("attach", format!("{} (what is not spent comes back)", print::near(report.attach)));
}

/// What came of an exchange, in a line.
fn answered(answered: &Answered) -> String {
    match answered {
        Answered::Response(response) => {
            format!("status {}, {} bytes", response.status, response.body.len())
        }
        Answered::Failed(error) => error.to_string(),
    }
}
