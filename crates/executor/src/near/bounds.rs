//! The bounds that NEAR's runtime sets for every contract, against the limits of a request.

use outlayer_guest::Job;
use outlayer_protocol::{Limit, Status};

use crate::near_config::near_config;

/// The most gas that a contract gets, whatever its request allows. A contract that needs more ends
/// with `LimitExceeded` for the computation.
///
/// It is 20 times what a node gives a transaction, and burns in some tens of seconds. The host
/// cannot interrupt a contract, so this is what keeps one from occupying it for longer.
pub const MAX_GAS: u64 = 20_000_000_000_000_000;

/// The verdict on a request that allows less than what the runtime gives every contract.
pub(super) fn too_narrow(job: &Job<'_>) -> Option<Status> {
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
