//! Exchanges over HTTP by components, through `wasi:http`.

use outlayer_executor::{Execution, Fault, prepare};
use outlayer_guest::FetchError;
use outlayer_protocol::{
    Bytes, Status,
    http::{
        Answered, EXCHANGE_NANOS, Exchange, ExchangeError, HttpAccess, HttpRequest, HttpResponse,
        MAX_SENT_BYTES, Transcript,
    },
};

use crate::common::{
    Run,
    components::{fetching, preview2, transforming},
    trapped,
    web::{Web, access, answer, get, kept},
};

mod orders;

const VERSION: &str = "0.2.12";
const MISUSE: &str = "a value that the component model does not allow";

/// A request for the root of the host, as the local `$i`. `example.org` is at address 0.
const REQUEST: &str = "
    (local.set $i (call $request (call $fields)))
    (drop (call $authority (local.get $i) (i32.const 1) (i32.const 0) (i32.const 11)))";
/// Sends it, and keeps what will come of it as the local `$j`.
const HANDLE: &str = "
    (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const 200))
    (call $byte (i32.const 200))
    (local.set $j (i32.load (i32.const 208)))";
/// Waits for it, and writes the tags of what came of it.
const WAIT: &str = "
    (call $block (call $subscribe_response (local.get $j)))
    (call $response (local.get $j) (i32.const 200))
    (call $byte (i32.const 200)) (call $byte (i32.const 208)) (call $byte (i32.const 216))";
/// Writes the status and the body, which is read in pieces of seven bytes.
const READ: &str = "
    (local.set $j (i32.load (i32.const 224)))
    (call $emit (i64.extend_i32_u (call $status (local.get $j))))
    (call $consume (local.get $j) (i32.const 200))
    (local.set $i (i32.load (i32.const 204)))
    (call $stream (local.get $i) (i32.const 200))
    (local.set $j (i32.load (i32.const 204)))
    (block $end (loop $l
        (call $read (local.get $j) (i64.const 7) (i32.const 200))
        (br_if $end (i32.load8_u (i32.const 200)))
        (call $print (i32.load (i32.const 204)) (i32.load (i32.const 208)))
        (br $l)))
    (call $drop_input (local.get $j))
    (local.set $j (call $trailers (local.get $i)))
    (call $trailers_get (local.get $j) (i32.const 200))
    (call $byte (i32.const 200)) (call $byte (i32.const 208)) (call $byte (i32.const 216))
    (call $trailers_get (local.get $j) (i32.const 200)) (call $byte (i32.const 208))";

fn component(body: &str) -> Run {
    let mut run = preview2(VERSION, body);
    run.http = Some((access(), false));
    run
}

fn completed(run: &mut Run, web: &mut Web) -> Execution {
    let execution = run.with_network(web).unwrap();
    assert_eq!(execution.status, Status::Completed, "{:?}", execution.backtrace);
    execution
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn a_component_fetches_with_wasi_http_in_every_version() {
    let body = format!("{REQUEST} {HANDLE} {WAIT} {READ}");
    for minor in 0..=12 {
        let mut run = preview2(&format!("0.2.{minor}"), &body);
        run.http = Some((access(), false));
        let mut web = Web::of([Ok(answer("some twenty-one bytes"))]);
        let execution = completed(&mut run, &mut web);
        assert_eq!(web.asked, [get("/")]);
        // Handed over; some, ok, ok; then the status, the body, and that there are no trailers,
        // which can be asked once.
        let before = [0, 1, 0, 0, 200];
        let after = [1, 0, 0, 1];
        let expected: Vec<u8> = before
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes())
            .chain(*b"some twenty-one bytes")
            .chain(after.iter().flat_map(|word: &u64| word.to_le_bytes()))
            .collect();
        assert_eq!(execution.output, expected, "0.2.{minor}");
        let recorded = Exchange {
            request_hash: get("/").hash(),
            answered: Answered::Response(kept("some twenty-one bytes")),
        };
        assert_eq!(execution.transcript, Transcript { exchanges: vec![recorded] });
        assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
    }
}

#[test]
fn a_request_is_sent_when_its_body_is_finished() {
    // A POST for /p?q with a header, whose body "example" is written after it was handed over.
    let body = format!(
        r#"(i32.store (i32.const 100) (i32.const 0x713f702f))
        (i32.store8 (i32.const 110) (i32.const 88))
        (local.set $j (call $fields))
        (call $append (local.get $j) (i32.const 110) (i32.const 1) (i32.const 0) (i32.const 3)
            (i32.const 200)) (call $byte (i32.const 200))
        (local.set $i (call $request (local.get $j)))
        (drop (call $authority (local.get $i) (i32.const 1) (i32.const 0) (i32.const 11)))
        (drop (call $scheme (local.get $i) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0)))
        (drop (call $method (local.get $i) (i32.const 2) (i32.const 0) (i32.const 0)))
        (drop (call $path (local.get $i) (i32.const 1) (i32.const 100) (i32.const 4)))
        (call $body (local.get $i) (i32.const 300))
        {HANDLE}
        (call $emit (i64.extend_i32_u (call $ready (call $subscribe_response (local.get $j)))))
        (call $response (local.get $j) (i32.const 200)) (call $byte (i32.const 200))
        (call $body_stream (i32.load (i32.const 304)) (i32.const 310))
        (call $write (i32.load (i32.const 314)) (i32.const 0) (i32.const 7) (i32.const 200))
        (call $byte (i32.const 200))
        (call $drop_output (i32.load (i32.const 314)))
        (call $finish_body (i32.load (i32.const 304)) (i32.const 0) (i32.const 0) (i32.const 200))
        (call $byte (i32.const 200))
        {WAIT}"#
    )
    .replace("(i32.const 310)", "(i32.const 312)")
    .replace("(i32.const 314)", "(i32.const 316)");
    let mut run = component(&body);
    run.http = Some((HttpAccess { repeatable: true, ..access() }, false));
    let mut web = Web::of([Ok(answer("x"))]);
    let execution = completed(&mut run, &mut web);
    let sent = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("x".to_owned(), "exa".into())],
        body: "example".into(),
        ..get("/p?q")
    };
    assert_eq!(web.asked, [sent]);
    // Appended, handed over, not ready, nothing yet, written, finished, an answer.
    assert_eq!(words(&execution.output), [0, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn what_is_not_permitted_is_said_when_it_is_handed_over() {
    let denied = |body: &str, change: &dyn Fn(&mut HttpAccess)| {
        let mut run = component(&format!(
            "{REQUEST} {body} (call $handle (local.get $i) (i32.const 0) (i32.const 0)
                (i32.const 200)) (call $byte (i32.const 200)) (call $byte (i32.const 208))"
        ));
        let mut changed = access();
        change(&mut changed);
        run.http = Some((changed, false));
        let execution = completed(&mut run, &mut Web::default());
        assert_eq!(execution.transcript, Transcript::default());
        words(&execution.output)
    };
    let open_body = "(call $body (local.get $i) (i32.const 200))";
    let post = "(drop (call $method (local.get $i) (i32.const 2) (i32.const 0) (i32.const 0)))";
    let no_host =
        "(drop (call $authority (local.get $i) (i32.const 0) (i32.const 0) (i32.const 0)))";
    let plain = "(drop (call $scheme (local.get $i) (i32.const 1) (i32.const 0) (i32.const 0)
        (i32.const 0)))";
    let connect = "(drop (call $method (local.get $i) (i32.const 5) (i32.const 0) (i32.const 0)))";
    let path = "(drop (call $path (local.get $i) (i32.const 1) (i32.const 0) (i32.const 11)))";
    let long = "(i32.store8 (i32.const 0x10000) (i32.const 0x2f))
        (drop (call $path (local.get $i) (i32.const 1) (i32.const 0x10000) (i32.const 3000)))";
    assert_eq!(denied(post, &|_| {}), [1, 15]);
    assert_eq!(denied(&format!("{post} {open_body}"), &|_| {}), [1, 15]);
    assert_eq!(denied(plain, &|_| {}), [1, 15]);
    assert_eq!(denied("", &|access| access.hosts = vec!["example.com".to_owned()]), [1, 15]);
    assert_eq!(denied(connect, &|_| {}), [1, 18]);
    assert_eq!(denied(no_host, &|_| {}), [1, 19]);
    assert_eq!(denied(path, &|_| {}), [1, 19]);
    assert_eq!(denied(long, &|_| {}), [1, 20]);
    assert_eq!(denied("", &|access| access.max_exchanges = 0), [1, 38]);
    assert_eq!(denied("", &|access| access.max_bytes = 30), [1, 38]);
}

#[test]
fn every_error_of_an_exchange_is_one_of_wasi_http() {
    for (error, code) in [
        (ExchangeError::Unresolved, 1),
        (ExchangeError::PrivateAddress, 4),
        (ExchangeError::Unreachable, 6),
        (ExchangeError::Tls, 12),
        (ExchangeError::TimedOut, 33),
        (ExchangeError::Protocol, 35),
        (ExchangeError::TooLarge, 28),
    ] {
        let mut run = component(&format!("{REQUEST} {HANDLE} {WAIT} (call $byte (i32.const 224))"));
        let execution = completed(&mut run, &mut Web::of([Err(error)]));
        assert_eq!(words(&execution.output), [0, 1, 0, 1, code], "{error}");
        assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
    }
}

#[test]
fn several_requests_are_in_flight_at_once() {
    // Two are handed over, then both are waited for, and the second is read first.
    let body = format!(
        "{REQUEST} {HANDLE} (i32.store (i32.const 400) (local.get $j))
        (i32.store (i32.const 410) (call $subscribe_response (local.get $j)))
        {REQUEST} {HANDLE} (i32.store (i32.const 404) (local.get $j))
        (i32.store (i32.const 414) (call $subscribe_response (local.get $j)))
        (call $poll (i32.const 410) (i32.const 2) (i32.const 200))
        (call $emit (i64.extend_i32_u (i32.load (i32.const 204))))
        (local.set $j (i32.load (i32.const 404))) {WAIT}
        (call $emit (i64.extend_i32_u (call $status (i32.load (i32.const 224)))))
        (local.set $j (i32.load (i32.const 400))) {WAIT}
        (call $emit (i64.extend_i32_u (call $status (i32.load (i32.const 224)))))
        (call $emit (call $now))"
    )
    .replace("(i32.const 410)", "(i32.const 412)")
    .replace("(i32.const 414)", "(i32.const 416)");
    let status = |status| HttpResponse { status, ..answer("x") };
    let mut run = component(&body);
    let execution = completed(&mut run, &mut Web::of([Ok(status(201)), Ok(status(202))]));
    let expected = [0, 0, 2, 1, 0, 0, 202, 1, 0, 0, 201, 2 * EXCHANGE_NANOS];
    assert_eq!(words(&execution.output), expected);
}

#[test]
fn a_response_is_given_once_and_a_request_belongs_to_whom_it_was_given() {
    let body = format!(
        "{REQUEST} {HANDLE} {WAIT} (call $response (local.get $j) (i32.const 200))
        (call $byte (i32.const 200)) (call $byte (i32.const 208))"
    );
    let execution = completed(&mut component(&body), &mut Web::of([Ok(answer("x"))]));
    assert_eq!(words(&execution.output), [0, 1, 0, 0, 1, 1]);
    let twice = format!("{REQUEST} {HANDLE} {HANDLE}");
    let mut web = Web::of([Ok(answer("x"))]);
    assert_eq!(component(&twice).with_network(&mut web).unwrap().status, trapped(MISUSE));
}

/// Writes so many bytes, in pieces of 4 KiB, to the body of a POST that was handed over, finishes
/// it, and writes the tags of the last write and of finishing.
fn posting(bytes: u32) -> Execution {
    let body = format!(
        "{REQUEST} (drop (call $method (local.get $i) (i32.const 2) (i32.const 0) (i32.const 0)))
        (call $body (local.get $i) (i32.const 300)) {HANDLE}
        (call $body_stream (i32.load (i32.const 304)) (i32.const 312))
        (local.set $i (i32.const 0))
        (loop $l
            (call $write (i32.load (i32.const 316)) (i32.const 0x10000) (i32.const 4096)
                (i32.const 200))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4096)))
                (i32.const {bytes}))))
        (call $byte (i32.const 200))
        (call $drop_output (i32.load (i32.const 316)))
        (call $finish_body (i32.load (i32.const 304)) (i32.const 0) (i32.const 0) (i32.const 200))
        (call $byte (i32.const 200)) {WAIT} (call $byte (i32.const 224))"
    );
    let mut run = component(&body);
    run.http = Some((HttpAccess { repeatable: true, ..access() }, false));
    let mut web = Web::of([Err(ExchangeError::Tls)]);
    let execution = completed(&mut run, &mut web);
    for request in &web.asked {
        assert_eq!(request.body, Bytes(vec![0; bytes as usize]));
    }
    execution
}

#[test]
fn a_body_has_at_most_so_many_bytes() {
    assert_eq!(words(&posting(MAX_SENT_BYTES).output), [0, 0, 0, 1, 0, 1, 12]);
    let longer = posting(MAX_SENT_BYTES + 4_096);
    assert_eq!(words(&longer.output), [0, 1, 1, 1, 0, 1, 17]);
    assert_eq!(longer.transcript, Transcript::default());
}

#[test]
fn what_the_host_keeps_for_a_guest_is_bounded() {
    // Headers whose value has 60,000 bytes, again and again.
    let body = "
        (loop $l (call $append (call $fields) (i32.const 0) (i32.const 7) (i32.const 0x10000)
                (i32.const 60000) (i32.const 200))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const LOOPS))))"
        .replace("(i32.const 0x10000)\n", "(i32.const 0x18000)\n");
    let run = |loops: u32, drops: bool| {
        let mut body = body.replace("LOOPS", &loops.to_string());
        if drops {
            body = body.replace("(call $fields)", "(local.tee $j (call $fields))").replace(
                "(local.set $i (i32.add",
                "(call $drop_fields (local.get $j)) (local.set $i (i32.add",
            );
        }
        let text =
            format!("(memory.fill (i32.const 0x18000) (i32.const 120) (i32.const 60000)) {body}");
        let mut run = preview2(VERSION, &text).fuel(10_000_000_000);
        run.limits.memory_bytes = 64 << 20;
        run.status()
    };
    assert_eq!(run(270, false), Status::Completed);
    assert_eq!(run(300, false), trapped("too many bytes of HTTP headers and bodies at once"));
    assert_eq!(run(300, true), Status::Completed);
}

#[test]
fn headers_of_a_response_are_those_that_are_kept() {
    // "content-type" is at address 20.
    let set = b"content-type"
        .iter()
        .enumerate()
        .map(|(index, byte)| format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 20 + index));
    let body = format!(
        "{} {REQUEST} {HANDLE} {WAIT}
        (local.set $j (call $headers (i32.load (i32.const 224))))
        (call $values (local.get $j) (i32.const 20) (i32.const 12) (i32.const 200))
        (call $emit (i64.load32_u (i32.const 204)))
        (local.set $i (i32.load (i32.const 200)))
        (call $print (i32.load (local.get $i)) (i32.load offset=4 (local.get $i)))
        (call $append (local.get $j) (i32.const 20) (i32.const 3) (i32.const 0) (i32.const 1)
            (i32.const 200)) (call $byte (i32.const 200)) (call $byte (i32.const 201))",
        set.collect::<String>()
    );
    let execution = completed(&mut component(&body), &mut Web::of([Ok(answer("x"))]));
    let (text, rest) = execution.output[40..].split_at(10);
    assert_eq!(text, b"text/plain");
    assert_eq!(words(&execution.output[..40]), [0, 1, 0, 0, 1]);
    // They cannot be changed.
    assert_eq!(words(rest), [1, 2]);
}

#[test]
fn without_a_network_there_is_no_verdict() {
    let mut run = component(&format!("{REQUEST} {HANDLE}"));
    assert_eq!(run.try_run(), Err(Fault::Fetch(FetchError::None)));
}

/// A result at 50,000: the status is 299, there are no headers, the body are the first two bytes of
/// the answer's.
const REDUCED: &str = "
    (i32.store8 (i32.const 50000) (i32.const 0))
    (i32.store16 (i32.const 50004) (i32.const 299))
    (i32.store (i32.const 50016) (local.get $at)) (i32.store (i32.const 50020) (i32.const 2))
    (i32.const 50000)";

#[test]
fn the_transform_of_a_component_reduces_what_was_answered() {
    let body = format!("{REQUEST} {HANDLE} {WAIT} {READ}");
    let mut run = transforming(&body, REDUCED);
    run.http = Some((access(), true));
    let one = completed(&mut run, &mut Web::of([Ok(answer("okay"))]));
    let reduced = HttpResponse { status: 299, headers: Vec::new(), body: "ok".into() };
    assert_eq!(one.transcript.exchanges[0].answered, Answered::Response(reduced));
    assert_eq!(one.output[40..42], *b"ok");
    // Whatever the answer was: the same fuel, the same transcript.
    let long = format!("ok{}", "x".repeat(50_000));
    assert_eq!(completed(&mut run, &mut Web::of([Ok(answer(long))])), one);
    assert_eq!(run.with_network(&mut one.transcript.clone()), Ok(one));
}

#[test]
fn a_transform_of_a_component_that_fails_is_an_error_of_the_exchange() {
    for (name, transform) in [
        ("gives up", "(i32.store8 (i32.const 50000) (i32.const 1)) (i32.const 50000)"),
        ("traps", "unreachable"),
        ("loops", "(loop $l (br $l)) (i32.const 0)"),
        ("answers from outside", "(i32.const -4)"),
        ("reads the clock", &format!("(drop (call $now)) {REDUCED}")),
        ("makes a resource", &format!("(drop (call $fields)) {REDUCED}")),
        ("answers in the wrong form", &REDUCED.replace("(i32.const 299)", "(i32.const 99)")),
    ] {
        let body = format!("{REQUEST} {HANDLE} {WAIT} (call $byte (i32.const 224))");
        let mut run = transforming(&body, transform);
        run.http = Some((access(), false));
        let execution = completed(&mut run, &mut Web::of([Ok(answer("okay"))]));
        let failed = Answered::Failed(ExchangeError::Transform);
        assert_eq!(execution.transcript.exchanges[0].answered, failed, "a transform that {name}");
        assert_eq!(words(&execution.output), [0, 1, 0, 1, 38], "a transform that {name}");
        assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
    }
}

#[test]
fn a_component_fetches_with_the_hosts_own_interface() {
    // GET at 20, the URL at 30.
    let url = "https://example.org/x";
    let text: String = format!("GET       {url}")
        .bytes()
        .enumerate()
        .map(|(index, byte)| format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 20 + index))
        .collect();
    let length = url.len();
    let call = format!(
        "(call $host_fetch (i32.const 20) (i32.const 3) (i32.const 30) (i32.const {length})
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 200))
        (call $byte (i32.const 200))"
    );
    let body = format!(
        "{text} {call} (call $emit (i64.load16_u (i32.const 204)))
        (call $emit (i64.load32_u (i32.const 212)))
        (call $print (i32.load (i32.const 216)) (i32.load (i32.const 220)))
        {call} (call $byte (i32.const 204)) (i32.store8 (i32.const 30) (i32.const 65))
        {call} (call $byte (i32.const 204))"
    );
    let mut run = fetching(&body);
    run.http = Some((access(), false));
    let mut web = Web::of([Ok(answer("the body")), Err(ExchangeError::Tls)]);
    let execution = completed(&mut run, &mut web);
    assert_eq!(web.asked, [get("/x"), get("/x")]);
    assert_eq!(words(&execution.output[..24]), [0, 200, 1]);
    assert_eq!(execution.output[24..32], *b"the body");
    assert_eq!(words(&execution.output[32..]), [1, 12, 1, 1]);
    assert_eq!(run.with_network(&mut execution.transcript.clone()), Ok(execution));
}

/// wasmtime counts the fuel of a composition, and it has other stores.
#[test]
fn a_composition_fetches_and_reduces_too() {
    const COMPONENT_SECTION: u8 = 4;
    let body = format!("{REQUEST} {HANDLE} {WAIT} {READ}");
    let mut run = transforming(&body, REDUCED);
    run.http = Some((access(), true));
    let component = completed(&mut run, &mut Web::of([Ok(answer("okay"))]));
    // Another component inside of it, with a function, which nobody uses.
    let inner = wat::parse_str("(component (core module (func)))").unwrap();
    prepare::encode::section(&mut run.code, COMPONENT_SECTION, &inner);
    assert!(prepare::is_composition(&run.code));
    let composition = completed(&mut run, &mut Web::of([Ok(answer("okay"))]));
    assert_eq!(composition.transcript, component.transcript);
    assert_eq!(composition.output, component.output);
    let long = format!("ok{}", "x".repeat(50_000));
    assert_eq!(completed(&mut run, &mut Web::of([Ok(answer(long))])), composition);
    assert_eq!(run.with_network(&mut composition.transcript.clone()), Ok(composition));
    let mut looping = transforming(&body, "(loop $l (br $l)) (i32.const 0)");
    looping.http = Some((access(), true));
    prepare::encode::section(&mut looping.code, COMPONENT_SECTION, &inner);
    let execution = looping.with_network(&mut Web::of([Ok(answer("okay"))])).unwrap();
    let failed = Answered::Failed(ExchangeError::Transform);
    assert_eq!(execution.transcript.exchanges[0].answered, failed);
}
