// A contract with two methods: `set` stores its arguments, and `get` returns them. In the text
// format it is:
//
// (module
//   (import "env" "input" (func (param i64)))
//   (import "env" "storage_write" (func (param i64 i64 i64 i64 i64) (result i64)))
//   (import "env" "storage_read" (func (param i64 i64 i64) (result i64)))
//   (import "env" "value_return" (func (param i64 i64)))
//   (memory 1)
//   (data (i32.const 0) "key")
//   (func (export "set") (call 0 (i64.const 0))
//     (drop (call 1 (i64.const 3) (i64.const 0) (i64.const -1) (i64.const 0) (i64.const 1))))
//   (func (export "get") (drop (call 2 (i64.const 3) (i64.const 0) (i64.const 0)))
//     (call 3 (i64.const -1) (i64.const 0))))
export const contract = Uint8Array.from(
  Buffer.from(
    "AGFzbQEAAAABHQVgAX4AYAV+fn5+fgF+YAN+fn4BfmACfn4AYAAAAkcEA2VudgVpbnB1dAAAA2Vudg1zdG9y" +
      "YWdlX3dyaXRlAAEDZW52DHN0b3JhZ2VfcmVhZAACA2Vudgx2YWx1ZV9yZXR1cm4AAwMDAgQEBQMBAAEHDQID" +
      "c2V0AAQDZ2V0AAUKJwITAEIAEABCA0IAQn9CAEIBEAEaCxEAQgNCAEIAEAIaQn9CABADCwsJAQBBAAsDa2V5",
    "base64",
  ),
);
