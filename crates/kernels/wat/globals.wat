;; Globals, and choices without a branch (`select`).
(module
  (memory (export "memory") 1024 2048)
  (global $g (mut i64) (i64.const 3))
  (global $h i32 (i32.const 4))
  (func (export "_start") (local $i i32)
    (loop $l
      (global.set $g
        (select
          (i64.add (global.get $g) (i64.const 1))
          (global.get $g)
          (i32.and (local.get $i) (i32.const 8))))
      (br_if $l
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (global.get $h))) (i32.const 280000))))
    (i64.store (i32.const 0) (global.get $g))))
