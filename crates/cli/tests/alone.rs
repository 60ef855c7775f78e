//! The command with no file beside it, as on a machine that has nothing else of OutLayer.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The command in a folder where it is alone, with nothing of this machine in its environment.
fn outlayer(folder: &Path, arguments: &[&str]) -> Command {
    let program = folder.join("outlayer");
    if !program.exists() {
        let built = env!("CARGO_BIN_EXE_outlayer");
        // A link is as good as a copy, and takes no time. It does not reach another file system.
        fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `outlayer dev`, until it is ready.
fn dev(folder: &Path) -> (Child, BufReader<ChildStdout>, Value) {
    let mut dev =
        outlayer(folder, &["dev", "--rpc-addr", "127.0.0.1:0", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let Ok(ready) = serde_json::from_str(&line) else {
        let output = dev.wait_with_output().unwrap();
        panic!("{line}{}", String::from_utf8_lossy(&output.stderr));
    };
    (dev, lines, ready)
}

#[test]
fn it_makes_a_network_and_deploys_the_contract_to_another_account() {
    let folder = tempfile::tempdir().unwrap();
    let (mut dev, mut lines, ready) = dev(folder.path());
    assert_eq!(ready["event"], "ready");
    let accounts = ready["accounts"].as_array().unwrap();
    let alice = accounts.iter().find(|one| one["account_id"] == "alice.test.near").unwrap();

    let options = ["--rpc-url", ready["rpc_url"].as_str().unwrap(), "--json"];
    let key = ["--parent-key-file", alice["key_file"].as_str().unwrap()];
    let create = ["deploy", "--create", "--account", "own.alice.test.near"];
    let deployed = outlayer(folder.path(), &[&create[..], &key, &options].concat());
    let deployed = said(deployed, 0);
    assert_eq!(deployed["code_hash"], outlayer_contract_wasm::SHA256);
    assert_eq!(deployed["version"], outlayer_contract_wasm::VERSION);

    let upgrade = ["upgrade", "--contract", "own.alice.test.near"];
    let same = said(outlayer(folder.path(), &[&upgrade[..], &options].concat()), 1);
    assert_eq!(same["state"], "unchanged");

    let pid = Pid::from_raw(i32::try_from(dev.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {}
    assert!(line.ends_with("{\"event\":\"stopped\"}\n"), "{line}");
    assert_eq!(dev.wait().unwrap().code(), Some(0));
}

/// The JSON that a command prints when it ends with this code.
fn said(mut command: Command, code: i32) -> Value {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}
