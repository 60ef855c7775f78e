//! How much gas a call needs.

use near_sdk::{Gas, env};
use outlayer_protocol::{ExecutionRequest, ResourceLimits};

use crate::ContractError;

/// For `on_refund`: it reads and writes the contract's state and one entry.
pub(crate) const ON_REFUND: Gas = Gas::from_tgas(4);

/// A settlement without output, keys or journal: loading, the transfer of the refund and its callback, the event.
const SETTLEMENT: Gas = Gas::from_tgas(14);
/// For one byte of output: read, hashed for the event, encoded in base64, returned.
const PER_OUTPUT_BYTE: Gas = Gas::from_gas(150_000_000);
/// For one byte of journal: read, written, hashed, and the old value read on removal.
const PER_JOURNAL_BYTE: Gas = Gas::from_gas(200_000_000);
/// For one key that was read: its entry read, its hold checked and released.
const PER_READ: Gas = Gas::from_ggas(500);
/// For one key that is written or removed, besides: three entries of the key, two of the one that moves.
const PER_WRITE: Gas = Gas::from_ggas(1_500);

/// What the request itself needs besides: the record, the lists, the event, the yield.
const REQUEST: Gas = Gas::from_tgas(10);
/// For one byte of input, arguments and environment: decoded, hashed, written.
const PER_INPUT_BYTE: Gas = Gas::from_gas(250_000_000);

/// The callback's gas: enough to settle the largest response within `limits`.
pub(crate) fn settlement(limits: &ResourceLimits) -> Gas {
    SETTLEMENT
        .saturating_add(PER_OUTPUT_BYTE.saturating_mul(limits.output_bytes.into()))
        .saturating_add(PER_JOURNAL_BYTE.saturating_mul(limits.journal_bytes.into()))
        .saturating_add(PER_READ.saturating_mul(limits.storage_reads.into()))
        .saturating_add(PER_WRITE.saturating_mul(limits.storage_writes.into()))
}

/// What must be attached to `request_execution`, the callback's gas included.
pub(crate) fn request(request: &ExecutionRequest) -> Gas {
    let bytes = (request.input.len() as u64).saturating_add(request.args_env_bytes());
    REQUEST
        .saturating_add(PER_INPUT_BYTE.saturating_mul(bytes))
        .saturating_add(settlement(&request.limits))
}

/// Checks that enough gas is attached, so that a caller with too little gets an explanation.
pub(crate) fn check_attached(needed: Gas) -> Result<(), ContractError> {
    let found = env::prepaid_gas();
    if found < needed {
        return Err(ContractError::Gas { found, needed });
    }
    Ok(())
}
