//! Components made from core modules in text.
#![allow(dead_code, clippy::unwrap_used)]

use outlayer_componentize::componentize;

use super::{PRELUDE, Run};

/// A component that imports WASI alone: the prelude without what only core modules have, and a
/// `_start` with this body. The adapter allocates its stack through `cabi_realloc`, or grows the
/// memory where the module exports no such function.
pub(crate) fn wasi(body: &str) -> Run {
    let prelude: Vec<&str> =
        PRELUDE.lines().filter(|line| !line.contains("\"outlayer\"")).collect();
    from_text(&format!(
        r#"(module {} (func (export "_start") (local $i i32) (local $j i32)
                (local $x i64) {body}))"#,
        prelude.join("\n")
    ))
}

/// The interfaces of `outlayer:host` as a core module sees them, an allocator, and `$print`.
const HOST: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "outlayer:host/context@0.1.0" "get" (func $context (param i32)))
    (import "outlayer:host/storage@0.1.0" "read" (func $read (param i32 i32 i32)))
    (import "outlayer:host/storage@0.1.0" "contains" (func $contains (param i32 i32) (result i32)))
    (import "outlayer:host/storage@0.1.0" "write" (func $write (param i32 i32 i32 i32)))
    (import "outlayer:host/storage@0.1.0" "remove" (func $remove (param i32 i32) (result i32)))
    (import "outlayer:host/random@0.1.0" "bytes" (func $random (param i32 i32)))
    (import "outlayer:host/log@0.1.0" "line" (func $line (param i32 i32)))
    (memory (export "memory") 16)
    (data (i32.const 0) "keyvalue")
    (global $next (mut i32) (i32.const 131072))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))
    (func $print (param i32 i32)
        (i32.store (i32.const 60000) (local.get 0)) (i32.store (i32.const 60004) (local.get 1))
        (if (call $fd_write (i32.const 1) (i32.const 60000) (i32.const 1) (i32.const 60008))
            (then unreachable)))
    (func $print_list (param i32)
        (call $print (i32.load (local.get 0)) (i32.load offset=4 (local.get 0))))
"#;

/// The section by which the sdk describes the package.
fn description() -> String {
    let described = include_bytes!("../../../sdk/src/host/component-type.bin");
    let bytes: String = described.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(@custom "component-type" "{bytes}")"#)
}

/// A component that imports the package `outlayer:host`. The text `key` is at address 0, `value` at
/// 3.
pub(crate) fn host(body: &str) -> Run {
    from_text(&format!(r#"(module {HOST} (func (export "_start") {body}) {})"#, description()))
}

/// Wraps a module into a component.
pub(crate) fn from_text(text: &str) -> Run {
    Run::bytes(componentize(&wat::parse_str(text).unwrap()).unwrap())
}
