//! What one receipt of NEAR can carry, and so the largest answer that can be settled.
//!
//! A settlement runs in one receipt: it reads the answer and what it touches from state, and returns the outcome to the
//! caller. Both are limited by the network, so a request whose largest answer could not be settled is refused when it is made.

use crate::{
    ExecutionRequest, Limit, ResponseFormat, pricing::reserved_bytes, request::RequestError,
    storage::MAX_REPLACED_BYTES,
};

/// What a receipt may read of state, bytes: `per_receipt_storage_proof_size_limit`, since protocol 69.
pub const MAX_PROOF_BYTES: u64 = 4_000_000;

/// What a receipt may return, bytes: `max_length_returned_data`.
pub const MAX_RETURNED_BYTES: u64 = 4_194_304;

/// The largest output of a request that takes its outcome in borsh, bytes. What a receipt can read bounds it: on a small
/// chain an output of 3,970,000 bytes was settled and one of 3,980,000 was not, and in a larger trie the way to an entry
/// is longer. `integration-tests/tests/suite/outputs.rs` settles an output of this size.
pub const MAX_OUTPUT_BYTES: u32 = 3_940_000;

/// The largest output of a request that takes its outcome in JSON, bytes. What a receipt can return bounds it, since base64
/// adds a third: an output of 3,145,500 bytes was settled and one of 3,145,600 was not, and around it the numbers of a
/// settlement can be longer ([`SETTLEMENT_BYTES`]). The same test settles an output of this size.
pub const MAX_JSON_OUTPUT_BYTES: u32 = 3_145_000;

/// A settlement around its output, bytes: names, numbers, a digest.
pub const SETTLEMENT_BYTES: u64 = 900;

/// Recorded for one entry besides its key and value, bytes: the nodes of the trie that lie on the way to it alone.
const PATH_BYTES: u64 = 1_024;
/// For a key that is read: its meta and its hold.
const READ_PROOF_BYTES: u64 = 2 * PATH_BYTES;
/// For a key that is written: its value, meta, place in the list and hold.
const WRITE_PROOF_BYTES: u64 = 4 * PATH_BYTES;
/// For everything else: the contract's state, the request's entries, the workers that are paid, and their paths.
const BASE_PROOF_BYTES: u64 = 48 * PATH_BYTES;

/// The most that a request's output may have, by the form of its outcome.
pub const fn max_output_bytes(format: ResponseFormat) -> u32 {
    match format {
        ResponseFormat::Json => MAX_JSON_OUTPUT_BYTES,
        ResponseFormat::Borsh => MAX_OUTPUT_BYTES,
    }
}

/// What the settlement of the largest answer to `request` reads of state at the most, bytes.
pub fn proof_bytes(request: &ExecutionRequest) -> u64 {
    let limits = &request.limits;
    let (reads, writes) = (u64::from(limits.storage_reads), u64::from(limits.storage_writes));
    // A value that is replaced or removed is read.
    let replaced = if writes == 0 { 0 } else { MAX_REPLACED_BYTES };
    BASE_PROOF_BYTES
        .saturating_add(reserved_bytes(request))
        .saturating_add(reads.saturating_mul(READ_PROOF_BYTES))
        .saturating_add(writes.saturating_mul(WRITE_PROOF_BYTES))
        .saturating_add(replaced)
}

/// Checks that the largest answer to `request` can be settled.
///
/// # Errors
/// [`RequestError`] with what was found and what is possible.
pub fn check(request: &ExecutionRequest) -> Result<(), RequestError> {
    let (found, max) = (request.limits.output_bytes, max_output_bytes(request.response_format));
    if found > max {
        return Err(RequestError::AboveBound {
            which: Limit::OutputBytes,
            found: found.into(),
            max: max.into(),
        });
    }
    let found = proof_bytes(request);
    if found > MAX_PROOF_BYTES {
        return Err(RequestError::Settlement { found, max: MAX_PROOF_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Compute, Hash32, NearToken, Outcome, Settlement, config, request};

    fn asked(format: ResponseFormat, output_bytes: u32) -> ExecutionRequest {
        let mut asked = request::sample();
        asked.response_format = format;
        asked.limits.output_bytes = output_bytes;
        asked.limits.journal_bytes = 0;
        asked.limits.storage_reads = 0;
        asked.limits.storage_writes = 0;
        asked
    }

    #[test]
    fn the_largest_output_is_accepted_and_one_byte_more_is_not() {
        for format in [ResponseFormat::Json, ResponseFormat::Borsh] {
            let max = max_output_bytes(format);
            assert_eq!(asked(format, max).validate(&config::sample()), Ok(()));
            let refused = RequestError::AboveBound {
                which: Limit::OutputBytes,
                found: u64::from(max) + 1,
                max: max.into(),
            };
            assert_eq!(check(&asked(format, max + 1)), Err(refused));
        }
    }

    #[test]
    fn what_is_asked_for_together_must_fit() {
        let mut largest = asked(ResponseFormat::Borsh, MAX_OUTPUT_BYTES);
        largest.input = vec![0; 100_000].into();
        let found = proof_bytes(&largest);
        assert_eq!(check(&largest), Err(RequestError::Settlement { found, max: MAX_PROOF_BYTES }));
        largest.limits.output_bytes -= 100_000;
        assert_eq!(check(&largest), Ok(()));
        largest.limits.storage_writes = 1;
        assert!(check(&largest).is_err());
    }

    #[test]
    fn the_largest_json_fits_into_what_a_receipt_returns_whatever_its_numbers() {
        let most = NearToken::from_yoctonear(u128::MAX);
        let settlement = Settlement {
            request_id: u64::MAX,
            outcome: Outcome::Completed { output: Bytes(vec![0; MAX_JSON_OUTPUT_BYTES as usize]) },
            used: Compute::Fuel(u64::MAX),
            fee: most,
            refund: most,
            digest: Some(Hash32::of(b"")),
        };
        let found = serde_json::to_vec(&settlement).unwrap().len() as u64;
        assert!(found <= MAX_RETURNED_BYTES, "{found}");
        let around = found - u64::from(MAX_JSON_OUTPUT_BYTES).div_ceil(3) * 4;
        assert!(around <= SETTLEMENT_BYTES, "{around}");
    }
}
