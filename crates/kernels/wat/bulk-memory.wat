;; Filling and copying memory, from 0 to 1,999 bytes at a time.
(module
  (memory (export "memory") 1024 2048)
  (data $d "0123456789abcdef")
  (func (export "_start") (local $i i32)
    (memory.init $d (i32.const 100) (i32.const 2) (i32.const 10))
    (data.drop $d)
    (loop $l
      (memory.fill (i32.const 1000) (local.get $i) (local.get $i))
      (memory.copy (i32.const 5000) (i32.const 1000) (local.get $i))
      (br_if $l
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))))
