//! Guests that together use everything that a core WASI guest has.
#![allow(dead_code)]

use super::{PRELUDE, Run};

/// Imports that the prelude leaves out.
const MORE: &str = r#"
    (import "wasi_snapshot_preview1" "fd_fdstat_get"
        (func $fd_fdstat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get"
        (func $fd_filestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file"
        (func $path_unlink_file (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_shutdown"
        (func $sock_shutdown (param i32 i32) (result i32)))
"#;

/// Helpers of these guests: `$sum(from, to)` folds words of memory into one;
/// `$clock(at, userdata, id, timeout)` and `$stream(at, userdata, kind, fd)` write a subscription;
/// `$poll(count)` polls the subscriptions at 1,024 and prints the events.
const HELPERS: &str = r#"
    (func $sum (param $at i32) (param $end i32) (result i64) (local $sum i64)
        (loop $l (if (i32.lt_u (local.get $at) (local.get $end)) (then
            (local.set $sum (i64.mul (i64.xor (local.get $sum) (i64.load (local.get $at)))
                (i64.const 0x100000001b3)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $l))))
        (local.get $sum))
    (func $clock (param $at i32) (param $userdata i64) (param $id i32) (param $timeout i64)
        (i64.store (local.get $at) (local.get $userdata))
        (i32.store8 offset=8 (local.get $at) (i32.const 0))
        (i32.store offset=16 (local.get $at) (local.get $id))
        (i64.store offset=24 (local.get $at) (local.get $timeout))
        (i32.store16 offset=40 (local.get $at) (i32.const 0)))
    (func $stream (param $at i32) (param $userdata i64) (param $kind i32) (param $fd i32)
        (i64.store (local.get $at) (local.get $userdata))
        (i32.store8 offset=8 (local.get $at) (local.get $kind))
        (i32.store offset=16 (local.get $at) (local.get $fd)))
    (func $poll (param $count i32)
        (call $errno (call $poll_oneoff (i32.const 1024) (i32.const 4096) (local.get $count)
            (i32.const 8)))
        (call $emit (i64.load32_u (i32.const 8)))
        (call $print (i32.const 4096) (i32.mul (i32.load (i32.const 8)) (i32.const 32))))
    (func $time (param $id i32)
        (call $errno (call $clock_time_get (local.get $id) (i64.const 0) (i32.const 8)))
        (call $emit (i64.load (i32.const 8)))
        (call $errno (call $clock_res_get (local.get $id) (i32.const 8)))
        (call $emit (i64.load (i32.const 8))))
"#;

/// Room for everything that a guest of the corpus writes.
const OUTPUT_BYTES: u32 = 1 << 16;

/// A guest whose memory has one page and at most eight, and whose table has one element and at most
/// nine.
fn guest(items: &str, body: &str) -> Run {
    let prelude =
        PRELUDE.replace(r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 1 8)"#);
    let text = format!(
        r#"(module {MORE} {prelude} {HELPERS} (table $t 1 9 funcref) {items}
            (func (export "_start") (local $i i32) (local $j i32) (local $x i64) {body}))"#
    );
    Run::wat(&text).limits(|limits| limits.output_bytes = OUTPUT_BYTES)
}

/// Asks for everything that could differ between two runs, and prints the answers: randomness,
/// clocks and the time between two readings, the order of events, arguments, environment, what the
/// descriptors are, memory and tables that were never written to (before and after growing them
/// until that fails), storage, and the context. [`nans`] is about what floating-point operations
/// make of NaNs.
pub(crate) fn curious() -> Run {
    const TIMES: &str = "(call $time (i32.const 0)) (call $time (i32.const 1))
        (call $time (i32.const 2))
        (call $time (i32.const 3))
        (call $errno (call $clock_time_get (i32.const 4) (i64.const 0) (i32.const 8)))";
    const FRESH: &str =
        "(call $emit (call $sum (i32.const 0) (i32.mul (memory.size) (i32.const 65536))))";
    let body = format!(
        r#"{FRESH}
        {TIMES} (call $errno (call $sched_yield)) {TIMES}
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (i32.const 30000))))
        {TIMES}
        (call $errno (call $random_get (i32.const 0) (i32.const 61)))
        (call $print (i32.const 0) (i32.const 61))
        (call $random_fill (i32.const 0) (i32.const 64)) (call $print (i32.const 0) (i32.const 64))
        (call $errno (call $args_sizes_get (i32.const 0) (i32.const 4)))
        (call $errno (call $args_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 1000) (i32.const 1000))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))
        (call $errno (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $errno (call $environ_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 1000) (i32.const 1000))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))
        (call $emit (i64.extend_i32_u (call $context_read (i32.const 10000) (i32.const 1000))))
        (call $print (i32.const 10000) (i32.const 1000))
        (local.set $i (i32.const 0))
        (loop $l
            (memory.fill (i32.const 0) (i32.const 255) (i32.const 64))
            (call $errno (call $fd_fdstat_get (local.get $i) (i32.const 0)))
            (call $print (i32.const 0) (i32.const 24))
            (call $errno (call $fd_filestat_get (local.get $i) (i32.const 0)))
            (call $print (i32.const 0) (i32.const 64))
            (call $errno (call $fd_prestat_get (local.get $i) (i32.const 0)))
            (call $errno (call $fd_seek (local.get $i) (i64.const 0) (i32.const 1) (i32.const 0)))
            (call $errno (call $path_unlink_file (local.get $i) (i32.const 0) (i32.const 1)))
            (call $errno (call $sock_shutdown (local.get $i) (i32.const 0)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 5))))
        (call $clock (i32.const 1024) (i64.const 11) (i32.const 1) (i64.const 5000000000))
        (call $stream (i32.const 1072) (i64.const 12) (i32.const 2) (i32.const 1))
        (call $stream (i32.const 1120) (i64.const 13) (i32.const 1) (i32.const 0))
        (call $stream (i32.const 1168) (i64.const 14) (i32.const 1) (i32.const 7))
        (call $poll (i32.const 4))
        (call $clock (i32.const 1072) (i64.const 12) (i32.const 0) (i64.const 4000000000))
        (call $clock (i32.const 1120) (i64.const 13) (i32.const 2) (i64.const 4000000000))
        (call $poll (i32.const 3))
        {TIMES}
        (loop $l (local.set $j (memory.grow (i32.const 1)))
            (call $emit (i64.extend_i32_s (local.get $j)))
            (br_if $l (i32.ge_s (local.get $j) (i32.const 0))))
        (call $emit (call $sum (i32.const 65536) (i32.mul (memory.size) (i32.const 65536))))
        (loop $l (local.set $j (table.grow $t (ref.null func) (i32.const 3)))
            (call $emit (i64.extend_i32_s (local.get $j)))
            (br_if $l (i32.ge_s (local.get $j) (i32.const 0))))
        (call $errno (ref.is_null (table.get $t (i32.sub (table.size $t) (i32.const 1)))))
        (i32.store (i32.const 0) (i32.const 0x7a796b62)) (i64.store (i32.const 100) (i64.const 0))
        (call $emit (call $storage_read (i32.const 0) (i32.const 1) (i32.const 100) (i32.const 8)))
        (call $emit (i64.load (i32.const 100)))
        (call $storage_write (i32.const 2) (i32.const 2) (i32.const 0) (i32.const 32))
        (call $storage_write (i32.const 1) (i32.const 1) (i32.const 100) (i32.const 8))
        (call $errno (call $storage_remove (i32.const 3) (i32.const 1)))
        (call $emit (i64.reinterpret_f64 (f64.sqrt (f64.const 2))))
        (call $log (i32.const 0) (i32.const 64))
        (call $write (i32.const 2) (i32.const 2000) (i32.const 64))
        {FRESH}"#
    );
    let mut run = guest("", &body).input("input").value("b", "found");
    run.args = vec!["one".to_owned(), "two words".to_owned()];
    run.env = vec![("MODE".to_owned(), "curious".to_owned()), ("EMPTY".to_owned(), String::new())];
    run
}

/// Recurses as deep as it can, and logs its depth on the way, so that the log shows where it had to
/// stop.
pub(crate) fn deep() -> Run {
    guest(
        r#"(func $deeper (param $depth i32) (result i64) (local i64 i64 f64)
            (if (i32.eqz (i32.and (local.get $depth) (i32.const 63))) (then
                (i32.store (i32.const 0) (local.get $depth))
                (call $log (i32.const 0) (i32.const 4))))
            (i64.add (call $deeper (i32.add (local.get $depth) (i32.const 1))) (i64.const 1)))"#,
        "(drop (call $deeper (i32.const 0)))",
    )
}

/// Copies the input to the output, a few bytes at a time into two buffers.
pub(crate) const ECHO: &str = r#"
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 2))
    (i32.store (i32.const 8) (i32.const 102)) (i32.store (i32.const 12) (i32.const 3))
    (loop $more
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16))
            (then unreachable))
        (if (i32.load (i32.const 16)) (then
            (call $print (i32.const 100) (i32.load (i32.const 16)))
            (br $more))))"#;

/// The guests of the corpus, with their names.
pub(crate) fn guests() -> Vec<(String, Run)> {
    let mut guests: Vec<(&str, Run)> = vec![
        ("curious", curious()),
        ("deep", deep()),
        ("nans", nans()),
        ("nothing", guest("", "")),
        ("echo", guest("", ECHO).input("what is said")),
        (
            "exit 0",
            guest(
                "",
                "(call $print (i32.const 0) (i32.const 4))
            (call $proc_exit (i32.const 0))",
            ),
        ),
        (
            "exit 42",
            guest(
                "",
                "(call $log (i32.const 0) (i32.const 4))
            (call $proc_exit (i32.const 42))",
            ),
        ),
        ("a host pointer out of bounds", guest("", "(call $log (i32.const -1) (i32.const 2))")),
        (
            "closed and renumbered",
            guest(
                "",
                "(call $errno (call $fd_close (i32.const 0)))
                    (call $errno (call $fd_close (i32.const 0)))
                (call $errno (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0)))
                (drop (call $fd_renumber (i32.const 1) (i32.const 2)))
                (call $write (i32.const 2) (i32.const 0) (i32.const 3))
                (call $proc_exit (i32.const 0))",
            )
            .input("unread"),
        ),
        (
            "a start function that writes",
            guest(
                "(start $s) (func $s (call $print (i32.const 0) (i32.const 5)))",
                "(call $emit (i64.const 7))",
            ),
        ),
        (
            "many reads and writes",
            guest(
                "",
                "(loop $l
                    (i32.store (i32.const 0) (i32.add (local.get $i) (i32.const 97)))
                    (call $emit (call $storage_read (i32.const 0) (i32.const 1) (i32.const 8)
                        (i32.const 8)))
                    (call $storage_write (i32.const 0) (i32.const 2) (i32.const 8) (local.get $i))
                    (if (i32.and (local.get $i) (i32.const 1)) (then
                        (call $errno (call $storage_remove (i32.const 0) (i32.const 1)))))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                        (i32.const 8))))",
            )
            .value("a", "first")
            .value("b", vec![9; 5_000])
            .limits(|limits| limits.storage_writes = 32),
        ),
        (
            "polling",
            guest(
                "",
                "(call $clock (i32.const 1024) (i64.const 1) (i32.const 1)
                        (i64.const 31536000000000000))
                (call $clock (i32.const 1072) (i64.const 2) (i32.const 9) (i64.const 5))
                (call $poll (i32.const 2))
                (call $clock (i32.const 1072) (i64.const 2) (i32.const 0)
                    (i64.const 31536000000000000)) (call $poll (i32.const 2))
                (call $errno (call $poll_oneoff (i32.const 1024) (i32.const 4096) (i32.const 0)
                    (i32.const 8)))
                (call $time (i32.const 0))",
            ),
        ),
    ];
    for (name, body) in [
        ("conversions", CONVERSIONS),
        (
            "a memory that is read before it is written",
            "(call $emit (call $sum (i32.const 0) (i32.const 65536)))",
        ),
        (
            "bulk memory",
            "(memory.fill (i32.const 0) (i32.const 7) (i32.const 5000))
                (memory.copy (i32.const 100) (i32.const 3) (i32.const 9000))
            (call $emit (call $sum (i32.const 0) (i32.const 10000)))
            (memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))",
        ),
    ] {
        guests.push((name, guest("", body)));
    }
    guests.into_iter().map(|(name, run)| (name.to_owned(), run)).collect()
}

/// The NaNs that operations make, of other NaNs and of numbers; one word each.
pub(crate) fn nans() -> Run {
    guest("", NANS)
}

const NANS: &str = "
    (local.set $x (i64.const 0x7ff4000000000123))
    (call $emit (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get $x)) (f64.const 1))))
    (call $emit (i64.reinterpret_f64
        (f64.mul (f64.const 1) (f64.reinterpret_i64 (i64.const 0xfff8000000000001)))))
    (call $emit (i64.reinterpret_f64 (f64.min (f64.reinterpret_i64 (local.get $x)) (f64.const 1))))
    (call $emit (i64.reinterpret_f64 (f64.nearest (f64.reinterpret_i64 (local.get $x)))))
    (call $emit (i64.reinterpret_f64 (f64.neg (f64.reinterpret_i64 (local.get $x)))))
    (call $emit (i64.reinterpret_f64
        (f64.div (f64.convert_i32_u (local.get $i)) (f64.convert_i32_u (local.get $i)))))
    (call $emit (i64.extend_i32_u (i32.reinterpret_f32 (f32.sub (f32.const inf) (f32.const inf)))))
    (call $emit (i64.extend_i32_u
        (i32.reinterpret_f32 (f32.demote_f64 (f64.reinterpret_i64 (local.get $x))))))";

const CONVERSIONS: &str = "
    (call $emit (i64.extend_i32_s (i32.trunc_sat_f64_s (f64.const -1e30))))
    (call $emit (i64.trunc_sat_f32_u (f32.const 1e30)))
    (call $emit (i64.reinterpret_f64 (f64.convert_i64_u (i64.const -1))))
    (call $emit (i64.extend_i32_u
        (i32.reinterpret_f32 (f32.convert_i64_s (i64.const 0x7fffff4000000001)))))
    (call $emit (i64.trunc_f64_s (f64.const 1e19)))";
