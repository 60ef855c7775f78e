//! The kernels of `outlayer-calibrate`, and programs that trap.
#![allow(dead_code, clippy::unwrap_used)]

/// Programs that end in a trap.
const TRAPS: &[(&str, &str)] = &[
    ("unreachable", "(nop) (drop (i32.const 1)) unreachable"),
    ("division", "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))"),
    ("overflow", "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
    ("conversion", "(drop (i32.trunc_f64_s (f64.const 1e20)))"),
    ("load", "(drop (i32.load (i32.const -4)))"),
    (
        "store in a loop",
        "(loop $l (i32.store (local.get $i) (i32.const 1))
                (local.set $i (i32.add (local.get $i) (i32.const 1000000))) (br $l))",
    ),
    ("null", "(call_indirect (i32.const 1))"),
    ("signature", "(drop (call_indirect (result i32) (i32.const 0)))"),
    ("table", "(call_indirect (i32.const 100))"),
    ("fill", "(memory.fill (i32.const -10) (i32.const 0) (i32.const 100))"),
    ("deep", "(call $deep (i32.const 1000000))"),
];

/// The programs that run to their end. They have NEAR's memory and no imports.
pub(crate) fn kernels() -> Vec<(&'static str, Vec<u8>)> {
    let corpus = outlayer_calibrate::corpus().unwrap();
    corpus.into_iter().map(|kernel| (kernel.name, kernel.wasm)).collect()
}

/// The programs that trap.
pub(crate) fn traps() -> Vec<(&'static str, Vec<u8>)> {
    let around = |body: &str| {
        wat::parse_str(format!(
            r#"(module (memory (export "memory") 1024 2048)
            (table 2 funcref) (elem (i32.const 0) $nothing) (func $nothing)
            (func $deep (param i32) (if (local.get 0)
                (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "_start") (local $i i32) {body}))"#
        ))
        .unwrap()
    };
    TRAPS.iter().map(|(name, body)| (*name, around(body))).collect()
}
