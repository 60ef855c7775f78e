;; Tables: filled, copied, initialised and grown.
(module
  (memory (export "memory") 1024 2048)
  (table $t 20 funcref)
  (elem $e func $f $f $f)
  (elem declare func $f)
  (func $f)
  (func (export "_start") (local $i i32)
    (loop $l
      (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 3))
      (table.copy (i32.const 8) (i32.const 1) (i32.const 3))
      (table.fill $t (i32.const 0) (ref.func $f) (i32.const 5))
      (table.set $t (i32.const 4) (ref.func $f))
      (drop (ref.is_null (table.get $t (i32.const 9))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))
    (elem.drop $e)
    (i32.store (i32.const 0) (table.grow $t (ref.null func) (i32.const 7)))
    (i32.store (i32.const 4) (table.size $t))))
