;; Calls of a function with many parameters and locals.
(module
  (memory (export "memory") 1024 2048)
  (func $f (param i32 i64 f32 f64) (result f64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i32)
    (f64.add (local.get 3) (f64.promote_f32 (local.get 2))))
  (func (export "_start") (local $i i32) (local $sum f64)
    (loop $l
      (local.set $sum
        (f64.add
          (local.get $sum)
          (call $f (local.get $i) (i64.const 1) (f32.const 2) (f64.const 3))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 60000))))
    (f64.store (i32.const 0) (local.get $sum))))
