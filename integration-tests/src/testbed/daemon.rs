//! The worker's daemon in a process of its own, as an operator has it.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::Testbed;
use crate::node;

/// `outlayer worker run` in a process of its own. It is killed, with its children, when this is
/// dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
    _keys: TempDir,
}

impl Testbed {
    /// Writes the key file of the registered worker into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn worker_key_file(&self, folder: &Path) -> Result<PathBuf> {
        let key_file = folder.join("worker.json");
        let secret = self.worker.secret_key();
        let credentials = json!({
            "account_id": self.worker.id(),
            "public_key": secret.public_key().to_string(),
            "private_key": secret.to_string(),
        });
        fs::write(&key_file, credentials.to_string())?;
        fs::set_permissions(&key_file, Permissions::from_mode(0o600))?;
        Ok(key_file)
    }

    /// Starts the daemon of the registered worker, which reaches the node at `rpc_url`, with these
    /// arguments beside those that every daemon needs. `wrapper` is a command that is given the
    /// daemon's command as its last arguments; it may be empty.
    ///
    /// # Errors
    /// When it does not start.
    pub fn daemon<S: AsRef<OsStr>>(
        &self,
        rpc_url: &str,
        wrapper: &[S],
        args: &[&str],
    ) -> Result<Daemon> {
        let keys = tempfile::tempdir()?;
        let key_file = self.worker_key_file(keys.path())?;
        let binary = node::testbed_binary()?;
        let mut words = wrapper.iter().map(AsRef::as_ref).chain([binary.as_os_str()]);
        let mut command = Command::new(words.next().context("a command")?);
        command
            .args(words)
            .args(["outlayer", "worker", "run", "--rpc-url", rpc_url])
            .args(["--contract", self.contract.id().as_str(), "--poll-interval", "100"])
            .arg("--key-file")
            .arg(&key_file)
            .args(args)
            // The children of the daemon are ended with it.
            .process_group(0)
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("the worker's daemon")?;
        let log: Arc<Mutex<String>> = Arc::default();
        let lines = BufReader::new(child.stderr.take().context("the daemon's log")?).lines();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Ok(Daemon { child, log, _keys: keys })
    }
}

impl Daemon {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks that it runs.
    ///
    /// # Errors
    /// When it has ended. The message has its log.
    pub fn check(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the daemon has ended: {ended:?}\n{}", self.log());
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.kill();
    }
}
