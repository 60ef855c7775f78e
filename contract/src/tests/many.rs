//! Several answers in one call.

use near_sdk::NearToken;
use outlayer_protocol::{
    ExecutionResponse, Outcome, RefusalCode, RequestId,
    machine::{Phase, Taken},
};

use super::world::*;
use crate::ContractError;

const W: &str = "worker.near";
const ZERO: NearToken = NearToken::ZERO;

/// What happens to a request before the answers come.
const CANCELLED: RequestId = 2;
const SETTLED: RequestId = 3;
const GONE: RequestId = 4;

/// A contract with live requests 0 to 8, of which one is cancelled, one is settled, and one has a
/// yield that is gone.
fn world() -> World {
    let mut world = World::new();
    world.register(&[W, "other.near", "third.near"]);
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.call("dapp.near", ZERO, |c| c.storage_set("k".into(), "now".into())).unwrap();
    for n in 0..9 {
        let mut asked = request(&n.to_string());
        asked.approvals = if n == 8 { 2 } else { 1 };
        assert_eq!(world.request("dapp.near", &asked), n);
    }
    world.call("dapp.near", ZERO, |c| c.cancel_execution(CANCELLED)).unwrap();
    world.resolve(W, &answer(SETTLED, "x")).unwrap();
    world.settle(SETTLED);
    let data_id = world.live(GONE).data_id.0;
    world.lose(&data_id);
    world
}

/// Answers that are taken and answers that are not, in turn, with the code of each.
fn answers() -> Vec<(ExecutionResponse, Option<RefusalCode>)> {
    let with = |request_id, change: &dyn Fn(&mut ExecutionResponse)| {
        let mut body = answer(request_id, "output");
        change(&mut body);
        body
    };
    let plain = |request_id| answer(request_id, "output");
    vec![
        (plain(0), None),
        (plain(GONE), Some(RefusalCode::YieldGone)),
        (plain(1_000), Some(RefusalCode::UnknownRequest)),
        (
            with(5, &|body| body.reads = vec![read("k", Some("before"))]),
            Some(RefusalCode::ReadConflict),
        ),
        (with(1, &|body| body.journal = vec![write("k", Some("next"))]), None),
        (plain(0), Some(RefusalCode::AlreadyAnswered)),
        // Request 1 has locked the key, in the same call.
        (with(5, &|body| body.reads = vec![read("k", Some("now"))]), Some(RefusalCode::KeyLocked)),
        (plain(CANCELLED), Some(RefusalCode::AlreadyCancelled)),
        (plain(SETTLED), Some(RefusalCode::RequestSettled)),
        (
            with(6, &|body| body.output = vec![0; 1 << 20].into()),
            Some(RefusalCode::ResponseAboveLimit),
        ),
        (plain(8), Some(RefusalCode::TooFewReveals)),
        (plain(6), None),
        (with(7, &|body| body.reads = vec![read("j", None)]), None),
    ]
}

#[test]
fn each_answer_is_taken_or_refused_as_it_would_be_alone() {
    let mut alone = world();
    for (body, expected) in answers() {
        let found = alone.resolve(W, &body).err().map(|error| error.code());
        assert_eq!(found, expected, "request {}", body.request_id);
    }
    alone.audit();

    let mut together = world();
    let (bodies, expected): (Vec<_>, Vec<_>) = answers().into_iter().unzip();
    let answers = together.answers(&bodies);
    let codes = together.call(W, ZERO, |c| c.resolve_many(answers)).unwrap();
    let expected: Vec<_> = expected.into_iter().map(|code| code.map(RefusalCode::as_str)).collect();
    assert_eq!(codes, expected);
    together.audit();
    assert!(together.storage == alone.storage, "a refused answer leaves nothing behind");

    assert_eq!(together.live(GONE).phase, Phase::Pending);
    for request_id in [0, 1, 6, 7] {
        let settlement = together.settle(request_id);
        assert!(matches!(settlement.outcome, Outcome::Completed { .. }), "{settlement:?}");
        together.audit();
    }
}

#[test]
fn a_call_with_nothing_to_take_changes_nothing() {
    let mut world = world();
    let before = world.storage.clone();
    let many = |world: &mut World, by: &str, bodies: &[ExecutionResponse]| {
        let answers = world.answers(bodies);
        world.call(by, ZERO, |c| c.resolve_many(answers))
    };
    assert_eq!(many(&mut world, W, &[]), Ok(vec![]));
    let gone = many(&mut world, W, &[answer(GONE, "x"), answer(GONE, "x")]);
    assert_eq!(gone, Ok(vec![Some("yield_gone"); 2]));
    assert_eq!(world.storage, before);
    let stranger = ContractError::NotAWorker { found: id("stranger.near") };
    assert_eq!(many(&mut world, "stranger.near", &[answer(0, "x")]), Err(stranger));
    world.owner(|c| c.suspend_worker(id(W), true));
    let suspended = ContractError::Suspended { found: id(W) };
    assert_eq!(many(&mut world, W, &[answer(0, "x")]), Err(suspended));
}

#[test]
fn an_answer_that_must_wait_says_so_among_the_others() {
    let mut world = world();
    let with = |request_id, change: &dyn Fn(&mut ExecutionResponse)| {
        let mut body = answer(request_id, "output");
        change(&mut body);
        body
    };
    let bodies = [
        with(0, &|body| body.reads = vec![read("k", Some("now"))]),
        with(1, &|body| body.journal = vec![write("k", Some("next"))]),
        answer(GONE, "x"),
        // Request 1 has closed the key to it, in the same call.
        with(5, &|body| body.reads = vec![read("k", Some("now"))]),
        answer(6, "output"),
    ];
    let answers = world.answers(&bodies);
    let codes = world.call(W, ZERO, |c| c.resolve_many(answers)).unwrap();
    assert_eq!(codes, [None, Some("wait"), Some("yield_gone"), Some("key_locked"), None]);
    assert_eq!(RefusalCode::ALL.iter().find(|code| code.as_str() == "wait"), None);
    world.audit();
    world.settle(0);
    assert_eq!(world.resolve(W, &bodies[1]), Ok(Taken::Staged));
    world.audit();
}
