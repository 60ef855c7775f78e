//! What the command does with its output.

use std::{io, process::Command};

use serde_json::Value;

#[test]
fn a_reader_that_has_gone_ends_the_command_without_a_panic() {
    for arguments in [&["estimate"][..], &["estimate", "--json"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let command =
            Command::new(env!("CARGO_BIN_EXE_outlayer")).args(arguments).stdout(writer).output();
        let ended = command.unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    }
}

#[test]
fn an_error_is_a_line_of_json_for_whoever_asked_for_json() {
    let run = |arguments: &[&str]| {
        let ended = Command::new(env!("CARGO_BIN_EXE_outlayer")).args(arguments).output().unwrap();
        assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(2), &b""[..]));
        String::from_utf8(ended.stderr).unwrap()
    };
    let told = run(&["run", "absent.wasm", "--json"]);
    let said: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((told.lines().count(), &said["exit_code"]), (1, &Value::from(2)));
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("absent.wasm"), "{error}");
    // This one is the guest's argument.
    let told = run(&["run", "absent.wasm", "--arg=--json"]);
    assert!(told.starts_with(&format!("outlayer: {error}")), "{told}");
}
