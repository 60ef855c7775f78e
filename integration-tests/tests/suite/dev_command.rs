//! `outlayer dev`, as a developer has it in a terminal.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use near_workspaces::{Account, network::ValidatorKey, types::NearToken};
use outlayer_integration_tests::{artifacts, node, testbed::DAPP_GAS};
use outlayer_protocol::{
    CodeSource, ExecutionRequest, Outcome, SecretRef, Settlement, methods, views::CostView,
};
use serde_json::{Value, json};

/// A running `outlayer dev` that prints JSON.
struct Dev {
    process: Child,
    lines: BufReader<ChildStdout>,
}

fn command(state: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(artifacts::workspace().join("scripts/with-wasm"));
    command.arg(node::testbed_binary()?).env("OUTLAYER_QUIET", "yes");
    command.args(["outlayer", "dev", "--json", "--state"]).arg(state).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

impl Dev {
    fn start(state: &Path, guest: &Path) -> Result<(Self, Value)> {
        let mut command = command(state, &["--rpc-addr", "127.0.0.1:0"])?;
        let mut process = command.arg(guest).stderr(Stdio::inherit()).spawn()?;
        let lines = BufReader::new(process.stdout.take().context("its output")?);
        let mut dev = Self { process, lines };
        let ready = dev.event("ready")?;
        Ok((dev, ready))
    }

    /// The next event of this name. Others before it are passed over.
    fn event(&mut self, name: &str) -> Result<Value> {
        loop {
            let mut line = String::new();
            ensure!(self.lines.read_line(&mut line)? > 0, "it ended without the event {name}");
            let event: Value = serde_json::from_str(&line).context(line)?;
            if event["event"] == name {
                return Ok(event);
            }
            ensure!(event["event"] != "failed" || name == "settled", "{event}");
        }
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> Result<ExitStatus> {
        let id = self.process.id().to_string();
        let begun = Instant::now();
        ensure!(Command::new("kill").args(["-INT", &id]).status()?.success());
        self.event("stopped")?;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > crate::common::PATIENCE {
                bail!("it has not ended");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has alice ask for the guest under its name, and returns the settlement.
async fn ask(state: &Path, ready: &Value, input: &str) -> Result<Settlement> {
    ask_with(state, ready, input, Vec::new()).await
}

/// The same, with secrets of alice's.
async fn ask_with(
    state: &Path,
    ready: &Value,
    input: &str,
    secrets: Vec<SecretRef>,
) -> Result<Settlement> {
    let rpc_url = ready["rpc_url"].as_str().context("rpc_url")?;
    let key = ValidatorKey::HomeDir(state.join("home"));
    let node = near_workspaces::sandbox().rpc_addr(rpc_url).validator_key(key).await?;
    let account = &ready["accounts"][2];
    assert_eq!(account["account_id"], "alice.test.near");
    let key_file = account["key_file"].as_str().context("key_file")?;
    let alice = Account::from_file(key_file, &node)?;
    let source = CodeSource::Named { name: "alice.test.near/guest".to_owned() };
    let request = ExecutionRequest { secrets, ..ExecutionRequest::new(source, input) };
    let contract = ready["contract_id"].as_str().context("contract_id")?.parse()?;
    let cost: CostView = node
        .view(&contract, methods::ESTIMATE_COST)
        .args_json(json!({ "request": request }))
        .await?
        .json()?;
    let call = alice
        .call(&contract, methods::REQUEST_EXECUTION)
        .args_json(json!({ "request": request }))
        .deposit(NearToken::from_yoctonear(cost.total.as_yoctonear()));
    Ok(call.gas(DAPP_GAS).transact().await?.into_result()?.json()?)
}

/// Has alice keep a secret for this code.
fn put_secret(ready: &Value, code: &str) -> Result<()> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    let key_file = text(&ready["accounts"][2]["key_file"])?;
    let mut command = Command::new(node::testbed_binary()?);
    command
        .args(["outlayer", "secrets", "put", "API_KEY", "--for", code, "--key-file", &key_file])
        .args(["--rpc-url", &text(&ready["rpc_url"])?])
        .args(["--contract", &text(&ready["contract_id"])?])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut put = command.spawn()?;
    put.stdin.take().context("its input")?.write_all(b"hunter2")?;
    ensure!(put.wait()?.success(), "the secret is not kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_has_a_network_whose_guests_follow_their_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (state, guest) = (folder.path().join("state"), folder.path().join("guest.wasm"));
    let (echo, other) = (artifacts::wasm("echo")?, artifacts::wasm("context")?);
    fs::write(&guest, &echo)?;
    let (mut dev, ready) = Dev::start(&state, &guest)?;
    assert_eq!(ready["continued"], false);
    assert_eq!(
        (&ready["guests"][0]["version"], &ready["guests"][0]["code_bytes"]),
        (&json!(1), &json!(echo.len()))
    );

    let settled = ask(&state, &ready, "hello").await?;
    let Outcome::Completed { output } = settled.outcome else { bail!("{:?}", settled.outcome) };
    assert_eq!(output.0, b"hello");
    let executed = dev.event("executed")?;
    assert_eq!((&executed["status"], &executed["request_id"]), (&json!("completed"), &json!(0)));
    dev.event("settled")?;

    fs::write(&guest, &other)?;
    let published = dev.event("published")?;
    assert_eq!(
        (&published["name"], &published["version"]),
        (&json!("alice.test.near/guest"), &json!(2))
    );
    let settled = ask(&state, &ready, "").await?;
    let Outcome::Completed { output } = settled.outcome else { bail!("{:?}", settled.outcome) };
    assert!(String::from_utf8_lossy(&output).contains("alice.test.near"), "{output:?}");

    // Its worker opens secrets.
    put_secret(&ready, "alice.test.near/guest@2")?;
    let secret = SecretRef { owner_id: None, name: "API_KEY".to_owned() };
    let settled = ask_with(&state, &ready, "", vec![secret]).await?;
    assert_eq!(settled.outcome.name(), "completed");

    // A build that went wrong does not end anything.
    fs::write(&guest, "no Wasm")?;
    let mut line = String::new();
    while !line.contains("\"failed\"") {
        line.clear();
        ensure!(dev.lines.read_line(&mut line)? > 0, "it ended");
    }
    assert!(line.contains("the version before it stays"), "{line}");

    // Nobody else can use the same folder, or the same port.
    let url = ready["rpc_url"].as_str().context("rpc_url")?;
    let address = url.trim_start_matches("http://");
    let second = command(&state, &["--rpc-addr", "127.0.0.1:0"])?.output()?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.code() == Some(2) && said.contains("in use"), "{said}");
    let second = command(&folder.path().join("other"), &["--rpc-addr", address])?.output()?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.code() == Some(2) && said.contains("--rpc-addr"), "{said}");

    assert_eq!(dev.interrupt()?.code(), Some(0));
    fs::write(&guest, &other)?;
    let (dev, ready) = Dev::start(&state, &guest)?;
    assert_eq!((&ready["continued"], &ready["guests"][0]["version"]), (&json!(true), &json!(2)));
    ask(&state, &ready, "").await?;
    assert_eq!(dev.interrupt()?.code(), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_built_and_published_again_when_its_source_changes() -> Result<()> {
    artifacts::wasm("outlayer_contract")?;
    let folder = tempfile::tempdir()?;
    let (state, guest) = (folder.path().join("state"), folder.path().join("guest"));
    let mut new = Command::new(node::testbed_binary()?);
    ensure!(new.args(["outlayer", "new", "guest"]).arg(&guest).output()?.status.success());
    // The greeting without the visits, which would need storage.
    let source = guest.join("src/main.rs");
    let greeting = |word: &str| {
        format!(
            "fn main() {{ outlayer_sdk::output::write(format!(\"{word} {{}}\", \
             outlayer_sdk::input::text().unwrap())); }}"
        )
    };
    fs::write(&source, greeting("Hello"))?;
    let (mut dev, ready) = Dev::start(&state, &guest)?;
    let settled = ask(&state, &ready, "Ada").await?;
    let Outcome::Completed { output } = settled.outcome else { bail!("{:?}", settled.outcome) };
    assert_eq!(output.0, b"Hello Ada");

    fs::write(&source, greeting("Welcome"))?;
    assert_eq!(dev.event("published")?["version"], 2);
    let settled = ask(&state, &ready, "Ada").await?;
    let Outcome::Completed { output } = settled.outcome else { bail!("{:?}", settled.outcome) };
    assert_eq!(output.0, b"Welcome Ada");
    assert_eq!(dev.interrupt()?.code(), Some(0));
    Ok(())
}
