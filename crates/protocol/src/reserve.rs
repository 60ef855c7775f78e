//! How many bytes of contract state a request can take, which is what its reserve pays for.

use crate::{
    ExecutionRequest, ResourceLimits,
    commitment::COMMITMENTS_PER_APPROVAL,
    limits::MAX_KEY_BYTES,
    response::MAX_REASON_BYTES,
    upload::{MIN_PART_BYTES, MOST_FORMER, UPLOAD_BYTES, most_parts},
};

/// Bytes of contract state that the lock of one key takes: a prefix and a hash as the trie key, the
/// lock (its tag, the number of readers, and for which request and until when it is closed to new
/// ones), and the 40 bytes that NEAR adds to every entry.
const LOCK_BYTES: u64 = (1 + 32) + (1 + 4 + 1 + 8 + 8) + 40;
/// Bytes of the name of a lock that is closed to readers, in the request's record.
const CLOSED_LOCK_BYTES: u64 = 32;
/// Bytes of commitments for each approval asked for. Each is a worker's account id with its length
/// and a hash. Every one of those workers can be among the winners of a staged response, and have a
/// disputed digest.
const COMMITMENT_BYTES: u64 = COMMITMENTS_PER_APPROVAL as u64 * ((4 + 64 + 32) + (4 + 64) + 32);
/// Bytes of a live request's record apart from its texts, with what NEAR adds to its entries
/// (record, input, staged response, place in the list of live requests), for the longest account
/// ids.
const RECORD_BYTES: u64 = 1_500;
/// Bytes of the encoding of one read or journal entry in a staged response, apart from key and
/// value: lengths, tags, a hash.
const ENTRY_BYTES: u64 = 4 + 1 + 32 + 4;
/// Bytes of the encoding of a response apart from its output, reason, reads and journal: ids, tags,
/// lengths, a hash.
const BODY_BYTES: u64 = 128;
/// Bytes of one part of a response apart from its content: its key and the 40 bytes that NEAR adds
/// to every entry.
const PART_ENTRY_BYTES: u64 = 16 + 40;

/// Bytes of the encoding of the largest response within `limits`.
pub fn max_body_bytes(limits: &ResourceLimits) -> u64 {
    let reads = u64::from(limits.storage_reads) * (u64::from(MAX_KEY_BYTES) + ENTRY_BYTES);
    let writes = u64::from(limits.journal_bytes) + u64::from(limits.storage_writes) * ENTRY_BYTES;
    BODY_BYTES + u64::from(limits.output_bytes) + MAX_REASON_BYTES as u64 + reads + writes
}

/// Bytes that the largest response within `limits` takes besides its content when it comes in
/// parts; 0 where it is so small that it comes whole.
fn upload_bytes(limits: &ResourceLimits) -> u64 {
    let body = max_body_bytes(limits);
    if body <= u64::from(MIN_PART_BYTES) {
        return 0;
    }
    most_parts(body) * PART_ENTRY_BYTES + UPLOAD_BYTES + MOST_FORMER as u64 * (4 + 64)
}

/// The most bytes of contract state that a request can take while it lives: record, input, the
/// largest response (whole or in parts), locks, commitments.
pub fn reserved_bytes(request: &ExecutionRequest) -> u64 {
    let limits = &request.limits;
    let texts =
        request.args_env_bytes() + 8 * (request.args.len() as u64 + 2 * request.env.len() as u64);
    let url = request.code.url.as_ref().map_or(0, |url| url.len() as u64);
    let locks = u64::from(limits.storage_reads) + u64::from(limits.storage_writes);
    RECORD_BYTES
        + texts
        + url
        + request.input.len() as u64
        + max_body_bytes(limits)
        + upload_bytes(limits)
        + locks * LOCK_BYTES
        + u64::from(limits.storage_writes) * CLOSED_LOCK_BYTES
        + u64::from(request.approvals) * COMMITMENT_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Bytes, ExecutionResponse, Hash32, JournalEntry, ReadEntry, request, response,
        storage::journal_bytes,
    };

    proptest! {
        /// The staged response (in borsh) and its locks fit into the reserve besides everything
        /// else.
        #[test]
        fn the_largest_response_fits_into_the_reserve(
            reads in 0u32..40,
            writes in 0u32..40,
            value in 0usize..100,
        ) {
            let key = |n: u32| {
                Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat())
            };
            let read = |n| ReadEntry { key: key(n), value_hash: Some(Hash32::of(b"")) };
            let write = |n| JournalEntry { key: key(n), value: Some(vec![1; value].into()) };
            let response = ExecutionResponse {
                reads: (0..reads).map(read).collect(),
                journal: (0..writes).map(write).collect(),
                ..response::sample(7)
            };
            let mut request = request::sample();
            request.limits.storage_reads = reads;
            request.limits.storage_writes = writes;
            request.limits.journal_bytes =
                u32::try_from(journal_bytes(&response.journal)).unwrap();
            request.limits.output_bytes = u32::try_from(response.output.len()).unwrap();
            let empty = ExecutionRequest { input: Bytes::default(), ..request.clone() };
            let staged = borsh::to_vec(&response).unwrap().len() as u64;
            let locks = u64::from(reads + writes) * LOCK_BYTES;
            prop_assert!(staged + locks <= reserved_bytes(&empty) - RECORD_BYTES + 200);
        }
    }
}
