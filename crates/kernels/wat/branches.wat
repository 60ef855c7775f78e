;; Two nested loops; the inner one takes one of two branches.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32) (local $j i32) (local $n i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (if (i32.and (local.get $j) (i32.const 1))
          (then (local.set $n (i32.add (local.get $n) (local.get $j))))
          (else (local.set $n (i32.xor (local.get $n) (local.get $i)))))
        (br_if $inner
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 250))))
      (br_if $outer
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 250))))
    (i32.store (i32.const 0) (local.get $n))))
