//! Clocks and polling are virtual and the same for everyone, and never wait.

use std::time::{Duration, Instant};

use outlayer_executor::CLOCK_STEP_NANOS;

use crate::common::{Run, context};

const YEAR_NANOS: u64 = 365 * 24 * 3_600 * 1_000_000_000;

/// Reads clock `id` and prints the time.
fn read(id: u32) -> String {
    format!(
        "(drop (call $clock_time_get (i32.const {id}) (i64.const 0) (i32.const 8)))
            (call $emit (i64.load (i32.const 8)))"
    )
}

/// Writes a clock's subscription as the `index`th at address 1,024.
fn clock(index: u32, userdata: u64, id: u32, timeout: u64, flags: u32) -> String {
    let at = 1_024 + 48 * index;
    format!(
        "(i64.store (i32.const {at}) (i64.const {userdata}))
            (i32.store8 (i32.const {}) (i32.const 0))
         (i32.store (i32.const {}) (i32.const {id}))
         (i64.store (i32.const {}) (i64.const {timeout}))
         (i32.store16 (i32.const {}) (i32.const {flags}))",
        at + 8,
        at + 16,
        at + 24,
        at + 40
    )
}

/// Writes a descriptor's subscription.
fn descriptor(index: u32, userdata: u64, kind: u32, fd: u32) -> String {
    let at = 1_024 + 48 * index;
    format!(
        "(i64.store (i32.const {at}) (i64.const {userdata}))
            (i32.store8 (i32.const {}) (i32.const {kind}))
         (i32.store (i32.const {}) (i32.const {fd}))",
        at + 8,
        at + 16
    )
}

/// Polls `count` subscriptions, and prints the number of events, then all their bytes.
fn poll(count: u32) -> String {
    format!(
        "(if (call $poll_oneoff (i32.const 1024) (i32.const 4096) (i32.const {count}) (i32.const 8))
                (then unreachable))
         (call $emit (i64.load32_u (i32.const 8)))
         (call $print (i32.const 4096) (i32.mul (i32.load (i32.const 8)) (i32.const 32)))"
    )
}

/// The four words of an event: userdata; error and kind; bytes; flags.
fn event(userdata: u64, errno: u64, kind: u64, bytes: u64, flags: u64) -> [u64; 4] {
    [userdata, errno | kind << 16, bytes, flags]
}

#[test]
fn monotonic_time_starts_at_zero_and_moves_one_step_a_reading() {
    let body = [read(1), read(1), read(2), read(3)].concat();
    assert_eq!(Run::start(&body).words(), [0, 1, 2, 3].map(|readings| readings * CLOCK_STEP_NANOS));
}

#[test]
fn wall_clock_time_is_the_blocks_timestamp_plus_monotonic_time() {
    let body = [read(0), read(1), read(0)].concat();
    let at = context().block_timestamp;
    assert_eq!(Run::start(&body).words(), [at, CLOCK_STEP_NANOS, at + 2 * CLOCK_STEP_NANOS]);
}

#[test]
fn a_wall_clock_at_the_end_of_time_does_not_wrap() {
    let mut run = Run::start(&[read(0), read(0)].concat());
    run.context.block_timestamp = u64::MAX;
    assert_eq!(run.words(), [u64::MAX, u64::MAX]);
}

#[test]
fn the_resolution_is_the_step_and_unknown_clocks_fail() {
    let body = "
        (call $errno (call $clock_res_get (i32.const 0) (i32.const 8)))
        (call $errno (call $clock_res_get (i32.const 4) (i32.const 8)))
        (call $errno (call $clock_time_get (i32.const 9) (i64.const 0) (i32.const 8)))
        (call $emit (i64.load (i32.const 8)))";
    let output = Run::start(body).output();
    assert_eq!(output[..3], [0, 28, 28]);
    assert_eq!(output[3..], CLOCK_STEP_NANOS.to_le_bytes());
}

#[test]
fn sleeping_a_year_returns_at_once_and_a_year_later() {
    let body = [clock(0, 5, 1, YEAR_NANOS, 0), poll(1), read(1), read(0)].concat();
    let began = Instant::now();
    let words = Run::start(&body).words();
    assert!(began.elapsed() < Duration::from_secs(300));
    let expected = [
        &[1][..],
        &event(5, 0, 0, 0, 0),
        &[YEAR_NANOS, context().block_timestamp + YEAR_NANOS + 1_000],
    ];
    assert_eq!(words, expected.concat());
}

#[test]
fn with_nothing_ready_time_moves_to_the_earliest_deadline_only() {
    let subscriptions = [
        clock(0, 10, 1, 900, 0),
        clock(1, 11, 1, 500, 0),
        clock(2, 12, 1, 500, 1),
        clock(3, 13, 1, 501, 0),
    ];
    let body = [subscriptions.concat(), poll(4), read(1)].concat();
    let expected = [&[2][..], &event(11, 0, 0, 0, 0), &event(12, 0, 0, 0, 0), &[500]];
    assert_eq!(Run::start(&body).words(), expected.concat());
}

#[test]
fn ready_entries_come_in_index_order_and_time_stands_still() {
    let subscriptions = [
        clock(0, 20, 1, 1_000_000, 0),
        descriptor(1, 21, 2, 1),
        descriptor(2, 22, 1, 0),
        clock(3, 23, 1, 0, 0),
        descriptor(4, 24, 2, 2),
    ];
    let body = [subscriptions.concat(), poll(5), read(1)].concat();
    let events = [
        event(21, 0, 2, 0, 0),
        event(22, 0, 1, 3, 0),
        event(23, 0, 0, 0, 0),
        event(24, 0, 2, 0, 0),
    ]
    .concat();
    assert_eq!(Run::start(&body).input("abc").words(), [&[4][..], &events, &[0]].concat());
}

#[test]
fn absolute_deadlines_are_read_by_their_own_clock() {
    let at = context().block_timestamp;
    let future = [clock(0, 1, 0, at + 7_000, 1), poll(1), read(1)].concat();
    assert_eq!(Run::start(&future).words(), [&[1][..], &event(1, 0, 0, 0, 0), &[7_000]].concat());
    let past = [clock(0, 1, 0, at - 1, 1), clock(1, 2, 1, 1, 0), poll(2), read(1)].concat();
    assert_eq!(Run::start(&past).words(), [&[1][..], &event(1, 0, 0, 0, 0), &[0]].concat());
}

#[test]
fn what_cannot_be_polled_is_reported_as_ready_with_its_error() {
    let subscriptions = [
        descriptor(0, 1, 1, 1),
        descriptor(1, 2, 2, 0),
        descriptor(2, 3, 1, 3),
        descriptor(3, 4, 9, 0),
        clock(4, 5, 7, 0, 0),
        clock(5, 6, 1, 0, 2),
    ];
    let body = [subscriptions.concat(), poll(6)].concat();
    let events = [
        event(1, 8, 1, 0, 0),
        event(2, 8, 2, 0, 0),
        event(3, 8, 1, 0, 0),
        event(4, 28, 9, 0, 0),
        event(5, 28, 0, 0, 0),
        event(6, 28, 0, 0, 0),
    ];
    assert_eq!(Run::start(&body).words(), [&[6][..], &events.concat()].concat());
}

#[test]
fn the_end_of_the_input_is_a_hangup() {
    let body = [descriptor(0, 1, 1, 0), poll(1)].concat();
    assert_eq!(Run::start(&body).words(), [&[1][..], &event(1, 0, 1, 0, 1)].concat());
}

#[test]
fn polling_nothing_is_an_error() {
    let body =
        "(call $errno (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))";
    assert_eq!(Run::start(body).output(), [28]);
}
