//! Components made from core modules in text.
#![allow(dead_code, clippy::unwrap_used)]

use outlayer_componentize::componentize;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

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
pub(crate) fn description() -> String {
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

/// What a core module imports for `preview2`, with a memory, an allocator that never frees, and
/// `$emit`, which writes eight bytes to the output. Its own addresses begin at 60,000.
const PREVIEW2: &str = r#"
    (import "wasi:cli/stdin@VERSION" "get-stdin" (func $stdin (result i32)))
    (import "wasi:cli/stdout@VERSION" "get-stdout" (func $stdout (result i32)))
    (import "wasi:cli/stderr@VERSION" "get-stderr" (func $stderr (result i32)))
    (import "wasi:cli/environment@VERSION" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/terminal-stdout@VERSION" "get-terminal-stdout" (func $terminal (param i32)))
    (import "wasi:cli/exit@VERSION" "exit" (func $exit (param i32)))
    (import "wasi:io/poll@VERSION" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi:io/poll@VERSION" "[method]pollable.ready" (func $ready (param i32) (result i32)))
    (import "wasi:io/poll@VERSION" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@VERSION" "[resource-drop]pollable" (func $drop_pollable (param i32)))
    (import "wasi:io/streams@VERSION" "[method]input-stream.read" (func $read (param i32 i64 i32)))
    (import "wasi:io/streams@VERSION" "[method]input-stream.subscribe"
        (func $subscribe_input (param i32) (result i32)))
    (import "wasi:io/streams@VERSION" "[resource-drop]input-stream"
        (func $drop_input (param i32)))
    (import "wasi:io/streams@VERSION" "[method]output-stream.check-write"
        (func $check_write (param i32 i32)))
    (import "wasi:io/streams@VERSION" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@VERSION" "[method]output-stream.splice"
        (func $splice (param i32 i32 i64 i32)))
    (import "wasi:clocks/monotonic-clock@VERSION" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@VERSION" "subscribe-instant"
        (func $until (param i64) (result i32)))
    (import "wasi:clocks/monotonic-clock@VERSION" "subscribe-duration"
        (func $after (param i64) (result i32)))
    (import "wasi:clocks/wall-clock@VERSION" "now" (func $wall (param i32)))
    (import "wasi:random/random@VERSION" "get-random-bytes" (func $random (param i64 i32)))
    (import "wasi:random/random@VERSION" "get-random-u64" (func $random_word (result i64)))
    (import "wasi:random/insecure@VERSION" "get-insecure-random-u64"
        (func $insecure_word (result i64)))
    (import "wasi:random/insecure-seed@VERSION" "insecure-seed" (func $seed (param i32)))
    (import "wasi:filesystem/preopens@VERSION" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@VERSION" "[method]descriptor.is-same-object"
        (func $same (param i32 i32) (result i32)))
    (import "wasi:sockets/instance-network@VERSION" "instance-network"
        (func $network (result i32)))
    (import "wasi:sockets/ip-name-lookup@VERSION" "resolve-addresses"
        (func $resolve (param i32 i32 i32 i32)))
    (import "wasi:sockets/tcp-create-socket@VERSION" "create-tcp-socket"
        (func $tcp (param i32 i32)))
    (import "wasi:sockets/tcp@VERSION" "[method]tcp-socket.finish-bind"
        (func $bound (param i32 i32)))
    (import "wasi:sockets/udp-create-socket@VERSION" "create-udp-socket"
        (func $udp (param i32 i32)))
    (import "wasi:http/types@VERSION" "[constructor]fields" (func $fields (result i32)))
    (import "wasi:http/types@VERSION" "[static]fields.from-list"
        (func $fields_of (param i32 i32 i32)))
    (import "wasi:http/types@VERSION" "[method]fields.has"
        (func $has (param i32 i32 i32) (result i32)))
    (import "wasi:http/types@VERSION" "[resource-drop]fields" (func $drop_fields (param i32)))
    (import "wasi:http/types@VERSION" "[constructor]request-options" (func $options (result i32)))
    (import "wasi:http/types@VERSION" "[constructor]outgoing-request"
        (func $request (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.set-authority"
        (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.body"
        (func $body (param i32 i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-body.write"
        (func $body_stream (param i32 i32)))
    (import "wasi:http/types@VERSION" "[method]future-incoming-response.subscribe"
        (func $subscribe_response (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]fields.append"
        (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.set-method"
        (func $method (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.set-path-with-query"
        (func $path (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.set-scheme"
        (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]outgoing-request.headers"
        (func $sent_headers (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[static]outgoing-body.finish"
        (func $finish_body (param i32 i32 i32 i32)))
    (import "wasi:http/types@VERSION" "[resource-drop]outgoing-body"
        (func $drop_body (param i32)))
    (import "wasi:http/types@VERSION" "[method]future-incoming-response.get"
        (func $response (param i32 i32)))
    (import "wasi:http/types@VERSION" "[method]incoming-response.status"
        (func $status (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]incoming-response.headers"
        (func $headers (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]fields.get"
        (func $values (param i32 i32 i32 i32)))
    (import "wasi:http/types@VERSION" "[method]incoming-response.consume"
        (func $consume (param i32 i32)))
    (import "wasi:http/types@VERSION" "[method]incoming-body.stream"
        (func $stream (param i32 i32)))
    (import "wasi:http/types@VERSION" "[static]incoming-body.finish"
        (func $trailers (param i32) (result i32)))
    (import "wasi:http/types@VERSION" "[method]future-trailers.get"
        (func $trailers_get (param i32 i32)))
    (import "wasi:io/streams@VERSION" "[resource-drop]output-stream"
        (func $drop_output (param i32)))
    (import "wasi:http/outgoing-handler@VERSION" "handle"
        (func $handle (param i32 i32 i32 i32)))
    (memory (export "memory") 4)
    (data (i32.const 0) "example.org")
    (global $next (mut i32) (i32.const 131072))
    (global $out (mut i32) (i32.const 0))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))
    (func $print (param i32 i32)
        (if (i32.eqz (global.get $out)) (then (global.set $out (call $stdout))))
        (call $write (global.get $out) (local.get 0) (local.get 1) (i32.const 60000))
        (if (i32.load8_u (i32.const 60000)) (then unreachable)))
    (func $emit (param i64)
        (i64.store (i32.const 60016) (local.get 0))
        (call $print (i32.const 60016) (i32.const 8)))
    (func $byte (param i32) (call $emit (i64.load8_u (local.get 0))))
"#;

const HOST_FETCH: &str = r#"
    (import "outlayer:host/http@0.1.0" "fetch" (func $host_fetch
        (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
"#;

/// A component that imports preview 2 in this version, without an adapter. Its command has this
/// body.
pub(crate) fn preview2(version: &str, body: &str) -> Run {
    preview2_in(include_str!("preview2.wit"), version, body, ("", ""))
}

/// The same with a transform of this body. Its parameters are those of the request, `$status`, the
/// address and number of headers, and `$at` and `$len` of the answer's body. It returns an address.
pub(crate) fn transforming(body: &str, transform: &str) -> Run {
    let wit = include_str!("preview2.wit").replace(
        "export wasi:cli/run@VERSION;",
        "export wasi:cli/run@VERSION; export outlayer:host/transform@0.1.0;",
    );
    let transform = format!(
        r#"(func (export "outlayer:host/transform@0.1.0#transform")
            (param i32 i32 i32 i32 i32 i32 i32 i32)
            (param $status i32) (param $headers i32) (param $count i32)
            (param $at i32) (param $len i32) (result i32) {transform})"#
    );
    preview2_in(&wit, "0.2.12", body, ("", &transform))
}

/// The same with the host's interface for HTTP, as `$host_fetch`.
pub(crate) fn fetching(body: &str) -> Run {
    let wit = include_str!("preview2.wit").replace(
        "export wasi:cli/run@VERSION;",
        "import outlayer:host/http@0.1.0; export wasi:cli/run@VERSION;",
    );
    preview2_in(&wit, "0.2.12", body, (HOST_FETCH, ""))
}

/// With further imports, and further items.
fn preview2_in(wit: &str, version: &str, body: &str, (imports, items): (&str, &str)) -> Run {
    let wit = wit.replace("VERSION", version);
    let mut resolve = Resolve::default();
    resolve.push_str("outlayer.wit", include_str!("../../wit/outlayer.wit")).unwrap();
    let package = resolve.push_str("preview2.wit", &wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let text = format!(
        r#"(module {imports} {PREVIEW2} (func (export "wasi:cli/run@VERSION#run") (result i32)
                (local $i i32) (local $j i32) (local $x i64) {body} (i32.const 0)) {items})"#
    );
    let mut module = wat::parse_str(text.replace("VERSION", version)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    Run::bytes(encoder.encode().unwrap())
}
