//! Components that are made to meet a bound of a parser, a compiler, an allocator or a host.

use outlayer_componentize::componentize;

use super::crafted::{GLOBAL, Named, text};

/// A command made of a module that exports `_start` and a memory.
pub(crate) fn component_of(module: &[u8]) -> Option<Vec<u8>> {
    componentize(module).ok()
}

/// A component whose command is the function `run` of a module with these items.
fn command(name: &str, before: &str, items: &str) -> Named {
    with_run(
        name,
        &format!(
            r#"{before} (core module $m (memory (export "memory") 1) {items})
            (core instance $i (instantiate $m))"#
        ),
    )
}

/// A component whose command is the function `run` of the core instance `$i`.
fn with_run(name: &str, items: &str) -> Named {
    text(
        name,
        &format!(
            r#"(component {items}
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $command (export "run" (func $run)))
                (export "wasi:cli/run@0.2.3" (instance $command)))"#
        ),
    )
}

const DONE: &str = r#"(func (export "run") (result i32) (i32.const 0))"#;

/// A module that `uses` the canonical functions of a resource of the component's own.
fn resources(name: &str, body: &str) -> Named {
    with_run(
        name,
        &format!(
            r#"(type $r (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core func $drop (canon resource.drop $r))
            (core func $rep (canon resource.rep $r))
            (core instance $host (export "new" (func $new)) (export "drop" (func $drop))
                (export "rep" (func $rep)))
            (core module $m
                (import "host" "new" (func $new (param i32) (result i32)))
                (import "host" "drop" (func $drop (param i32)))
                (import "host" "rep" (func $rep (param i32) (result i32)))
                (func (export "run") (result i32) (local $i i32) {body} (i32.const 0)))
            (core instance $i (instantiate $m (with "host" (instance $host))))"#
        ),
    )
}

/// A command in which one component gives another a function that takes a resource.
fn lending(name: &str, body: &str) -> Named {
    text(
        name,
        &format!(
            r#"(component
            (component $owner
                (type $r' (resource (rep i32)))
                (export $r "r" (type $r'))
                (core func $new (canon resource.new $r'))
                (core func $drop (canon resource.drop $r'))
                (core instance $host (export "new" (func $new)) (export "drop" (func $drop)))
                (core module $m
                    (import "host" "new" (func $new (param i32) (result i32)))
                    (func (export "make") (result i32) (call $new (i32.const 7)))
                    (func (export "look") (param i32))
                    (func (export "take") (param i32)))
                (core instance $i (instantiate $m (with "host" (instance $host))))
                (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
                (func (export "look") (param "a" (borrow $r)) (canon lift (core func $i "look")))
                (func (export "take") (param "a" (own $r)) (canon lift (core func $i "take"))))
            (instance $owner (instantiate $owner))
            (component $user
            (import "owner" (instance $owner
                (export "r" (type $r (sub resource)))
                (export "make" (func (result (own $r))))
                (export "look" (func (param "a" (borrow $r))))
                (export "take" (func (param "a" (own $r))))))
            (alias export $owner "r" (type $r))
            (core func $make (canon lower (func $owner "make")))
            (core func $look (canon lower (func $owner "look")))
            (core func $take (canon lower (func $owner "take")))
            (core func $drop (canon resource.drop $r))
            (core instance $host (export "make" (func $make)) (export "look" (func $look))
                (export "take" (func $take)) (export "drop" (func $drop)))
            (core module $m
                (import "host" "make" (func $make (result i32)))
                (import "host" "look" (func $look (param i32)))
                (import "host" "take" (func $take (param i32)))
                (import "host" "drop" (func $drop (param i32)))
                (func (export "run") (result i32) (local $i i32) {body} (i32.const 0)))
            (core instance $i (instantiate $m (with "host" (instance $host))))
            (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance $user (instantiate $user (with "owner" (instance $owner))))
            (alias export $user "run" (func $run))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $command)))"#
        ),
    )
}

/// A command that calls functions of WASI with arguments of its own.
fn wasi(name: &str, body: &str) -> Named {
    text(
        name,
        &format!(
            r#"(component
            (import "wasi:io/error@0.2.3" (instance $error (export "error" (type (sub resource)))))
            (alias export $error "error" (type $error))
            (import "wasi:io/streams@0.2.3" (instance $streams
                (export "output-stream" (type $out (sub resource)))
                (alias outer 1 $error (type $e)) (export "error" (type $error' (eq $e)))
                (type $failure' (variant (case "last-operation-failed" (own $error'))
                    (case "closed")))
                (export "stream-error" (type $failure (eq $failure')))
                (export "[method]output-stream.blocking-write-and-flush"
                    (func (param "self" (borrow $out)) (param "contents" (list u8))
                        (result (result (error $failure)))))))
            (alias export $streams "output-stream" (type $out))
            (import "wasi:cli/stdout@0.2.3" (instance $stdout
                (alias outer 1 $out (type $o)) (export "output-stream" (type $out' (eq $o)))
                (export "get-stdout" (func (result (own $out'))))))
            (import "wasi:random/random@0.2.3" (instance $random
                (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
            (import "outlayer:host/log@0.1.0" (instance $log
                (export "line" (func (param "text" (list u8))))))
            (core module $memory (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (i32.sub (local.get 3) (i32.const 7))))
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $mem))
            (alias core export $memory "realloc" (core func $realloc))
            (core func $get (canon lower (func $stdout "get-stdout")))
            (core func $write (canon lower
                (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
            (core func $bytes (canon lower (func $random "get-random-bytes") (memory $mem)
                (realloc $realloc)))
            (core func $line (canon lower (func $log "line") (memory $mem)))
            (core func $drop (canon resource.drop $out))
            (core instance $host (export "get" (func $get)) (export "write" (func $write))
                (export "bytes" (func $bytes)) (export "line" (func $line))
                (export "drop" (func $drop)))
            (core module $m
                (import "host" "get" (func $get (result i32)))
                (import "host" "write" (func $write (param i32 i32 i32 i32)))
                (import "host" "bytes" (func $bytes (param i64 i32)))
                (import "host" "line" (func $line (param i32 i32)))
                (import "host" "drop" (func $drop (param i32)))
                (func (export "run") (result i32) (local $i i32) {body} (i32.const 0)))
            (core instance $i (instantiate $m (with "host" (instance $host))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $command)))"#
        ),
    )
}

/// Strings and lists that one component passes to another.
fn passing(name: &str, encoding: &str, ty: &str, body: &str) -> Named {
    text(
        name,
        &format!(
            r#"(component
            (component $taker
                (core module $m (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                        (i32.and (local.get 3) (i32.const -8)))
                    (func (export "take") (param i32 i32)))
                (core instance $i (instantiate $m))
                (func (export "take") (param "a" {ty}) (canon lift (core func $i "take")
                    (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                    string-encoding=utf16)))
            (instance $taker (instantiate $taker))
            (component $giver
            (import "taker" (instance $taker (export "take" (func (param "a" {ty})))))
            (core module $memory (memory (export "memory") 1)
                (data (i32.const 0) "\ff\ff\80\d8\00\00\ed\a0\80\ff\ff\ff\ff\ff\ff\ff"))
            (core instance $memory (instantiate $memory))
            (core func $take (canon lower (func $taker "take")
                (memory (core memory $memory "memory")) {encoding}))
            (core instance $host (export "take" (func $take)))
            (core module $m (import "host" "take" (func $take (param i32 i32)))
                (func (export "run") (result i32) {body} (i32.const 0)))
            (core instance $i (instantiate $m (with "host" (instance $host))))
            (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance $giver (instantiate $giver (with "taker" (instance $taker))))
            (alias export $giver "run" (func $run))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $command)))"#
        ),
    )
}

/// Components.
pub(crate) fn components() -> Vec<Named> {
    let mut all = vec![
        text("nothing", "(component)"),
        command("a command", "", DONE),
        command("a failure", "", r#"(func (export "run") (result i32) (i32.const 1))"#),
        command("no result", "", r#"(func (export "run") (result i32) (i32.const 7))"#),
        command("a trap", "", r#"(func (export "run") (result i32) unreachable)"#),
        command("recursion", "", r#"(func $f (export "run") (result i32) (call $f))"#),
    ];
    for (count, tables) in
        [(1, 99), (1, 100), (2, 63), (2, 64), (3, 42), (3, 99), (60, 1), (64, 1), (64, 2), (65, 0)]
    {
        let table = "(table 0 funcref)".repeat(tables);
        let instances = "(core instance (instantiate $t))".repeat(count - 1);
        all.push(with_run(
            &format!("{count} instances with {tables} tables"),
            &format!(
                "(core module $t {table}) {instances} (core module $m {DONE} {table})
                (core instance $i (instantiate $m))"
            ),
        ));
        let nested = "(instance (instantiate $c))".repeat(count - 1);
        all.push(with_run(
            &format!("{count} components with {tables} tables"),
            &format!(
                "(component $c (core module $t {table}) (core instance (instantiate $t))) {nested}
                (core module $m {DONE} {table}) (core instance $i (instantiate $m))"
            ),
        ));
    }
    for pages in [0, 1, 1_024, 2_048, 2_049, 65_536] {
        let memory = format!("(memory {pages})");
        all.push(with_run(
            &format!("two memories of {pages} pages"),
            &format!(
                "(core module $t {memory}) (core instance (instantiate $t))
                (core module $m {DONE} {memory}) (core instance $i (instantiate $m))"
            ),
        ));
    }
    for count in [1_000, 20_000, 100_000] {
        all.push(command(
            &format!("{count} globals"),
            "",
            &format!("{DONE} {}", GLOBAL.repeat(count)),
        ));
    }
    let again = |body: &str| {
        format!(
            "(loop $l {body} (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const 200000))))"
        )
    };
    for (name, body) in [
        ("handles without end", again("(drop (call $new (local.get $i)))")),
        ("a handle that is none", "(call $drop (i32.const 5))".to_owned()),
        ("a handle of 0", "(call $drop (i32.const 0))".to_owned()),
        ("a handle of -1", "(drop (call $rep (i32.const -1)))".to_owned()),
        (
            "a handle that is dropped twice",
            "(local.set $i (call $new (i32.const 1))) (call $drop (local.get $i))
                (call $drop (local.get $i))"
                .to_owned(),
        ),
        ("handles that are dropped", again("(call $drop (call $new (i32.const 1)))")),
    ] {
        all.push(resources(name, &body));
    }
    for (name, body) in [
        ("resources of another without end", again("(drop (call $make))")),
        ("lending what is none", "(call $look (i32.const 3))".to_owned()),
        ("giving what is none", "(call $take (i32.const 3))".to_owned()),
        (
            "giving twice",
            "(local.set $i (call $make)) (call $take (local.get $i)) (call $take (local.get $i))"
                .to_owned(),
        ),
        ("lending", "(call $look (call $make))".to_owned()),
        ("lending without end", {
            format!("(local.set $i (i32.const 0)) {}", again("(call $look (call $make))"))
        }),
        ("resources that the other keeps", again("(call $take (call $make))")),
    ] {
        all.push(lending(name, &body));
    }
    for (name, body) in [
        ("streams without end", again("(drop (call $get))")),
        ("streams that are dropped", again("(call $drop (call $get))")),
        (
            "a stream that is none",
            "(call $write (i32.const 9) (i32.const 0) (i32.const 1) (i32.const 16))".to_owned(),
        ),
        ("a list out of bounds", "(call $line (i32.const 65535) (i32.const 2))".to_owned()),
        ("a list without end", "(call $line (i32.const 0) (i32.const -1))".to_owned()),
        (
            "a result out of bounds",
            "(call $write (call $get) (i32.const 0) (i32.const 1) (i32.const 65535))".to_owned(),
        ),
        (
            "a result that is not aligned",
            "(call $write (call $get) (i32.const 0) (i32.const 1) (i32.const 17))".to_owned(),
        ),
        ("an allocator that lies", "(call $bytes (i64.const 8) (i32.const 16))".to_owned()),
        (
            "an allocator out of bounds",
            "(call $bytes (i64.const 100000) (i32.const 16))".to_owned(),
        ),
        (
            "more random bytes than there are",
            "(call $bytes (i64.const -1) (i32.const 16))".to_owned(),
        ),
        ("a return pointer out of bounds", "(call $bytes (i64.const 8) (i32.const -4))".to_owned()),
    ] {
        all.push(wasi(name, &body));
    }
    for encoding in
        ["string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16"]
    {
        for ty in ["string", "(list u8)", "(list char)", "(list bool)", "(list (option u8))"] {
            for (pointer, length) in
                [(0, 16), (0, -1), (65_535, 2), (1, 2), (2, 4), (4, -2_147_483_648_i64), (0, 0)]
            {
                all.push(passing(
                    &format!("{ty} of {length} at {pointer}, {encoding}"),
                    encoding,
                    ty,
                    &format!("(call $take (i32.const {pointer}) (i32.const {length}))"),
                ));
            }
        }
    }
    for (name, export) in [
        ("run is a type", r#"(type $t u8) (export "wasi:cli/run@0.2.3" (type $t))"#),
        (
            "run is a function",
            r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f"))) (export "wasi:cli/run@0.2.3" (func $f))"#,
        ),
        ("run has no function", r#"(instance $e) (export "wasi:cli/run@0.2.3" (instance $e))"#),
        ("a module is exported", r#"(core module $m) (export "m" (core module $m))"#),
        ("an imported function is exported", r#"(import "f" (func $f)) (export "g" (func $f))"#),
        (
            "a host's function is exported",
            r#"(import "wasi:random/insecure@0.2.3" (instance $i
            (export "get-insecure-random-u64" (func (result u64)))))
            (alias export $i "get-insecure-random-u64" (func $f)) (export "f" (func $f))"#,
        ),
        (
            "a host's function is run",
            r#"(import "wasi:cli/run@0.2.3" (instance $i
            (export "run" (func (result (result)))))) (export "wasi:cli/run@0.2.4" (instance $i))"#,
        ),
        ("a module is imported", r#"(import "m" (core module))"#),
        ("a value is imported", r#"(import "v" (value u8))"#),
        ("a type is imported", r#"(import "t" (type (sub resource)))"#),
        (
            "intrinsics",
            r#"(import "unsafe-intrinsics" (instance
                (export "u8-native-load" (func (param "p" u64) (result u8)))))"#,
        ),
        (
            "a resource with a destructor",
            r#"(core module $m (func (export "d") (param i32) unreachable))
            (core instance $i (instantiate $m)) (type (resource (rep i32) (dtor (func $i "d"))))"#,
        ),
        (
            "a core start in a nested component",
            r#"(component $c (core module $m (func $s unreachable)
            (start $s)) (core instance (instantiate $m))) (instance (instantiate $c))"#,
        ),
    ] {
        let Ok(code) = wat::parse_str(format!("(component {export})")) else {
            // What the assembler does not know is not a case.
            continue;
        };
        all.push((name.to_owned(), code.clone()));
        all.push(with_run(
            &format!("{name}, beside a command"),
            &format!(
                "(component {export}) (core module $m {DONE}) (core instance $i (instantiate $m))"
            ),
        ));
    }
    all
}
