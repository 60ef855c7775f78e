//! The same bytes as a guest on this machine.

use std::sync::Arc;

use outlayer_guest::{Code, Engine, Execution, Job};
use outlayer_protocol::{Compute, ExecutionContext, GuestKind, NearToken, ResourceLimits, Status};

use super::{Asked, there::There};
use crate::run::epoch_of;

/// What the same call came to here.
pub(super) struct Here {
    pub(super) status: Status,
    pub(super) output: Vec<u8>,
    pub(super) logs: Vec<u8>,
    /// Units of gas.
    pub(super) gas: u64,
}

/// Executes the method on the state that the contract has on the network, in the same block.
pub(super) async fn execute(
    engine: Arc<dyn Engine>,
    asked: &Asked,
    there: &There,
) -> anyhow::Result<Here> {
    let context = ExecutionContext {
        request_id: 0,
        contract_id: asked.contract_id.clone(),
        block_height: there.block.height,
        block_timestamp: there.block.timestamp,
        epoch_height: epoch_of(there.block.height),
        random_seed: there.random_seed.unwrap_or_default(),
        signer_id: there.signer_id.clone(),
        predecessor_id: there.signer_id.clone(),
        attached_deposit: NearToken::from_yoctonear(0),
    };
    let (code, state) = (asked.code.clone(), there.state.clone());
    let (args, input, limits) = (vec![asked.method.clone()], asked.args.clone(), limits(asked.gas));
    let execution = tokio::task::spawn_blocking(move || {
        let job = Job {
            kind: Some(GuestKind::Near),
            args: &args,
            input: &input,
            ..Job::new(Code::of(&code), &limits, &context)
        };
        engine.execute(&job, &mut |key: &[u8]| Ok(state.get(key).cloned()))
    });
    let Execution { status, output, logs, used, .. } = execution.await??;
    let (Compute::Gas(gas) | Compute::Fuel(gas)) = used;
    Ok(Here { status, output, logs, gas })
}

/// A node bounds a call by its gas and by its own limits, so these are out of the way.
fn limits(gas: u64) -> ResourceLimits {
    ResourceLimits {
        compute: Compute::Gas(gas),
        memory_bytes: 128 << 20,
        output_bytes: 4 << 20,
        log_bytes: 1 << 20,
        journal_bytes: 16 << 20,
        storage_reads: 100_000,
        storage_writes: 100_000,
        host_calls: u64::MAX,
        max_module_bytes: u32::MAX,
        ..ResourceLimits::default()
    }
}
