//! A worker that must agree with others. The test plays the others.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use near_crypto::{KeyType, SecretKey};
use outlayer_client::testing::{self, Chain, FakeNode, WORKER};
use outlayer_protocol::{
    AccountId, Agreement, Bytes, Compute, ExecutionRecord, ExecutionResponse, Hash32, Outcome,
    RequestId, Status,
    commitment::{Salt, commitment},
    methods,
    response::Answer,
};
use serde_json::json;

use super::{READ, Stage, WorkerConfig, config, config_of_this_build, hello, run_until, settled};

pub(super) const ID: RequestId = 7;
const SALT: Salt = [7; 16];
pub(super) const A: &str = "a.near";
const B: &str = "b.near";

/// A chain on which two of three workers must agree on what `code` gives. Time passes on it.
fn two_of_three(code: &[u8]) -> Chain {
    several((2, 3), code, &[WORKER, A, B])
}

pub(super) fn several(asked: (u8, u8), code: &[u8], drawn: &[&str]) -> Chain {
    let mut chain = Chain::new(config_of_this_build());
    chain.ask_several(ID, code, asked, drawn);
    chain.time_passes = true;
    chain
}

pub(super) fn agreement(chain: &Chain) -> Option<&Agreement> {
    chain.live.get(&ID)?.request.agreement.as_ref()
}

/// How many workers have committed in this round.
pub(super) fn votes(chain: &Chain) -> usize {
    agreement(chain).map_or(0, |agreement| agreement.votes.len())
}

pub(super) fn commit(chain: &mut Chain, worker: &str, digest: Hash32) {
    let (id, round): (AccountId, _) = (worker.parse().unwrap(), agreement(chain).unwrap().round);
    let commitment = commitment(&digest, &id, round, &SALT);
    let args = json!({ "request_id": ID, "round": round, "commitment": commitment });
    let called = chain.call(worker, methods::COMMIT_EXECUTION, args.to_string().as_bytes());
    called.unwrap();
}

pub(super) fn reveal(chain: &mut Chain, worker: &str, digest: Hash32) {
    let salt = Bytes::from(SALT.as_slice());
    let args = json!({ "request_id": ID, "digest": digest, "salt": salt });
    let called = chain.call(worker, methods::REVEAL_EXECUTION, args.to_string().as_bytes());
    called.unwrap();
}

/// The digest of the worker's last execution.
fn digest(told: &[Stage]) -> Option<Hash32> {
    told.iter().rev().find_map(|stage| match stage {
        Stage::Executed { digest, .. } => Some(*digest),
        _ => None,
    })
}

/// The body of what the worker has executed: `hello`.
fn said_hi(told: &[Stage]) -> ExecutionResponse {
    let used = told.iter().find_map(|stage| match stage {
        Stage::Executed { used, .. } => Some(*used),
        _ => None,
    });
    hi(used.unwrap())
}

fn hi(used: Compute) -> ExecutionResponse {
    ExecutionResponse {
        request_id: ID,
        status: Status::Completed,
        output: "hi".into(),
        used,
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    }
}

/// The methods that the worker called, in order.
fn calls(chain: &Chain) -> Vec<&str> {
    let mine = chain.calls.iter().filter(|(by, _)| by == WORKER);
    mine.map(|(_, method)| method.as_str()).collect()
}

fn paid(chain: &Chain) -> Vec<&str> {
    chain.paid.iter().map(|id| id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_started_again_reveals_what_it_had_committed_to() {
    let (node, chain) = two_of_three(&hello()).start().await;
    let told = run_until(config(&node), &chain, |chain, _| votes(chain) == 1).await;
    let truth = digest(&told).unwrap();
    {
        let chain = &mut chain.lock().unwrap();
        commit(chain, A, truth);
        commit(chain, B, Hash32::of(b"a lie"));
        reveal(chain, B, Hash32::of(b"a lie"));
        reveal(chain, A, truth);
    }
    let told = run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(ID, super::said_hi())]);
    // It was the first to commit, so its reveal came with the body.
    assert_eq!(calls(&chain), [methods::COMMIT_EXECUTION, methods::RESOLVE_EXECUTION]);
    assert_eq!(paid(&chain), [WORKER, WORKER, A]);
    assert_eq!(chain.refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_cannot_reveal_and_says_so() {
    let (node, chain) = two_of_three(&hello()).start().await;
    let told = run_until(config(&node), &chain, |chain, _| votes(chain) == 1).await;
    let truth = digest(&told).unwrap();
    {
        let chain = &mut chain.lock().unwrap();
        commit(chain, A, truth);
        commit(chain, B, truth);
        reveal(chain, A, truth);
    }
    let key = SecretKey::from_seed(KeyType::ED25519, "another");
    let other = WorkerConfig { secret_key: key, ..config(&node) };
    let failed = |told: &[Stage]| told.iter().any(|stage| matches!(stage, Stage::Failed { .. }));
    let told = run_until(other, &chain, |_, told| failed(told)).await;
    assert!(
        told.iter().any(|stage| matches!(
            stage,
            Stage::Failed { reason, .. } if reason.contains("its key has changed since")
        )),
        "{told:?}"
    );
    assert_eq!(calls(&chain.lock().unwrap()), [methods::COMMIT_EXECUTION]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_overtaken_reveals_after_the_settlement_and_the_shares_are_closed() {
    // The last one commits and is never heard of again.
    let chain = several((2, 4), &hello(), &[WORKER, A, B, "silent.near"]);
    let (node, chain) = chain.start().await;
    let mut overtaken = false;
    run_until(config(&node), &chain, |chain, told| {
        if votes(chain) == 1 && !overtaken {
            overtaken = true;
            overtake(chain, told, &[A, B, "silent.near"]);
            assert_eq!(paid(chain), [A, A, B]);
        }
        overtaken && chain.shares.is_empty()
    })
    .await;
    let chain = chain.lock().unwrap();
    let expected = [methods::COMMIT_EXECUTION, methods::REVEAL_EXECUTION, methods::CLOSE];
    assert_eq!(calls(&chain), expected);
    // Its share, and what closing is paid.
    assert_eq!(paid(&chain), [A, A, B, WORKER, WORKER]);
    assert_eq!(chain.refused, [""; 0]);
}

/// Commits for everybody else, and has the request settled before this worker reveals.
fn overtake(chain: &mut Chain, told: &[Stage], others: &[&str]) {
    let truth = digest(told).unwrap();
    others.iter().for_each(|worker| commit(chain, worker, truth));
    reveal(chain, A, truth);
    reveal(chain, B, truth);
    let answer = Answer { response: said_hi(told), digest: truth, salt: None };
    chain.call(A, methods::RESOLVE_EXECUTION, &borsh::to_vec(&answer).unwrap()).unwrap();
    chain.settle(ID);
    assert!(chain.shares.contains_key(&ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_started_again_after_the_settlement_reveals_without_executing() {
    let (node, chain) = two_of_three(&hello()).start().await;
    let told = run_until(config(&node), &chain, |chain, _| votes(chain) == 1).await;
    overtake(&mut chain.lock().unwrap(), &told, &[A, B]);
    let told = run_until(config(&node), &chain, |chain, _| chain.shares.is_empty()).await;
    assert!(told.iter().all(|stage| matches!(stage, Stage::Called { .. })), "{told:?}");
    let chain = chain.lock().unwrap();
    assert_eq!(calls(&chain), [methods::COMMIT_EXECUTION, methods::REVEAL_EXECUTION]);
    // Its share and what closing is paid, in one.
    assert_eq!(paid(&chain), [A, A, B, WORKER]);
    assert_eq!(chain.refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_that_a_worker_has_left_open_are_closed_when_it_is_started_again() {
    let chain = several((2, 4), &hello(), &[WORKER, A, B, "silent.near"]);
    let (node, chain) = chain.start().await;
    let told = run_until(config(&node), &chain, |chain, _| votes(chain) == 1).await;
    {
        let chain = &mut chain.lock().unwrap();
        overtake(chain, &told, &[A, B, "silent.near"]);
        // The worker is away until no reveal is taken any more.
        chain.height = chain.shares[&ID].agreement.reveal_until();
    }
    run_until(config(&node), &chain, |chain, _| chain.shares.is_empty()).await;
    let chain = chain.lock().unwrap();
    assert_eq!(calls(&chain), [methods::COMMIT_EXECUTION, methods::CLOSE]);
    assert_eq!(paid(&chain), [A, A, B, WORKER], "for closing");
    assert_eq!(chain.refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_drawn_leaves_open_shares_alone() {
    let chain = several((2, 3), &hello(), &["c.near", A, B]);
    let (node, chain) = chain.start().await;
    {
        let chain = &mut chain.lock().unwrap();
        let response = hi(Compute::Fuel(1));
        let live = &chain.live[&ID].request;
        let truth = ExecutionRecord::new(live, &response).digest();
        ["c.near", A, B].iter().for_each(|worker| commit(chain, worker, truth));
        reveal(chain, A, truth);
        reveal(chain, B, truth);
        let answer = Answer { response, digest: truth, salt: None };
        chain.call(A, methods::RESOLVE_EXECUTION, &borsh::to_vec(&answer).unwrap()).unwrap();
        chain.settle(ID);
        chain.height = chain.shares[&ID].agreement.reveal_until();
    }
    let from = chain.lock().unwrap().height;
    run_until(config(&node), &chain, |chain, _| chain.height > from + 60).await;
    let chain = chain.lock().unwrap();
    assert_eq!(calls(&chain), [""; 0]);
    assert!(chain.shares.contains_key(&ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_round_is_executed_again_on_the_new_snapshot() {
    let mut chain = two_of_three(&wat::parse_str(READ).unwrap());
    chain.storage.insert(b"k".to_vec(), b"old".to_vec());
    chain.before_resolve = Some(|chain| {
        chain.storage.insert(b"k".to_vec(), b"new".to_vec());
    });
    let (node, chain) = chain.start().await;
    // The others agree with what this worker has executed, round by round.
    let told = run_until(config(&node), &chain, |chain, told| {
        if votes(chain) == 1 {
            let digest = digest(told).unwrap();
            commit(chain, A, digest);
            commit(chain, B, digest);
            reveal(chain, A, digest);
        }
        !chain.settled.is_empty()
    })
    .await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(ID, Outcome::Completed { output: "new".into() })]);
    assert!(told.iter().any(|stage| matches!(stage, Stage::Again { .. })), "{told:?}");
    let round = [methods::COMMIT_EXECUTION, methods::RESOLVE_EXECUTION];
    assert_eq!(calls(&chain), [round, round].concat());
    assert_eq!(chain.refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_else_commits_to_is_closed_as_disputed() {
    let (node, chain) = two_of_three(&hello()).start().await;
    run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(ID, Outcome::Disputed { digests: Vec::new() })]);
    assert_eq!(calls(&chain), [methods::COMMIT_EXECUTION, methods::CLOSE]);
    assert_eq!(paid(&chain), [WORKER], "for closing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_which_others_were_drawn_is_left_alone() {
    let mut chain = several((2, 3), &hello(), &[A, B, "c.near"]);
    chain.ask(8, &hello());
    // However long a busy machine takes to answer it.
    chain.live.get_mut(&8).unwrap().request.terms.deadline = 100_000;
    let (node, chain) = chain.start().await;
    let told = run_until(config(&node), &chain, |chain, _| {
        chain.height > 300 && !chain.settled.is_empty()
    })
    .await;
    let chain = chain.lock().unwrap();
    assert_eq!(calls(&chain), [methods::RESOLVE_EXECUTION], "of the other request");
    let executed = |stage: &&Stage| matches!(stage, Stage::Executed { request_id: ID, .. });
    assert_eq!(told.iter().filter(executed).count(), 0);
    let found = |stage: &&Stage| matches!(stage, Stage::Discovered { request_id: ID });
    assert_eq!(told.iter().filter(found).count(), 1, "it is looked at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_the_seat_that_its_holder_did_not_use() {
    let chain = several((2, 2), &hello(), &["dead.near", A, WORKER, B]);
    let turn = agreement(&chain).unwrap().passes_on_at();
    let (node, chain) = chain.start().await;
    run_until(config(&node), &chain, |chain, told| {
        if let Some(digest) = digest(told)
            && votes(chain) == 1
        {
            assert!(chain.height >= turn, "{} {turn}", chain.height);
            commit(chain, B, digest);
            reveal(chain, B, digest);
        }
        !chain.settled.is_empty()
    })
    .await;
    let chain = chain.lock().unwrap();
    assert_eq!(settled(&chain), [(ID, super::said_hi())]);
    assert_eq!(paid(&chain), [WORKER, WORKER, B]);
    assert_eq!(chain.refused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_readers_comes_again_without_its_salt() {
    let mut state = two_of_three(&hello());
    state.waits = 2;
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, told| {
        if let Some(truth) = digest(told)
            && votes(chain) == 1
        {
            // Nothing is left to reveal after this worker has, so no shares stay open.
            let lie = Hash32::of(b"a lie");
            for (worker, digest) in [(A, truth), (B, lie)] {
                commit(chain, worker, digest);
            }
            reveal(chain, A, truth);
            reveal(chain, B, lie);
        }
        !chain.settled.is_empty()
    })
    .await;
    let chain = chain.lock().unwrap();
    assert_eq!((settled(&chain), chain.waits), (vec![(ID, super::said_hi())], 0));
    // The first body brings the reveal, and each that comes again would be refused with it.
    let again = [methods::RESOLVE_EXECUTION; 3];
    assert_eq!(calls(&chain), [&[methods::COMMIT_EXECUTION][..], &again].concat());
    assert_eq!(chain.refused, [""; 0]);
    let executed = told.iter().filter(|stage| matches!(stage, Stage::Executed { .. })).count();
    assert_eq!(executed, 1, "{told:?}");
}

/// The commitment was lost, so the node has no outcome for it however often it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_commitment_whose_fate_is_not_known_is_waited_for_as_long_as_its_request_lives() {
    let chain = Arc::new(Mutex::new(two_of_three(&hello())));
    let (commitments, shared) = (Arc::<AtomicUsize>::default(), Arc::clone(&chain));
    let counted = Arc::clone(&commitments);
    let node = FakeNode::start(move |method, params| {
        if method == "send_tx" {
            counted.fetch_add(1, Ordering::SeqCst);
            return testing::Answer::Error(testing::timeout_error());
        }
        shared.lock().unwrap().answer(method, params)
    })
    .await;
    let left = |told: &[Stage]| told.contains(&Stage::Left { request_id: ID });
    let told = run_until(config(&node), &chain, |chain, told| {
        if commitments.load(Ordering::SeqCst) > 1 {
            // Somebody has ended it.
            chain.live.clear();
            chain.height += 1;
        }
        left(told)
    })
    .await;
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
}
