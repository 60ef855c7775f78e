//! In which order a guest finishes its bodies and waits for its answers.

use super::*;

/// A POST that is handed over with an open body, which is at 304. Its stream is at 316.
const OPEN: &str = "
    (local.set $i (call $request (call $fields)))
    (drop (call $authority (local.get $i) (i32.const 1) (i32.const 0) (i32.const 11)))
    (drop (call $method (local.get $i) (i32.const 2) (i32.const 0) (i32.const 0)))
    (call $body (local.get $i) (i32.const 300))
    (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const 200))
    (call $byte (i32.const 200))
    (local.set $j (i32.load (i32.const 208)))
    (call $body_stream (i32.load (i32.const 304)) (i32.const 312))";
/// Writes `example` to the body, and whether that failed.
const PUT: &str = "
    (call $write (i32.load (i32.const 316)) (i32.const 0) (i32.const 7) (i32.const 200))
    (call $byte (i32.const 200))";
/// Finishes the body, and writes whether that failed.
const FINISH: &str = "
    (call $drop_output (i32.load (i32.const 316)))
    (call $finish_body (i32.load (i32.const 304)) (i32.const 0) (i32.const 0) (i32.const 200))
    (call $byte (i32.const 200))";

/// Executes a guest, which must get the same from the transcript. Gives what it wrote, and the
/// bodies that were sent.
fn orders(body: &str, access: HttpAccess, web: Web) -> (Vec<u64>, Vec<String>) {
    let mut run = component(body);
    run.http = Some((HttpAccess { repeatable: true, ..access }, false));
    let mut web = web;
    let execution = completed(&mut run, &mut web);
    let sent = web.asked.iter().map(|request| String::from_utf8(request.body.to_vec()).unwrap());
    let sent = sent.collect();
    let replayed = run.with_network(&mut execution.transcript.clone());
    assert_eq!(replayed.as_ref(), Ok(&execution));
    (words(&execution.output), sent)
}

/// The same with one answer.
fn order(body: &str) -> (Vec<u64>, Vec<String>) {
    orders(body, access(), Web::of([Ok(answer("x"))]))
}

fn sent(bodies: &[&str]) -> Vec<String> {
    bodies.iter().map(ToString::to_string).collect()
}

#[test]
fn a_body_may_be_finished_after_the_answer() {
    let (output, bodies) = order(&format!("{OPEN} {PUT} {WAIT} {FINISH}"));
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 0, 1, 0, 0, 0]);
}

#[test]
fn a_body_need_not_be_finished() {
    let (output, bodies) = order(&format!("{OPEN} {WAIT}"));
    assert_eq!(bodies, sent(&[""]));
    assert_eq!(output, [0, 1, 0, 0]);
    // Dropped after the answer, and before it.
    let drop = "(call $drop_output (i32.load (i32.const 316)))
        (call $drop_body (i32.load (i32.const 304)))";
    assert_eq!(order(&format!("{OPEN} {PUT} {WAIT} {drop}")).1, sent(&["example"]));
    let failed = format!("{OPEN} {PUT} {drop} {WAIT} (call $byte (i32.const 224))");
    assert_eq!(order(&failed), (vec![0, 0, 1, 0, 1, 35], sent(&[])));
}

#[test]
fn what_is_written_after_the_answer_is_refused() {
    let (output, bodies) = order(&format!("{OPEN} {PUT} {WAIT} {PUT} {FINISH}"));
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn a_body_that_was_announced_longer_is_not_sent() {
    // content-length: 8, after the text at 500.
    let set = b"content-length8"
        .iter()
        .enumerate()
        .map(|(at, byte)| format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 500 + at));
    let announced = OPEN.replace(
        "(call $fields)",
        "(block (result i32)
            (local.set $j (call $fields))
            (call $append (local.get $j) (i32.const 500) (i32.const 14) (i32.const 514)
                (i32.const 1) (i32.const 200))
            (local.get $j))",
    );
    let set = set.collect::<String>();
    let body = format!("{set} {announced} {PUT} {WAIT} (call $byte (i32.const 224))");
    assert_eq!(order(&body), (vec![0, 0, 1, 0, 1, 17], sent(&[])));
}

/// Polls the answer of `$j` and another pollable, and writes how many are ready and the first.
fn poll_with(other: &str) -> String {
    format!(
        "(i32.store (i32.const 400) (call $subscribe_response (local.get $j)))
        (i32.store (i32.const 404) {other})
        (call $poll (i32.const 400) (i32.const 2) (i32.const 200))
        (call $emit (i64.load32_u (i32.const 204)))
        (call $emit (i64.load32_u (i32.load (i32.const 200))))"
    )
}

#[test]
fn a_guest_that_waits_for_something_that_is_ready_has_not_waited_for_the_answer() {
    let ready = poll_with("(call $subscribe_input (call $stdin))");
    let (output, bodies) = order(&format!("{OPEN} {ready} {PUT} {FINISH} {WAIT}"));
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 1, 1, 0, 0, 1, 0, 0]);
    let asked = "(call $emit (i64.extend_i32_u (call $ready (call $subscribe_response
        (local.get $j)))))";
    let (output, bodies) = order(&format!("{OPEN} {asked} {PUT} {FINISH} {asked}"));
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 0, 0, 0, 1]);
}

#[test]
fn a_deadline_goes_first_when_it_comes_before_the_end_of_an_exchange() {
    let nap = |nanos: u64| poll_with(&format!("(call $after (i64.const {nanos}))"));
    let (output, bodies) = order(&format!("{OPEN} {} {PUT} {FINISH} {WAIT}", nap(EXCHANGE_NANOS)));
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 1, 1, 0, 0, 1, 0, 0]);
    let (output, bodies) = order(&format!("{OPEN} {} {PUT} {FINISH}", nap(EXCHANGE_NANOS + 1)));
    assert_eq!(bodies, sent(&[""]));
    assert_eq!(output, [0, 1, 0, 1, 0]);
}

#[test]
fn of_several_open_requests_the_one_that_was_handed_over_first_is_sent_first() {
    // Both are polled, the second in front. Then the second is waited for.
    let body = format!(
        "{OPEN} {PUT} (i32.store (i32.const 408) (call $subscribe_response (local.get $j)))
        {OPEN} {} {WAIT}",
        poll_with("(i32.load (i32.const 408))")
    );
    let status = |status| Ok(HttpResponse { status, ..answer("x") });
    let web = || Web::of([status(201), status(202)]);
    let (output, bodies) = orders(
        &format!(
            "{body} (call $emit (i64.extend_i32_u (call $status (i32.load
            (i32.const 224)))))"
        ),
        access(),
        web(),
    );
    assert_eq!(bodies, sent(&["example", ""]));
    assert_eq!(output, [0, 0, 0, 1, 1, 1, 0, 0, 202]);
    // One that is one too many is refused as an answer.
    let (output, bodies) = orders(
        &format!("{body} (call $byte (i32.const 224))"),
        HttpAccess { max_exchanges: 1, ..access() },
        web(),
    );
    assert_eq!(bodies, sent(&["example"]));
    assert_eq!(output, [0, 0, 0, 1, 1, 1, 0, 1, 38]);
}
