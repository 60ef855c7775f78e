//! Components made from core modules in text.
#![allow(dead_code, clippy::unwrap_used)]

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{PRELUDE, Run};

fn encode(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default()
        .module(module)
        .unwrap()
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
        .unwrap()
        .encode()
        .unwrap()
}

/// A component over WASI alone: the prelude without what only core modules have, and a `_start` with this body.
pub(crate) fn wasi(body: &str) -> Run {
    let prelude: Vec<&str> =
        PRELUDE.lines().filter(|line| !line.contains("\"outlayer\"")).collect();
    let text = format!(
        r#"(module {} (func (export "_start") (local $i i32) (local $j i32) (local $x i64) {body}))"#,
        prelude.join("\n")
    );
    Run::bytes(encode(&wat::parse_str(text).unwrap()))
}

/// The package `outlayer:host` as a core module sees it, an allocator, and `$print`.
const HOST: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "outlayer:host/storage@0.1.0" "read" (func $read (param i32 i32 i32)))
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
        (if (call $fd_write (i32.const 1) (i32.const 60000) (i32.const 1) (i32.const 60008)) (then unreachable)))
"#;

/// A component over the package `outlayer:host`. `key` stands at 0, `value` at 3.
pub(crate) fn host(body: &str) -> Run {
    let mut module =
        wat::parse_str(format!(r#"(module {HOST} (func (export "_start") {body}))"#)).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("outlayer.wit", include_str!("../../wit/outlayer.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    Run::bytes(encode(&module))
}
