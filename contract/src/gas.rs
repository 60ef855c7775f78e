//! How much gas a call needs.
//!
//! The settlement's gas is set aside when the request is made, and a callback that runs out of it settles nothing. So
//! every number here is an upper bound: the parts of the largest settlements as `tests/gas` measures them in a node's
//! VM, with trie paths deeper than any network's, and some room.

use near_account_id::AccountType;
use near_sdk::{AccountId, Gas, env};
use outlayer_protocol::{
    ExecutionRequest, ResponseFormat, config::RequestBounds, limits::MAX_VALUE_BYTES,
    storage::MAX_REPLACED_BYTES,
};

use crate::ContractError;

/// For `on_refund`: it reads and writes the contract's state and one entry.
pub(crate) const ON_REFUND: Gas = Gas::from_tgas(3);

/// For `migrate`: it rewrites the contract's own state.
pub(crate) const MIGRATE: Gas = Gas::from_tgas(50);

/// A settlement of nothing: loading and deleting the request, one worker paid, the event, the refund and its callback.
const SETTLEMENT: Gas = Gas::from_ggas(8_500);
/// For a payer whose id says that a transfer may have to create the account.
const IMPLICIT_PAYER: Gas = Gas::from_ggas(8_300);
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
const PER_READ: Gas = Gas::from_ggas(460);
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

/// Answering a request: loaded, checked, hashed, the body staged, the yield resumed.
const ANSWER: Gas = Gas::from_ggas(3_200);
/// For one byte of arguments, environment and URL.
const PER_ANSWER_TEXT_BYTE: Gas = Gas::from_gas(520_000_000);
/// For each approval asked for: three workers commit, each in a call of its own.
const PER_ANSWER_APPROVAL: Gas = Gas::from_ggas(8_500);
/// For one key that was read: compared, held.
const PER_ANSWER_READ: Gas = Gas::from_ggas(450);
/// For one key that is written: looked up, held.
const PER_ANSWER_WRITE: Gas = Gas::from_ggas(400);
/// For one byte of output and journal: decoded, hashed, staged.
pub(crate) const PER_ANSWER_BYTE: Gas = Gas::from_gas(150_000_000);

/// What the dearest answer within `bounds` costs its workers together, but for the bytes of output and journal.
pub(crate) fn answer(bounds: &RequestBounds) -> Gas {
    let texts = u64::from(bounds.args_env_bytes).saturating_add(bounds.url_bytes.into());
    let parts = [
        (PER_ANSWER_TEXT_BYTE, texts),
        (PER_ANSWER_APPROVAL, bounds.approvals.into()),
        (PER_ANSWER_READ, bounds.limits.storage_reads.into()),
        (PER_ANSWER_WRITE, bounds.limits.storage_writes.into()),
    ];
    sum(ANSWER, &parts)
}

/// Whether a transfer may create its receiver, and so costs more; where it is not known yet, it may.
fn is_implicit(payer: Option<&AccountId>) -> bool {
    payer.is_none_or(|id| id.get_account_type() != AccountType::NamedAccount)
}

/// The callback's gas: enough to settle the largest response to `request`.
pub(crate) fn settlement(request: &ExecutionRequest, payer: Option<&AccountId>) -> Gas {
    let limits = &request.limits;
    let writes = u64::from(limits.storage_writes);
    let per_output_byte = match request.response_format {
        ResponseFormat::Json => PER_JSON_OUTPUT_BYTE,
        ResponseFormat::Borsh => PER_BORSH_OUTPUT_BYTE,
    };
    let parts = [
        (IMPLICIT_PAYER, is_implicit(payer).into()),
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
pub(crate) fn request(request: &ExecutionRequest, payer: Option<&AccountId>) -> Gas {
    let parts = [
        (PER_REQUEST_INPUT_BYTE, request.input.len() as u64),
        (PER_REQUEST_TEXT_BYTE, texts(request)),
    ];
    sum(REQUEST, &parts).saturating_add(settlement(request, payer))
}

/// Checks that enough gas is attached, so that a caller with too little gets an explanation.
pub(crate) fn check_attached(needed: Gas) -> Result<(), ContractError> {
    let found = env::prepaid_gas();
    if found < needed {
        return Err(ContractError::Gas { found, needed });
    }
    Ok(())
}
