;; Work done by the start function, before `_start`.
(module
  (memory (export "memory") 1024 2048)
  (global $g (mut i32) (i32.const 0))
  (start $s)
  (func $s
    (loop $l
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (br_if $l (i32.lt_u (global.get $g) (i32.const 120000)))))
  (func (export "_start")
    (if (i32.ne (global.get $g) (i32.const 120000)) (then unreachable))))
