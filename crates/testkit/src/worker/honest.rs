//! A worker as an operator has it: the command `outlayer worker run`.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use near_workspaces::Account;
use tempfile::TempDir;

use crate::{
    Error, Outlayer, Result,
    process::{Process, locked},
};

/// The process of a worker.
pub(crate) struct Honest {
    process: Process,
    _state: TempDir,
}

impl Honest {
    pub(crate) fn start(outlayer: &Outlayer, account: &Account) -> Result<Self> {
        let program = outlayer.program.as_ref().ok_or_else(|| {
            Error::Program("none is set; Outlayer::set_program names one".to_owned())
        })?;
        let state = TempDir::with_prefix("outlayer-testkit-")
            .map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
        let mut command = program.command();
        command.args(["testkit", "run", "worker", "run"]);
        // The worker's settings are this test's, and not those of a worker of the developer.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OUTLAYER_") {
                command.env_remove(name);
            }
        }
        command
            .stdout(Stdio::null())
            .env("OUTLAYER_RPC_URL", outlayer.node.rpc_addr())
            .env("OUTLAYER_CONTRACT", outlayer.id().as_str())
            .env("OUTLAYER_WORKER_ACCOUNT", account.id().as_str())
            .env("OUTLAYER_SECRET_KEY", account.secret_key().to_string())
            .env("OUTLAYER_STATE_DIR", state.path())
            .env("OUTLAYER_POLL_INTERVAL", "50")
            .env("OUTLAYER_SHUTDOWN_GRACE", "0")
            .env("OUTLAYER_LOG_FORMAT", "json")
            .env("RUST_LOG", "info,outlayer_worker=debug");
        if let Some(cache) = cache_dir() {
            command.env("OUTLAYER_CACHE_DIR", cache);
        }
        let logs = Arc::clone(&outlayer.guest_logs);
        locked(&logs).listen_to(account.id().clone());
        let name = format!("the worker {}", account.id());
        let each_line = Box::new(move |line: &str| locked(&logs).take(line));
        Ok(Self { process: Process::start(command, &name, each_line)?, _state: state })
    }

    /// How the process ended, and the last lines of its log; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<(String, String)> {
        self.process.ended()?;
        let how = self.process.last_words()?;
        Some((how, self.process.last_lines()))
    }
}

/// Where workers of all tests keep what guests compile to, so that a second run compiles nothing.
fn cache_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("outlayer").join("testkit"))
}
