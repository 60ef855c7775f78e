//! `outlayer run`: executes a guest on this machine.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use outlayer_guest::{Code, ENGINE_VERSION, Engine, Execution, Job, NEAR_CONFIG_VERSION};
use outlayer_protocol::{
    AccountId, Bytes, CodeRef, Compute, Config, ExecutionContext, ExecutionRequest, Hash32,
    JournalEntry, NearToken, RequestId, Status,
    pricing::{Asked, quote, response_fee},
    random_seed,
    reserve::MOST_ID_BYTES,
};
use serde::Serialize;

use crate::{
    code_file,
    engine::EngineArgs,
    estimate::STORAGE_BYTE_COST,
    print,
    request_args::{RequestOptions, pair},
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The guest's Wasm
    wasm: PathBuf,
    #[command(flatten)]
    request: RequestOptions,
    /// A key and value that the guest finds in storage, KEY=VALUE; may be given several times
    #[arg(long = "storage", value_parser = pair)]
    storage: Vec<(String, String)>,
    /// The request's id, as the guest is told
    #[arg(long, default_value_t = 0)]
    request_id: RequestId,
    /// The block seed that the random seed is made from, 64 hex digits
    #[arg(long, default_value_t = Hash32::default())]
    block_seed: Hash32,
    /// The account that asks, as the guest is told
    #[arg(long, default_value = "dapp.near")]
    predecessor: AccountId,
    /// The account that signed, as the guest is told
    #[arg(long, default_value = "alice.near")]
    signer: AccountId,
    /// Height of the block, as the guest is told
    #[arg(long, default_value_t = 100_000_000)]
    block_height: u64,
    /// Timestamp of the block, nanoseconds, as the guest is told
    #[arg(long, default_value_t = 1_700_000_000_000_000_000)]
    block_timestamp: u64,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result of a run, as JSON shows it.
#[derive(Serialize)]
struct Report {
    status: Status,
    output: Bytes,
    logs: Bytes,
    used: Compute,
    code_hash: Hash32,
    reads: Vec<Bytes>,
    journal: Vec<JournalEntry>,
    fee: NearToken,
    attach: NearToken,
}

impl RunArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = code_file::read(&self.wasm)?;
        let json = self.json;
        let context = ExecutionContext {
            request_id: self.request_id,
            contract_id: "outlayer.near".parse().context("the contract's name")?,
            block_height: self.block_height,
            block_timestamp: self.block_timestamp,
            epoch_height: self.block_height / 43_200,
            random_seed: random_seed(self.request_id, self.block_seed.as_bytes()),
            signer_id: self.signer,
            predecessor_id: self.predecessor,
            attached_deposit: NearToken::from_near(1),
        };
        let request = self.request.into_request(CodeRef { hash: Hash32::of(&code), url: None })?;
        let storage = self
            .storage
            .into_iter()
            .map(|(key, value)| (key.into_bytes(), value.into_bytes()))
            .collect();
        let engine = self.engine.engine()?;
        let report = execute(&*engine, &code, request, context, &storage)?;
        if json {
            print::json(&report)?;
        } else {
            show(&report);
        }
        Ok(report.status == Status::Completed)
    }
}

/// Executes the request as a worker would, and prices it as the contract would under the default
/// configuration.
fn execute(
    engine: &dyn Engine,
    code: &[u8],
    request: ExecutionRequest,
    mut context: ExecutionContext,
    storage: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> anyhow::Result<Report> {
    let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
    request.validate(&config)?;
    let attach = quote(&config, &request, None, MOST_ID_BYTES, STORAGE_BYTE_COST)?.total;
    context.attached_deposit = attach;
    let code = Code::of(code);
    let code_hash = code.hash();
    let job = Job::of_request(code, &request, &context);
    let mut read = |key: &[u8]| Ok(storage.get(key).cloned());
    let execution = engine.execute(&job, &mut read)?;
    let Execution { logs, .. } = execution.clone();
    let response = execution.into_response(context.request_id);
    let fee = response_fee(&config.prices, &Asked::of(&config, &request), &response)?.total();
    Ok(Report {
        status: response.status,
        output: response.output,
        logs: logs.into(),
        used: response.used,
        code_hash,
        reads: response.reads.into_iter().map(|read| read.key).collect(),
        journal: response.journal,
        fee,
        attach,
    })
}

fn show(report: &Report) {
    if !report.logs.is_empty() {
        eprint!("{}", print::text(&report.logs));
    }
    print::line("status", print::status(&report.status));
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
    print::line("fee", print::near(report.fee));
    print::line("attach", format!("{} (what is not spent comes back)", print::near(report.attach)));
}
