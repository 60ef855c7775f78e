;; Growing the memory by nothing, by a little, and by more than is allowed; then a store to a grown
;; page.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32)
    (loop $l
      (drop (memory.grow (i32.const 0)))
      (drop (memory.grow (i32.const 3)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300))))
    (i32.store (i32.const 0) (memory.grow (i32.const 2000)))
    (i32.store (i32.const 4) (memory.size))
    (i32.store (i32.shl (i32.const 1026) (i32.const 16)) (i32.const 1))))
