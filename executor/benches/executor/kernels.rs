//! Programs that compute for a millisecond or a few, each with one kind of work.

/// Name and items of each; they import nothing.
const ITEMS: &[(&str, &str)] = &[
    (
        "sieve",
        r#"(func (export "_start") (local $i i32) (local $j i32)
            (local.set $i (i32.const 2))
            (loop $l
                (if (i32.eqz (i32.load8_u (local.get $i)))
                    (then (local.set $j (i32.mul (local.get $i) (local.get $i)))
                        (block $done (loop $m
                            (br_if $done (i32.ge_u (local.get $j) (i32.const 1000000)))
                            (i32.store8 (local.get $j) (i32.const 1))
                            (local.set $j (i32.add (local.get $j) (local.get $i)))
                            (br $m)))))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"#,
    ),
    (
        "recursion",
        r#"(func $fib (param $n i32) (result i32)
            (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
                (then (local.get $n))
                (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
        (func (export "_start") (drop (call $fib (i32.const 26))))"#,
    ),
    (
        "matrix",
        r#"(func $at (param $base i32) (param $i i32) (param $j i32) (result i32)
            (i32.add (local.get $base) (i32.shl (i32.add (i32.mul (local.get $i) (i32.const 96)) (local.get $j)) (i32.const 3))))
        (func (export "_start") (local $i i32) (local $j i32) (local $k i32) (local $sum f64)
            (loop $rows
                (local.set $j (i32.const 0))
                (loop $columns
                    (local.set $k (i32.const 0))
                    (local.set $sum (f64.convert_i32_s (local.get $j)))
                    (loop $inner
                        (local.set $sum (f64.add (local.get $sum) (f64.mul
                            (f64.load (call $at (i32.const 0) (local.get $i) (local.get $k)))
                            (f64.load (call $at (i32.const 100000) (local.get $k) (local.get $j))))))
                        (br_if $inner (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 96))))
                    (f64.store (call $at (i32.const 200000) (local.get $i) (local.get $j)) (local.get $sum))
                    (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 96))))
                (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 96)))))"#,
    ),
    (
        "mixing",
        // The quarter round of ChaCha, over and over: rotations, additions, and no memory.
        r#"(func (export "_start") (local $n i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32)
            (local.set $b (i32.const 0x11111111)) (local.set $c (i32.const 0x01020304)) (local.set $d (i32.const 0x9b8d6f43))
            (loop $l
                (local.set $a (i32.add (local.get $a) (local.get $b))) (local.set $d (i32.rotl (i32.xor (local.get $d) (local.get $a)) (i32.const 16)))
                (local.set $c (i32.add (local.get $c) (local.get $d))) (local.set $b (i32.rotl (i32.xor (local.get $b) (local.get $c)) (i32.const 12)))
                (local.set $a (i32.add (local.get $a) (local.get $b))) (local.set $d (i32.rotl (i32.xor (local.get $d) (local.get $a)) (i32.const 8)))
                (local.set $c (i32.add (local.get $c) (local.get $d))) (local.set $b (i32.rotl (i32.xor (local.get $b) (local.get $c)) (i32.const 7)))
                (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500000))))
            (i32.store (i32.const 0) (local.get $a)))"#,
    ),
    (
        "sorting",
        // Fills 2,000 words and sorts them by insertion.
        r#"(func (export "_start") (local $i i32) (local $j i32) (local $x i32) (local $y i32)
            (loop $fill
                (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
                (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))
            (local.set $i (i32.const 4))
            (loop $outer
                (local.set $x (i32.load (local.get $i)))
                (local.set $j (local.get $i))
                (block $placed (loop $shift
                    (br_if $placed (i32.eqz (local.get $j)))
                    (br_if $placed (i32.le_s (local.tee $y (i32.load (i32.sub (local.get $j) (i32.const 4)))) (local.get $x)))
                    (i32.store (local.get $j) (local.get $y))
                    (local.set $j (i32.sub (local.get $j) (i32.const 4)))
                    (br $shift)))
                (i32.store (local.get $j) (local.get $x))
                (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 8000)))))"#,
    ),
    (
        "dispatch",
        r#"(type $op (func (param i32) (result i32)))
        (table 4 funcref) (elem (i32.const 0) $inc $dec $mul $mix)
        (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 3)))
        (func $mul (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
        (func $mix (param i32) (result i32) (i32.xor (local.get 0) (i32.rotl (local.get 0) (i32.const 5))))
        (func (export "_start") (local $i i32) (local $n i32)
            (loop $l
                (local.set $n (call_indirect (type $op) (local.get $n) (i32.and (i32.add (local.get $i) (local.get $n)) (i32.const 3))))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 400000)))))"#,
    ),
    (
        "interpreter",
        // A program of four operations in memory, chosen by a branch table.
        r#"(data (i32.const 0) "\00\01\02\01\03\00\02\01\01\00\03\02\00\01\02\03")
        (func (export "_start") (local $n i32) (local $x i64)
            (loop $l
                (block $next (block $d (block $c (block $b (block $a
                    (br_table $a $b $c $d (i32.load8_u (i32.and (local.get $n) (i32.const 15)))))
                    (local.set $x (i64.add (local.get $x) (i64.const 17))) (br $next))
                    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 7)))) (br $next))
                    (local.set $x (i64.mul (local.get $x) (i64.const 31))) (br $next))
                    (if (i64.lt_s (local.get $x) (i64.const 0)) (then (local.set $x (i64.sub (i64.const 0) (local.get $x))))))
                (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 600000))))
            (i64.store (i32.const 64) (local.get $x)))"#,
    ),
    (
        "strings",
        // Counts the words of a text and hashes each, byte by byte.
        r#"(func $byte (param $at i32) (result i32) (i32.load8_u offset=1024 (local.get $at)))
        (func $space (param i32) (result i32) (i32.or (i32.eq (local.get 0) (i32.const 32)) (i32.lt_u (local.get 0) (i32.const 14))))
        (func (export "_start") (local $i i32) (local $c i32) (local $hash i32) (local $words i32) (local $turn i32)
            (loop $fill
                (i32.store8 offset=1024 (local.get $i)
                    (select (i32.const 32) (i32.add (i32.const 97) (i32.rem_u (local.get $i) (i32.const 26))) (i32.eqz (i32.rem_u (local.get $i) (i32.const 7)))))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40000))))
            (loop $again
                (local.set $i (i32.const 0))
                (loop $l
                    (local.set $c (call $byte (local.get $i)))
                    (if (call $space (local.get $c))
                        (then (local.set $words (i32.add (local.get $words) (i32.const 1)))
                            (i32.store (i32.and (local.get $hash) (i32.const 1020)) (local.get $words))
                            (local.set $hash (i32.const 0x811c9dc5)))
                        (else (local.set $hash (i32.mul (i32.xor (local.get $hash) (local.get $c)) (i32.const 0x01000193)))))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40000))))
                (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 10)))))"#,
    ),
    (
        "bulk memory",
        r#"(func (export "_start") (local $i i32)
            (loop $l
                (memory.fill (i32.const 0) (local.get $i) (i32.const 100000))
                (memory.copy (i32.const 200000) (i32.const 0) (i32.const 100000))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200)))))"#,
    ),
];

/// The kernels' modules.
pub(crate) fn kernels() -> Vec<(&'static str, Vec<u8>)> {
    ITEMS
        .iter()
        .map(|(name, items)| {
            let text = format!(r#"(module (memory (export "memory") 32) {items})"#);
            (*name, wat::parse_str(text).unwrap())
        })
        .collect()
}
