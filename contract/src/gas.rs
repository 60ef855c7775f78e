//! How much gas a call needs.
//!
//! The settlement's gas is set aside when the request is made, and a callback that runs out of gas
//! settles nothing. So every number here is an upper bound. `tests/gas` measures the largest
//! settlements in a node's VM, with longer trie paths than any network has; each number is what
//! such a settlement spends on one thing, with some room.

use near_sdk::{AccountId, Gas, env};
use outlayer_protocol::{
    ExecutionRequest, ResponseFormat, agreement::PAID_VOIDS, claims::MOST_CLAIMS,
    limits::MAX_VALUE_BYTES, pricing::may_be_created, secrets::MAX_RECIPIENTS,
    storage::MAX_REPLACED_BYTES,
};

use crate::{Contract, ContractError, workers::most_drawn};

/// For `on_refund`, which reads and writes the contract's state and one entry when a payment has
/// bounced. It burns 1 Tgas then (`gas.txt`); what is set aside for it counts as used by every
/// settlement.
pub(crate) const ON_REFUND: Gas = Gas::from_ggas(1_500);

/// For `migrate`, which writes the contract's own state anew, takes the index of layout 2 apart,
/// and puts its list of workers in order.
pub(crate) const MIGRATE: Gas = Gas::from_tgas(150);

/// A settlement of nothing: the request is loaded and deleted, one worker is paid, the event is
/// emitted, and the refund is made with its callback.
const SETTLEMENT: Gas = Gas::from_ggas(7_000);
/// For a payer whose id means that the refund may have to create the account.
const IMPLICIT_PAYER: Gas = Gas::from_ggas(8_300);
/// For each seat, and each round that may be paid: a worker that is paid, or whose share stays
/// open.
const PER_SEAT: Gas = Gas::from_ggas(1_600);
/// For the claims of a request: each may be counted as missed, with an event.
const CLAIMS: Gas = Gas::from_ggas(600 * MOST_CLAIMS as u64);
/// For each byte of input, which is deleted.
const PER_INPUT_BYTE: Gas = Gas::from_gas(20_000_000);
/// For each byte of arguments, environment, URL and name, which are read, decoded one by one, and
/// deleted.
const PER_TEXT_BYTE: Gas = Gas::from_gas(280_000_000);
/// For each byte of output in borsh, which is read, decoded, returned to one receiver, and deleted.
const PER_BORSH_OUTPUT_BYTE: Gas = Gas::from_gas(112_000_000);
/// For each byte of output in JSON, which is also encoded in base64 and a third longer then.
const PER_JSON_OUTPUT_BYTE: Gas = Gas::from_gas(188_000_000);
/// For each byte of plan in borsh, which is read, decoded, hashed, returned, deleted, and written
/// where the result is kept.
const PER_BORSH_PLAN_BYTE: Gas = Gas::from_gas(180_000_000);
/// For each byte of plan in JSON.
const PER_JSON_PLAN_BYTE: Gas = Gas::from_gas(260_000_000);
/// For each byte of journal, which is read, hashed, written, and deleted.
const PER_JOURNAL_BYTE: Gas = Gas::from_gas(150_000_000);
/// For each key that was read: its metadata is read, its lock checked and removed.
const PER_READ: Gas = Gas::from_ggas(460);
/// For each key that is written or removed, in addition: its own three entries, and those of the
/// key that moves into its place.
const PER_WRITE: Gas = Gas::from_ggas(1_200);
/// For a result that is kept, which is written.
const KEPT_RESULT: Gas = Gas::from_ggas(350);
/// For each byte of a value that is overwritten or removed.
const PER_OLD_BYTE: Gas = Gas::from_gas(20_000_000);

/// A request of nothing: it is checked, written and listed, the event is emitted, and the yield
/// made.
const REQUEST: Gas = Gas::from_tgas(4);
/// For each byte of input, which is decoded from base64, hashed, and written.
const PER_REQUEST_INPUT_BYTE: Gas = Gas::from_gas(160_000_000);
/// For each byte of arguments, environment, URL and name, which are decoded, checked, hashed, and
/// written.
const PER_REQUEST_TEXT_BYTE: Gas = Gas::from_gas(1_150_000_000);

/// For each secret, whose entry is read and whose terms are decoded.
const PER_SECRET: Gas = Gas::from_ggas(1_200);
/// For the workers to which secrets are sealed, which are looked at.
const SECRETS: Gas = Gas::from_ggas(120 * MAX_RECIPIENTS as u64);
/// For each worker that is drawn.
const PER_DRAWN: Gas = Gas::from_ggas(150);

fn sum(base: Gas, parts: &[(Gas, u64)]) -> Gas {
    parts.iter().fold(base, |sum, (price, count)| sum.saturating_add(price.saturating_mul(*count)))
}

/// The gas of the callback: enough to settle the largest response to `request`.
pub(crate) fn settlement(
    request: &ExecutionRequest,
    payer: Option<&AccountId>,
    takes_claims: bool,
) -> Gas {
    let limits = &request.limits;
    let may_be_void = request.approvals > 1 && limits.storage_reads > 0;
    let rounds = if may_be_void { 1 + u64::from(PAID_VOIDS) } else { 1 };
    let writes = u64::from(limits.storage_writes);
    let (per_output_byte, per_plan_byte) = match request.response_format {
        ResponseFormat::Json => (PER_JSON_OUTPUT_BYTE, PER_JSON_PLAN_BYTE),
        ResponseFormat::Borsh => (PER_BORSH_OUTPUT_BYTE, PER_BORSH_PLAN_BYTE),
    };
    let parts = [
        (IMPLICIT_PAYER, may_be_created(payer).into()),
        (PER_SEAT, u64::from(request.seats()).saturating_mul(rounds)),
        (CLAIMS, takes_claims.into()),
        (PER_INPUT_BYTE, request.input.len() as u64),
        (PER_TEXT_BYTE, request.text_bytes()),
        (per_output_byte, limits.output_bytes.into()),
        (PER_JOURNAL_BYTE, limits.journal_bytes.into()),
        (per_plan_byte, limits.plan_bytes.into()),
        (PER_READ, limits.storage_reads.into()),
        (PER_WRITE, writes),
        (KEPT_RESULT, (request.keep_result_blocks > 0).into()),
        (PER_OLD_BYTE, writes.saturating_mul(MAX_VALUE_BYTES.into()).min(MAX_REPLACED_BYTES)),
    ];
    sum(SETTLEMENT, &parts)
}

/// The gas that must be attached to `request_execution`, the callback's gas included.
pub(crate) fn request(
    contract: &Contract,
    request: &ExecutionRequest,
    payer: Option<&AccountId>,
) -> Gas {
    let parts = [
        (PER_REQUEST_INPUT_BYTE, request.input.len() as u64),
        (PER_REQUEST_TEXT_BYTE, request.text_bytes()),
        (PER_DRAWN, most_drawn(request.seats()).into()),
        (SECRETS, (!request.secrets.is_empty()).into()),
        (PER_SECRET, request.secrets.len() as u64),
    ];
    let takes_claims = contract.config.takes_claims(request);
    sum(REQUEST, &parts).saturating_add(settlement(request, payer, takes_claims))
}

/// Checks that enough gas is attached, so that a caller with too little gas gets an explanation.
pub(crate) fn check_attached(needed: Gas) -> Result<(), ContractError> {
    let found = env::prepaid_gas();
    if found < needed {
        return Err(ContractError::Gas { found, needed });
    }
    Ok(())
}
