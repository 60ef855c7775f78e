;; Floating-point arithmetic, conversions and roundings.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32) (local $n i32) (local $x f64)
    (loop $l
      (local.set $x
        (f64.add
          (f64.mul (local.get $x) (f64.const 1.000001))
          (f64.sqrt (f64.convert_i32_u (local.get $i)))))
      (local.set $x (f64.promote_f32 (f32.demote_f64 (f64.div (local.get $x) (f64.const 3)))))
      (local.set $n
        (i32.add
          (local.get $n)
          (i32.trunc_sat_f64_s (f64.nearest (f64.max (local.get $x) (f64.const 5))))))
      (drop (i32.trunc_sat_f64_s (f64.max (local.get $x) (f64.const nan))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 35000))))
    (i32.store (i32.const 0) (local.get $n))
    (f64.store (i32.const 8) (local.get $x))))
