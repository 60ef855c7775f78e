//! The reserve of a request covers the most that the request can make the contract store.

use near_sdk::{NearToken, env};
use outlayer_protocol::{
    Bytes, ExecutionRequest, ExecutionResponse, JournalEntry, ReadEntry, Status,
    limits::MAX_KEY_BYTES, record::ExecutionRecord, storage::journal_bytes, upload::MIN_PART_BYTES,
};
use proptest::prelude::*;

use super::world::*;

/// The longest account id, ending in `tag`.
fn longest(tag: &str) -> String {
    format!("{}{tag}", "x".repeat(64 - tag.len()))
}

fn key(n: u32) -> Bytes {
    Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat())
}

/// How a request's bytes compare with its reserve.
struct Peak {
    /// The most by which the state that others pay for has grown.
    taken: u64,
    /// What the request has paid for.
    reserved: u64,
}

/// Takes a request and its response through all states, and checks the bytes after each step.
fn run(mut request: ExecutionRequest, mut body: ExecutionResponse) -> Peak {
    let count = |count: usize| u32::try_from(count).unwrap();
    request.limits.output_bytes = count(body.output.len());
    request.limits = request.limits.with_storage(
        count(body.reads.len()),
        count(body.journal.len()),
        u32::try_from(journal_bytes(&body.journal)).unwrap(),
    );
    let mut config = config();
    config.bounds.limits.storage_writes = 64;
    config.bounds.approvals = 7;
    let mut world = World::with(config);
    let dapp = longest("dapp");
    world.deposit_storage(&dapp, NearToken::from_near(100));
    let seats = request.seats();
    let workers: Vec<_> = (0..2 * seats).map(|n| longest(&format!("worker{n}"))).collect();
    world.register(&workers.iter().map(String::as_str).collect::<Vec<_>>());
    let others = world.contract().tenant_bytes;
    let (empty, request_id) = (world.usage, world.request(&dapp, &request));
    body.request_id = request_id;
    world.audit();
    assert_eq!(world.usage - empty, world.bytes_of_request(request_id));
    if seats > 1 {
        world.agree(&body);
        world.audit();
    }
    let bytes = borsh::to_vec(&body).unwrap().len();
    if bytes > MIN_PART_BYTES as usize {
        let digest = ExecutionRecord::new(&world.live(request_id), &body).digest();
        let part = MIN_PART_BYTES as usize;
        for start in (0..bytes).step_by(part) {
            world.send(&workers[0], digest, &body, start..start + part).unwrap();
            world.audit();
        }
    } else {
        world.resolve(&workers[0], &body).unwrap();
        world.audit();
    }
    assert_eq!(world.usage - empty, world.bytes_of_request(request_id));
    // The answer is staged, or all its parts are there: there is no more to come.
    let taken = world.contract().tenant_bytes - others;
    let paid = world.live(request_id).terms.storage_reserve.as_yoctonear();
    let reserved = u64::try_from(paid / env::storage_byte_cost().as_yoctonear()).unwrap();
    assert!(taken <= reserved, "{taken} of {reserved} bytes");
    world.settle(request_id);
    world.audit();
    Peak { taken, reserved }
}

/// What is spare of the reserve, at most, when the largest answer is staged for one approval: the
/// kind of the guest, and the 9 bytes by which a status may be longer than `completed`.
const SPARE: u64 = 1 + 9;

#[test]
fn the_reserve_is_what_the_largest_answer_takes_and_hardly_more() {
    let mut request = request("input");
    request.code = code_at(format!("https://{}", "u".repeat(90)));
    let small = run(request.clone(), answer(0, &"o".repeat(1_024)));
    assert!(small.taken + SPARE >= small.reserved, "{} of {}", small.taken, small.reserved);
    let body = ExecutionResponse {
        reads: (0..8).map(|n| ReadEntry { key: key(n), value_hash: None }).collect(),
        journal: (8..12)
            .map(|n| JournalEntry { key: key(n), value: Some(vec![1; 50].into()) })
            .collect(),
        ..answer(0, &"o".repeat(1_024))
    };
    let large = run(request, body);
    // A key that is absent has no hash. No key is closed to readers, neither in its lock nor in the
    // record, and the lock of a writer has no number of readers.
    let spare = SPARE + 8 * 32 + 8 * 16 + 4 * (13 + 32);
    assert!(large.taken + spare >= large.reserved, "{} of {}", large.taken, large.reserved);
}

#[test]
fn at_every_bound_at_once() {
    let mut request = request(&"i".repeat(2_000));
    request.refund_to = Some(id(&longest("payer")));
    request.code = code_at(format!("https://{}", "u".repeat(1_000)));
    request.args = vec![String::new(); 1_000];
    request.env = (0..500).map(|n| (format!("{n}"), String::new())).collect();
    (request.approvals, request.spares) = (5, 2);
    let body = ExecutionResponse {
        output: vec![b'o'; 3_000].into(),
        reads: (0..30).map(|n| ReadEntry { key: key(n), value_hash: None }).collect(),
        journal: (20..60)
            .map(|n| JournalEntry { key: key(n), value: Some(vec![1; 50].into()) })
            .collect(),
        ..answer(0, "")
    };
    run(request, body);
}

#[test]
fn in_the_most_parts() {
    let mut request = request("input");
    request.refund_to = Some(id(&longest("payer")));
    (request.approvals, request.spares) = (3, 2);
    let body = ExecutionResponse { output: vec![b'o'; 900_000].into(), ..answer(0, "") };
    run(request, body);
}

#[test]
fn with_the_longest_reason() {
    let body =
        ExecutionResponse { status: Status::Trapped { reason: "r".repeat(256) }, ..answer(0, "") };
    run(request(""), body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_asked_for(
        input in 0usize..3_000,
        args in prop::collection::vec("[a-z]{0,20}", 0..20),
        env in prop::collection::btree_map("[A-F]{1,6}", "[a-z]{0,20}", 0..10),
        url in prop::option::of(0usize..200),
        approvals in 1u8..4,
        spare in 0u8..3,
        reads in 0u32..12,
        writes in 0u32..12,
        value in 0usize..300,
        output in 0usize..3_000,
        far in any::<bool>(),
    ) {
        let mut request = request(&"i".repeat(input));
        request.args = args;
        request.env = env.into_iter().collect();
        (request.approvals, request.spares) = (approvals, spare.min(approvals - 1));
        request.code = code_at(format!("https://{}", "u".repeat(url.unwrap_or(0))));
        request.refund_to = far.then(|| id(&longest("payer")));
        let body = ExecutionResponse {
            output: vec![b'o'; output].into(),
            // A key that is both read and written has one lock.
            reads: (0..reads).map(|n| ReadEntry { key: key(n * 2), value_hash: None }).collect(),
            journal: (0..writes)
                .map(|n| JournalEntry { key: key(n), value: Some(vec![1; value].into()) })
                .collect(),
            ..answer(0, "")
        };
        run(request, body);
    }
}
