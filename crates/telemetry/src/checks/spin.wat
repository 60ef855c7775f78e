;; Adds numbers for ever, as a program's inner loop does.
(module
    (memory (export "memory") 1)
    (func (export "_start")
        (local $i i64)
        (loop $again
            (local.set $i (i64.add (local.get $i) (i64.const 3)))
            (i64.store (i32.const 64) (i64.mul (local.get $i) (i64.const 5)))
            (br $again))))
