;; Mixes a number with what it finds in memory, for ever. Each step waits for the one before it, so
;; it is no faster than a program's inner loop.
(module
    (memory (export "memory") 1)
    (func (export "_start")
        (local $x i64) (local $at i32)
        (local.set $x (i64.const 0x9e3779b97f4a7c15))
        (loop $again
            (local.set $at
                (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 40)))
                    (i32.const 0xfff8)))
            (local.set $x
                (i64.add
                    (i64.mul
                        (i64.xor (local.get $x) (i64.load (local.get $at)))
                        (i64.const 0x2545f4914f6cdd1d))
                    (i64.const 1)))
            (i64.store (local.get $at) (local.get $x))
            (br $again))))
