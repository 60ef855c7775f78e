//! A guest, from nothing to a run.

use std::fs;

use outlayer_protocol::Hash32;
use serde_json::Value;

use super::{cargo, run, said, snapshot};

#[test]
fn a_new_guest_builds_passes_its_tests_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let new = run(&folder, &["new", "guest", "hello"], 0);
    snapshot::assert("new-guest.txt", &folder, &said(&new));
    // What is there already is left alone.
    let again = run(&folder, &["new", "guest", "hello"], 2);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));

    let guest = folder.join("hello");
    snapshot::assert("build.txt", &folder, &said(&run(&guest, &["build"], 0)));
    let built = said(&run(&guest, &["build", "--json"], 0));
    snapshot::assert("build.json", &folder, &built);
    let built: Value = serde_json::from_str(&built).unwrap();
    let file = built[0]["file"].as_str().unwrap();
    let code = fs::read(file).unwrap();
    assert_eq!(built[0]["code_hash"], Hash32::of(&code).to_string());
    let written = fs::metadata(file).unwrap().modified().unwrap();
    let component = said(&run(&guest, &["build", "--component", "--json"], 0));
    assert!(component.contains("\"wasi-p2\""), "{component}");
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written, "the same is not written");

    cargo(&guest, &["test"]);
    snapshot::assert("test.txt", &folder, &said(&run(&guest, &["test"], 0)));
    snapshot::assert("test.json", &folder, &said(&run(&guest, &["test", "--json"], 0)));

    let limits =
        ["--storage-reads", "1", "--storage-writes", "1", "--journal-bytes", "256", "--json"];
    let arguments =
        ["run", file, "--input", "Ada", "--storage-file", "storage.json", "--keep-storage"];
    for visit in 1..=2 {
        let ran = said(&run(&guest, &[&arguments[..], &limits].concat(), 0));
        let ran: Value = serde_json::from_str(&ran).unwrap();
        assert_eq!(ran["status"], "completed");
        let stored = fs::read_to_string(guest.join("storage.json")).unwrap();
        assert_eq!(stored, format!("{{\n  \"visits\": \"{visit}\"\n}}\n"));
    }
}

#[test]
fn what_a_run_and_an_estimate_show_is_agreed_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    // It writes hello, and imports nothing that a compiler could change.
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\0a")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;
    fs::write(folder.join("hello.wasm"), wat::parse_str(guest).unwrap()).unwrap();
    for (name, arguments) in [
        ("run.txt", &["run", "hello.wasm"][..]),
        ("run.json", &["run", "hello.wasm", "--json"]),
        ("estimate.txt", &["estimate", "hello.wasm"]),
        ("estimate.json", &["estimate", "hello.wasm", "--json"]),
    ] {
        snapshot::assert(name, &folder, &said(&run(&folder, arguments, 0)));
    }
    let failed = run(&folder, &["run", "hello.wasm", "--fuel", "1"], 1);
    snapshot::assert("run-out-of-fuel.txt", &folder, &said(&failed));
}

#[test]
fn a_case_that_differs_fails_and_shows_how_until_it_is_updated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    run(&folder, &["new", "guest", "hello"], 0);
    let guest = folder.join("hello");
    let case = |name: &str| guest.join("cases").join(name);
    fs::write(case("first-visit/expected"), "Hello Ada,\nthis is visit 7.\n").unwrap();
    fs::write(case("second-visit/expected.storage.json"), "{}").unwrap();
    // Without a name in the input, the guest exits with 1.
    fs::create_dir(case("nobody")).unwrap();
    let failed = run(&guest, &["test"], 1);
    snapshot::assert("test-failed.txt", &folder, &said(&failed));
    assert!(!said(&failed).contains('\x1b'), "there are no colours but on a terminal");
    snapshot::assert(
        "test-failed.json",
        &folder,
        &said(&run(&guest, &["test", ".", "first", "--json"], 1)),
    );

    run(&guest, &["test", "--update"], 0);
    run(&guest, &["test"], 0);
    let read = |name| fs::read_to_string(case(name)).unwrap();
    assert_eq!(read("first-visit/expected"), "Hello Ada, this is visit 1.\n");
    assert_eq!(read("nobody/expected.status"), "exited with 1\n");
    assert!(!case("nobody/expected").exists());

    for (setting, reason) in [
        (r#"{"limits": {"output": 1}}"#, "unknown field"),
        (r#"{"predecessor": "No Account"}"#, "case.json"),
        (r#"{"storage": {"a": 1}}"#, "the value of \"a\" is no text"),
        ("{", "case.json"),
    ] {
        fs::write(case("nobody/case.json"), setting).unwrap();
        let stopped = run(&guest, &["test", ".", "nobody"], 2);
        let stderr = String::from_utf8_lossy(&stopped.stderr);
        assert!(stderr.contains(reason) && stderr.contains("nobody"), "{stderr}");
    }
    let none = run(&guest, &["test", ".", "somebody"], 2);
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no such case"));
}

#[test]
fn a_guest_that_does_not_build_is_no_guest() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["new", "guest", "hello"], 0);
    let guest = folder.path().join("hello");
    fs::write(guest.join("src/main.rs"), "fn main() { nothing() }").unwrap();
    for command in ["build", "test"] {
        let failed = run(&guest, &[command], 2);
        let stderr = String::from_utf8_lossy(&failed.stderr);
        assert!(stderr.contains("cannot find function `nothing`"), "{stderr}");
        assert!(stderr.contains("hello does not build"), "{stderr}");
    }
    let nothing = run(folder.path(), &["build"], 2);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("outlayer new guest NAME"));
}
