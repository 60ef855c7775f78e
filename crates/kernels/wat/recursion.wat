;; Fibonacci numbers by double recursion.
(module
  (memory (export "memory") 1024 2048)
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else
        (i32.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "_start") (i32.store (i32.const 0) (call $fib (i32.const 24)))))
