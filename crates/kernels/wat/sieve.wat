;; The sieve of Eratosthenes up to 100,000.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start") (local $i i32) (local $j i32)
    (local.set $i (i32.const 2))
    (loop $l
      (if (i32.eqz (i32.load8_u (local.get $i)))
        (then
          (local.set $j (i32.mul (local.get $i) (local.get $i)))
          (block $done
            (loop $m
              (br_if $done (i32.ge_u (local.get $j) (i32.const 100000)))
              (i32.store8 (local.get $j) (i32.const 1))
              (local.set $j (i32.add (local.get $j) (local.get $i)))
              (br $m)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 317))))))
