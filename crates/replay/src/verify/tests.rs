//! Evidence that was made here, without any node: true, false, contradictory and foreign.

use outlayer_client::testing::{CONTRACT, request_view};
use outlayer_executor::{
    Code, ENGINE_VERSION, EmptySnapshot, EngineId, Executor, ExecutorConfig, NEAR_CONFIG_VERSION,
    prepare::MAX_MODULE_BYTES,
};
use outlayer_modules::CodeConfig;
use outlayer_protocol::{
    Agreement, Config, EngineVersion, ExecutionResponse, HttpAccess, Limit, NearToken, Outcome,
    Status,
    agreement::Vote,
    http::{Answered, Exchange, ExchangeError, HttpRequest},
};

use super::*;

mod secrets;

/// Reads the key "k" and writes its value to its standard output.
const READ: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "outlayer" "storage_read" (func $read (param i32 i32 i32 i32) (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00")
    (data (i32.const 16) "k")
    (func (export "_start")
        (i32.store (i32.const 4) (i32.wrap_i64
            (call $read (i32.const 16) (i32.const 1) (i32.const 64) (i32.const 64))))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// Storage in which every key has this value.
fn everywhere(value: &'static [u8]) -> impl Snapshot {
    move |_key: &[u8]| Ok(Some(value.to_vec()))
}

fn code() -> Vec<u8> {
    wat::parse_str(READ).unwrap()
}

fn executor() -> Executor {
    Executor::new(ExecutorConfig::default()).unwrap()
}

fn engines() -> Engines {
    Engines::own(Arc::new(executor()))
}

/// A live request for [`READ`] that pins `engine`.
fn view(engine: EngineVersion) -> RequestView {
    let mut view = request_view(&Config::new(engine, NEAR_CONFIG_VERSION), 7, "input");
    view.request.code.hash = Hash32::of(&code());
    view
}

/// What an honest worker answers over `storage`.
fn answer(view: &RequestView, storage: &mut dyn Snapshot) -> ExecutionResponse {
    let code = code();
    let job = Job::of_live(Code::of(&code), &view.request, &view.input);
    executor().execute(&job, storage).unwrap().into_response(7)
}

/// The evidence that the chain shows when `response` was settled.
fn evidence(view: RequestView, response: &ExecutionResponse) -> Evidence {
    Evidence {
        contract_id: CONTRACT.parse().unwrap(),
        requested: (&view.request).into(),
        completed: ExecutionCompleted {
            request_id: 7,
            outcome: Outcome::of_response(response).name().to_owned(),
            digest: ExecutionRecord::new(&view.request, response).digest(),
            worker_id: "worker.near".parse().unwrap(),
            workers: Vec::new(),
            output_hash: Hash32::of(&response.output),
            output_bytes: response.output.len() as u64,
            plan_hash: response.plan_hash(),
            used: response.used,
            fee: NearToken::from_yoctonear(0),
            held: NearToken::from_yoctonear(0),
            refund: NearToken::from_yoctonear(0),
        },
        view,
        transcript: Default::default(),
        snapshot_height: 120,
    }
}

#[test]
fn an_honest_answer_matches_and_the_record_is_shown() {
    let view = view(ENGINE_VERSION);
    let honest = answer(&view, &mut everywhere(b"value"));
    assert_eq!(honest.output.0, b"value");
    let evidence = evidence(view, &honest);
    let replay =
        verify(&evidence, &code(), &mut everywhere(b"value"), &engines(), &Openings::none())
            .unwrap();
    assert!(replay.is_match(), "{replay:?}");
    assert_eq!(replay.digest, Some(evidence.completed.digest));
    assert_eq!(replay.record.unwrap().digest(), evidence.completed.digest);
    assert_eq!((replay.snapshot_height, replay.completed), (Some(120), Some(evidence.completed)));
}

#[test]
fn code_that_is_longer_than_declared_has_one_verdict_which_a_replay_confirms() {
    let mut view = view(ENGINE_VERSION);
    let limit = u32::try_from(code().len()).unwrap() - 1;
    view.request.limits.max_module_bytes = limit;
    let honest = answer(&view, &mut EmptySnapshot);
    let expected = Status::LimitExceeded { which: Limit::ModuleBytes, limit: limit.into() };
    assert_eq!((&honest.status, honest.used.amount()), (&expected, 0));
    let evidence = evidence(view, &honest);
    let replay =
        verify(&evidence, &code(), &mut EmptySnapshot, &engines(), &Openings::none()).unwrap();
    assert!(replay.is_match(), "{replay:?}");
    // So that there is a verdict on code which no engine takes, it is fetched all the same.
    assert!(CodeConfig::default().max_code_bytes > MAX_MODULE_BYTES as usize);
}

#[test]
fn a_lie_and_another_storage_are_mismatches() {
    let honest = answer(&view(ENGINE_VERSION), &mut everywhere(b"value"));
    let lie = ExecutionResponse { output: "a lie".into(), ..honest.clone() };
    let differing = |response: &ExecutionResponse, storage: &mut dyn Snapshot| {
        let evidence = evidence(view(ENGINE_VERSION), response);
        let replay = verify(&evidence, &code(), storage, &engines(), &Openings::none()).unwrap();
        let Verdict::Mismatch { differs } = replay.verdict else { panic!("{replay:?}") };
        differs.iter().map(|one| one.part).collect::<Vec<_>>()
    };
    assert_eq!(differing(&lie, &mut everywhere(b"value")), ["output_hash"]);
    assert_eq!(differing(&honest, &mut everywhere(b"VALUE")), ["output_hash"]);
}

#[test]
fn what_another_engine_executed_is_executed_by_that_engine_or_not_at_all() {
    let honest = answer(&view(ENGINE_VERSION), &mut EmptySnapshot);
    for version in [EngineVersion(1), EngineVersion(ENGINE_VERSION.0 + 1)] {
        let other = EngineId { version, ..EngineId::OWN };
        let evidence = evidence(view(version), &honest);
        let replay =
            verify(&evidence, b"not even code", &mut EmptySnapshot, &engines(), &Openings::none())
                .unwrap();
        let near_config_version = NEAR_CONFIG_VERSION;
        let expected = Verdict::NeedsEngine { engine_version: version, near_config_version };
        assert_eq!((replay.verdict, replay.digest), (expected, None));

        // An engine that yields the same here, under another name.
        let with_other = engines().with(other, Arc::new(executor()));
        let replay =
            verify(&evidence, &code(), &mut EmptySnapshot, &with_other, &Openings::none()).unwrap();
        assert!(replay.is_match(), "{replay:?}");
        assert_eq!(replay.record.unwrap().engine_version, version);
        let elsewhere = EngineId { near_config_version: 84, ..other };
        let elsewhere = engines().with(elsewhere, Arc::new(executor()));
        let replay =
            verify(&evidence, &code(), &mut EmptySnapshot, &elsewhere, &Openings::none()).unwrap();
        assert!(matches!(replay.verdict, Verdict::NeedsEngine { .. }), "{replay:?}");
    }
}

#[test]
fn an_execution_over_http_is_replayed_from_its_transcript_and_no_other() {
    let asked = HttpRequest::get("https://a.example/");
    let encoded = borsh::to_vec(&asked).unwrap();
    let data: String = encoded.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let code = wat::parse_str(format!(
        r#"(module
            (import "outlayer" "http_fetch" (func $fetch (param i32 i32) (result i64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{data}")
            (func (export "_start")
                (drop (call $fetch (i32.const 0) (i32.const {})))))"#,
        encoded.len()
    ))
    .unwrap();
    let exchange =
        |error| Exchange { request_hash: asked.hash(), answered: Answered::Failed(error) };
    let transcript = Transcript { exchanges: vec![exchange(ExchangeError::TimedOut)] };
    let mut view = view(ENGINE_VERSION);
    view.request.code.hash = Hash32::of(&code);
    view.request.http = Some(HttpAccess::to(vec!["a.example".to_owned()]));
    let job = Job::of_live(Code::of(&code), &view.request, &view.input);
    let mut recorded = Connected { snapshot: EmptySnapshot, network: transcript.clone() };
    let honest = executor().execute(&job, &mut recorded).unwrap().into_response(7);
    assert_eq!(honest.transcript, transcript.encode());

    let mut evidence = evidence(view, &honest);
    let judge = |evidence: &Evidence| {
        verify(evidence, &code, &mut EmptySnapshot, &engines(), &Openings::none()).unwrap()
    };
    let part = |replay: Replay| match replay.verdict {
        Verdict::Mismatch { differs } => differs[0].part,
        other => panic!("{other:?}"),
    };
    evidence.transcript = transcript.clone();
    let replay = judge(&evidence);
    assert!(replay.is_match(), "{replay:?}");
    // Too few, of another request, and too many.
    evidence.transcript = Transcript::default();
    assert_eq!(part(judge(&evidence)), "transcript");
    evidence.transcript.exchanges =
        vec![Exchange { request_hash: Hash32::of(b"other"), ..exchange(ExchangeError::TimedOut) }];
    assert_eq!(part(judge(&evidence)), "transcript");
    evidence.transcript = transcript;
    evidence.transcript.exchanges.push(exchange(ExchangeError::Tls));
    assert!(judge(&evidence).is_match(), "what the guest did not ask for is not in the record");
}

#[test]
fn workers_may_have_voted_since_the_request_was_made() {
    let drawn = |ids: [&str; 3]| ids.map(|id| id.parse().unwrap()).to_vec();
    let workers = ["a.near", "b.near", "c.near"];
    let mut view = view(ENGINE_VERSION);
    view.request.agreement = Some(Agreement::new(2, 3, 10, drawn(workers), 100));
    let honest = answer(&view, &mut EmptySnapshot);
    let mut evidence = evidence(view, &honest);
    let agreement = evidence.view.request.agreement.as_mut().unwrap();
    agreement.votes.push(Vote { drawn: 0, commitment: Hash32::of(b"c"), digest: None });
    (agreement.round, agreement.since, agreement.snapshot_height) = (1, 105, 105);
    let judge = |evidence: &Evidence| {
        verify(evidence, &code(), &mut EmptySnapshot, &engines(), &Openings::none()).unwrap()
    };
    assert!(judge(&evidence).is_match());
    evidence.requested.agreement = Some(Agreement::new(2, 3, 10, drawn(workers), 99));
    assert!(judge(&evidence).is_match());
    for other in [
        Agreement::new(1, 3, 10, drawn(workers), 100),
        Agreement::new(2, 3, 10, drawn(["a.near", "b.near", "d.near"]), 100),
    ] {
        evidence.requested.agreement = Some(other);
        assert!(matches!(judge(&evidence).verdict, Verdict::Inconclusive { .. }));
    }
}

#[test]
fn evidence_that_contradicts_itself_is_not_judged() {
    let view = view(ENGINE_VERSION);
    let honest = answer(&view, &mut EmptySnapshot);
    let evidence = evidence(view, &honest);
    let judge = |evidence: &Evidence, code: &[u8]| {
        verify(evidence, code, &mut EmptySnapshot, &engines(), &Openings::none())
    };

    let error = judge(&evidence, b"other code").unwrap_err();
    assert!(matches!(error, VerifyError::Code { .. }), "{error}");

    let mut elsewhere = evidence.clone();
    elsewhere.contract_id = "mallory.near".parse().unwrap();
    let error = judge(&elsewhere, &code()).unwrap_err();
    assert!(matches!(error, VerifyError::View(ViewError::Contract { .. })), "{error}");

    let mut changed = evidence.clone();
    changed.view.input = "another input".into();
    let error = judge(&changed, &code()).unwrap_err();
    assert!(matches!(error, VerifyError::View(ViewError::Input { .. })), "{error}");

    let mut foreign = evidence;
    foreign.requested.deadline += 1;
    let replay = judge(&foreign, &code()).unwrap();
    assert!(matches!(replay.verdict, Verdict::Inconclusive { .. }), "{replay:?}");
}
