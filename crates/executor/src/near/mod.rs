//! NEAR contracts as guests: near-vm-runner runs one method, as a node does.
//!
//! The first of the request's arguments names the method. The other arguments and the environment
//! do not reach the guest. `context` says what the host functions tell it. Its storage is the
//! requester's namespace (`namespace`). Its input is the request's input, what it returns is the
//! output, and each of its logs is a line of the log.
//!
//! # Gas
//!
//! The gas is near-vm-runner's, the fee for loading the contract included, and nothing is added. A
//! node charges a write or a removal for the nodes of its trie on the way to the key. A namespace
//! has no trie, so their number is fixed: [`TRIE_NODES`](crate::gas::TRIE_NODES). The meter is
//! always gas: a request that states its limit in fuel gets `InvalidModule`.
//!
//! # What differs from a node
//!
//! * The receipts that the contract makes are its plan (`plan`): function calls and transfers,
//!   which nobody executes unless the caller carries the plan out. Making them burns what a node
//!   burns, and the gas that they attach is taken off what the method may use, and not billed.
//!   Nothing that is planned has a result: `promise_results_count` is 0.
//! * Other actions, yields and everything that needs them are refused, and so are facts that the
//!   context does not have: the stakes of validators and the chain's name. The guest ends as
//!   `Trapped`, and the reason says what was refused. An action is refused when the method has
//!   ended.
//! * A write tells the contract whether the key was there, and hands it the old value. So a write
//!   also reads the key, which then stands in the read set and counts against `storage_reads`.
//! * The deposit of the request is OutLayer's and not the guest's: a contract is told that nothing
//!   was attached.
//!
//! # Limits
//!
//! A contract has the memory that NEAR gives it (64 MiB at first and 128 MiB at most) and at most
//! 10,000 elements in its table, whatever it declares. near-vm-runner cannot set these bounds for
//! one call, so a request must allow that much: `memory_bytes` below 128 MiB, or `table_elements`
//! below 10,000, is `LimitExceeded`.
//!
//! A storage limit ends the method at the call that exceeds it. Output, logs and calls of host
//! functions do not pass through the host of near-vm-runner: it counts gas and logs by itself, asks
//! nobody, and its own bounds are part of an engine's configuration, of which each reserves pools
//! of its own and compiles each contract for itself. So the request's limits on them are checked
//! when the method has ended (calls are counted by the base fee that each pays). Until then NEAR's
//! own bounds hold: 4 MiB of output, 100 logs of 16,384 bytes in all, and the gas, of which each
//! call takes its fee.
//!
//! NEAR reports a contract whose stack overflows as one that reached outside of its memory, and so
//! does the verdict. The host's deadline does not interrupt a contract; its gas does, of which it
//! gets at most [`MAX_GAS`].
//!
//! # Stack
//!
//! A contract runs on the stack of the thread that executes the job. It may need [`STACK_BYTES`]. A
//! thread that has less gets that much for the call and gives it back afterwards, which costs some
//! microseconds.
//!
//! near-vm-runner keeps an engine for the life of the process, with pools for 1,000 instances. It
//! reserves about 130 GB of address space (not memory) when the first contract runs.

mod bounds;
mod cache;
mod call;
mod context;
mod namespace;
mod outcome;
mod plan;

use outlayer_guest::{Execution, Fault, Job, Snapshot, verdict::invalid_module};
use outlayer_protocol::Compute;

use self::cache::Cache;
use crate::cache::CacheResources;

pub use self::bounds::MAX_GAS;

/// Why a request that states its limit in fuel gets nothing from a contract.
const NOT_IN_FUEL: &str = "the module imports `env` and exports no `_start`, so it is a near \
                           guest, which is metered in gas, and the request states its limit in \
                           fuel; a WASI guest exports `_start` and imports nothing from `env`";

/// The native stack on which a contract is prepared and runs. NEAR's stack metering lets frames
/// need 256 KiB in all; the rest is for compiled frames that are larger than it counts, and for the
/// host functions.
pub const STACK_BYTES: usize = 32 << 20;

/// Runs NEAR contracts.
pub(crate) struct Near {
    cache: Cache,
}

impl Near {
    /// Keeps compiled contracts as other modules are kept.
    pub(crate) fn new(resources: &CacheResources) -> Self {
        Self { cache: Cache::new(resources) }
    }

    /// Runs a method.
    pub(crate) fn execute(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Execution, Fault> {
        let Compute::Gas(gas) = job.limits.compute else {
            return Ok(Execution::without_running(job, invalid_module(NOT_IN_FUEL)));
        };
        let Some(method) = job.args.first().filter(|method| !method.is_empty()) else {
            let reason = "a near guest needs a method: the first of the request's arguments";
            return Ok(Execution::without_running(job, invalid_module(reason)));
        };
        if let Some(status) = bounds::too_narrow(job) {
            return Ok(Execution::without_running(job, status));
        }
        let ended = call::run(&self.cache, job, method, gas.min(MAX_GAS), snapshot)?;
        outcome::execution(job, gas, ended)
    }
}
