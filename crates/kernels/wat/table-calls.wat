;; Calls through a table: dynamic dispatch.
(module
  (memory (export "memory") 1024 2048)
  (type $op (func (param i32) (result i32)))
  (table 3 funcref)
  (elem (i32.const 0) $inc $dec $mul)
  (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
  (func $mul (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "_start") (local $i i32) (local $n i32)
    (loop $l
      (local.set $n
        (call_indirect (type $op) (local.get $n) (i32.rem_u (local.get $i) (i32.const 3))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 70000))))
    (i32.store (i32.const 0) (local.get $n))))
