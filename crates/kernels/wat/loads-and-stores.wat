;; Loads and stores of several widths, in three regions of memory.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32)
    (loop $l
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (i32.const 7)))
      (i64.store16 offset=262144 (local.get $i) (i64.load8_s (local.get $i)))
      (f64.store offset=524288 (i32.shl (local.get $i) (i32.const 3)) (f64.load (i32.const 64)))
      (br_if $l
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000))))))
