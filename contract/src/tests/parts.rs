//! Answers that come in parts.

use near_sdk::NearToken;
use outlayer_protocol::{
    ExecutionRequest, ExecutionResponse, Hash32, Outcome, RequestId,
    capacity::{MAX_JSON_OUTPUT_BYTES, MAX_OUTPUT_BYTES},
    machine::Reason,
    record::ExecutionRecord,
    request::ResponseFormat,
    upload::{MIN_PART_BYTES, TURN_BLOCKS, UploadError},
    validation::RequestError,
};

use super::world::*;
use crate::ContractError;

const ZERO: NearToken = NearToken::ZERO;
const PART: usize = MIN_PART_BYTES as usize;
const OUTPUT: usize = 2 * PART + 1_000;

fn large(byte: u8) -> ExecutionResponse {
    ExecutionResponse {
        output: vec![byte; OUTPUT].into(),
        reads: vec![read("k", None)],
        journal: vec![write("k", Some("v"))],
        ..answer(0, "")
    }
}

fn large_request(approvals: u8) -> ExecutionRequest {
    let mut request = request("large");
    request.limits.output_bytes = u32::try_from(OUTPUT).unwrap();
    request.approvals = approvals;
    request
}

/// A world with three workers and a request for a large output.
fn world(approvals: u8) -> World {
    let mut world = World::new();
    world.register(&["a.near", "b.near", "c.near"]);
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.request("dapp.near", &large_request(approvals));
    world
}

fn digest_of(world: &mut World, body: &ExecutionResponse) -> Hash32 {
    ExecutionRecord::new(&world.live(body.request_id), body).digest()
}

/// Sends the parts with these numbers.
fn send(
    world: &mut World,
    by: &str,
    body: &ExecutionResponse,
    parts: impl IntoIterator<Item = usize>,
) -> Result<(), ContractError> {
    let digest = digest_of(world, body);
    for number in parts {
        world.send(by, digest, body, number * PART..(number + 1) * PART)?;
        world.audit();
    }
    Ok(())
}

fn upload_error<T: std::fmt::Debug>(result: Result<T, ContractError>) -> UploadError {
    match reason(result) {
        Reason::Upload(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_part_submits_the_whole_and_nothing_of_it_stays() {
    let (mut world, body) = (world(1), large(b'o'));
    let before = world.usage;
    send(&mut world, "a.near", &body, 0..2).unwrap();
    assert_eq!(world.live(0).phase.name(), "pending");
    assert_eq!(world.live(0).upload.unwrap().staged_bytes as usize, 2 * PART);
    // A part that is there already may come again, without effect.
    let usage = world.usage;
    send(&mut world, "a.near", &body, 0..2).unwrap();
    assert_eq!(world.usage, usage);
    send(&mut world, "a.near", &body, [2]).unwrap();
    assert_eq!(world.live(0).phase.name(), "staged");
    let again = send(&mut world, "a.near", &body, [2]);
    assert!(matches!(reason(again), Reason::AlreadyStaged { .. }));

    let digest = digest_of(&mut world, &body);
    let settled = world.settle(0);
    assert_eq!(settled.digest, Some(digest));
    assert_eq!(settled.outcome, Outcome::Completed { output: body.output.clone() });
    world.audit();
    assert!(world.usage < before, "{} of {before}", world.usage);
    assert_eq!(world.namespace(&id("dapp.near")), [("k".into(), "v".into())].into());
}

#[test]
fn parts_come_in_order_and_within_bounds() {
    let (mut world, body) = (world(1), large(b'o'));
    let total = borsh::to_vec(&body).unwrap().len();
    assert_eq!(
        upload_error(send(&mut world, "a.near", &body, [1])),
        UploadError::Offset { found: MIN_PART_BYTES, expected: 0 }
    );
    let digest = digest_of(&mut world, &body);
    let small = upload_error(world.send("a.near", digest, &body, 0..PART - 1));
    assert_eq!(small, UploadError::Length { found: PART - 1, rest: u32::try_from(total).unwrap() });
    let mut larger = body.clone();
    larger.output = vec![b'o'; OUTPUT + 100_000].into();
    assert!(matches!(
        upload_error(send(&mut world, "a.near", &larger, [0])),
        UploadError::Total { .. }
    ));
    assert!(matches!(
        upload_error(world.send("a.near", digest, &answer(0, "short"), 0..PART)),
        UploadError::Total { .. }
    ));
    send(&mut world, "a.near", &body, [0]).unwrap();
    assert_eq!(
        upload_error(send(&mut world, "a.near", &body, [2])),
        UploadError::Offset { found: 2 * MIN_PART_BYTES, expected: MIN_PART_BYTES }
    );
    let stranger = send(&mut world, "eve.near", &body, [0]);
    assert!(matches!(stranger, Err(ContractError::NotAWorker { .. })));
}

#[test]
fn a_whole_that_is_not_what_the_first_part_said_is_refused_with_its_last_part() {
    let (mut world, body) = (world(1), large(b'o'));
    let wrong = Hash32::of(b"wrong");
    for number in 0..2 {
        world.send("a.near", wrong, &body, number * PART..(number + 1) * PART).unwrap();
    }
    let refused = world.send("a.near", wrong, &body, 2 * PART..3 * PART);
    assert!(matches!(reason(refused), Reason::DigestDiffers { found, .. } if found == wrong));
    // Bytes that are not the borsh of a response.
    let mut lie = body.clone();
    lie.request_id = 0;
    let mut garbage = outlayer_protocol::ResponsePart {
        request_id: 0,
        digest: wrong,
        total_bytes: MIN_PART_BYTES + 1,
        offset: 0,
        bytes: vec![255; PART].into(),
    };
    world.call("a.near", ZERO, |c| c.stage_response(garbage.clone())).unwrap();
    garbage.offset = MIN_PART_BYTES;
    garbage.bytes = vec![255].into();
    let refused = world.call("a.near", ZERO, |c| c.stage_response(garbage));
    assert!(matches!(refused, Err(ContractError::Body { request_id: 0, .. })), "{refused:?}");
    world.audit();
    // The worker starts over within its turn.
    send(&mut world, "a.near", &body, 0..3).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
}

#[test]
fn whoever_sends_rubbish_or_stalls_holds_a_request_up_for_one_turn_only() {
    let (mut world, rubbish, truth) = (world(1), large(b'x'), large(b'o'));
    send(&mut world, "a.near", &rubbish, [0]).unwrap();
    let start = world.height;
    world.height = start + TURN_BLOCKS - 1;
    // Starting over does not renew the turn.
    send(&mut world, "a.near", &large(b'y'), [0]).unwrap();
    let held = upload_error(send(&mut world, "b.near", &truth, [0]));
    let until = start + TURN_BLOCKS;
    assert_eq!(held, UploadError::Turn { worker_id: id("a.near"), until, height: until - 1 });
    world.height = until;
    send(&mut world, "b.near", &truth, 0..2).unwrap();
    // The worker that lost its turn waits for those that have had none.
    world.height += TURN_BLOCKS;
    let held = upload_error(send(&mut world, "a.near", &rubbish, [0]));
    assert!(matches!(held, UploadError::Turn { until, .. } if until == world.height + TURN_BLOCKS));
    send(&mut world, "c.near", &truth, 0..3).unwrap();
    world.audit();
    assert_eq!(world.settle(0).outcome, Outcome::Completed { output: truth.output });
}

#[test]
fn a_body_that_comes_whole_goes_ahead_of_one_in_the_making() {
    let mut world = world(1);
    send(&mut world, "a.near", &large(b'x'), 0..2).unwrap();
    world.resolve("b.near", &answer(0, "short")).unwrap();
    world.audit();
    assert_eq!(world.live(0).upload, None);
    let late = send(&mut world, "a.near", &large(b'x'), [2]);
    assert!(matches!(reason(late), Reason::AlreadyStaged { .. }));
    assert_eq!(world.settle(0).outcome, Outcome::Completed { output: "short".into() });
    world.audit();
}

#[test]
fn a_conflict_that_comes_up_with_the_last_part_lets_the_worker_start_over() {
    let (mut world, body) = (world(1), large(b'o'));
    send(&mut world, "a.near", &body, 0..2).unwrap();
    let fee = world.view(|c| c.get_change_fee(id("dapp.near")));
    world.call("dapp.near", fee, |c| c.storage_set("k".into(), "new".into())).unwrap();
    let conflict = send(&mut world, "a.near", &body, [2]);
    assert!(matches!(reason(conflict), Reason::ReadConflict { .. }));
    let newer = ExecutionResponse { reads: vec![read("k", Some("new"))], ..body };
    send(&mut world, "a.near", &newer, 0..3).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
}

#[test]
fn an_unfinished_body_goes_with_its_request_however_that_ends() {
    let end: [fn(&mut World) -> &'static str; 3] = [
        |world| {
            world.height += 201;
            world.settle(0).outcome.name()
        },
        |world| {
            world.call("dapp.near", ZERO, |c| c.cancel_execution(0)).unwrap();
            world.settle(0).outcome.name()
        },
        |world| {
            let data_id = world.live(0).data_id.0;
            world.height = world.live(0).terms.sweep_from;
            world.lose(&data_id);
            world.call("anyone.near", ZERO, |c| c.sweep_expired(0)).unwrap().outcome.name()
        },
    ];
    for (end, expected) in end.into_iter().zip(["timed_out", "cancelled", "timed_out"]) {
        for parts in [1, 2] {
            let mut world = world(1);
            send(&mut world, "a.near", &large(b'o'), 0..parts).unwrap();
            assert_eq!(end(&mut world), expected);
            world.deliver_transfers();
            world.audit();
            assert!(world.entries(crate::store::Prefix::ResponsePart).next().is_none());
        }
    }
    // And the same for a complete body whose callback failed.
    let mut world = world(1);
    send(&mut world, "a.near", &large(b'o'), 0..3).unwrap();
    let data_id = world.live(0).data_id.0;
    world.height = world.live(0).terms.sweep_from;
    world.lose(&data_id);
    world.call("anyone.near", ZERO, |c| c.sweep_expired(0)).unwrap();
    world.audit();
}

#[test]
fn where_several_must_agree_only_they_send_parts_and_only_once_they_have_revealed() {
    let (mut world, body) = (world(2), large(b'o'));
    let digest = world.digest(&body);
    for worker in ["a.near", "b.near"] {
        world.commit(worker, 0, digest).unwrap();
    }
    world.commit("c.near", 0, Hash32::of(b"lie")).unwrap();
    world.reveal("a.near", 0, digest).unwrap();
    let early = send(&mut world, "a.near", &body, [0]);
    assert!(matches!(reason(early), Reason::TooFewReveals { found: 1, .. }));
    world.reveal("b.near", 0, digest).unwrap();
    let outsider = send(&mut world, "c.near", &body, [0]);
    assert!(matches!(reason(outsider), Reason::NotAmongTheAgreeing { .. }));
    send(&mut world, "a.near", &body, [0]).unwrap();
    world.height += TURN_BLOCKS;
    send(&mut world, "b.near", &body, 0..3).unwrap();
    let settled = world.settle(0);
    assert_eq!((settled.digest, settled.outcome.name()), (Some(digest), "completed"));
    let earned =
        |world: &mut World, who: &str| world.view(|c| c.get_worker(id(who))).unwrap().earnings;
    assert!(earned(&mut world, "a.near") > ZERO && earned(&mut world, "b.near") > ZERO);
    assert_eq!(earned(&mut world, "c.near"), ZERO);
    world.audit();
}

#[test]
fn a_round_that_a_conflict_voids_takes_the_parts_with_it() {
    let (mut world, body) = (world(2), large(b'o'));
    world.agree(&body);
    send(&mut world, "a.near", &body, 0..2).unwrap();
    let fee = world.view(|c| c.get_change_fee(id("dapp.near")));
    world.call("dapp.near", fee, |c| c.storage_set("k".into(), "new".into())).unwrap();
    send(&mut world, "a.near", &body, [2]).unwrap();
    let live = world.live(0);
    assert_eq!((live.upload, live.phase.name()), (None, "pending"));
    let agreement = live.agreement.unwrap();
    assert_eq!((agreement.round, agreement.votes.len()), (1, 0));
    assert_eq!(agreement.snapshot_height, world.height);
    world.audit();
}

#[test]
fn a_round_that_a_conflict_voids_takes_the_parts_of_a_former_worker_with_it() {
    let (mut world, body) = (world(2), large(b'o'));
    world.agree(&body);
    send(&mut world, "a.near", &body, 0..2).unwrap();
    let fee = world.view(|c| c.get_change_fee(id("dapp.near")));
    world.call("dapp.near", fee, |c| c.storage_set("k".into(), "new".into())).unwrap();
    // The next worker sends all of it in one part.
    world.height += TURN_BLOCKS;
    let digest = world.digest(&body);
    world.send("b.near", digest, &body, 0..usize::MAX).unwrap();
    assert_eq!(world.live(0).agreement.unwrap().round, 1);
    world.audit();
}

#[test]
fn more_than_can_be_settled_is_refused_when_it_is_asked_for() {
    let mut world = World::new();
    let mut ask = |format, output_bytes, storage_writes| -> Result<RequestId, ContractError> {
        let mut request = request("");
        request.response_format = format;
        request.limits.output_bytes = output_bytes;
        request.limits.journal_bytes = 0;
        request.limits.storage_reads = 0;
        request.limits.storage_writes = storage_writes;
        let cost = world.view(|c| c.estimate_cost(request.clone()))?;
        world.call("dapp.near", cost.total, |c| c.accept(&request))?;
        Ok(world.contract().next_request_id - 1)
    };
    for (format, max) in
        [(ResponseFormat::Json, MAX_JSON_OUTPUT_BYTES), (ResponseFormat::Borsh, MAX_OUTPUT_BYTES)]
    {
        ask(format, max, 0).unwrap();
        let error = ask(format, max + 1, 0).unwrap_err().to_string();
        assert!(error.contains(&format!("{}, more than the {max} ", max + 1)), "{error}");
    }
    // A journal may replace values, which are read too.
    let both = ask(ResponseFormat::Borsh, MAX_OUTPUT_BYTES, 1).unwrap_err();
    assert!(matches!(
        both,
        ContractError::Request(RequestError::Settlement { found: 4_900_000.., max: 4_000_000 })
    ));
    ask(ResponseFormat::Borsh, MAX_OUTPUT_BYTES - 1_200_000, 1).unwrap();
}
