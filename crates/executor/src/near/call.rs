//! One call of a contract's method, on a stack that is large enough.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use near_primitives_core::{hash::CryptoHash, types::Gas};
use near_vm_runner::logic::{GasCounter, VMOutcome, errors::VMRunnerError};
use outlayer_guest::{Fault, Job, Snapshot, Stop};
use outlayer_near_host::Host;
use outlayer_protocol::{JournalEntry, Plan, ReadEntry};

use super::{STACK_BYTES, cache::Cache, context, namespace::Namespace, plan};
use crate::near_config::near_config;

/// What is known when a call has ended.
pub(super) struct Ended {
    pub(super) outcome: Result<VMOutcome, VMRunnerError>,
    /// Why the namespace ended the call, if it did.
    pub(super) stop: Option<Stop>,
    pub(super) reads: Vec<ReadEntry>,
    pub(super) journal: Vec<JournalEntry>,
    /// What the contract planned, or why no plan can hold it.
    pub(super) plan: Result<Plan, Stop>,
}

/// Calls `method` with at most `gas`. near-vm-runner runs it on this thread, on the thread's own
/// stack where enough of it is left, and otherwise on one that is made for this call.
pub(super) fn run(
    cache: &Cache,
    job: &Job<'_>,
    method: &str,
    gas: u64,
    snapshot: &mut dyn Snapshot,
) -> Result<Ended, Fault> {
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES + SPARE_BYTES, || {
        // Nothing that a panic leaves behind is used again: the namespace goes with it.
        catch_unwind(AssertUnwindSafe(|| on_this_stack(cache, job, method, gas, snapshot)))
            .unwrap_or_else(|_| Err(Fault::engine("near-vm-runner or the snapshot panicked")))
    })
}

/// What a new stack has beyond [`STACK_BYTES`], so that a call inside of it needs no other.
const SPARE_BYTES: usize = 64 << 10;

fn on_this_stack(
    cache: &Cache,
    job: &Job<'_>,
    method: &str,
    gas: u64,
    snapshot: &mut dyn Snapshot,
) -> Result<Ended, Fault> {
    let config = near_config();
    let wasm = &config.wasm_config;
    let gas = Gas::from_gas(gas);
    let counter = GasCounter::new(wasm.ext_costs.clone(), gas, wasm.regular_op_cost, gas, false);
    let context = context::of(job, CryptoHash(job.code.hash().0), gas);
    let mut namespace = Namespace::new(job, snapshot);
    let prepared = cache.prepare(job.code, wasm, counter, method)?;
    let fees = Arc::clone(&config.fees);
    // `near_vm_runner::run` asks for a host that may change threads, and does nothing but this.
    let outcome = prepared.run(&mut Host(&mut namespace), &context, fees);
    let (stop, storage, receipts) = namespace.into_parts();
    let returned = outcome.as_ref().ok().map(|outcome| &outcome.return_data);
    let plan = plan::of(&receipts, returned, job.limits.plan_bytes);
    let (reads, journal) = storage.into_entries();
    Ok(Ended { outcome, stop, reads, journal, plan })
}
