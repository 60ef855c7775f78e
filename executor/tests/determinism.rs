//! The same job gives the same execution: again, on another thread, on an engine set up otherwise, beside others.
#![allow(clippy::unwrap_used)]

mod common;

use common::Run;
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_protocol::Status;

/// Asks for everything that could differ: randomness, clocks, environment, fresh memory, failed growth, storage, and
/// floating-point results, and writes all of it out.
fn curious() -> Run {
    let body = r#"
        (call $random_fill (i32.const 0) (i32.const 64)) (call $print (i32.const 0) (i32.const 64))
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))) (call $emit (i64.load (i32.const 0)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0))) (call $emit (i64.load (i32.const 0)))
        (drop (call $environ_sizes_get (i32.const 0) (i32.const 4))) (drop (call $environ_get (i32.const 1000) (i32.const 2000)))
        (call $print (i32.const 2000) (i32.load (i32.const 4)))
        (call $print (i32.const 30000) (i32.const 256))
        (call $emit (i64.extend_i32_s (memory.grow (i32.const 40000))))
        (call $emit (call $storage_read (i32.const 0) (i32.const 8) (i32.const 100) (i32.const 100)))
        (call $storage_write (i32.const 1000) (i32.const 5) (i32.const 0) (i32.const 32))
        (call $emit (i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0))))
        (call $emit (i64.reinterpret_f64 (f64.sqrt (f64.const 2))))
        (call $log (i32.const 0) (i32.const 64))
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30000))))"#;
    let text =
        format!(r#"(module {} (func (export "_start") (local $i i32) {body}))"#, common::PRELUDE)
            .replace(r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 1 2)"#);
    Run::wat(&text).input("input")
}

#[test]
fn a_hundred_replays_are_identical() {
    let first = curious().run();
    assert_eq!(first.status, Status::Completed);
    assert!(
        !first.output.is_empty()
            && !first.journal.is_empty()
            && !first.reads.is_empty()
            && !first.logs.is_empty()
    );
    for _ in 0..100 {
        assert_eq!(curious().run(), first);
    }
}

#[test]
fn neither_optimisation_nor_pools_nor_the_cache_change_anything() {
    let first = curious().run();
    for optimize in [true, false] {
        for pool in [None, Some(4)] {
            let config =
                ExecutorConfig { optimize, pool, cache_bytes: 0, ..ExecutorConfig::default() };
            let executor = Executor::new(config).unwrap();
            for _ in 0..3 {
                assert_eq!(
                    curious().on(&executor).unwrap(),
                    first,
                    "optimize {optimize}, pool {pool:?}"
                );
            }
        }
    }
}

/// A place of the pools must not be smaller than what a guest may have without them.
#[test]
fn every_bound_is_the_same_with_pools() {
    let pooled =
        Executor::new(ExecutorConfig { pool: Some(1), ..ExecutorConfig::default() }).unwrap();
    let alone = Executor::new(ExecutorConfig::default()).unwrap();
    let grow_table = |table: &str, elements: u32| {
        Run::module(&format!(
            r#"(table $t {table} funcref) (func (export "_start")
                (call $emit (i64.extend_i32_s (table.grow $t (ref.null func) (i32.const {elements})))))"#
        ))
        .limits(|limits| limits.table_elements = 1_000_000)
    };
    let deep = "(func $f (param i64) (call $f (i64.add (local.get 0) (i64.const 1))) (drop (local.get 0)))";
    let mut guests = vec![
        grow_table("1", 999_999),
        grow_table("1", 1_000_000),
        grow_table("1", 200_000_000),
        grow_table("1", u32::MAX),
        grow_table("1 3000000", 2_500_000),
        grow_table("1 3000000", 3_500_000),
        grow_table("1 200000000", 150_000_000),
        Run::module(&format!(r#"{} (func (export "_start"))"#, "(table 3 funcref)".repeat(90))),
        Run::start("(call $emit (i64.extend_i32_s (memory.grow (i32.const 100000))))"),
        Run::start("(call $emit (i64.extend_i32_s (memory.grow (i32.const 2000))))"),
        Run::module(&format!(r#"{deep} (func (export "_start") (call $f (i64.const 0)))"#)),
        common::components::wasi("(call $emit (i64.extend_i32_s (memory.grow (i32.const 2000))))"),
    ];
    guests.push(common::components::wasi(
        "(loop $l (call $emit (i64.extend_i32_s (memory.grow (i32.const 1)))) (br $l))",
    ));
    for (index, guest) in guests.iter_mut().enumerate() {
        let expected = guest.on(&alone).unwrap();
        for _ in 0..2 {
            assert_eq!(guest.on(&pooled).unwrap(), expected, "guest {index}");
        }
    }
}

#[test]
fn every_nan_that_an_operation_makes_is_the_canonical_one() {
    const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;
    const CANONICAL_32: u64 = 0x7fc0_0000;
    let nan = "(f64.reinterpret_i64 (i64.const 0x7ff4000000000123))";
    let negative = "(f64.reinterpret_i64 (i64.const 0xfff8000000000001))";
    let zero = "(f64.convert_i32_s (local.get $i))";
    for operation in [
        format!("(f64.add {nan} (f64.const 1))"),
        format!("(f64.mul (f64.const 1) {negative})"),
        format!("(f64.div {zero} {zero})"),
        format!("(f64.sub (f64.const inf) (f64.div (f64.const 1) {zero}))"),
        format!("(f64.sqrt (f64.sub {zero} (f64.const 1)))"),
        format!("(f64.min {nan} (f64.const 1))"),
        format!("(f64.max (f64.const 1) {negative})"),
        format!("(f64.ceil {nan})"),
        format!("(f64.nearest {negative})"),
        "(f64.promote_f32 (f32.reinterpret_i32 (i32.const 0xffa00001)))".to_owned(),
    ] {
        let words = Run::start(&format!("(call $emit (i64.reinterpret_f64 {operation}))")).words();
        assert_eq!(words, [CANONICAL_64], "{operation}");
    }
    let demoted =
        format!("(call $emit (i64.extend_i32_u (i32.reinterpret_f32 (f32.demote_f64 {nan}))))");
    assert_eq!(Run::start(&demoted).words(), [CANONICAL_32]);
}

#[test]
fn what_only_moves_a_float_keeps_its_bits() {
    let payload = 0x7ff4_0000_0000_0123u64;
    let nan = format!("(f64.reinterpret_i64 (i64.const {payload}))");
    let body = format!(
        "(f64.store (i32.const 0) {nan}) (call $emit (i64.load (i32.const 0)))
         (call $emit (i64.reinterpret_f64 (f64.load (i32.const 0))))
         (call $emit (i64.reinterpret_f64 (f64.neg {nan}))) (call $emit (i64.reinterpret_f64 (f64.abs (f64.neg {nan}))))
         (call $emit (i64.reinterpret_f64 (f64.copysign {nan} (f64.const -1))))"
    );
    assert_eq!(
        Run::start(&body).words(),
        [payload, payload, payload | 1 << 63, payload, payload | 1 << 63]
    );
}

#[test]
fn signed_zeros_minima_and_maxima() {
    let zero = "(f64.convert_i32_s (local.get $i))";
    let minus = format!("(f64.neg {zero})");
    for (operation, expected) in [
        (format!("(f64.min {zero} {minus})"), -0.0f64),
        (format!("(f64.max {minus} {zero})"), 0.0),
        (format!("(f64.add {minus} {minus})"), -0.0),
        (format!("(f64.sub {zero} {zero})"), 0.0),
        (format!("(f64.nearest (f64.sub {zero} (f64.const 0.5)))"), -0.0),
        (format!("(f64.div (f64.const 1) {minus})"), f64::NEG_INFINITY),
        (format!("(f64.add {zero} (f64.const 0x1p-1074))"), f64::from_bits(1)),
    ] {
        let words = Run::start(&format!("(call $emit (i64.reinterpret_f64 {operation}))")).words();
        assert_eq!(words, [expected.to_bits()], "{operation}");
    }
    let body = "
        (call $emit (i64.extend_i32_s (i32.trunc_sat_f64_s (f64.const nan))))
        (call $emit (i64.extend_i32_s (i32.trunc_sat_f64_s (f64.const 1e30))))
        (call $emit (i64.trunc_sat_f64_u (f64.const -5)))
        (call $emit (i64.reinterpret_f64 (f64.convert_i64_u (i64.const -1))))
        (call $emit (i64.extend_i32_u (i32.reinterpret_f32 (f32.convert_i64_s (i64.const 0x7fffff4000000001)))))";
    let expected = [0, i32::MAX as u64, 0, 18_446_744_073_709_551_615f64.to_bits(), 0x5eff_ffff];
    assert_eq!(Run::start(body).words(), expected);
}
