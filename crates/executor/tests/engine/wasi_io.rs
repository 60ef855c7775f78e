//! Arguments, environment, streams, and every call that always fails.

use outlayer_executor::PROGRAM_NAME;
use outlayer_protocol::Status;

use crate::common::{self, Run, context, trapped};

/// Copies the input to the output, 5 bytes at a time into two buffers.
const ECHO: &str = r#"
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 2))
    (i32.store (i32.const 8) (i32.const 102)) (i32.store (i32.const 12) (i32.const 3))
    (loop $more
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16))
            (then unreachable))
        (if (i32.load (i32.const 16)) (then
            (call $print (i32.const 100) (i32.load (i32.const 16)))
            (br $more))))"#;

#[test]
fn echo_gives_its_input_back() {
    for input in ["", "a", "hello, world", &"x".repeat(1_001)] {
        assert_eq!(Run::start(ECHO).input(input).output(), input.as_bytes());
    }
}

/// Prints all arguments (or variables), each with its NUL, in the order of the pointers.
fn print_texts(sizes: &str, get: &str) -> String {
    format!(
        "(drop (call ${sizes} (i32.const 0) (i32.const 4)))
            (drop (call ${get} (i32.const 1000) (i32.const 2000)))
         (call $print (i32.load (i32.const 1000)) (i32.load (i32.const 4)))
         (call $emit (i64.load32_u (i32.const 0)))
         (call $emit (i64.extend_i32_u
             (i32.sub (i32.load (i32.const 1004)) (i32.load (i32.const 1000)))))"
    )
}

#[test]
fn arguments_follow_the_programs_name() {
    let mut run = Run::start(&print_texts("args_sizes_get", "args_get"));
    run.args = vec!["one".to_owned(), "two words".to_owned()];
    let expected =
        [b"guest\0one\0two words\0".as_slice(), &3u64.to_le_bytes(), &6u64.to_le_bytes()].concat();
    assert_eq!(run.output(), expected);
    assert_eq!(PROGRAM_NAME, "guest");
}

#[test]
fn the_environment_is_the_systems_and_then_the_requests() {
    let mut run = Run::start(&print_texts("environ_sizes_get", "environ_get"));
    run.env = vec![("MODE".to_owned(), "a=b".to_owned())];
    let output = run.output();
    let text = String::from_utf8(output[..output.len() - 16].to_vec()).unwrap();
    let mut expected: Vec<_> =
        context().env().iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    expected.push("MODE=a=b\0".to_owned());
    assert_eq!(text, expected.concat());
    assert!(text.starts_with("TZ=UTC\0LANG=C\0OUTLAYER_REQUEST_ID=7\0"), "{text}");
}

#[test]
fn standard_error_is_the_log_and_not_the_output() {
    let body = r#"(i64.store (i32.const 0) (i64.const 0x6f6c6c6568))
        (call $write (i32.const 2) (i32.const 0) (i32.const 5))
        (call $print (i32.const 0) (i32.const 1))
        (call $log (i32.const 1) (i32.const 2))"#;
    let execution = Run::start(body).run();
    assert_eq!(
        (execution.output.as_slice(), execution.logs.as_slice()),
        (&b"h"[..], &b"helloel\n"[..])
    );
}

#[test]
fn exit_codes() {
    let exit = |code: i32| {
        Run::start(&format!("(call $errno (i32.const 1)) (call $proc_exit (i32.const {code}))"))
            .run()
    };
    assert_eq!((exit(0).status, exit(0).output), (Status::Completed, vec![1]));
    for code in [1, 42, -1, i32::MIN] {
        let execution = exit(code);
        assert_eq!((execution.status, execution.output), (Status::Exited { code }, vec![]));
    }
}

#[test]
fn descriptors_can_be_closed_and_renumbered() {
    let body = "
        (call $errno (call $fd_renumber (i32.const 1) (i32.const 2)))
        (call $errno (i32.const 7))";
    // The renumbering closes descriptor 1, so writing to it fails and the helper traps.
    assert_eq!(Run::start(body).status(), trapped("unreachable"));
    let body = "
        (drop (call $fd_renumber (i32.const 1) (i32.const 2)))
        (call $write (i32.const 2) (i32.const 0) (i32.const 3))";
    assert_eq!(Run::start(body).output(), [0, 0, 0]);
    let body = "
        (call $errno (call $fd_close (i32.const 0))) (call $errno (call $fd_close (i32.const 0)))
        (call $errno (call $fd_close (i32.const 3)))
        (call $errno (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $errno (call $fd_renumber (i32.const 0) (i32.const 1)))";
    assert_eq!(Run::start(body).output(), [0, 8, 8, 8, 8]);
}

#[test]
fn streams_go_one_way_and_take_a_bounded_number_of_buffers() {
    let body = "
        (call $errno (call $fd_write (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $errno (call $fd_read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $errno (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1025) (i32.const 0)))
        (call $errno (call $fd_read (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)))";
    assert_eq!(Run::start(body).output(), [8, 8, 28, 28]);
}

/// Each function that always fails: its parameters, which of them is the descriptor, and the error
/// numbers for a descriptor that is open and for one that is not.
const REFUSED: &[(&str, &str, usize, u8, u8)] = &[
    ("fd_advise", "i32 i64 i64 i32", 0, 70, 8),
    ("fd_allocate", "i32 i64 i64", 0, 70, 8),
    ("fd_datasync", "i32", 0, 28, 8),
    ("fd_fdstat_set_rights", "i32 i64 i64", 0, 58, 8),
    ("fd_filestat_set_size", "i32 i64", 0, 28, 8),
    ("fd_filestat_set_times", "i32 i64 i64 i32", 0, 58, 8),
    ("fd_pread", "i32 i32 i32 i64 i32", 0, 70, 8),
    ("fd_prestat_dir_name", "i32 i32 i32", 0, 8, 8),
    ("fd_prestat_get", "i32 i32", 0, 8, 8),
    ("fd_pwrite", "i32 i32 i32 i64 i32", 0, 70, 8),
    ("fd_readdir", "i32 i32 i32 i64 i32", 0, 54, 8),
    ("fd_seek", "i32 i64 i32 i32", 0, 70, 8),
    ("fd_sync", "i32", 0, 28, 8),
    ("fd_tell", "i32 i32", 0, 70, 8),
    ("path_create_directory", "i32 i32 i32", 0, 54, 8),
    ("path_filestat_get", "i32 i32 i32 i32 i32", 0, 54, 8),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", 0, 54, 8),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32", 0, 54, 8),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", 0, 54, 8),
    ("path_readlink", "i32 i32 i32 i32 i32 i32", 0, 54, 8),
    ("path_remove_directory", "i32 i32 i32", 0, 54, 8),
    ("path_rename", "i32 i32 i32 i32 i32 i32", 0, 54, 8),
    ("path_symlink", "i32 i32 i32 i32 i32", 2, 54, 8),
    ("path_unlink_file", "i32 i32 i32", 0, 54, 8),
    ("proc_raise", "i32", 0, 58, 58),
    ("sock_accept", "i32 i32 i32", 0, 57, 8),
    ("sock_recv", "i32 i32 i32 i32 i32 i32", 0, 57, 8),
    ("sock_send", "i32 i32 i32 i32 i32", 0, 57, 8),
    ("sock_shutdown", "i32 i32", 0, 57, 8),
];

/// The other functions of preview 1.
const ANSWERED: &[(&str, &str)] = &[
    ("args_get", "i32 i32"),
    ("args_sizes_get", "i32 i32"),
    ("clock_res_get", "i32 i32"),
    ("clock_time_get", "i32 i64 i32"),
    ("environ_get", "i32 i32"),
    ("environ_sizes_get", "i32 i32"),
    ("fd_close", "i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
    ("random_get", "i32 i32"),
    ("sched_yield", ""),
];

#[test]
fn all_46_functions_of_preview_1_are_there() {
    let import = |name: &str, params: &str, result: &str| {
        format!(r#"(import "wasi_snapshot_preview1" "{name}" (func (param {params}) {result}))"#)
    };
    let mut imports: Vec<_> =
        REFUSED.iter().map(|(name, params, ..)| import(name, params, "(result i32)")).collect();
    imports.extend(ANSWERED.iter().map(|(name, params)| import(name, params, "(result i32)")));
    imports.push(import("proc_exit", "i32", ""));
    assert_eq!(imports.len(), 46);
    let text = format!(
        r#"(module {} (memory (export "memory") 1) (func (export "_start")))"#,
        imports.concat()
    );
    assert_eq!(Run::wat(&text).status(), Status::Completed);
}

#[test]
fn each_call_that_always_fails_has_its_error_number() {
    for (name, params, descriptor, open, closed) in REFUSED {
        let params_list: Vec<_> = params.split(' ').collect();
        let call = |fd: u32| {
            let value = |(index, ty): (usize, &&str)| {
                let value = if index == *descriptor { fd } else { 0 };
                format!("({ty}.const {value})")
            };
            let values: String = params_list.iter().enumerate().map(value).collect();
            format!("(call $errno (call $refused {values}))")
        };
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "{name}"
                    (func $refused (param {params}) (result i32))) {}
                (func (export "_start") {} {} {}))"#,
            common::PRELUDE,
            call(0),
            call(3),
            call(u32::MAX >> 1),
        );
        assert_eq!(Run::wat(&text).output(), [*open, *closed, *closed], "{name}");
    }
}

#[test]
fn a_stream_is_of_unknown_type_with_the_rights_of_its_direction() {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_fdstat_get"
                (func $fdstat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_filestat_get"
                (func $filestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
                (func $set_flags (param i32 i32) (result i32)))
            {}
            (func (export "_start")
                (i64.store (i32.const 0) (i64.const -1)) (i64.store (i32.const 8) (i64.const -1))
                (call $errno (call $fdstat (i32.const 0) (i32.const 0)))
                (call $print (i32.const 0) (i32.const 24))
                (call $errno (call $fdstat (i32.const 1) (i32.const 0)))
                (call $print (i32.const 8) (i32.const 8))
                (call $errno (call $fdstat (i32.const 3) (i32.const 0)))
                (call $errno (call $filestat (i32.const 2) (i32.const 100)))
                (call $print (i32.const 100) (i32.const 64))
                (call $errno (call $filestat (i32.const 9) (i32.const 100)))
                (call $errno (call $set_flags (i32.const 1) (i32.const 0)))
                (call $errno (call $set_flags (i32.const 1) (i32.const 4)))
                (call $errno (call $set_flags (i32.const 5) (i32.const 0)))))"#,
        common::PRELUDE
    );
    let rights = |direction: u64| (direction | 1 << 21 | 1 << 27).to_le_bytes();
    let expected = [
        &[0][..],
        &[0; 8],
        &rights(1 << 1),
        &[0; 8],
        &[0],
        &rights(1 << 6),
        &[8],
        &[0],
        &[0; 64],
        &[8, 0, 28, 8],
    ];
    assert_eq!(Run::wat(&text).output(), expected.concat());
}

#[test]
fn pointers_outside_of_the_memory_trap() {
    for call in [
        "(call $args_sizes_get (i32.const 65533) (i32.const 0))",
        "(call $args_get (i32.const -1) (i32.const 0))",
        "(call $environ_get (i32.const 0) (i32.const 65530))",
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 65529))",
        "(call $random_get (i32.const 65535) (i32.const 2))",
        "(call $random_get (i32.const -1) (i32.const 1))",
        "(call $fd_write (i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 0))",
        "(call $fd_read (i32.const 0) (i32.const -8) (i32.const 2) (i32.const 0))",
        "(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 2000) (i32.const 0))",
        "(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 90000000) (i32.const 0))",
        "(call $context_read (i32.const 65000) (i32.const 537))",
        "(i32.wrap_i64 (call $storage_read (i32.const 65536) (i32.const 1) (i32.const 0)
                (i32.const 0)))",
        "(i32.wrap_i64 (call $storage_read (i32.const 0) (i32.const 1) (i32.const 65000)
                (i32.const 5000)))",
        "(call $storage_remove (i32.const -1) (i32.const 9))",
    ] {
        let mut run =
            Run::start(&format!("(drop {call})")).value("\0", "value").fuel(10_000_000_000);
        assert_eq!(run.status(), trapped("memory out of bounds"), "{call}");
    }
    for call in [
        "(call $storage_write (i32.const 0) (i32.const 1) (i32.const 65000) (i32.const 537))",
        "(call $log (i32.const 65535) (i32.const 2))",
        "(call $random_fill (i32.const -1) (i32.const 2))",
    ] {
        assert_eq!(Run::start(call).status(), trapped("memory out of bounds"), "{call}");
    }
    // A buffer that the guest names in a list of buffers.
    let body = "(i32.store (i32.const 0) (i32.const 65535)) (i32.store (i32.const 4) (i32.const 2))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))";
    assert_eq!(Run::start(body).status(), trapped("memory out of bounds"));
}

#[test]
fn a_guest_without_a_memory_export_is_rejected() {
    let status = Run::wat(r#"(module (func (export "_start")))"#).status();
    assert_eq!(
        status,
        common::invalid("there is no export memory: a guest exports its memory under this name")
    );
}
