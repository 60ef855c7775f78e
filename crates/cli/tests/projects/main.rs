//! What a developer does with a project of their own: new, build, test, run.
#![allow(clippy::unwrap_used)]

mod dapp;
mod guest;
mod manual;
mod snapshot;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The workspace's root folder.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The command in `folder`, which can build Wasm there.
fn outlayer(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace().join("scripts/with-wasm"));
    command.arg(env!("CARGO_BIN_EXE_outlayer")).args(arguments).current_dir(folder);
    command.env("OUTLAYER_QUIET", "yes").env_remove("OUTLAYER_SOURCES").env_remove("NO_COLOR");
    command
}

/// Runs it, and asserts how it exits.
fn run(folder: &Path, arguments: &[&str], expected: i32) -> Output {
    let output = outlayer(folder, arguments).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(expected),
        "outlayer {arguments:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What it prints.
fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Cargo for this machine, in `folder`, without what the cargo around this test has set for itself.
fn cargo(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).arg("--offline").current_dir(folder);
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_") || name.starts_with("__CARGO") {
            command.env_remove(name);
        }
    }
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        command.env("CARGO_HOME", home);
    }
    // Many dependencies take long to compile, so what was built is kept for the next run.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder.file_name().unwrap());
    command.env("CARGO_TARGET_DIR", kept);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
