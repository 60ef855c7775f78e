;; Integer arithmetic, 64 bits wide.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32) (local $x i64)
    (local.set $x (i64.const 0x9e3779b97f4a7c15))
    (loop $l
      (local.set $x
        (i64.mul
          (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 31)))
          (i64.const 0x2545f4914f6cdd1d)))
      (local.set $x
        (i64.add (i64.rotl (local.get $x) (i64.const 7)) (i64.div_u (local.get $x) (i64.const 13))))
      (local.set $x
        (i64.add (local.get $x) (i64.extend_i32_s (i32.extend8_s (i32.wrap_i64 (local.get $x))))))
      (local.set $x (i64.add (local.get $x) (i64.popcnt (i64.clz (local.get $x)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30000))))
    (i64.store (i32.const 0) (local.get $x))))
