//! A user's home folder and terminal, and snapshots of what the command prints there.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use near_workspaces::Account;
use outlayer_integration_tests::{Testbed, artifacts::workspace, node};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A user with a home folder, who has said once which network and contract are meant.
pub(crate) struct Home {
    folder: TempDir,
    rpc_url: String,
    network: &'static str,
    contract: String,
    /// Names that differ from run to run, and what stands for them in snapshots.
    names: Vec<(String, String)>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The JSON of a command that ended with this code.
    pub(crate) fn with(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "expected the exit code {code}: {self:?}");
        Ok(self)
    }
}

impl Home {
    pub(crate) fn new(testbed: &Testbed) -> Result<Self> {
        let names = vec![
            (testbed.contract.id().to_string(), "outlayer.testnet".to_owned()),
            (testbed.worker.id().to_string(), "worker.testnet".to_owned()),
        ];
        let contract = testbed.contract.id().to_string();
        Ok(Self { contract, names, ..Self::at(&testbed.node.rpc_addr(), "localnet")? })
    }

    /// A user of a network on which no contract is deployed yet.
    pub(crate) fn at(rpc_url: &str, network: &'static str) -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            rpc_url: rpc_url.to_owned(),
            network,
            contract: String::new(),
            names: Vec::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Has snapshots say `name` for an account.
    pub(crate) fn call(&mut self, account: &str, name: &str) {
        self.names.push((account.to_owned(), name.to_owned()));
    }

    /// The place of an account's credentials.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.path().join(".near-credentials").join(self.network)
    }

    /// Writes an account's key as near-cli-rs writes the first key of an account.
    pub(crate) fn import(&self, account: &Account) -> Result<PathBuf> {
        fs::create_dir_all(self.credentials().join(account.id().as_str()))?;
        let key = account.secret_key();
        let content = json!({
            "seed_phrase_hd_path": "m/44'/397'/0'",
            "master_seed_phrase": "shoe tape spin",
            "implicit_account_id": "0".repeat(64),
            "public_key": key.public_key().to_string(),
            "private_key": key.to_string(),
        });
        let name = key.public_key().to_string().replace(':', "_");
        let paths = [
            self.credentials().join(account.id().as_str()).join(format!("{name}.json")),
            self.credentials().join(format!("{}.json", account.id())),
        ];
        for path in &paths {
            fs::write(path, content.to_string())?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        let [_, path] = paths;
        Ok(path)
    }

    /// A command of this user, with nothing else in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(node::testbed_binary()?);
        command
            .arg("outlayer")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("OUTLAYER_NETWORK", self.network)
            .env("OUTLAYER_RPC_URL", &self.rpc_url)
            .env("OUTLAYER_CONTRACT", &self.contract);
        Ok(command)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Said> {
        self.output(self.command(arguments)?).await
    }

    pub(crate) async fn output(&self, mut command: Command) -> Result<Said> {
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Ok(Said { code: output.status.code(), stdout, stderr })
    }

    /// Compares what a command printed with the snapshot of this name, after the values that differ
    /// from run to run have been replaced. `UPDATE_SNAPSHOTS=1` writes the snapshot anew.
    pub(crate) fn snapshot(&self, name: &str, said: &Said) -> Result<()> {
        let shown = format!(
            "exit code {}\n--- stdout\n{}",
            said.code.unwrap_or(-1),
            self.normalised(&said.stdout)
        );
        let path = workspace()
            .join("integration-tests/tests/suite/commands/snapshots")
            .join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(&path, &shown)?;
        }
        let expected = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(
            shown == expected,
            "{name} differs from its snapshot (UPDATE_SNAPSHOTS=1 writes it anew)\n\
             --- found\n{shown}\n--- expected\n{expected}\n--- stderr\n{}",
            said.stderr
        );
        Ok(())
    }

    fn normalised(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, name) in &self.names {
            text = text.replace(found, name);
        }
        text = text.replace(&self.path().display().to_string(), "~");
        let mut shown = String::new();
        let mut word = String::new();
        for letter in text.chars().chain([' ']) {
            if letter.is_ascii_alphanumeric() {
                word.push(letter);
                continue;
            }
            shown.push_str(&placeholder(&word));
            word.clear();
            shown.push(letter);
        }
        shown.pop();
        shown
    }
}

/// What stands for a word that differs from run to run.
fn placeholder(word: &str) -> String {
    let digits = word.bytes().all(|letter| letter.is_ascii_digit());
    let hex = word.bytes().all(|letter| letter.is_ascii_hexdigit());
    if word.len() == 64 && hex {
        "<sha256>".to_owned()
    } else if (41..=44).contains(&word.len()) && !digits {
        "<base58>".to_owned()
    } else if digits && word.len() > 1 {
        "<number>".to_owned()
    } else {
        word.to_owned()
    }
}
