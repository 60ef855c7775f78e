;; A branch table with four targets.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32) (local $n i32)
    (loop $l
      (block $c
        (block $b
          (block $a (br_table $a $b $c (i32.rem_u (local.get $i) (i32.const 4))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $c))
        (local.set $n (i32.mul (local.get $n) (i32.const 3))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 70000))))
    (i32.store (i32.const 0) (local.get $n))))
