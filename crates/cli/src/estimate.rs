//! `outlayer estimate`: says what a request must attach, and whether the engine takes the guest.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use outlayer_client::At;
use outlayer_guest::{Code, ENGINE_VERSION, EmptySnapshot, Engine, Job, NEAR_CONFIG_VERSION};
use outlayer_protocol::{
    AccountId, CodeRef, CodeSource, Compute, Config, ExecutionContext, ExecutionRequest, Hash32,
    HttpLimits, Meter, NearToken, ResourceLimits, Status, pricing::quote, reserve::MOST_ID_BYTES,
    views::CostView,
};
use serde::Serialize;

use crate::{
    code_file,
    engine::EngineArgs,
    network::{NetworkArgs, NodeArgs, block_on},
    print,
    progress::Progress,
    request_args::RequestOptions,
    secrets::SecretOptions,
};

/// Say what a request must attach
#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// The guest's Wasm: then also say whether the engine takes it, of this kind and under this
    /// meter
    wasm: Option<PathBuf>,
    /// The name under which the request asks for the code: OWNER/NAME or OWNER/NAME@VERSION
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// The OutLayer contract whose prices count; without it and a network, the prices are the
    /// default configuration's
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    contract: Option<AccountId>,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    secrets: SecretOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a request must attach, how long its execution may take, and what is known of its guest.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    cost: CostView,
    #[serde(flatten)]
    time: Time,
    /// `None` when no guest was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest: Option<Guest>,
}

/// Times at their worst on the reference machine, nanoseconds.
#[derive(Serialize)]
struct Time {
    /// What downloading and compiling the declared code may take.
    module_nanos: u64,
    /// What the whole execution may take.
    execution_nanos: u64,
    /// The most compute that is accepted with the declared memory and code.
    most_compute: Compute,
}

impl Time {
    fn new(config: &Config, limits: &ResourceLimits, http: HttpLimits) -> Self {
        Self {
            module_nanos: config
                .window
                .module_nanos(limits.compute.meter(), limits.max_module_bytes),
            execution_nanos: config.execution_nanos(),
            most_compute: config.most_compute(limits, http),
        }
    }
}

#[derive(Serialize)]
struct Guest {
    code_hash: Hash32,
    code_bytes: usize,
    /// The status that every execution of it would have; `None` when the engine takes it.
    refused: Option<Status>,
}

/// NEAR's price of a byte of storage, yoctoNEAR.
pub(crate) const STORAGE_BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));

impl EstimateArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = self.wasm.map(|path| code_file::read(&path)).transpose()?;
        // The hash of the code has no part in the cost, so any will do.
        let hash = code.as_deref().map(Hash32::of).unwrap_or_default();
        let source = match self.name {
            Some(name) => CodeSource::Named { name },
            None => CodeRef { hash, url: None }.into(),
        };
        let mut request = self.request.into_request(source)?;
        request.secrets = self.secrets.refs()?;
        let guest = code
            .map(|code| {
                let refused = rejection(&*self.engine.engine()?, &code, &request)?;
                anyhow::Ok(Guest { code_hash: hash, code_bytes: code.len(), refused })
            })
            .transpose()?;
        let (limits, http) = (request.limits, request.http_limits());
        let (cost, config): (CostView, Config) = match self.contract {
            contract if self.node.is_given() => {
                let contract = NetworkArgs { node: self.node, contract }.contract()?;
                block_on(async move {
                    let config = contract.config(At::Final).await?.config;
                    Ok((contract.estimate(&request, At::Final).await?, config))
                })?
            }
            _ => {
                let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
                request.validate(&config)?;
                (quote(&config, &request, None, MOST_ID_BYTES, STORAGE_BYTE_COST)?.into(), config)
            }
        };
        let time = Time::new(&config, &limits, http);
        let taken = guest.as_ref().is_none_or(|guest| guest.refused.is_none());
        if self.json {
            print::json(&Report { cost, time, guest })?;
            return Ok(taken);
        }
        print::line("max fee", print::near(cost.max_fee));
        print::line("  for submitting", print::near(cost.submit));
        print::line("  for executing", format!("{} x {}", print::near(cost.share), cost.shares));
        print::line(
            "    of it, code",
            format!("{} (at most {} bytes)", print::near(cost.module_fee), limits.max_module_bytes),
        );
        if cost.voided > NearToken::from_yoctonear(0) {
            let voided = format!("{} x {}", print::near(cost.voided), cost.shares);
            print::line("  for void rounds", voided);
        }
        if cost.close > NearToken::from_yoctonear(0) {
            print::line("  for closing", print::near(cost.close));
        }
        print::line(
            "storage reserve",
            format!("{} (always returned)", print::near(cost.storage_reserve)),
        );
        print::line("attach", print::near(cost.total));
        print::line(
            "time for code",
            format!("{} of {}", seconds(time.module_nanos), seconds(time.execution_nanos)),
        );
        print::line(
            "most compute",
            format!("{} with {} bytes of memory", time.most_compute, limits.memory_bytes),
        );
        if let Some(guest) = guest {
            print::line("code", guest.code_hash);
            print::line("code bytes", guest.code_bytes);
            let verdict = guest.refused.as_ref().map_or("accepted".to_owned(), print::status);
            print::line("guest", verdict);
        }
        Ok(taken)
    }
}

/// A time for people.
fn seconds(nanos: u64) -> String {
    let tenths = nanos.div_ceil(100_000_000);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// The status with which the engine rejects `code`, whatever the input. The code is prepared and
/// compiled as a worker does it, and then has no fuel or gas to run on.
pub(crate) fn rejection(
    engine: &dyn Engine,
    code: &[u8],
    request: &ExecutionRequest,
) -> anyhow::Result<Option<Status>> {
    let compute = match request.limits.compute.meter() {
        Meter::Fuel => Compute::Fuel(0),
        Meter::Gas => Compute::Gas(0),
    };
    let nobody = "outlayer.near".parse().context("the contract's name")?;
    let context = ExecutionContext::of_no_request(nobody);
    let limits = ResourceLimits { compute, ..request.limits };
    let job = Job { limits: &limits, ..Job::of_request(Code::of(code), request, &context) };
    let execution = {
        let _progress = Progress::start("compiling the guest");
        engine.execute(&job, &mut EmptySnapshot)?
    };
    Ok(match execution.status {
        rejected @ (Status::InvalidModule { .. } | Status::LimitExceeded { .. }) => Some(rejected),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use outlayer_executor::{Executor, ExecutorConfig};

    use super::*;

    /// How the engine rejects a guest under a limit, in the words that a person reads.
    fn said(code: &[u8], compute: Compute) -> Option<String> {
        let mut request =
            ExecutionRequest::new(CodeRef { hash: Hash32::of(code), url: None }, Vec::new());
        request.limits.compute = compute;
        let engine = Executor::new(ExecutorConfig::default()).unwrap();
        rejection(&engine, code, &request).unwrap().as_ref().map(print::status)
    }

    #[test]
    fn times_are_rounded_up_to_tenths_of_a_second() {
        for (nanos, expected) in
            [(0, "0.0 s"), (1, "0.1 s"), (72_000_000_000, "72.0 s"), (4_350_000_001, "4.4 s")]
        {
            assert_eq!(seconds(nanos), expected);
        }
    }

    #[test]
    fn a_guest_that_is_longer_than_declared_is_told_before_it_is_sent() {
        let code = with_locals(1);
        let mut request =
            ExecutionRequest::new(CodeRef { hash: Hash32::of(&code), url: None }, Vec::new());
        let bytes = u32::try_from(code.len()).unwrap();
        request.limits.max_module_bytes = bytes;
        let engine = Executor::new(ExecutorConfig::default()).unwrap();
        assert_eq!(rejection(&engine, &code, &request).unwrap(), None);
        request.limits.max_module_bytes = bytes - 1;
        let refused = rejection(&engine, &code, &request).unwrap().as_ref().map(print::status);
        let expected = format!("limit exceeded: module_bytes is at most {}", bytes - 1);
        assert_eq!(refused, Some(expected));
    }

    /// A module whose `_start` has this many locals.
    fn with_locals(count: usize) -> Vec<u8> {
        let locals = "(local i64)".repeat(count);
        wat::parse_str(format!(
            r#"(module (memory (export "memory") 1) (func (export "_start") {locals}))"#
        ))
        .unwrap()
    }

    #[test]
    fn a_guest_that_is_too_large_for_gas_is_told_before_it_is_sent() {
        let (small, large) = (with_locals(1), with_locals(60_000));
        assert_eq!(said(&small, Compute::Fuel(1)), None);
        assert_eq!(said(&small, Compute::Gas(1)), None);
        let refused = said(&large, Compute::Gas(1)).unwrap();
        assert!(refused.contains("locals"), "{refused}");
        assert!(said(b"no Wasm", Compute::Fuel(1)).is_some());
    }
}
