//! What one receipt of NEAR can carry, and so the largest answer that can be settled.
//!
//! A settlement runs in one receipt: it reads the answer, and the state that the answer touches,
//! and returns the outcome to the caller. NEAR limits both, so the contract refuses a request whose
//! largest answer could not be settled. An answer that can be read in a receipt is smaller than
//! what a view may return, so a replay reads it with one view.

use crate::{
    ExecutionRequest, ResponseFormat,
    reserve::{MOST_ID_BYTES, reserved_bytes},
    storage::MAX_REPLACED_BYTES,
};

/// Bytes of state that a receipt may read: `per_receipt_storage_proof_size_limit`, since protocol
/// version 69.
pub const MAX_PROOF_BYTES: u64 = 4_000_000;

/// Bytes that a receipt may return: `max_length_returned_data`.
pub const MAX_RETURNED_BYTES: u64 = 4_194_304;

/// The largest output of a request that takes its outcome in borsh, bytes. The limit is what a
/// receipt can read: on a small chain an output of 3,970,000 bytes was settled and one of 3,980,000
/// was not, and in a larger trie the paths to the entries are longer.
/// `integration-tests/tests/suite/large_outputs.rs` settles an output of this size.
pub const MAX_OUTPUT_BYTES: u32 = 3_940_000;

/// The largest output of a request that takes its outcome in JSON, bytes. The limit is what a
/// receipt can return, since base64 adds a third: an output of 3,145,500 bytes was settled and one
/// of 3,145,600 was not, and the numbers around it in a settlement can be longer
/// ([`SETTLEMENT_BYTES`]). The same test settles an output of this size.
pub const MAX_JSON_OUTPUT_BYTES: u32 = 3_145_000;

/// Bytes of a settlement in JSON apart from its output and plan: names, numbers, a digest.
pub const SETTLEMENT_BYTES: u64 = 900;

/// Bytes that NEAR records for one entry apart from its key and value: the trie nodes that lie on
/// the path to this entry alone.
const PATH_BYTES: u64 = 1_024;
/// Bytes recorded for a key that is read: its metadata and its lock.
const READ_PROOF_BYTES: u64 = 2 * PATH_BYTES;
/// Bytes recorded for a key that is written: its value, metadata, place in the list and lock.
const WRITE_PROOF_BYTES: u64 = 4 * PATH_BYTES;
/// Bytes recorded for everything else: the contract's state, the request's entries, the workers
/// that are paid, and their paths.
const BASE_PROOF_BYTES: u64 = 48 * PATH_BYTES;

/// The most bytes of output and plan together that a request can allow when it takes its outcome in
/// this format.
pub const fn max_output_bytes(format: ResponseFormat) -> u32 {
    match format {
        ResponseFormat::Json => MAX_JSON_OUTPUT_BYTES,
        ResponseFormat::Borsh => MAX_OUTPUT_BYTES,
    }
}

/// The most bytes of state that settling the largest answer to `request` reads.
pub fn proof_bytes(request: &ExecutionRequest) -> u64 {
    let limits = &request.limits;
    let (reads, writes) = (u64::from(limits.storage_reads), u64::from(limits.storage_writes));
    // A value that is replaced or removed is read.
    let replaced = if writes == 0 { 0 } else { MAX_REPLACED_BYTES };
    BASE_PROOF_BYTES
        .saturating_add(reserved_bytes(request, MOST_ID_BYTES, true))
        .saturating_add(reads.saturating_mul(READ_PROOF_BYTES))
        .saturating_add(writes.saturating_mul(WRITE_PROOF_BYTES))
        .saturating_add(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Compute, Hash32, NearToken, Outcome, Settlement};

    #[test]
    fn the_largest_json_fits_into_what_a_receipt_returns_whatever_its_numbers() {
        let most = NearToken::from_yoctonear(u128::MAX);
        let settlement = Settlement {
            request_id: Some(u64::MAX),
            outcome: Outcome::Planned {
                output: Bytes(vec![0; MAX_JSON_OUTPUT_BYTES as usize - 1]),
                plan: Bytes(vec![0]),
            },
            used: Compute::Fuel(u64::MAX),
            fee: most,
            held: most,
            refund: most,
            digest: Some(Hash32::of(b"")),
        };
        let found = serde_json::to_vec(&settlement).unwrap().len() as u64;
        assert!(found <= MAX_RETURNED_BYTES, "{found}");
        let around = found - u64::from(MAX_JSON_OUTPUT_BYTES).div_ceil(3) * 4;
        assert!(around <= SETTLEMENT_BYTES, "{around}");
    }
}
