//! How many bytes of contract state a request can take, which is what its reserve pays for.
//!
//! Every number follows from the encodings of what the contract keeps. Tests of `outlayer-protocol`
//! compare it with the largest values, and `contract/src/tests/reserve.rs` with the growth of the
//! contract's state.

use crate::{
    CodeRef, CodeSource, ExecutionRequest, HttpLimits, ResourceLimits,
    agreement::PAID_VOIDS,
    claims::MOST_CLAIMS,
    kept_result::MAX_KEPT_OUTPUT_BYTES,
    limits::MAX_KEY_BYTES,
    response::MAX_REASON_BYTES,
    upload::{MIN_PART_BYTES, MOST_FORMER, UPLOAD_BYTES, most_parts},
};

/// Bytes of four account ids of the longest kind: those of contract, requester, signer and payer.
pub const MOST_ID_BYTES: u64 = 4 * MAX_ID_BYTES;

/// The length of the longest account id.
const MAX_ID_BYTES: u64 = 64;
/// Bytes of the longest account id in borsh.
const ID_BYTES: u64 = 4 + MAX_ID_BYTES;
/// Bytes that NEAR adds to every entry of state (`num_extra_bytes_record`), and the prefix of its
/// key.
const ENTRY_BYTES: u64 = 40 + 1;
/// Bytes of a request's id, which is the rest of the key of each of its entries.
const REQUEST_ID_BYTES: u64 = 8;

/// Bytes of the lock of one key: an entry under a hash with the tag of the lock, the number of
/// readers, and for which request and until when it is closed to new ones.
const LOCK_BYTES: u64 = ENTRY_BYTES + 32 + 1 + 4 + (1 + 8 + 8);
/// Bytes of the name of a lock that is closed to readers, in the request's record.
const CLOSED_LOCK_BYTES: u64 = 32;
/// Bytes of a live request's record in borsh with a response staged, apart from its texts, from the
/// ids of its context and payer, and from what an agreement or an upload adds.
const RECORD_BYTES: u64 = 34 + 2 + 8 + 64 + 4 // code, its name, kind, args, env, hashes, input
    + LIMITS_BYTES + 6 // who may cancel, how long a result is kept, format
    + 92 // context
    + TERMS_BYTES
    + 32 + 1 + 32 + ID_BYTES + 32 // yield's name, phase
    + 1 + 1 + 1 // HTTP, secrets, agreement
    + 1 + 1 + 4 + 4; // claims, upload, closed locks, former uploaders
/// Bytes of what a request says about HTTP apart from its hosts: their number, three limits, and
/// whether exchanges may be repeated.
const HTTP_BYTES: u64 = 4 + 3 * 4 + 1;
/// Bytes of the length of a short response, which is kept in front of the record.
const SHORT_BODY_BYTES: u64 = 2;
const LIMITS_BYTES: u64 = 9 + 8 + 4 * 8 + 8 + 4;
const TERMS_BYTES: u64 = 8 + 6 * 16 + 2 + 4 * 16 + 4 + 8 + 8;
/// Bytes of an entry that is kept under the request's id, apart from what it keeps.
const OWN_ENTRY_BYTES: u64 = ENTRY_BYTES + REQUEST_ID_BYTES;
/// Bytes of the entry with the price of changing a namespace, apart from the account's id.
const CHANGE_FEE_BYTES: u64 = ENTRY_BYTES + 16;

/// Bytes of all claims that a request takes.
const CLAIMS_BYTES: u64 = 8 + 4 + MOST_CLAIMS as u64 * (ID_BYTES + 8);

/// Bytes of a seat: its worker, the successor behind it, a commitment, a revealed digest, and that
/// it is due something for each void round.
const SEAT_BYTES: u64 = 2 * ID_BYTES + 1 + 32 + (1 + 32) + (PAID_VOIDS as u64 + 1);
/// Bytes of an agreement apart from its seats: numbers, heights, lengths.
const AGREEMENT_BYTES: u64 = 1 + 1 + 8 + 4 + 4 + 8 + 8 + 9 + 4 + 4;

/// Bytes of one entry of a staged response's read set in borsh, with the longest key.
const READ_BYTES: u64 = 4 + MAX_KEY_BYTES as u64 + 1 + 32;
/// Bytes of one entry of a journal in borsh, apart from key and value.
const WRITE_BYTES: u64 = 4 + 1 + 4;
/// Bytes of a response in borsh apart from its status, output, reads, journal, plan and transcript:
/// the request's id, what was used, a hash, and five lengths.
const BODY_BYTES: u64 = 8 + 9 + 32 + 5 * 4;
/// Bytes of the longest status that has no reason: a tag, a limit and its value.
const STATUS_BYTES: u64 = 1 + 1 + 8;
/// Bytes of the longest status. It goes with an empty output, journal and plan.
const REASON_BYTES: u64 = 1 + 4 + MAX_REASON_BYTES as u64;
/// Bytes of one part of a response apart from its content.
const PART_ENTRY_BYTES: u64 = ENTRY_BYTES + REQUEST_ID_BYTES + 4;

/// Bytes of a kept result apart from its outcome, for the longest payer: key and the 40 bytes that
/// NEAR adds to every entry, ids, hashes, amounts, heights, tags and lengths.
const RESULT_BYTES: u64 = (1 + 8 + 40) + 9 + 9 + 4 * 16 + 33 + 33 + 1 + (4 + 64) + 2 * 8 + 13;
/// Bytes of the length of a kept plan.
const PLAN_LENGTH_BYTES: u64 = 4;
/// Bytes of the open shares of a request apart from its seats, for the longest payer, in the list
/// and with their position there.
const SHARES_BYTES: u64 = (1 + 4 + 40) + (1 + 8 + 40 + 4) + 8 + (4 + 64) + 32 + 1 + 3 * 16 + 2;
/// Bytes of a digest in a disputed outcome, with one worker that revealed it.
const SUPPORTED_BYTES: u64 = 32 + 4 + (4 + 64);
/// Bytes whose price a refund is at the least, so that it pays for an entry of its own when it
/// bounces and becomes claimable.
const LEAST_REFUND_BYTES: u64 = 40 + (1 + 64) + 16;

/// Bytes of the encoding of the largest response within `limits` that has `data_bytes` of output,
/// journal and plan, and a transcript of so many bytes.
pub(crate) fn largest_body(limits: &ResourceLimits, data_bytes: u64, transcript: u64) -> u64 {
    let writes = u64::from(limits.storage_writes).saturating_mul(WRITE_BYTES);
    let completed = STATUS_BYTES.saturating_add(data_bytes).saturating_add(writes);
    let reads = u64::from(limits.storage_reads).saturating_mul(READ_BYTES);
    BODY_BYTES
        .saturating_add(completed.max(REASON_BYTES))
        .saturating_add(reads)
        .saturating_add(transcript)
}

/// Bytes of the encoding of the largest response within `limits`.
pub fn max_body_bytes(limits: &ResourceLimits, http: HttpLimits) -> u64 {
    largest_body(limits, limits.data_bytes(), http.bytes.into())
}

/// Bytes that a response of so many bytes takes besides its content when it comes in parts; 0 where
/// it is so small that it comes whole.
fn upload_bytes(body: u64) -> u64 {
    if body <= u64::from(MIN_PART_BYTES) {
        return 0;
    }
    most_parts(body) * PART_ENTRY_BYTES + UPLOAD_BYTES + MOST_FORMER as u64 * ID_BYTES
}

/// Bytes that an agreement adds to the record; 0 where one approval is enough.
fn agreement_bytes(request: &ExecutionRequest) -> u64 {
    match request.seats() {
        1 => 0,
        seats => AGREEMENT_BYTES + u64::from(seats) * SEAT_BYTES,
    }
}

/// The most bytes of contract state that a request can take: while it lives, record, input, the
/// largest response (whole or in parts), locks, and what an agreement needs; after that, shares
/// that are open and a result that is kept. `id_bytes` is the length of the account ids of
/// contract, requester, signer and payer together; `takes_claims` says whether workers may claim
/// the request.
pub fn reserved_bytes(request: &ExecutionRequest, id_bytes: u64, takes_claims: bool) -> u64 {
    let after = kept_result_bytes(request) + open_shares_bytes(request) + LEAST_REFUND_BYTES;
    let claims = if takes_claims { CLAIMS_BYTES } else { 0 };
    (live_bytes(request, id_bytes) + claims).max(after)
}

/// The most bytes of contract state that the result takes which `request` has kept; 0 if it has
/// none kept.
pub fn kept_result_bytes(request: &ExecutionRequest) -> u64 {
    if request.keep_result_blocks == 0 {
        return 0;
    }
    let output = u64::from(request.limits.output_bytes.min(MAX_KEPT_OUTPUT_BYTES));
    // The plan is kept whole.
    let plan = request.limits.plan_bytes;
    let planned = if plan == 0 { output } else { output + PLAN_LENGTH_BYTES + u64::from(plan) };
    let digests = u64::from(request.seats()) * SUPPORTED_BYTES;
    RESULT_BYTES + (MAX_REASON_BYTES as u64).max(planned).max(digests)
}

/// The most bytes of contract state that the open shares of a settled request take.
fn open_shares_bytes(request: &ExecutionRequest) -> u64 {
    if request.seats() < 2 { 0 } else { SHARES_BYTES + agreement_bytes(request) }
}

fn live_bytes(request: &ExecutionRequest, id_bytes: u64) -> u64 {
    let (limits, http) = (&request.limits, request.http_limits());
    let body = max_body_bytes(limits, http);
    // In borsh each text has a length of 4 bytes, and no terminator.
    let texts = request.text_bytes() + 3 * (request.args.len() + 2 * request.env.len()) as u64;
    let hosts = request.http.as_ref().map_or(0, |http| HTTP_BYTES + 4 * http.hosts.len() as u64);
    let code = match &request.code {
        CodeSource::Exact(CodeRef { url: None, .. }) => 0,
        CodeSource::Exact(_) => 4,
        // The lengths of name and URL.
        CodeSource::Named { .. } => 8,
    };
    let locks = u64::from(limits.storage_reads) + u64::from(limits.storage_writes);
    // The namespace's id is as long as this at the most.
    let longest_id = id_bytes.min(MAX_ID_BYTES);
    let change_fee = if limits.storage_reads == 0 { 0 } else { CHANGE_FEE_BYTES + longest_id };
    // The record with a short response, and the input. Another response has an entry of its own.
    let entries = 2 * OWN_ENTRY_BYTES + SHORT_BODY_BYTES;
    let entries = if limits.keep_answers_short(http) { entries } else { entries + OWN_ENTRY_BYTES };
    RECORD_BYTES
        + entries
        + id_bytes
        + change_fee
        + texts
        + hosts
        + code
        + request.input.len() as u64
        + body
        + upload_bytes(body)
        + locks * LOCK_BYTES
        + u64::from(limits.storage_writes) * CLOSED_LOCK_BYTES
        + agreement_bytes(request)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        AccountId, Bytes, ExecutionResponse, GuestKind, Hash32, HttpAccess, JournalEntry, Limit,
        ReadEntry, Status, live_request,
        machine::{LiveRequest, Phase},
        response,
        storage::journal_bytes,
    };

    fn encoded<T: borsh::BorshSerialize>(value: &T) -> u64 {
        borsh::to_vec(value).unwrap().len() as u64
    }

    #[test]
    fn the_record_of_a_staged_request_has_as_many_bytes_as_are_reserved() {
        let longest = |tag: &str| format!("{}{tag}", "x".repeat(64 - tag.len()));
        let worker_id: AccountId = longest("worker").parse().unwrap();
        let mut live = LiveRequest { kind: Some(GuestKind::Near), ..live_request::sample() };
        live.phase =
            Phase::Staged { digest: Hash32::default(), worker_id, output_hash: Hash32::default() };
        let context = &live.context;
        let ids = [&context.contract_id, &context.predecessor_id, &context.signer_id, live.payer()];
        let id_bytes: u64 = ids.iter().map(|id| id.as_bytes().len() as u64).sum();
        assert_eq!(encoded(&live), RECORD_BYTES + id_bytes);
        let access = HttpAccess::to(vec!["a.example".to_owned(), "*.b.example".to_owned()]);
        let texts = access.text_bytes();
        live.http = Some(access);
        assert_eq!(encoded(&live), RECORD_BYTES + id_bytes + HTTP_BYTES + 2 * 4 + texts);
    }

    #[test]
    fn a_response_without_an_output_fits_as_well() {
        let limits = ResourceLimits { output_bytes: 0, ..ResourceLimits::default() };
        for status in [
            Status::Completed,
            Status::Exited { code: i32::MAX },
            Status::OutOfFuel,
            Status::LimitExceeded { which: Limit::Approvals, limit: u64::MAX },
            Status::Trapped { reason: "r".repeat(MAX_REASON_BYTES) },
            Status::InvalidModule { reason: "r".repeat(MAX_REASON_BYTES) },
        ] {
            let response = ExecutionResponse {
                status,
                output: Bytes::default(),
                reads: Vec::new(),
                journal: Vec::new(),
                ..response::sample(7)
            };
            assert!(
                encoded(&response) <= max_body_bytes(&limits, HttpLimits::default()),
                "{:?}",
                response.status
            );
        }
    }

    proptest! {
        /// Only the 9 bytes are to spare that a status without a reason may have.
        #[test]
        fn the_largest_response_is_as_large_as_the_limits_say(
            reads in 0u32..40,
            writes in 0u32..40,
            value in 0usize..100,
            output in 300usize..1_000,
        ) {
            let key = |n: u32| {
                Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat())
            };
            let read = |n| ReadEntry { key: key(n), value_hash: Some(Hash32::of(b"")) };
            let write = |n| JournalEntry { key: key(n), value: Some(vec![1; value].into()) };
            let response = ExecutionResponse {
                output: vec![0; output].into(),
                reads: (0..reads).map(read).collect(),
                journal: (0..writes).map(write).collect(),
                transcript: vec![0; value].into(),
                ..response::sample(7)
            };
            let http = HttpLimits { bytes: u32::try_from(value).unwrap(), ..HttpLimits::default() };
            let journal_bytes = u32::try_from(journal_bytes(&response.journal)).unwrap();
            let limits = ResourceLimits {
                output_bytes: u32::try_from(output).unwrap(),
                ..ResourceLimits::default()
            };
            let limits = limits.with_storage(reads, writes, journal_bytes);
            prop_assert_eq!(encoded(&response) + STATUS_BYTES - 1, max_body_bytes(&limits, http));
        }
    }
}
