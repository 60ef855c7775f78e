//! Programs that import WASI preview 0 run.

use outlayer_protocol::{Compute, Meter, Status};

use crate::common::{PRELUDE, Run, context, invalid};

/// What `PRELUDE` imports, by the name of preview 0, and more.
fn importing(imports: &str, items: &str) -> Run {
    let prelude = PRELUDE.replace("wasi_snapshot_preview1", "wasi_unstable");
    Run::wat(&format!("(module {imports} {prelude} {items})"))
}

fn of(items: &str) -> Run {
    importing("", items)
}

/// Waits for three things, and prints the events and what is told of the output.
pub(crate) fn guest() -> Run {
    let stat = r#"(import "wasi_unstable" "fd_filestat_get"
        (func $stat (param i32 i32) (result i32)))"#;
    importing(
        stat,
        r#"(func (export "_start")
            (memory.fill (i32.const 2000) (i32.const 0xaa) (i32.const 64))
            (if (call $stat (i32.const 1) (i32.const 2000)) (then unreachable))
            (call $print (i32.const 2000) (i32.const 64))
            ;; A clock: userdata, type, identifier, clock, timeout, precision, flags.
            (i64.store (i32.const 1000) (i64.const 1))
            (i32.store8 (i32.const 1008) (i32.const 0))
            (i64.store (i32.const 1016) (i64.const 99))
            (i32.store (i32.const 1024) (i32.const 1))
            (i64.store (i32.const 1032) (i64.const 5000000000))
            (i64.store (i32.const 1040) (i64.const 1))
            (i32.store16 (i32.const 1048) (i32.const 0))
            ;; The same clock, at a time.
            (i64.store (i32.const 1056) (i64.const 2))
            (i32.store (i32.const 1080) (i32.const 1))
            (i64.store (i32.const 1088) (i64.const 3000000000))
            (i32.store16 (i32.const 1104) (i32.const 1))
            (if (call $poll_oneoff (i32.const 1000) (i32.const 3000) (i32.const 2) (i32.const 96))
                (then unreachable))
            (call $emit (i64.load32_u (i32.const 96)))
            (call $print (i32.const 3000) (i32.const 32))
            (if (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 96))
                (then unreachable))
            (call $emit (i64.load (i32.const 96)))
            ;; A descriptor, to be written to.
            (i32.store8 (i32.const 1008) (i32.const 2))
            (i32.store (i32.const 1016) (i32.const 1))
            (if (call $poll_oneoff (i32.const 1000) (i32.const 3000) (i32.const 1) (i32.const 96))
                (then unreachable))
            (call $print (i32.const 3000) (i32.const 32)))"#,
    )
}

#[test]
fn its_structures_have_their_own_layout() {
    let output = guest().output();
    let (stat, rest) = output.split_at(64);
    assert_eq!(stat[..56], [0; 56]);
    assert_eq!(stat[56..], [0xaa; 8]);
    let words: Vec<u64> =
        rest.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    // One event: the earlier of the two times. The clock then is at it.
    assert_eq!(words[..5], [1, 2, 0, 0, 0]);
    assert!((3_000_000_000..3_001_000_000).contains(&words[5]), "{words:?}");
    assert_eq!(words[6..], [1, 2 << 16, 0, 0]);
}

#[test]
fn everything_else_is_as_in_preview_1() {
    let body = r#"(func (export "_start")
        (if (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8)) (then unreachable))
        (call $print (i32.const 8) (i32.const 8))
        (if (call $random_get (i32.const 100) (i32.const 16)) (then unreachable))
        (call $print (i32.const 100) (i32.const 16))
        (drop (call $fd_read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 300)))
        (call $errno (call $fd_close (i32.const 9))))"#;
    for compute in [Compute::Fuel(1_000_000), Compute::Gas(1_000_000_000_000_000)] {
        let limited = |run: Run| run.input("in").limits(|limits| limits.compute = compute).run();
        let execution = limited(of(body));
        assert_eq!(execution.status, Status::Completed);
        let other = limited(Run::module(body));
        assert_eq!(execution.output, other.output);
        // Under gas, the module's bytes are paid for, and its imports' names are shorter.
        if compute.meter() == Meter::Fuel {
            assert_eq!(execution, other);
        }
        assert_eq!(execution.output[..8], context().block_timestamp.to_le_bytes());
    }
}

#[test]
fn it_has_no_function_of_preview_1_alone() {
    let import = r#"(import "wasi_unstable" "sock_accept"
        (func (param i32 i32 i32) (result i32)))"#;
    let reason = "import wasi_unstable.sock_accept: the host has no such function";
    let mut run = importing(import, r#"(func (export "_start"))"#);
    assert_eq!(run.status(), invalid(reason));
}
