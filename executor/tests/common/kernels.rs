//! Small programs of every kind of operator, for comparing meters.
#![allow(dead_code)]

/// Name and items of each. They have NEAR's memory and import nothing.
const ITEMS: &[(&str, &str)] = &[
    ("empty", r#"(func (export "_start"))"#),
    (
        "loop",
        r#"(func (export "_start") (local $i i32)
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000)))))"#,
    ),
    (
        "nested loops and branches",
        r#"(func (export "_start") (local $i i32) (local $j i32) (local $n i32)
        (loop $outer
            (local.set $j (i32.const 0))
            (loop $inner
                (if (i32.and (local.get $j) (i32.const 1))
                    (then (local.set $n (i32.add (local.get $n) (local.get $j))))
                    (else (local.set $n (i32.xor (local.get $n) (local.get $i)))))
                (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 50))))
            (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50)))))"#,
    ),
    (
        "recursion",
        r#"
        (func $fib (param $n i32) (result i32)
            (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
                (then (local.get $n))
                (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
        (func (export "_start") (drop (call $fib (i32.const 15))))"#,
    ),
    (
        "early returns",
        r#"
        (func $f (param $n i32) (result i64) (local i64 f64 f32 i32)
            (if (i32.eqz (local.get $n)) (then (return (i64.const 7))))
            (block $b (br_if $b (i32.lt_u (local.get $n) (i32.const 5))) (return (i64.const 8)))
            (i64.const 9))
        (func (export "_start") (local $i i32)
            (loop $l (drop (call $f (local.get $i)))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20)))))"#,
    ),
    (
        "calls through a table",
        r#"
        (type $op (func (param i32) (result i32)))
        (table 3 funcref) (elem (i32.const 0) $inc $dec $mul)
        (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
        (func $mul (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
        (func (export "_start") (local $i i32) (local $n i32)
            (loop $l
                (local.set $n (call_indirect (type $op) (local.get $n) (i32.rem_u (local.get $i) (i32.const 3))))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "a branch table",
        r#"(func (export "_start") (local $i i32) (local $n i32)
        (loop $l
            (block $c (block $b (block $a (br_table $a $b $c (i32.rem_u (local.get $i) (i32.const 4))))
                (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $c))
                (local.set $n (i32.mul (local.get $n) (i32.const 3))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "integers",
        r#"(func (export "_start") (local $i i32) (local $x i64)
        (local.set $x (i64.const 0x9e3779b97f4a7c15))
        (loop $l
            (local.set $x (i64.mul (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 31))) (i64.const 0x2545f4914f6cdd1d)))
            (local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 7)) (i64.div_u (local.get $x) (i64.const 13))))
            (local.set $x (i64.add (local.get $x) (i64.extend_i32_s (i32.extend8_s (i32.wrap_i64 (local.get $x))))))
            (local.set $x (i64.add (local.get $x) (i64.popcnt (i64.clz (local.get $x)))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "floats",
        r#"(func (export "_start") (local $i i32) (local $x f64)
        (loop $l
            (local.set $x (f64.add (f64.mul (local.get $x) (f64.const 1.000001)) (f64.sqrt (f64.convert_i32_u (local.get $i)))))
            (local.set $x (f64.promote_f32 (f32.demote_f64 (f64.div (local.get $x) (f64.const 3)))))
            (drop (i32.trunc_sat_f64_s (f64.nearest (f64.max (local.get $x) (f64.const nan)))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "loads and stores",
        r#"(func (export "_start") (local $i i32)
        (loop $l
            (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (i32.const 7)))
            (i64.store16 offset=65536 (local.get $i) (i64.load8_s (local.get $i)))
            (f64.store offset=131072 (i32.shl (local.get $i) (i32.const 3)) (f64.load (i32.const 64)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "memory growth",
        r#"(func (export "_start")
        (drop (memory.grow (i32.const 0))) (drop (memory.grow (i32.const 3)))
        (drop (memory.grow (i32.const 2000))) (drop (memory.size))
        (i32.store (i32.shl (i32.const 1026) (i32.const 16)) (i32.const 1)))"#,
    ),
    (
        "bulk memory",
        r#"(data $d "0123456789abcdef")
        (func (export "_start") (local $i i32)
            (memory.init $d (i32.const 100) (i32.const 2) (i32.const 10)) (data.drop $d)
            (loop $l
                (memory.fill (i32.const 1000) (local.get $i) (local.get $i))
                (memory.copy (i32.const 5000) (i32.const 1000) (local.get $i))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200)))))"#,
    ),
    (
        "bulk tables",
        r#"(table $t 20 funcref) (elem $e func $f $f $f) (elem declare func $f) (func $f)
        (func (export "_start")
            (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 3)) (elem.drop $e)
            (table.copy (i32.const 8) (i32.const 1) (i32.const 3))
            (table.fill $t (i32.const 0) (ref.func $f) (i32.const 5))
            (drop (table.grow $t (ref.null func) (i32.const 7))) (drop (table.size $t))
            (table.set $t (i32.const 4) (ref.func $f)) (drop (ref.is_null (table.get $t (i32.const 9)))))"#,
    ),
    (
        "globals and select",
        r#"(global $g (mut i64) (i64.const 3)) (global $h i32 (i32.const 4))
        (func (export "_start") (local $i i32)
            (loop $l
                (global.set $g (select (i64.add (global.get $g) (i64.const 1)) (global.get $g) (local.get $i)))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (global.get $h))) (i32.const 1000)))))"#,
    ),
    (
        "a start function",
        r#"(global $g (mut i32) (i32.const 0)) (start $s)
        (func $s (loop $l (global.set $g (i32.add (global.get $g) (i32.const 1))) (br_if $l (i32.lt_u (global.get $g) (i32.const 100)))))
        (func (export "_start") (if (i32.ne (global.get $g) (i32.const 100)) (then unreachable)))"#,
    ),
    (
        "many locals and parameters",
        r#"
        (func $f (param i32 i64 f32 f64) (result f64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i32)
            (f64.add (local.get 3) (f64.promote_f32 (local.get 2))))
        (func (export "_start") (local $i i32)
            (loop $l (drop (call $f (local.get $i) (i64.const 1) (f32.const 2) (f64.const 3)))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))))"#,
    ),
    (
        "sieve",
        r#"(func (export "_start") (local $i i32) (local $j i32)
        (local.set $i (i32.const 2))
        (loop $l
            (if (i32.eqz (i32.load8_u (local.get $i)))
                (then (local.set $j (i32.mul (local.get $i) (local.get $i)))
                    (block $done (loop $m
                        (br_if $done (i32.ge_u (local.get $j) (i32.const 3000)))
                        (i32.store8 (local.get $j) (i32.const 1))
                        (local.set $j (i32.add (local.get $j) (local.get $i)))
                        (br $m)))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 54)))))"#,
    ),
];

/// Programs that end in a trap.
const TRAPS: &[(&str, &str)] = &[
    ("unreachable", "(nop) (drop (i32.const 1)) unreachable"),
    ("division", "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))"),
    ("overflow", "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
    ("conversion", "(drop (i32.trunc_f64_s (f64.const 1e20)))"),
    ("load", "(drop (i32.load (i32.const -4)))"),
    (
        "store in a loop",
        "(loop $l (i32.store (local.get $i) (i32.const 1)) (local.set $i (i32.add (local.get $i) (i32.const 1000000))) (br $l))",
    ),
    ("null", "(call_indirect (i32.const 1))"),
    ("signature", "(drop (call_indirect (result i32) (i32.const 0)))"),
    ("table", "(call_indirect (i32.const 100))"),
    ("fill", "(memory.fill (i32.const -10) (i32.const 0) (i32.const 100))"),
    ("deep", "(call $deep (i32.const 1000000))"),
];

fn module(items: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(module (memory (export "memory") 1024 2048) {items})"#)).unwrap()
}

/// The programs that run to their end.
pub(crate) fn kernels() -> Vec<(&'static str, Vec<u8>)> {
    ITEMS.iter().map(|(name, items)| (*name, module(items))).collect()
}

/// The programs that trap.
pub(crate) fn traps() -> Vec<(&'static str, Vec<u8>)> {
    let around = |body: &str| {
        module(&format!(
            r#"(table 2 funcref) (elem (i32.const 0) $nothing) (func $nothing)
            (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "_start") (local $i i32) {body})"#
        ))
    };
    TRAPS.iter().map(|(name, body)| (*name, around(body))).collect()
}
