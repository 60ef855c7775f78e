;; Mixes numbers for a while, reads the key "k" and writes its value to the log, writes the key "w",
;; and gives 8 bytes that depend on all of it.
(module
    (import "outlayer" "storage_read" (func $read (param i32 i32 i32 i32) (result i64)))
    (import "outlayer" "storage_write" (func $write (param i32 i32 i32 i32)))
    (import "outlayer" "random_fill" (func $random (param i32 i32)))
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "k")
    (data (i32.const 1) "w")
    ;; Where the value of "k" is, where the result is, and where the input goes.
    (data (i32.const 8) "\40\00\00\00\05\00\00\00")
    (data (i32.const 16) "\80\00\00\00\08\00\00\00")
    (data (i32.const 24) "\c0\00\00\00\08\00\00\00")
    (func (export "_start")
        (local $i i32) (local $mixed i64)
        (drop (call $fd_read (i32.const 0) (i32.const 24) (i32.const 1) (i32.const 32)))
        (call $random (i32.const 256) (i32.const 8))
        (drop (call $read (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 64)))
        (local.set $mixed
            (i64.xor (i64.load (i32.const 192))
                (i64.xor (i64.load (i32.const 256)) (i64.load (i32.const 64)))))
        (local.set $i (i32.const 100000))
        (loop $again
            (local.set $mixed
                (i64.xor
                    (i64.rotl (i64.mul (local.get $mixed) (i64.const 0x9e3779b97f4a7c15))
                        (i64.const 29))
                    (i64.extend_i32_u (local.get $i))))
            ;; Floats too, whose rounding must be the same everywhere.
            (local.set $mixed
                (i64.add (local.get $mixed)
                    (i64.reinterpret_f64
                        (f64.sqrt (f64.convert_i64_u (local.get $mixed))))))
            (br_if $again
                (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (i64.store (i32.const 128) (local.get $mixed))
        (call $write (i32.const 1) (i32.const 1) (i32.const 128) (i32.const 8))
        (drop (call $fd_write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32)))
        (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))
