//! One call of a contract's method, on a thread with a stack of its own.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use near_primitives_core::{hash::CryptoHash, types::Gas};
use near_vm_runner::logic::{GasCounter, VMOutcome, errors::VMRunnerError};
use outlayer_guest::{Fault, Job, Snapshot, SnapshotError, Stop};
use outlayer_near_host::Host;
use outlayer_protocol::{JournalEntry, ReadEntry, limits::MAX_VALUE_BYTES};

use super::{
    cache::Cache,
    context,
    namespace::{Namespace, Source},
};
use crate::near_config::near_config;

/// The native stack on which a contract runs. NEAR's stack metering lets frames need 256 KiB in
/// all; the rest is for compiled frames that are larger than it counts, and for the host functions.
const STACK_BYTES: usize = 32 << 20;

/// What is known when a call has ended.
pub(super) struct Ended {
    pub(super) outcome: Result<VMOutcome, VMRunnerError>,
    /// Why the namespace ended the call, if it did.
    pub(super) stop: Option<Stop>,
    pub(super) reads: Vec<ReadEntry>,
    pub(super) journal: Vec<JournalEntry>,
}

/// Calls `method` with at most `gas`.
///
/// What the contract reads from the snapshot is read on the caller's thread.
pub(super) fn run(
    cache: &Cache,
    job: &Job<'_>,
    method: &str,
    gas: u64,
    snapshot: &mut dyn Snapshot,
) -> Result<Ended, Fault> {
    let (ask, asked) = mpsc::channel::<Vec<u8>>();
    let (answer, answers) = mpsc::channel();
    let source = Source::new(ask, answers);
    thread::scope(|scope| {
        let guest = thread::Builder::new()
            .name("outlayer-near".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, move || on_this_thread(cache, job, method, gas, source))
            .map_err(Fault::host_memory)?;
        let answered = asked.iter().try_for_each(|key| {
            let value = read(snapshot, &key)?;
            // When nobody listens any more, the guest has ended.
            let _ = answer.send(value);
            Ok(())
        });
        drop((asked, answer));
        let ended = guest.join().map_err(|_| Fault::engine("near-vm-runner panicked"))?;
        answered.map_err(Fault::Snapshot)?;
        ended
    })
}

fn on_this_thread(
    cache: &Cache,
    job: &Job<'_>,
    method: &str,
    gas: u64,
    source: Source,
) -> Result<Ended, Fault> {
    let config = near_config();
    let wasm = &config.wasm_config;
    let gas = Gas::from_gas(gas);
    let counter = GasCounter::new(wasm.ext_costs.clone(), gas, wasm.regular_op_cost, gas, false);
    let context = context::of(job, CryptoHash(job.code.hash().0), gas);
    let mut namespace = Namespace::new(job, source);
    let prepared = cache.prepare(job.code, wasm, counter, method)?;
    let fees = Arc::clone(&config.fees);
    let outcome = near_vm_runner::run(prepared, &mut Host(&mut namespace), &context, fees);
    let (stop, storage) = namespace.into_parts();
    let (reads, journal) = storage.into_entries();
    Ok(Ended { outcome, stop, reads, journal })
}

fn read(snapshot: &mut dyn Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
    let value = snapshot.read(key)?;
    match value.as_ref().map(Vec::len) {
        Some(bytes) if bytes > MAX_VALUE_BYTES as usize => Err(SnapshotError::too_long(bytes)),
        _ => Ok(value),
    }
}
