//! NEAR contracts as guests: one method, run by near-vm-runner as a node runs it.
//!
//! The first of the request's arguments names the method; the other arguments and the environment do not reach the guest. What
//! the host functions tell it is in `context`, its storage is the requester's namespace (`external`), the
//! input is its input, what it returns its output, each of its logs a line of the log.
//!
//! # Gas
//!
//! It is near-vm-runner's, loading fee included, and nothing is added. A node charges a write or a removal for the nodes of
//! its trie on the way to the key; a namespace has none, so the number is fixed, [`TRIE_NODES`](crate::gas::TRIE_NODES).
//! The meter is always gas: a request that states its limit in fuel gets `InvalidModule`.
//!
//! # What differs from a node
//!
//! * Promises, yields and what belongs to them are refused (`Trapped`, and the reason says so), and so is what the
//!   context does not know: validators' stakes and the chain's name.
//! * A write tells whether the key was there, and gives the old value: so it reads the key, which then stands in the read set and counts
//!   against `storage_reads`.
//! * The deposit of the request is OutLayer's and not the guest's: a contract is told that nothing was attached.
//!
//! # Limits
//!
//! A contract has the memory that NEAR gives it, 64 MiB at first and 128 MiB at most, and at most 10,000 elements in its table,
//! whatever it declares. The runner's bounds cannot be set for one call, so a request must allow that much:
//! `memory_bytes` below 128 MiB, or `table_elements` below 10,000, is `LimitExceeded`.
//!
//! Storage limits end the method where it exceeds them. Output, logs and calls of host functions do not pass through what a
//! host of near-vm-runner implements, so the request's limits on them are looked at when the method has ended (calls by the base fee that
//! each pays). Until then NEAR's own bounds hold: 4 MiB of output, 100 logs of 16,384 bytes in all, and the gas, of which each
//! call takes its fee.
//!
//! NEAR reports a contract whose stack overflows as one that reached outside of its memory,
//! and so does the verdict. The host's deadline does not interrupt a contract: its gas does, of which it gets at most [`MAX_GAS`].
//!
//! The runner keeps an engine for the life of the process, with pools for 1,000 instances: it reserves about 130 GB of
//! address space (not memory) when the first contract runs.

mod cache;
mod context;
mod external;
mod outcome;

use std::{
    sync::{Arc, mpsc},
    thread,
};

use near_primitives_core::{hash::CryptoHash, types::Gas};
use near_vm_runner::{
    Contract, ContractCode,
    logic::{GasCounter, VMOutcome, errors::VMRunnerError},
};
use outlayer_guest::{
    Execution, Fault, Job, Snapshot, SnapshotError, Stop, verdict::invalid_module,
};
use outlayer_protocol::{
    Compute, Hash32, JournalEntry, Limit, ReadEntry, Status, limits::MAX_VALUE_BYTES,
};

use crate::{cache::Shared, near_config::near_config};
use cache::Cache;
use external::{Namespace, Source};

/// No contract gets more gas than this, whatever the request allows: wanting more is `LimitExceeded` for
/// the computation. It is 20 times what a node gives a transaction, some tens of seconds, and keeps a host that cannot interrupt
/// a contract from being held longer.
pub const MAX_GAS: u64 = 20_000_000_000_000_000;

/// The native stack on which a contract runs. NEAR's accounting lets frames need 256 KiB in all; the rest is
/// for compiled frames that are larger than it says, and for the host functions.
const STACK_BYTES: usize = 32 << 20;

/// Runs NEAR contracts.
pub(crate) struct Near {
    cache: Cache,
}

struct Code<'a> {
    hash: CryptoHash,
    bytes: &'a [u8],
}

impl Contract for Code<'_> {
    fn hash(&self) -> CryptoHash {
        self.hash
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        Some(Arc::new(ContractCode::new(self.bytes.to_vec(), Some(self.hash))))
    }
}

/// What comes back from the thread of a contract.
struct Ended {
    outcome: Result<VMOutcome, VMRunnerError>,
    /// Why the namespace ended the execution, if it did.
    stop: Option<Stop>,
    reads: Vec<ReadEntry>,
    journal: Vec<JournalEntry>,
}

impl Near {
    /// Keeps compiled contracts as other modules are kept.
    pub(crate) fn new(shared: &Shared) -> Self {
        Self { cache: Cache::new(shared) }
    }

    /// Runs a method.
    pub(crate) fn execute(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        let Compute::Gas(gas) = job.limits.compute else {
            let reason = "a near guest is metered in gas, the request states its limit in fuel";
            return Ok(Execution::without_running(job, invalid_module(reason)));
        };
        let Some(method) = job.args.first().filter(|method| !method.is_empty()) else {
            let reason = "a near guest needs a method: the first of the request's arguments";
            return Ok(Execution::without_running(job, invalid_module(reason)));
        };
        if let Some(status) = beyond_bounds(job) {
            return Ok(Execution::without_running(job, status));
        }
        let ended = self.on_a_thread(job, method, gas.min(MAX_GAS), snapshot)?;
        outcome::execution(job, gas, ended)
    }

    /// Runs the method on a stack of its own, and answers from the snapshot, on the caller's thread, what it asks for.
    fn on_a_thread(
        &self,
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
                .spawn_scoped(scope, move || self.call(job, method, gas, source))
                .map_err(Fault::host_memory)?;
            let answered = asked.iter().try_for_each(|key| {
                let value = read(snapshot, &key)?;
                // Where nobody listens any more, the guest has ended.
                let _ = answer.send(value);
                Ok(())
            });
            drop((asked, answer));
            let ended = guest.join().map_err(|_| Fault::engine("near-vm-runner panicked"))?;
            answered.map_err(Fault::Snapshot)?;
            Ok(ended)
        })
    }

    fn call(&self, job: &Job<'_>, method: &str, gas: u64, source: Source) -> Ended {
        let config = near_config();
        let wasm = &config.wasm_config;
        let code = Code { hash: CryptoHash(Hash32::of(job.code).0), bytes: job.code };
        let gas = Gas::from_gas(gas);
        let counter =
            GasCounter::new(wasm.ext_costs.clone(), gas, wasm.regular_op_cost, gas, false);
        let context = context::of(job, code.hash, gas);
        let mut namespace = Namespace::new(job, source);
        let prepared = self.cache.prepare(&code, wasm, counter, method);
        let outcome =
            near_vm_runner::run(prepared, &mut namespace, &context, Arc::clone(&config.fees));
        let (stop, storage) = namespace.into_parts();
        let (reads, journal) = storage.into_entries();
        Ended { outcome, stop, reads, journal }
    }
}

/// The limit that the request sets below what NEAR's runtime gives every contract.
fn beyond_bounds(job: &Job<'_>) -> Option<Status> {
    let bounds = &near_config().wasm_config.limit_config;
    let memory = u64::from(bounds.max_memory_pages) << 16;
    let elements = bounds.max_elements_per_contract_table.unwrap_or_default();
    let exceeded = |which, limit| Some(Status::LimitExceeded { which, limit });
    if job.limits.memory_bytes < memory {
        return exceeded(Limit::MemoryBytes, job.limits.memory_bytes);
    }
    if (job.limits.table_elements as usize) < elements {
        return exceeded(Limit::TableElements, job.limits.table_elements.into());
    }
    None
}

fn read(snapshot: &mut dyn Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
    let value = snapshot.read(key)?;
    match value.as_ref().map(Vec::len) {
        Some(bytes) if bytes > MAX_VALUE_BYTES as usize => Err(SnapshotError::too_long(bytes)),
        _ => Ok(value),
    }
}
