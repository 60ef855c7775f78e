;; The product of two matrices of 40 by 40 numbers.
(module
  (memory (export "memory") 1024 2048)
  (func $at (param $base i32) (param $row i32) (param $column i32) (result i32)
    (i32.add (local.get $base)
      (i32.shl
        (i32.add (i32.mul (local.get $row) (i32.const 40)) (local.get $column))
        (i32.const 3))))
  (func (export "_start") (local $i i32) (local $j i32) (local $k i32) (local $sum f64)
    (loop $fill
      (f64.store offset=16384
        (i32.shl (local.get $i) (i32.const 3))
        (f64.convert_i32_u (local.get $i)))
      (f64.store offset=32768
        (i32.shl (local.get $i) (i32.const 3))
        (f64.div (f64.const 1) (f64.convert_i32_u (i32.add (local.get $i) (i32.const 1)))))
      (br_if $fill
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1600))))
    (local.set $i (i32.const 0))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $k (i32.const 0))
        (local.set $sum (f64.const 0))
        (loop $terms
          (local.set $sum
            (f64.add (local.get $sum)
              (f64.mul
                (f64.load (call $at (i32.const 16384) (local.get $i) (local.get $k)))
                (f64.load (call $at (i32.const 32768) (local.get $k) (local.get $j))))))
          (br_if $terms
            (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 40))))
        (f64.store (call $at (i32.const 0) (local.get $i) (local.get $j)) (local.get $sum))
        (br_if $columns
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 40))))
      (br_if $rows
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))))
