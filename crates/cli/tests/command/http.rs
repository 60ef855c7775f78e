//! `outlayer run` with HTTP: over the network of this machine, and from a transcript.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    thread,
};

use outlayer_protocol::http::HttpRequest;

/// A guest that gets this URL and writes what the host answers.
fn guest(url: &str) -> Vec<u8> {
    let request = HttpRequest::get(url);
    let request = borsh::to_vec(&request).unwrap();
    let text: String = request.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "outlayer" "http_fetch" (func $fetch (param i32 i32) (result i64)))
            (import "outlayer" "http_read" (func $http_read (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "{text}")
            (func (export "_start")
                (if (i64.lt_s (call $fetch (i32.const 1024) (i32.const {})) (i64.const 0))
                    (then unreachable))
                (i32.store (i32.const 0) (i32.const 4096))
                (i32.store (i32.const 4) (call $http_read (i32.const 4096) (i32.const 4096)))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        request.len()
    );
    wat::parse_str(module).unwrap()
}

fn run(guest: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlayer"));
    command.arg("run").arg(guest).arg("--json").args(options);
    command.env_remove("OUTLAYER_CONTRACT").output().unwrap()
}

#[test]
fn what_a_guest_was_answered_is_written_and_answers_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.push(byte[0]);
        }
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: 7\r\nset-cookie: a\r\n\
                connection: close\r\n\r\nhello",
            )
            .unwrap();
        String::from_utf8(asked).unwrap()
    });
    let (wasm, file) = (folder.path().join("guest.wasm"), folder.path().join("answers.json"));
    fs::write(&wasm, guest(&format!("{host}/x"))).unwrap();
    let file = file.to_str().unwrap();
    let live = run(&wasm, &["--http", &host, "--transcript-to", file]);
    assert!(live.status.success(), "{}", String::from_utf8_lossy(&live.stderr));
    assert!(server.join().unwrap().starts_with("GET /x HTTP/1.1\r\n"));
    let text = fs::read_to_string(file).unwrap();
    for part in [&format!(r#""request": "GET {host}/x""#), r#""body": "hello""#, r#""etag""#] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("cookie"), "{text}");
    // The server is gone.
    let again = run(&wasm, &["--http", &host, "--transcript", file]);
    assert_eq!(live.stdout, again.stdout);
    // Another request is none of the transcript's.
    fs::write(&wasm, guest(&format!("{host}/y"))).unwrap();
    let other = run(&wasm, &["--http", &host, "--transcript", file]);
    let error = String::from_utf8(other.stderr).unwrap();
    assert!(!other.status.success() && error.contains("no exchange 0"), "{error}");
}

#[test]
fn without_hosts_nothing_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("guest.wasm");
    fs::write(&wasm, guest("https://example.org/")).unwrap();
    let denied = run(&wasm, &[]);
    let report = String::from_utf8(denied.stdout).unwrap();
    assert!(report.contains("unreachable") && !report.contains("transcript"), "{report}");
}
