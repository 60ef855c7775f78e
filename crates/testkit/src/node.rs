//! The NEAR node of a test.

use std::{path::PathBuf, process::Stdio, time::Duration};

use near_workspaces::{
    Worker,
    network::{Sandbox, ValidatorKey},
};
use serde::Deserialize;

use crate::{Error, Program, Result, error::Asked as _, process::Process};

/// The environment variable that names the binary of another node, such as near-sandbox's.
pub const NODE: &str = "NEAR_SANDBOX_BIN_PATH";
/// How long the node may take to start. The machine may be slow.
const START: Duration = Duration::from_secs(60);

/// What the command prints when its node is ready.
#[derive(Deserialize)]
struct Started {
    rpc_url: String,
    home: PathBuf,
}

/// Starts the node that the environment names, or else the command's own, which makes a block each
/// time that `block_time` has passed, or as soon as there is work.
pub(crate) async fn start(
    program: &Program,
    block_time: Option<Duration>,
) -> Result<(Worker<Sandbox>, Option<Process>)> {
    if std::env::var_os(NODE).is_some() {
        let node = near_workspaces::sandbox().await;
        return Ok((node.asked("starting the node that NEAR_SANDBOX_BIN_PATH names")?, None));
    }
    let mut command = program.command();
    command.args(["testkit", "node"]).stdout(Stdio::piped());
    if let Some(block_time) = block_time {
        command.arg("--block-time").arg(block_time.as_millis().to_string());
    }
    let starting = tokio::task::spawn_blocking(move || {
        let mut process = Process::start(command, "the node", Box::new(|_| {}))?;
        let line = process.first_line(START)?;
        let started: Started = serde_json::from_str(&line)
            .map_err(|error| Error::answer("the node's first line", error))?;
        Ok((started, process))
    });
    let joined = starting.await.map_err(|error| Error::answer("the node", error))?;
    let (Started { rpc_url, home }, process) = joined?;
    let node = near_workspaces::sandbox().rpc_addr(&rpc_url);
    let node = node.validator_key(ValidatorKey::HomeDir(home)).await;
    Ok((node.asked("reaching the node")?, Some(process)))
}
