//! Exchanges over HTTP by core modules: what is sent, kept, charged and replayed, and transforms.

use std::fmt::Write as _;

use outlayer_executor::{Execution, Fault, fuel};
use outlayer_guest::{FetchError, Fetched, http::Refusal};
use outlayer_protocol::{
    Bytes, Compute, Hash32, Status,
    http::{
        Answered, EXCHANGE_NANOS, Exchange, ExchangeError, HttpAccess, HttpRequest, HttpResponse,
        MAX_FETCHED_BYTES, MAX_SENT_BYTES, Transcript,
    },
};

use crate::common::{
    Run, trapped,
    web::{Web, access, answer, get, kept},
};

/// A module that sends these requests, and writes the result of each `http_fetch` and the answer.
/// Its memory has 60 pages; `items` are further fields. Answers begin at 1 MiB.
fn sender(requests: &[HttpRequest], items: &str) -> Run {
    let (mut data, mut calls, mut at) = (String::new(), String::new(), 1_024);
    for request in requests {
        let bytes = borsh::to_vec(request).unwrap();
        let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        writeln!(data, r#"(data (i32.const {at}) "{text}")"#).unwrap();
        writeln!(
            calls,
            "(call $emit (local.tee $x (call $fetch (i32.const {at}) (i32.const {}))))
            (if (i64.gt_s (local.get $x) (i64.const 0)) (then
                (call $print (i32.const 0x100000)
                    (call $http_read (i32.const 0x100000) (i32.const 0x200000)))))",
            bytes.len()
        )
        .unwrap();
        at += bytes.len();
    }
    assert!(at < 1 << 20);
    let mut run = Run::wat(&format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get"
            (func $clock (param i32 i64 i32) (result i32)))
        (import "outlayer" "storage_write" (func $storage_write (param i32 i32 i32 i32)))
        (import "outlayer" "log" (func $log (param i32 i32)))
        (import "outlayer" "http_fetch" (func $fetch (param i32 i32) (result i64)))
        (import "outlayer" "http_read" (func $http_read (param i32 i32) (result i32)))
        (memory (export "memory") 60)
        (func $print (param i32 i32)
            (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
            (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
                (then unreachable)))
        (func $emit (param i64)
            (i64.store (i32.const 16) (local.get 0)) (call $print (i32.const 16) (i32.const 8)))
        {data} {items}
        (func (export "_start") (local $x i64) {calls}
            (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 16)))
            (call $print (i32.const 16) (i32.const 8))))"#
    ));
    run.limits.output_bytes = 2 << 20;
    run.limits.memory_bytes = 4 << 20;
    run.http = Some((access(), false));
    run
}

/// What such a module writes when it is answered this, and no time passes but that of exchanges.
fn output(answers: &[Result<Answered, Refusal>]) -> Vec<u8> {
    let mut output = Vec::new();
    for answer in answers {
        match answer {
            Ok(answered) => {
                let bytes = borsh::to_vec(answered).unwrap();
                output.extend((bytes.len() as u64).to_le_bytes());
                output.extend(bytes);
            }
            Err(refusal) => output.extend(refusal.code().to_le_bytes()),
        }
    }
    let made = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    output.extend((made * EXCHANGE_NANOS).to_le_bytes());
    output
}

fn responded(response: HttpResponse) -> Result<Answered, Refusal> {
    Ok(Answered::Response(response))
}

fn failed(error: ExchangeError) -> Result<Answered, Refusal> {
    Ok(Answered::Failed(error))
}

fn used(execution: &Execution) -> u64 {
    execution.used.amount()
}

fn completed(run: &mut Run, web: &mut Web) -> Execution {
    let execution = run.with_network(web).unwrap();
    assert_eq!(execution.status, Status::Completed, "{:?}", execution.backtrace);
    execution
}

#[test]
fn an_exchange_is_recorded_and_replayed_bit_for_bit() {
    let asked = HttpRequest {
        headers: vec![("Accept".to_owned(), "*/*".into())],
        ..get("/prices?of=near")
    };
    for compute in [Compute::Fuel(100_000_000), Compute::Gas(300_000_000_000_000)] {
        let mut run = sender(&[asked.clone(), get("/2")], "").limits(|l| l.compute = compute);
        let mut web = Web::of([Ok(answer("one")), Err(ExchangeError::Unreachable)]);
        let execution = completed(&mut run, &mut web);
        let sent =
            HttpRequest { headers: vec![("accept".to_owned(), "*/*".into())], ..asked.clone() };
        assert_eq!(web.asked, [sent.clone(), get("/2")]);
        let expected = [responded(kept("one")), failed(ExchangeError::Unreachable)];
        assert_eq!(execution.output, output(&expected));
        let exchange = |request: &HttpRequest, answered: &Result<Answered, Refusal>| Exchange {
            request_hash: request.hash(),
            answered: answered.clone().unwrap(),
        };
        let exchanges = vec![exchange(&sent, &expected[0]), exchange(&get("/2"), &expected[1])];
        assert_eq!(execution.transcript, Transcript { exchanges });
        let mut transcript = execution.transcript.clone();
        assert_eq!(run.with_network(&mut transcript).unwrap(), execution);
    }
}

#[test]
fn what_the_request_does_not_allow_is_refused_and_not_recorded() {
    let post = HttpRequest { method: "POST".to_owned(), ..get("/") };
    let requests = [
        HttpRequest { url: "https://example.com/".to_owned(), ..get("/") },
        HttpRequest { url: "http://example.org/".to_owned(), ..get("/") },
        HttpRequest { url: "example.org".to_owned(), ..get("/") },
        post,
        HttpRequest { method: "get".to_owned(), ..get("/") },
        HttpRequest { headers: vec![("host".to_owned(), "x".into())], ..get("/") },
        HttpRequest { body: "x".into(), ..get("/") },
        HttpRequest { body: Bytes(vec![0; 2 * MAX_SENT_BYTES as usize]), ..get("/") },
    ];
    let refusals = [
        Refusal::Denied,
        Refusal::Denied,
        Refusal::Url,
        Refusal::Denied,
        Refusal::Method,
        Refusal::Header,
        Refusal::BodyBytes,
        Refusal::BodyBytes,
    ];
    let mut run = sender(&requests, "");
    let mut web = Web::default();
    let execution = completed(&mut run, &mut web);
    assert_eq!(execution.output, output(&refusals.map(Err)));
    assert_eq!(execution.transcript, Transcript::default());
    // Without access, nothing is looked at.
    run.http = None;
    let execution = completed(&mut run, &mut web);
    assert_eq!(execution.output, output(&[const { Err(Refusal::Denied) }; 8]));
    assert_eq!(run.try_run(), Ok(execution));
}

#[test]
fn exchanges_are_made_while_there_is_number_and_room() {
    let requests = [get("/1"), get("/2"), get("/3")];
    let mut run = sender(&requests, "");
    let failing = || Web::of([Err(ExchangeError::TimedOut), Err(ExchangeError::TimedOut)]);
    let timed_out = failed(ExchangeError::TimedOut);
    run.http = Some((HttpAccess { max_exchanges: 2, ..access() }, false));
    let execution = completed(&mut run, &mut failing());
    let expected = [timed_out.clone(), timed_out.clone(), Err(Refusal::TooMany)];
    assert_eq!(execution.output, output(&expected));
    let room = Transcript::EMPTY_BYTES + 2 * Exchange::FAILED_BYTES;
    let max_bytes = u32::try_from(room).unwrap();
    run.http = Some((HttpAccess { max_bytes, ..access() }, false));
    let execution = completed(&mut run, &mut failing());
    let expected = [timed_out.clone(), timed_out, Err(Refusal::NoRoom)];
    assert_eq!(execution.output, output(&expected));
    assert_eq!(execution.transcript.encode().len() as u64, room);
    // An answer that does not fit leaves its place to an error.
    let execution = completed(&mut run, &mut Web::of([Ok(answer("x")), Ok(answer("y"))]));
    let too_large = failed(ExchangeError::TooLarge);
    assert_eq!(execution.output, output(&[too_large.clone(), too_large, Err(Refusal::NoRoom)]));
}

#[test]
fn every_error_reaches_the_guest_and_the_transcript() {
    for error in [
        ExchangeError::Unresolved,
        ExchangeError::PrivateAddress,
        ExchangeError::Unreachable,
        ExchangeError::Tls,
        ExchangeError::TimedOut,
        ExchangeError::Protocol,
        ExchangeError::TooLarge,
    ] {
        let mut run = sender(&[get("/")], "");
        let execution = completed(&mut run, &mut Web::of([Err(error)]));
        assert_eq!(execution.output, output(&[failed(error)]));
        assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
    }
}

#[test]
fn a_large_body_is_given_whole_and_a_larger_one_is_not() {
    let mut run = sender(&[get("/1"), get("/2")], "");
    run.http = Some((HttpAccess { max_bytes: 3 << 20, ..access() }, false));
    let most = vec![b'x'; MAX_FETCHED_BYTES as usize];
    let longer = vec![b'x'; MAX_FETCHED_BYTES as usize + 1];
    let mut web = Web::of([Ok(answer(most.clone())), Ok(answer(longer))]);
    let execution = completed(&mut run, &mut web);
    let expected = [responded(kept(most)), failed(ExchangeError::TooLarge)];
    assert_eq!(execution.output, output(&expected));
    assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
}

#[test]
fn an_exchange_costs_by_what_was_sent_and_what_was_kept() {
    let cost = |requests: &[HttpRequest], answers: Vec<_>| {
        used(&completed(&mut sender(requests, ""), &mut Web::of(answers)))
    };
    let of_kept = |body: &str| {
        let answered = Answered::Response(kept(body));
        Exchange { request_hash: Hash32::of(b""), answered }.bytes()
    };
    let one = cost(&[get("/")], vec![Ok(answer("x"))]);
    // What is kept is also read by the guest, and written by it.
    let longer = cost(&[get("/")], vec![Ok(answer("x".repeat(101)))]);
    let more = (of_kept(&"x".repeat(101)) - of_kept("x")) * fuel::EXCHANGE_BYTE;
    assert_eq!(longer - one, more + 2 * 100 * fuel::HOST_BYTE);
    let failing = cost(&[get("/")], vec![Err(ExchangeError::Tls)]);
    assert!(failing > fuel::EXCHANGE + Exchange::FAILED_BYTES * fuel::EXCHANGE_BYTE);
    let refused = HttpRequest { url: "https://example.com/".to_owned(), ..get("/") };
    assert!(cost(&[refused], vec![]) < fuel::EXCHANGE);
}

#[test]
fn whoever_runs_out_in_an_exchange_has_made_it() {
    let mut run = sender(&[get("/")], "");
    let body = "x".repeat(1_000);
    let all = completed(&mut run, &mut Web::of([Ok(answer(body.clone()))]));
    let kept_bytes = all.transcript.exchanges[0].bytes() * fuel::EXCHANGE_BYTE;
    let mut short = run.clone().fuel(used(&all) - kept_bytes);
    let execution = short.with_network(&mut Web::of([Ok(answer(body))])).unwrap();
    assert_eq!(execution.status, Status::OutOfFuel);
    assert_eq!(execution.transcript, all.transcript);
    assert_eq!(short.with_network(&mut execution.transcript.clone()), Ok(execution));
}

#[test]
fn without_a_network_or_with_one_that_fails_there_is_no_verdict() {
    let mut run = sender(&[get("/")], "");
    assert_eq!(run.try_run(), Err(Fault::Fetch(FetchError::None)));
    let away = FetchError::Network("no route".to_owned());
    let mut web = Web { answers: [Err(away.clone())].into(), ..Web::default() };
    assert_eq!(run.with_network(&mut web), Err(Fault::Fetch(away)));
    let missing = FetchError::NotInTranscript { number: 0, request_hash: get("/").hash() };
    assert_eq!(run.with_network(&mut Transcript::default()), Err(Fault::Fetch(missing)));
}

#[test]
fn what_is_no_request_traps() {
    let mut run =
        sender(&[], r#"(start $s) (func $s (drop (call $fetch (i32.const 0) (i32.const 9))))"#);
    let ended = run.with_network(&mut Web::default()).unwrap().status;
    assert_eq!(ended, trapped("what is to be sent is no HTTP request"));
}

#[test]
fn a_forged_transcript_is_not_replayed() {
    let request_hash = get("/").hash();
    let forged = |several, answered: Answered| {
        let mut run = sender(&[get("/")], "");
        run.http = Some((access(), several));
        let mut transcript = Transcript { exchanges: vec![Exchange { request_hash, answered }] };
        run.with_network(&mut transcript)
    };
    let cases = [
        (false, Answered::Response(HttpResponse { status: 1, ..kept("x") })),
        (false, Answered::Response(answer("x"))),
        (false, Answered::Response(kept("x".repeat(8 << 10)))),
        (false, Answered::Failed(ExchangeError::Transform)),
        (true, Answered::Response(kept("x"))),
    ];
    for (several, answered) in cases {
        let Err(Fault::Fetch(error)) = forged(several, answered.clone()) else {
            panic!("{answered:?} is replayed");
        };
        assert!(error.is_mismatch(), "{error}");
    }
    assert!(forged(false, Answered::Response(kept("x"))).is_ok());
    let plain = HttpResponse { headers: Vec::new(), ..kept("x") };
    assert!(forged(true, Answered::Response(plain)).is_ok());
}

/// An allocator with room at 2 MiB, and a transform with this body, whose parameters are `$at` and
/// `$len`. What the transform answers lies at 3,000: the status 299, no header, the body "ok".
fn transform(body: &str) -> String {
    format!(
        r#"(data (i32.const 3000) "\2b\01\00\00\00\00\02\00\00\00ok")
        (global $kept (export "g") (mut i32) (i32.const 0))
        (func (export "outlayer_alloc") (param i32) (result i32) (i32.const 0x200000))
        (func (export "outlayer_transform") (param $at i32) (param $len i32) (result i64)
            (local $n i32) {body})"#
    )
}

/// Answers what lies at 3,000.
const ANSWER: &str = "(i64.const 0xbb80000000c)";

fn reduced() -> HttpResponse {
    HttpResponse { status: 299, headers: Vec::new(), body: "ok".into() }
}

#[test]
fn a_transform_reduces_what_was_answered_before_it_is_recorded() {
    for compute in [Compute::Fuel(100_000_000), Compute::Gas(300_000_000_000_000)] {
        let items = transform(ANSWER);
        let mut run = sender(&[get("/")], &items).limits(|l| l.compute = compute);
        run.http = Some((access(), true));
        let one = completed(&mut run, &mut Web::of([Ok(answer("one"))]));
        assert_eq!(one.output, output(&[responded(reduced())]));
        // Whatever the answer was: the same fuel, the same transcript.
        let long = vec![7; MAX_FETCHED_BYTES as usize];
        assert_eq!(completed(&mut run, &mut Web::of([Ok(answer(long))])), one);
        assert_eq!(run.with_network(&mut one.transcript.clone()), Ok(one));
    }
}

#[test]
fn a_transform_is_given_the_request_and_what_is_kept_of_the_answer() {
    // It answers the second of what it is given, which begins after the request.
    let request = borsh::to_vec(&get("/")).unwrap().len();
    let body = format!(
        "(i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get $at) (i32.const {request})))
            (i64.const 32)) (i64.extend_i32_u (i32.sub (local.get $len) (i32.const {request}))))"
    );
    let mut run = sender(&[get("/")], &transform(&body));
    let execution = completed(&mut run, &mut Web::of([Ok(answer("one"))]));
    assert_eq!(execution.output, output(&[responded(kept("one"))]));
}

#[test]
fn a_transform_that_fails_is_an_error_of_the_exchange() {
    let longer = "(i64.const 0xbb80000000d)";
    for (name, body) in [
        ("gives up", "(i64.const 0)"),
        ("traps", "unreachable"),
        ("loops", "(loop $l (br $l)) (i64.const 0)"),
        ("recurses", "(return (call $again (local.get $at) (local.get $len)))"),
        ("answers what is no answer", longer),
        ("answers from outside of its memory", "(i64.const -1)"),
        (
            "answers in the wrong form",
            "(i32.store8 (i32.const 3001) (i32.const 99)) (i64.const 0xbb80000000c)",
        ),
        ("calls the host", "(call $log (i32.const 0) (i32.const 1)) (i64.const 0xbb80000000c)"),
        (
            "writes",
            "(call $storage_write (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))
            (i64.const 0xbb80000000c)",
        ),
        (
            "fetches",
            "(drop (call $fetch (i32.const 1024) (i32.const 34))) (i64.const 0xbb80000000c)",
        ),
    ] {
        let again = "(func $again (param i32 i32) (result i64)
            (call $again (local.get 0) (local.get 1)) (drop) (i64.const 1))";
        let items = format!("{again} {}", transform(body));
        for compute in [Compute::Fuel(100_000_000), Compute::Gas(300_000_000_000_000)] {
            let mut run = sender(&[get("/")], &items).limits(|l| l.compute = compute);
            let mut plain = sender(&[get("/")], "").limits(|l| l.compute = compute);
            let execution = completed(&mut run, &mut Web::of([Ok(answer("one"))]));
            let transform = failed(ExchangeError::Transform);
            assert_eq!(execution.output, output(&[transform]), "a transform that {name}");
            assert_eq!((&execution.logs[..], &execution.journal[..]), (&[][..], &[][..]));
            if let Compute::Fuel(fuel) = execution.used {
                // It is no part of the bill.
                let failing = completed(&mut plain, &mut Web::of([Err(ExchangeError::Tls)]));
                assert_eq!(fuel, used(&failing), "a transform that {name}");
            }
            assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
        }
    }
}

#[test]
fn a_transform_of_another_type_fails_and_one_without_an_allocator_too() {
    for items in [
        r#"(func (export "outlayer_transform"))"#,
        r#"(func (export "outlayer_transform") (param i32 i32) (result i64) (i64.const 0))"#,
        r#"(global (export "outlayer_transform") i32 (i32.const 0))"#,
    ] {
        let mut run = sender(&[get("/")], items);
        let execution = completed(&mut run, &mut Web::of([Ok(answer("one"))]));
        assert_eq!(execution.output, output(&[failed(ExchangeError::Transform)]), "{items}");
    }
}

#[test]
fn a_transform_begins_anew_each_time() {
    // It fails when it, or the guest before it, has been there.
    let body = format!(
        "(if (i32.or (global.get $kept) (i32.load (i32.const 16))) (then unreachable))
        (global.set $kept (i32.const 1)) (i32.store (i32.const 16) (i32.const 1)) {ANSWER}"
    );
    let mut run = sender(&[get("/1"), get("/2")], &transform(&body));
    let execution = completed(&mut run, &mut Web::of([Ok(answer("1")), Ok(answer("2"))]));
    assert_eq!(execution.output, output(&[responded(reduced()), responded(reduced())]));
}

#[test]
fn several_workers_keep_status_and_body_where_there_is_no_transform() {
    let mut run = sender(&[get("/")], "");
    run.http = Some((access(), true));
    let execution = completed(&mut run, &mut Web::of([Ok(answer("one"))]));
    let plain = HttpResponse { headers: Vec::new(), ..kept("one") };
    assert_eq!(execution.output, output(&[responded(plain)]));
}

#[test]
fn a_network_that_gives_what_another_execution_recorded_is_checked_too() {
    let other = Exchange {
        request_hash: get("/other").hash(),
        answered: Answered::Failed(ExchangeError::Tls),
    };
    let mut web = Web { answers: [Ok(Fetched::Recorded(other))].into(), ..Web::default() };
    let fault = sender(&[get("/")], "").with_network(&mut web).unwrap_err();
    assert!(matches!(fault, Fault::Fetch(error) if error.is_mismatch()));
}
