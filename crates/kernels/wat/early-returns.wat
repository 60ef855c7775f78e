;; Calls of a function with some locals that returns from three places.
(module
  (memory (export "memory") 1024 2048)
  (func $f (param $n i32) (result i64) (local i64 f64 f32 i32)
    (if (i32.eqz (local.get $n)) (then (return (i64.const 7))))
    (block $b
      (br_if $b (i32.lt_u (local.get $n) (i32.const 5)))
      (return (i64.const 8)))
    (i64.const 9))
  (func (export "_start") (local $i i32) (local $sum i64)
    (loop $l
      (local.set $sum (i64.add (local.get $sum) (call $f (i32.rem_u (local.get $i) (i32.const 7)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000))))
    (i64.store (i32.const 0) (local.get $sum))))
