//! `outlayer estimate`: says what a request must attach, and whether the engine takes the guest.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use outlayer_client::At;
use outlayer_guest::{Code, ENGINE_VERSION, EmptySnapshot, Engine, Job, NEAR_CONFIG_VERSION};
use outlayer_protocol::{
    AccountId, Compute, Config, ExecutionContext, ExecutionRequest, Hash32, Meter, NearToken,
    ResourceLimits, Status, pricing::quote, views::CostView,
};
use serde::Serialize;

use crate::{
    engine::EngineArgs,
    network::{NetworkArgs, block_on},
    print,
    request_args::RequestOptions,
};

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// The guest's Wasm: then also say whether the engine takes it, of this kind and under this
    /// meter
    wasm: Option<PathBuf>,
    /// URL of a NEAR node's JSON-RPC endpoint; without it, the prices are the default
    /// configuration's
    #[arg(long, env = "OUTLAYER_RPC_URL", requires = "contract")]
    rpc_url: Option<String>,
    /// The OutLayer contract
    #[arg(long, env = "OUTLAYER_CONTRACT")]
    contract: Option<AccountId>,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a request must attach, and what is known of its guest.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    cost: CostView,
    /// `None` when no guest was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest: Option<Guest>,
}

#[derive(Serialize)]
struct Guest {
    code_hash: Hash32,
    /// The status that every execution of it would have; `None` when the engine takes it.
    refused: Option<Status>,
}

/// NEAR's price of a byte of storage, yoctoNEAR.
pub(crate) const STORAGE_BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));

impl EstimateArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let code = self
            .wasm
            .map(|path| fs::read(&path).with_context(|| path.display().to_string()))
            .transpose()?;
        // The code has no part in the cost, so any hash will do.
        let hash = code.as_deref().map(Hash32::of).unwrap_or_default();
        let request = self.request.into_request(hash)?;
        let guest = code
            .map(|code| {
                let refused = rejection(&*self.engine.engine()?, &code, &request)?;
                anyhow::Ok(Guest { code_hash: hash, refused })
            })
            .transpose()?;
        let cost: CostView = match (self.rpc_url, self.contract) {
            (Some(rpc_url), Some(contract)) => {
                let contract = NetworkArgs { rpc_url, contract }.contract()?;
                block_on(async move { Ok(contract.estimate(&request, At::Final).await?) })?
            }
            _ => {
                let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
                request.validate(&config)?;
                quote(&config, &request, STORAGE_BYTE_COST)?.into()
            }
        };
        let taken = guest.as_ref().is_none_or(|guest| guest.refused.is_none());
        if self.json {
            print::json(&Report { cost, guest })?;
            return Ok(taken);
        }
        print::line("max fee", print::near(cost.max_fee));
        print::line(
            "storage reserve",
            format!("{} (always returned)", print::near(cost.storage_reserve)),
        );
        print::line("attach", print::near(cost.total));
        if let Some(guest) = guest {
            print::line("code", guest.code_hash);
            let verdict = guest.refused.as_ref().map_or("accepted".to_owned(), print::status);
            print::line("guest", verdict);
        }
        Ok(taken)
    }
}

/// The status with which the engine rejects `code`, whatever the input. The code is prepared and
/// compiled as a worker does it, and then has no fuel or gas to run on.
fn rejection(
    engine: &dyn Engine,
    code: &[u8],
    request: &ExecutionRequest,
) -> anyhow::Result<Option<Status>> {
    let compute = match request.limits.compute.meter() {
        Meter::Fuel => Compute::Fuel(0),
        Meter::Gas => Compute::Gas(0),
    };
    let context = ExecutionContext {
        request_id: 0,
        contract_id: "outlayer.near".parse().context("the contract's name")?,
        block_height: 0,
        block_timestamp: 0,
        epoch_height: 0,
        random_seed: Hash32::default(),
        signer_id: "signer.near".parse().context("the signer's name")?,
        predecessor_id: "dapp.near".parse().context("the caller's name")?,
        attached_deposit: NearToken::from_yoctonear(0),
    };
    let limits = ResourceLimits { compute, ..request.limits };
    let job = Job {
        limits: &limits,
        ..Job::of_request(Code::hashed(request.code.hash, code), request, &context)
    };
    let execution = engine.execute(&job, &mut EmptySnapshot)?;
    Ok(match execution.status {
        rejected @ (Status::InvalidModule { .. } | Status::LimitExceeded { .. }) => Some(rejected),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use outlayer_executor::{Executor, ExecutorConfig};
    use outlayer_protocol::CodeRef;

    use super::*;

    /// How the engine rejects a guest under a limit, in the words that a person reads.
    fn said(code: &[u8], compute: Compute) -> Option<String> {
        let mut request =
            ExecutionRequest::new(CodeRef { hash: Hash32::of(code), url: None }, Vec::new());
        request.limits.compute = compute;
        let engine = Executor::new(ExecutorConfig::default()).unwrap();
        rejection(&engine, code, &request).unwrap().as_ref().map(print::status)
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
