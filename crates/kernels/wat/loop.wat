;; One loop that only counts its own iterations.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32)
    (loop $l
      (br_if $l
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 150000))))))
