//! The gas that a request's workers burn for it, modelled from what the request asks for.
//!
//! Each number is an upper bound of what was measured. `contract/tests/gas` measures the calls on
//! the contract's Wasm in a node's VM, with longer trie paths than any network has, adds what NEAR
//! charges for a signed call, and fails when a call burns more than this model says, or so much
//! less that requests pay for gas that nobody burns.

use super::Asked;
use crate::{reserve::largest_body, upload::MIN_PART_BYTES};

/// What NEAR burns for a signed call of another account's contract before the contract runs:
/// sending and executing a receipt (108,059,500,000 each) and a function call (200,000,000,000 and
/// 780,000,000,000).
pub const CALL: u64 = 2 * 108_059_500_000 + 200_000_000_000 + 780_000_000_000;
/// What NEAR burns in addition for each byte of the method's name and of the arguments: 47,683,715
/// to send it and 2,235,934 to execute.
pub const PER_CALL_BYTE: u64 = 47_683_715 + 2_235_934;

/// A call that submits nothing: the Wasm and the request are loaded, the answer is checked, hashed
/// and staged, and the yield is resumed. It includes the longest reason of a failure (42 Ggas), and
/// account ids of any length in the record (7 Ggas for a long one).
const SUBMIT: u64 = 2_850_000_000_000;
/// For each byte of arguments, environment and URL, which every call of a worker reads, decodes and
/// writes again.
const PER_TEXT_BYTE: u64 = 500_000_000;
/// For each key that may be read: the longest key is sent and staged, its value's hash is compared,
/// and it is locked.
const PER_READ: u64 = 470_000_000_000;
/// For each key that may be written: it is looked up and locked. Its bytes are priced as those of
/// the journal.
const PER_WRITE: u64 = 340_000_000_000;
/// For each seat, whose worker every call reads and writes again.
const PER_SEAT: u64 = 40_000_000_000;
/// A call that commits or reveals: the Wasm and the request are loaded, and the request is written
/// again.
const AGREE: u64 = 1_700_000_000_000;
/// A call that claims a request: the Wasm and the request are loaded, and the request and its entry
/// in the index are written again.
const CLAIM: u64 = 2_100_000_000_000;
/// A call that closes a request: what is left of it is loaded and deleted, and a refund is made
/// with its callback.
const CLOSE: u64 = 5_500_000_000_000;
/// A refund to a payer whose account it may have to create.
const NEW_PAYER: u64 = 8_300_000_000_000;
/// Bytes of method name and arguments, at most, of every call but for what is billed by the byte.
const ARGUMENTS: u64 = 300;

/// The gas of each byte of output, journal, plan and transcript: it is sent, decoded, hashed and
/// staged, in parts if need be.
pub const PER_BYTE: u64 = 160_000_000;

/// What every call of a worker burns for this request, whatever the call does.
fn call(asked: &Asked, own: u64) -> u64 {
    let texts = u64::from(asked.text_bytes).saturating_mul(PER_TEXT_BYTE);
    let seats = if asked.approvals < 2 { 0 } else { u64::from(asked.seats()) * PER_SEAT };
    texts.saturating_add(CALL + ARGUMENTS * PER_CALL_BYTE + seats + own)
}

/// The gas of submitting a response with `data_bytes` of output, journal, plan and transcript,
/// without the gas for these bytes themselves. A response that is too long for one call comes in
/// parts, as small as they may be.
pub fn submit(asked: &Asked, data_bytes: u64) -> u64 {
    let limits = &asked.limits;
    let more_calls = largest_body(limits, data_bytes, 0) / u64::from(MIN_PART_BYTES);
    let keys = u64::from(limits.storage_reads)
        .saturating_mul(PER_READ)
        .saturating_add(u64::from(limits.storage_writes).saturating_mul(PER_WRITE));
    call(asked, SUBMIT).saturating_mul(more_calls.saturating_add(1)).saturating_add(keys)
}

/// The gas of committing and revealing, which every worker of an agreement does; 0 where one
/// approval is enough.
pub fn agree(asked: &Asked) -> u64 {
    if asked.approvals < 2 { 0 } else { call(asked, AGREE).saturating_mul(2) }
}

/// The gas of claiming a request; 0 where it takes no claims. It is paid once, to the worker that
/// answers, so that whoever claims and does not answer bears the gas of its claim itself.
pub fn claim(asked: &Asked) -> u64 {
    if asked.takes_claims { call(asked, CLAIM) } else { 0 }
}

/// The gas of closing a request; 0 where one approval is enough.
pub fn close(asked: &Asked) -> u64 {
    let refund = if asked.new_payer { NEW_PAYER } else { 0 };
    if asked.approvals < 2 { 0 } else { call(asked, CLOSE + refund) }
}
