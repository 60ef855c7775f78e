//! The NEAR node that the tests talk to through near-workspaces.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Once, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use near_workspaces::{
    Worker,
    network::{Sandbox, ValidatorKey},
};
use outlayer_localnet::{Config, Handle, node::BlockProduction};
use outlayer_protocol::EngineVersion;
use outlayer_testkit::NODE;

use crate::pace::Pace;

/// The path of this package's `testbed` binary. It is the default node, and also the command
/// `outlayer` when that must be a process of its own.
///
/// # Errors
/// When it is not where cargo puts it beside the running test or demo.
pub fn testbed_binary() -> Result<PathBuf> {
    let running = std::env::current_exe().context("the running program's path")?;
    // Tests run from target/<profile>/deps, binaries from target/<profile>.
    let candidates = running.ancestors().skip(1).take(2).map(|folder| folder.join("testbed"));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "expected the binary `testbed` beside {}; \
             build it with `cargo build -p outlayer-integration-tests`",
            running.display()
        )
    })
}

/// How a link to the `testbed` binary is named that claims, as a child of a sandbox, to have the
/// engine whose version follows.
pub const CLAIMS_ENGINE: &str = "claims-engine-";

/// Makes a link to the `testbed` binary in `folder` that claims to have the engine `version`, which
/// it has not.
///
/// # Errors
/// When the link cannot be made.
pub fn claims_engine(folder: &Path, version: EngineVersion) -> Result<PathBuf> {
    let link = folder.join(format!("{CLAIMS_ENGINE}{}", version.0));
    std::os::unix::fs::symlink(testbed_binary()?, &link).context("a link to the testbed")?;
    Ok(link)
}

/// Starts a localnet in this process. The handle steers it and makes it fail, and the node ends
/// when the handle is dropped.
///
/// # Errors
/// When it does not start or answer.
pub async fn start_within(config: Config) -> Result<(Handle, Worker<Sandbox>)> {
    let handle = outlayer_localnet::spawn(config)?;
    let node = reach(&handle).await?;
    Ok((handle, node))
}

async fn reach(handle: &Handle) -> Result<Worker<Sandbox>> {
    let key = ValidatorKey::HomeDir(handle.home().to_path_buf());
    let node = near_workspaces::sandbox().rpc_addr(&handle.rpc_url()).validator_key(key);
    node.await.context("near-workspaces could not reach the node")
}

/// Whether the environment names a node. Must be asked before this process names one itself.
fn is_named() -> bool {
    static NAMED: OnceLock<bool> = OnceLock::new();
    *NAMED.get_or_init(|| std::env::var_os(NODE).is_some())
}

/// The time between two blocks while a test sets up what it needs.
pub(crate) const SETUP_BLOCK_TIME: Duration = Duration::from_millis(20);

/// Starts a fresh node for a test that counts blocks while workers serve. By default it makes a
/// block each time that a fixed time has passed, and not as fast as it can: a short time at first,
/// until the test is set up and calls [`Pace::set`]. A node that the environment names has a block
/// time of its own, and there is neither a handle nor a pace then.
///
/// # Errors
/// When it does not start or answer.
pub async fn start_with_timer() -> Result<(Option<(Handle, Pace)>, Worker<Sandbox>)> {
    if is_named() {
        return Ok((None, start().await?));
    }
    let config = Config { production: BlockProduction::Manual, ..Config::default() };
    let handle = outlayer_localnet::spawn(config)?;
    let pace = Pace::start(Arc::clone(handle.node()), SETUP_BLOCK_TIME);
    let node = reach(&handle).await?;
    Ok((Some((handle, pace)), node))
}

/// Starts a fresh node for a test that comes close to a deadline. By default it makes blocks only
/// while there is something to do, so that none passes while a busy machine thinks. A node that the
/// environment names makes its own, and there is no handle then.
///
/// # Errors
/// When it does not start or answer.
pub async fn start_still() -> Result<(Option<Handle>, Worker<Sandbox>)> {
    if is_named() {
        return Ok((None, start().await?));
    }
    let production = BlockProduction::Instant { heartbeat: None };
    let mut config = Config { production, ..Config::default() };
    // As a node in a process of its own has it.
    if let Ok(version) = std::env::var("LOCALNET_PROTOCOL_VERSION") {
        config.protocol_version = version.parse().context("LOCALNET_PROTOCOL_VERSION")?;
    }
    let (handle, node) = start_within(config).await?;
    Ok((Some(handle), node))
}

/// Starts a fresh node.
///
/// # Errors
/// When it does not start or answer.
pub async fn start() -> Result<Worker<Sandbox>> {
    static CHOOSE: Once = Once::new();
    if !is_named() {
        let binary = testbed_binary()?;
        CHOOSE.call_once(|| {
            // SAFETY: the variable is set once, before this process starts its first node or opens
            // its first connection. near-workspaces takes the node's path only from there.
            #[allow(unsafe_code)]
            unsafe {
                std::env::set_var(NODE, &binary);
            }
        });
    }
    let node =
        near_workspaces::sandbox().await.context("near-workspaces could not start its node")?;
    let version = node.status().await.context("the node's status")?.protocol_version;
    ensure!(version >= 84, "the node speaks protocol version {version}, expected 84 or newer");
    Ok(node)
}
