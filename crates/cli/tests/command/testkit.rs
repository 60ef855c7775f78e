//! `outlayer testkit`, which the test kit starts. What it runs ends with whoever started it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn outlayer(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlayer"));
    command.arg("testkit").args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn ends(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    false
}

#[test]
fn it_says_what_it_is() {
    let answer = outlayer(&["about"]).output().unwrap();
    let about: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["engine_version"], outlayer_guest::ENGINE_VERSION.0);
    assert_eq!(about["near_config_version"], outlayer_guest::NEAR_CONFIG_VERSION);
    let contract = about["contract_sha256"].as_str().unwrap();
    assert!(include_str!("../../../contract-wasm/wasm/SHA256SUMS").starts_with(contract));
}

#[test]
fn a_node_ends_with_its_input_and_leaves_no_files() {
    let mut node = outlayer(&["node", "--block-time", "50"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let home = Path::new(started["home"].as_str().unwrap());
    assert!(home.join("genesis.json").exists());
    assert!(node.try_wait().unwrap().is_none());
    drop(node.stdin.take());
    assert!(ends(&mut node), "the node still runs");
    assert!(!home.exists());
}

/// Whoever starts the node is killed, and so says nothing to it.
#[test]
fn a_node_ends_when_its_test_is_killed() {
    let script = r#"exec 3>&1; sleep 600 | "$0" testkit node"#;
    let mut test = Command::new("sh");
    test.args(["-c", script, env!("CARGO_BIN_EXE_outlayer")]).stdout(Stdio::piped());
    // The shell, the sleep that holds the node's input, and the node are one group.
    std::os::unix::process::CommandExt::process_group(&mut test, 0);
    let mut test = test.spawn().unwrap();
    let mut output = BufReader::new(test.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let home = Path::new(started["home"].as_str().unwrap());
    assert!(home.exists());
    let sleep = child_named(test.id(), "sleep");
    let killed = Command::new("kill").args(["-9", &sleep]).status().unwrap();
    assert!(killed.success());
    assert!(ends(&mut test), "the node still runs");
    assert!(!home.exists());
}

/// The id of the child of this process that runs the program `name`, when it does: a process is
/// made before it runs its program.
fn child_named(process: u32, name: &str) -> String {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let children = format!("/proc/{process}/task/{process}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let found = children.split_whitespace().find(|id| {
            std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|is| is.trim() == name)
        });
        if let Some(id) = found {
            return id.to_owned();
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{process} has no child {name}");
}

#[test]
fn a_command_that_it_runs_ends_with_its_input() {
    // Nobody answers there, so the worker would wait for ever.
    let mut worker = outlayer(&["run", "worker", "run"]);
    let key = near_crypto::SecretKey::from_seed(near_crypto::KeyType::ED25519, "worker");
    worker
        .env("OUTLAYER_RPC_URL", "http://127.0.0.1:1")
        .env("OUTLAYER_CONTRACT", "outlayer.near")
        .env("OUTLAYER_WORKER_ACCOUNT", "worker.near")
        .env("OUTLAYER_SECRET_KEY", key.to_string())
        .env("OUTLAYER_SHUTDOWN_GRACE", "0");
    let mut worker = worker.spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let early = worker.try_wait().unwrap();
    assert!(early.is_none(), "{early:?}");
    drop(worker.stdin.take());
    assert!(ends(&mut worker), "the worker still runs");
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let status = |args: &[&str]| {
        let mut command = outlayer(args).stderr(Stdio::null()).spawn().unwrap();
        // Its input stays open until it has ended.
        let _input = command.stdin.take();
        command.wait().unwrap().code()
    };
    assert_eq!(status(&["run", "estimate", "/nonexistent"]), Some(1));
    assert_eq!(status(&["node", "--block-time", "0"]), Some(2));
}
