//! Every command in the README and in `docs/` is run, or is on a list that says why not.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result, ensure};
use outlayer_integration_tests::{artifacts, node};

/// Pages whose commands a test in another file reads and runs. Those of operators.md that are not
/// this command's want a machine of their own; `scripts/check-deploy` checks what they install.
const ELSEWHERE: [(&str, &str); 3] = [
    ("secrets.md", include_str!("commands/secrets.rs")),
    ("testnet.md", include_str!("commands/testnet_page.rs")),
    ("operators.md", include_str!("operator_commands.rs")),
];

/// Commands of the README that are not run here, and why.
const NOT_RUN: [(&str, &str); 3] = [
    ("scripts/demo", "it builds this test's programs; what it shows is run below"),
    ("scripts/test", "it runs this test"),
    ("LOCALNET_PROTOCOL_VERSION=84 cargo test --workspace --test suite", "it runs this test"),
];

/// The commands of a page: the lines of blocks that are indented as code, or fenced as `sh`.
fn commands(page: &str) -> Vec<&str> {
    let (mut fence, mut commands, mut above) = (None, Vec::new(), "");
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if fence == Some("sh") {
            commands.push(line);
        } else if fence.is_none() && (above.is_empty() || above.starts_with("    ")) {
            commands.extend(line.strip_prefix("    "));
        }
        above = line;
    }
    commands.retain(|line| !line.trim().is_empty());
    commands
}

/// A folder in which the commands find what the pages speak of, as in this tree.
fn prepare(folder: &Path) -> Result<()> {
    artifacts::wasm("outlayer_contract")?;
    let workspace = artifacts::workspace();
    let debug = folder.join("target/debug");
    fs::create_dir_all(&debug)?;
    let command = format!(
        "#!/bin/sh\nOUTLAYER_QUIET=yes exec '{}/scripts/with-wasm' '{}' outlayer \"$@\"\n",
        workspace.display(),
        node::testbed_binary()?.display()
    );
    write_script(&debug.join("outlayer"), &command)?;
    symlink(workspace.join("target/wasm"), folder.join("target/wasm"))?;
    Ok(())
}

/// Writes a script that can be run. Another process writes it: if this one had it open, a process
/// that another test starts at that moment would have it open too, and the system would not run it.
fn write_script(path: &Path, script: &str) -> Result<()> {
    let mut command = Command::new("sh");
    let write = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
    let written = command.args(["-c", write]).arg(path).arg(script).status()?;
    ensure!(written.success(), "{} cannot be written", path.display());
    Ok(())
}

/// A port at which nobody listens. It is none of those that the system gives to whoever asks for
/// any, so it stays free until the commands need it.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(process::id() % 500)? * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
        ensure!(port < 32_000, "no port from {first} on is free");
    }
}

/// Runs the commands one after the other in one shell. One that begins with `outlayer dev` runs on
/// beside the others, from when it is ready, at a free port, which the others then use.
fn run(folder: &Path, commands: &[String]) -> Result<()> {
    let port = free_port()?.to_string();
    let mut script = "set -euo pipefail\n\
        trap '[ -z \"$(jobs -p)\" ] || kill -INT $(jobs -p); wait' EXIT\n"
        .to_owned();
    for line in commands {
        script += &format!("printf '==> %s\\n' {}\n", quoted(line));
        if line.starts_with("outlayer dev") {
            script += &format!(
                "{line} --rpc-addr 127.0.0.1:{port} >dev.log 2>&1 &\n\
                 for i in $(seq 6000); do grep -q 'Ready in' dev.log && break; sleep 0.1; done\n\
                 grep 'Ready in' dev.log || {{ cat dev.log; exit 1; }}\n\
                 export OUTLAYER_RPC_URL=http://127.0.0.1:{port}\n"
            );
        } else {
            script += &format!("{line}\n");
        }
    }
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(folder);
    // What the cargo around this test has set for itself.
    for (name, _) in std::env::vars() {
        let kept = name == "CARGO_HOME";
        if !kept && (name.starts_with("CARGO") || name.starts_with("OUTLAYER")) {
            shell.env_remove(name);
        }
    }
    let output = shell.output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{said}\n{errors}");
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn the_commands_of_the_readme_run_as_printed() -> Result<()> {
    let page = fs::read_to_string(artifacts::workspace().join("README.md"))?;
    let commands = commands(&page);
    let not_run: BTreeSet<_> = NOT_RUN.iter().map(|(command, _)| *command).collect();
    for command in &not_run {
        ensure!(commands.contains(command), "the README has no {command} any more");
    }
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let scripts = artifacts::workspace().join("scripts");
    let mut steps = Vec::new();
    for line in commands.into_iter().filter(|line| !not_run.contains(line)) {
        let line = line.replace("scripts/", &format!("{}/", scripts.display()));
        // The two lines about components are for whoever stands in the folder of a guest.
        if line.starts_with("cargo build") {
            steps.push("target/debug/outlayer new guest guest; cd guest".to_owned());
            steps.push(format!("{}/with-wasm {line}", scripts.display()));
        } else if line.contains("componentize") {
            steps.push(line.replace("target/debug/outlayer", "../target/debug/outlayer"));
            steps.push("cd ..".to_owned());
        } else {
            steps.push(line);
        }
    }
    ensure!(steps.len() > 8, "{steps:?}");
    run(folder.path(), &steps)
}

#[test]
fn the_commands_of_a_developers_first_hour_run_as_printed() -> Result<()> {
    let page = fs::read_to_string(artifacts::workspace().join("docs/first-hour.md"))?;
    // The contract depends on near-sdk, which stays compiled for the next run. The compiler's flags
    // name the project's folder, so that must be the same each time.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&place)?;
    let lock = fs::File::create(place.join("lock"))?;
    lock.lock()?;
    let (tree, built) = (place.join("outlayer"), place.join("built"));
    for folder in ["outlayer", "first-hour"] {
        match fs::remove_dir_all(place.join(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    prepare(&tree)?;
    let mut steps = Vec::new();
    for line in commands(&page) {
        steps.push(line.to_owned());
        if line == "cd asker" {
            // The versions that this workspace has, so that nothing has to be downloaded.
            let lock = artifacts::workspace().join("Cargo.lock");
            steps.push(format!("cp {} .", quoted(&lock.display().to_string())));
            let built = quoted(&built.display().to_string());
            steps.push(format!("export CARGO_TARGET_DIR={built}"));
        }
    }
    let count = |begin: &str| steps.iter().filter(|step| step.starts_with(begin)).count();
    ensure!(count("outlayer dapp") == 3 && count("outlayer") > 12, "{steps:?}");
    run(&tree, &steps)
}

#[test]
fn no_page_is_without_a_test_of_its_commands() -> Result<()> {
    for entry in fs::read_dir(artifacts::workspace().join("docs"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a page's name")?;
        let named = |(page, test): &(&str, &str)| {
            *page == name && test.contains(&format!("join(\"docs/{page}\")"))
        };
        let tested = name == "first-hour.md" || ELSEWHERE.iter().any(named);
        let page = fs::read_to_string(&path)?;
        ensure!(tested || commands(&page).is_empty(), "nobody runs the commands of docs/{name}");
    }
    Ok(())
}

#[test]
fn the_demo_shows_what_the_readme_says() -> Result<()> {
    let programs = node::testbed_binary()?;
    let programs = programs.parent().context("the folder of programs")?;
    let output = Command::new(programs.join("examples/demo")).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["timed_out", "Both came out right."] {
        ensure!(said.contains(part), "no {part}: {said}");
    }
    Ok(())
}

#[test]
fn the_first_hour_takes_as_few_steps_as_the_script_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let mut script = Command::new(artifacts::workspace().join("scripts/first-hour"));
    script.arg("--short").env("OUTLAYER_BIN_PATH", folder.path().join("target/debug/outlayer"));
    for (name, _) in std::env::vars() {
        if name != "CARGO_HOME" && name.starts_with("CARGO") {
            script.env_remove(name);
        }
    }
    let output = script.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("all together"), "{said}");
    Ok(())
}
