//! Which differences between two executions the completion event shows.

use outlayer_client::testing::{config, request_view};
use outlayer_protocol::{Bytes, Compute, NearToken, Status};

use super::*;

fn response(output: &str) -> ExecutionResponse {
    ExecutionResponse {
        request_id: 7,
        status: Status::Completed,
        output: Bytes::from(output),
        used: Compute::Fuel(10),
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
        transcript: Default::default(),
        plan: Default::default(),
    }
}

/// The event with which the contract settles `response`.
fn settled(response: &ExecutionResponse) -> ExecutionCompleted {
    let request = request_view(&config(), 7, "x").request;
    ExecutionCompleted {
        request_id: 7,
        outcome: Outcome::of_response(response).name().to_owned(),
        digest: ExecutionRecord::new(&request, response).digest(),
        worker_id: "worker.near".parse().unwrap(),
        workers: Vec::new(),
        output_hash: Hash32::of(&response.output),
        output_bytes: response.output.len() as u64,
        plan_hash: response.plan_hash(),
        used: response.used,
        fee: NearToken::from_yoctonear(0),
        held: NearToken::from_yoctonear(0),
        refund: NearToken::from_yoctonear(0),
    }
}

fn verdict(completed: &ExecutionCompleted, replayed: &ExecutionResponse) -> Verdict {
    let digest = ExecutionRecord::new(&request_view(&config(), 7, "x").request, replayed).digest();
    compare(completed, &digest, replayed)
}

fn parts(verdict: &Verdict) -> Vec<&'static str> {
    match verdict {
        Verdict::Mismatch { differs } => differs.iter().map(|one| one.part).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_execution_matches_and_an_altered_one_names_what_differs() {
    let honest = response("one");
    assert_eq!(verdict(&settled(&honest), &honest), Verdict::Match);
    assert_eq!(parts(&verdict(&settled(&response("two")), &honest)), ["output_hash"]);
    assert_eq!(
        parts(&verdict(&settled(&response("three")), &honest)),
        ["output_hash", "output_bytes"]
    );
    let dearer = ExecutionResponse { used: Compute::Fuel(11), ..honest.clone() };
    assert_eq!(parts(&verdict(&settled(&dearer), &honest)), ["used"]);
    let hidden = ExecutionResponse { log_hash: Hash32::of(b"other logs"), ..honest.clone() };
    assert_eq!(parts(&verdict(&settled(&hidden), &honest)), ["digest"]);
}

#[test]
fn a_settled_conflict_accuses_nobody() {
    let completed =
        ExecutionCompleted { outcome: "storage_conflict".into(), ..settled(&response("two")) };
    assert!(matches!(verdict(&completed, &response("one")), Verdict::Inconclusive { .. }));
    let exhausted =
        ExecutionCompleted { outcome: "storage_exhausted".into(), ..settled(&response("one")) };
    assert_eq!(verdict(&exhausted, &response("one")), Verdict::Match);
}

#[test]
fn json_names_the_verdict() {
    let replay = Replay::without_execution(7, Verdict::NoExecution { outcome: "timed_out" });
    let json = serde_json::to_value(&replay).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "request_id": 7, "verdict": "no_execution", "outcome": "timed_out" })
    );
}
