//! A worker whose disk is full.

use std::fs;

use anyhow::Result;
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::Outcome;

use crate::common::logged;

/// Runs the command that follows where a disk of 256 KiB, which is full, holds both of its folders.
const FULL_DISK: &str = r#"
    mount -t tmpfs -o size=256k none "$DISK" || exit 77
    mkdir "$DISK/state" "$DISK/cache"
    dd if=/dev/zero of="$DISK/filler" bs=1k 2>/dev/null
    exec "$@"
"#;

/// Whether this machine lets its user mount a file system of their own.
fn can_mount() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_disk_is_full_says_so_and_serves_on() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (echo, spin) = (testbed.publish_guest("echo").await?, testbed.publish_guest("spin").await?);
    let caller = testbed.node.dev_create_account().await?;
    let folder = tempfile::tempdir()?;
    let disk = folder.path().to_string_lossy().into_owned();
    let disk_is = format!("DISK={disk}");
    let mut wrapper = vec!["env", disk_is.as_str()];
    let is_mounted = can_mount();
    if is_mounted {
        wrapper.extend(["unshare", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh"]);
    } else {
        println!("nothing may be mounted here: the folders are files, which hold nothing either");
        fs::create_dir(folder.path().join("state"))?;
        fs::create_dir(folder.path().join("cache"))?;
        fs::write(folder.path().join("cache/compiled"), "no folder")?;
    }
    let (state, cache) = (format!("{disk}/state"), format!("{disk}/cache"));
    let args = ["--state-dir", state.as_str(), "--cache-dir", cache.as_str()];
    let url = testbed.node.rpc_addr();
    let mut daemon = testbed.daemon(&url, &wrapper, &args)?;
    logged(&mut daemon, &["looking for requests"]).await?;

    for input in ["one", "two"] {
        let settled =
            testbed.settlement(testbed.ask(&caller, &request(echo, input)).await?).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: input.into() });
    }
    let settled = testbed.settlement(testbed.ask(&caller, &request(spin, "")).await?).await?;
    assert_eq!(settled.outcome, Outcome::OutOfFuel);
    daemon.check()?;
    if is_mounted {
        logged(&mut daemon, &["No space left on device"]).await?;
    }
    daemon.kill()?;

    // The disk of its log is full, too.
    let quiet = ["sh", "-c", r#"exec "$@" 2>/dev/full"#, "sh"];
    let mut daemon = testbed.daemon(&url, &quiet, &args)?;
    let asked = testbed.ask(&caller, &request(echo, "unheard")).await?;
    let settled = testbed.settlement(asked).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "unheard".into() });
    daemon.check()
}
