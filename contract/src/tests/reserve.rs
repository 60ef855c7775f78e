//! The reserve of a request covers the most that the request can make the contract store.

use near_sdk::NearToken;
use outlayer_protocol::{
    Bytes, ExecutionRequest, ExecutionResponse, JournalEntry, ReadEntry, Status,
    limits::MAX_KEY_BYTES,
    record::{ExecutionRecord, commitment},
    storage::journal_bytes,
    upload::MIN_PART_BYTES,
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

/// Takes a request and its response through all states, and checks the bytes after each step.
fn run(mut request: ExecutionRequest, mut body: ExecutionResponse, commitments: u8) {
    request.limits.journal_bytes = u32::try_from(journal_bytes(&body.journal)).unwrap();
    request.limits.output_bytes = u32::try_from(body.output.len()).unwrap();
    request.limits.storage_reads = u32::try_from(body.reads.len()).unwrap();
    request.limits.storage_writes = u32::try_from(body.journal.len()).unwrap();
    let mut config = config();
    config.bounds.limits.storage_writes = 64;
    config.bounds.approvals = 7;
    config.prices.base_fee = NearToken::from_millinear(20);
    let mut world = World::with(config);
    let dapp = longest("dapp");
    world.deposit_storage(&dapp, NearToken::from_near(100));
    let workers: Vec<_> = (0..commitments.max(1)).map(|n| longest(&format!("worker{n}"))).collect();
    for worker in &workers {
        world.owner(|c| c.register_worker(id(worker), None));
    }
    let (empty, request_id) = (world.usage, world.request(&dapp, &request));
    body.request_id = request_id;
    world.audit();
    assert_eq!(world.usage - empty, world.bytes_of_request(request_id));
    if request.approvals > 1 {
        let digest = ExecutionRecord::new(&world.live(request_id), &body).digest();
        for worker in &workers {
            let hash = commitment(&digest, &id(worker));
            world.call(worker, NearToken::ZERO, |c| c.commit_execution(request_id, hash)).unwrap();
            world.audit();
        }
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
    world.settle(request_id);
    world.audit();
}

#[test]
fn at_every_bound_at_once() {
    let mut request = request(&"i".repeat(2_000));
    request.refund_to = Some(id(&longest("payer")));
    request.code = code_at(format!("https://{}", "u".repeat(1_000)));
    request.args = vec![String::new(); 1_000];
    request.env = (0..500).map(|n| (format!("{n}"), String::new())).collect();
    request.approvals = 7;
    let body = ExecutionResponse {
        output: vec![b'o'; 3_000].into(),
        reads: (0..30).map(|n| ReadEntry { key: key(n), value_hash: None }).collect(),
        journal: (20..60)
            .map(|n| JournalEntry { key: key(n), value: Some(vec![1; 50].into()) })
            .collect(),
        ..answer(0, "")
    };
    run(request, body, 21);
}

#[test]
fn in_the_most_parts() {
    let mut request = request("input");
    request.refund_to = Some(id(&longest("payer")));
    request.approvals = 3;
    let body = ExecutionResponse { output: vec![b'o'; 900_000].into(), ..answer(0, "") };
    run(request, body, 9);
}

#[test]
fn with_the_longest_reason() {
    let body =
        ExecutionResponse { status: Status::Trapped { reason: "r".repeat(256) }, ..answer(0, "") };
    run(request(""), body, 1);
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
        request.code = code_at(format!("https://{}", "u".repeat(url.unwrap_or(0))));
        request.approvals = approvals;
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
        run(request, body, (approvals + spare).min(approvals * 3));
    }
}
