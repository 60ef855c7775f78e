//! How much gas a call needs.
//!
//! The settlement's gas is set aside when the request is made, and a callback that runs out of it settles nothing. So
//! every number here is an upper bound: the parts of the largest settlements as `tests/gas` measures them in a node's
//! VM, with trie paths deeper than any network's, and some room.

use near_sdk::{Gas, env};
use outlayer_protocol::{
    ExecutionRequest, ResponseFormat, limits::MAX_VALUE_BYTES, storage::MAX_REPLACED_BYTES,
};

use crate::ContractError;

/// For `on_refund`: it reads and writes the contract's state and one entry.
pub(crate) const ON_REFUND: Gas = Gas::from_tgas(3);

/// For `migrate`: it rewrites the contract's own state.
pub(crate) const MIGRATE: Gas = Gas::from_tgas(50);

/// A settlement of nothing: loading and deleting the request, one worker paid, the event, the refund and its callback.
const SETTLEMENT: Gas = Gas::from_ggas(8_500);
/// For each approval asked for: three workers, who are paid or have lost.
const PER_APPROVAL: Gas = Gas::from_ggas(1_600);
/// For one byte of input: deleted.
const PER_INPUT_BYTE: Gas = Gas::from_gas(20_000_000);
/// For one byte of arguments, environment and URL: read, decoded one by one, deleted.
const PER_TEXT_BYTE: Gas = Gas::from_gas(280_000_000);
/// For one byte of output in borsh: read, decoded, returned to one receiver, deleted.
const PER_BORSH_OUTPUT_BYTE: Gas = Gas::from_gas(112_000_000);
/// For one byte of output in JSON: besides, encoded in base64, which makes it a third longer.
const PER_JSON_OUTPUT_BYTE: Gas = Gas::from_gas(188_000_000);
/// For one byte of journal: read, hashed, written, deleted.
const PER_JOURNAL_BYTE: Gas = Gas::from_gas(150_000_000);
/// For one key that was read: its entry read, its hold checked and released.
const PER_READ: Gas = Gas::from_ggas(380);
/// For one key that is written or removed, besides: its own three entries and those of the key that moves.
const PER_WRITE: Gas = Gas::from_ggas(1_200);
/// For one byte of a value that is overwritten or removed.
const PER_OLD_BYTE: Gas = Gas::from_gas(20_000_000);

/// A request of nothing: checked, written, listed, the event, the yield.
const REQUEST: Gas = Gas::from_tgas(4);
/// For one byte of input: decoded from base64, hashed, written.
const PER_REQUEST_INPUT_BYTE: Gas = Gas::from_gas(160_000_000);
/// For one byte of arguments, environment and URL: decoded, checked, hashed, written.
const PER_REQUEST_TEXT_BYTE: Gas = Gas::from_gas(1_150_000_000);

fn texts(request: &ExecutionRequest) -> u64 {
    let url = request.code.url.as_ref().map_or(0, String::len);
    request.args_env_bytes().saturating_add(url as u64)
}

fn sum(base: Gas, parts: &[(Gas, u64)]) -> Gas {
    parts.iter().fold(base, |sum, (price, count)| sum.saturating_add(price.saturating_mul(*count)))
}

/// The callback's gas: enough to settle the largest response to `request`.
pub(crate) fn settlement(request: &ExecutionRequest) -> Gas {
    let limits = &request.limits;
    let writes = u64::from(limits.storage_writes);
    let per_output_byte = match request.response_format {
        ResponseFormat::Json => PER_JSON_OUTPUT_BYTE,
        ResponseFormat::Borsh => PER_BORSH_OUTPUT_BYTE,
    };
    let parts = [
        (PER_APPROVAL, request.approvals.into()),
        (PER_INPUT_BYTE, request.input.len() as u64),
        (PER_TEXT_BYTE, texts(request)),
        (per_output_byte, limits.output_bytes.into()),
        (PER_JOURNAL_BYTE, limits.journal_bytes.into()),
        (PER_READ, limits.storage_reads.into()),
        (PER_WRITE, writes),
        (PER_OLD_BYTE, writes.saturating_mul(MAX_VALUE_BYTES.into()).min(MAX_REPLACED_BYTES)),
    ];
    sum(SETTLEMENT, &parts)
}

/// What must be attached to `request_execution`, the callback's gas included.
pub(crate) fn request(request: &ExecutionRequest) -> Gas {
    let parts = [
        (PER_REQUEST_INPUT_BYTE, request.input.len() as u64),
        (PER_REQUEST_TEXT_BYTE, texts(request)),
    ];
    sum(REQUEST, &parts).saturating_add(settlement(request))
}

/// Checks that enough gas is attached, so that a caller with too little gets an explanation.
pub(crate) fn check_attached(needed: Gas) -> Result<(), ContractError> {
    let found = env::prepaid_gas();
    if found < needed {
        return Err(ContractError::Gas { found, needed });
    }
    Ok(())
}
