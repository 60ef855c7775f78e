//! Every command of `docs/testnet.md` is run, in its order, against a node that calls itself
//! testnet.

use std::{
    collections::HashMap,
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use near_workspaces::{Account, types::NearToken};
use outlayer_integration_tests::{artifacts, node};
use outlayer_localnet::Config;
use outlayer_protocol::Hash32;
use serde_json::json;

use super::home::Home;

/// The page's commands: the lines that are indented as code.
fn commands(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("    ")).collect()
}

/// A line of a shell as words. Quotes are those of a shell; nothing else of it occurs.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().into_iter().for_each(|word| word.push(letter)),
        }
    }
    words
}

/// A process that ends with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the page's commands have come to.
struct Walk {
    home: Home,
    you: Account,
    variables: HashMap<String, String>,
    background: Vec<Background>,
    /// Whether the page has put the command on the path, from the folder where it is built.
    is_on_path: bool,
}

/// The line that does so.
const PATH: &str = "export PATH=\"$PWD/target/debug:$PATH\"";

impl Walk {
    /// What a command of the page must exit with: 0, unless the page says otherwise.
    fn expected(words: &[String]) -> i32 {
        match words.get(1).map(String::as_str) {
            Some("claim" | "upgrade") => 1,
            _ => 0,
        }
    }

    async fn step(&mut self, line: &str) -> Result<()> {
        let words = words(line);
        match words.first().map(String::as_str) {
            Some("export") if line == PATH => self.is_on_path = true,
            Some("export") => {
                let (name, value) =
                    words.get(1).and_then(|word| word.split_once('=')).context("NAME=VALUE")?;
                self.variables.insert(name.to_owned(), value.to_owned());
            }
            // The folder is made by the account's creation.
            Some("chmod") => ensure!(line == "chmod -R go= ~/.near-credentials", "{line}"),
            Some("near") => self.near(&words).await?,
            Some("outlayer") => {
                ensure!(self.is_on_path, "the page has not said yet how `outlayer` is found");
                self.outlayer(&words).await?;
            }
            _ => bail!("the test does not know how to run this line"),
        }
        Ok(())
    }

    /// What near-cli-rs would do.
    async fn near(&mut self, words: &[String]) -> Result<()> {
        match words.get(3).map(String::as_str) {
            Some("sponsor-by-faucet-service") => {
                self.home.import(&self.you)?;
            }
            Some("fund-myself") => {
                let id = words.get(4).context("the account")?;
                let name =
                    id.strip_suffix(&format!(".{}", self.you.id())).context("a subaccount")?;
                let created = self.you.create_subaccount(name);
                let created = created.initial_balance(NearToken::from_near(1)).transact().await?;
                self.home.import(&created.into_result()?)?;
            }
            _ => bail!("near-cli-rs has no stand-in for this command"),
        }
        Ok(())
    }

    async fn outlayer(&mut self, words: &[String]) -> Result<()> {
        let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let mut command = self.home.command(&arguments)?;
        command.env_remove("OUTLAYER_CONTRACT").env_remove("OUTLAYER_NETWORK");
        command.envs(&self.variables);
        if arguments.starts_with(&["worker", "run"]) {
            let log = fs::File::create(self.home.path().join("worker.log"))?;
            command.stdout(Stdio::null()).stderr(log).process_group(0);
            self.background.push(Background(command.spawn()?));
            return Ok(());
        }
        let said = self.home.output(command).await?;
        let expected = Self::expected(words);
        // How fast this machine is while it runs other tests says nothing about the page.
        if arguments.first() == Some(&"doctor") {
            ensure!(said.stdout.contains("ok    registration"), "{said:?}");
            return Ok(());
        }
        let log = fs::read_to_string(self.home.path().join("worker.log")).unwrap_or_default();
        ensure!(said.code == Some(expected), "expected {expected}: {said:?}\n{log}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_testnet_page_works() -> Result<()> {
    let genesis_patch = Some(json!({ "chain_id": "testnet" }));
    let config = Config { genesis_patch, ..Config::default() };
    let (handle, worker) = node::start_within(config).await?;
    let you = worker.dev_create_account().await?;
    let home = Home::at(&handle.rpc_url(), "testnet")?;
    for folder in ["target", "crates/contract-wasm"] {
        fs::create_dir_all(home.path().join(folder))?;
    }
    artifacts::wasm("outlayer_contract")?;
    let wasm = artifacts::workspace().join("target/wasm");
    std::os::unix::fs::symlink(wasm, home.path().join("target/wasm"))?;
    let deployed = "crates/contract-wasm/wasm";
    std::os::unix::fs::symlink(artifacts::workspace().join(deployed), home.path().join(deployed))?;
    let page = fs::read_to_string(artifacts::workspace().join("docs/testnet.md"))?;
    let echo = Hash32::of(&artifacts::wasm("echo")?).to_string();
    let mut walk =
        Walk { home, you, variables: HashMap::new(), background: Vec::new(), is_on_path: false };
    let lines = commands(&page);
    assert!(lines.len() > 20, "{lines:?}");
    for line in lines {
        let line = line.replace("you.testnet", walk.you.id().as_str()).replace("HASH", &echo);
        walk.step(&line).await.with_context(|| format!("docs/testnet.md: {line}"))?;
    }
    Ok(())
}
