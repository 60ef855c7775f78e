//! The processes in which guests run, and what becomes of a request whose process ends.

use std::{
    collections::HashSet,
    fs, process,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    node,
    testbed::settlement,
};
use outlayer_protocol::{Compute, Outcome};
use outlayer_sandbox::{Sandbox, SandboxConfig};
use outlayer_worker::Stage;

use crate::common::logged;

/// A component of 14 + 3 `depth` bytes: component types nested in one another.
fn nested_types(depth: usize) -> Vec<u8> {
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        // The length is LEB128: seven bits a byte, the lowest first.
        let [a, b, c, _] = u32::try_from(content.len()).unwrap_or_default().to_le_bytes();
        let length = [a & 0x7f | 0x80, (b << 1 | a >> 7) & 0x7f | 0x80, (c << 2 | b >> 6) & 0x7f];
        [&[id][..], &length, content].concat()
    }
    const COMPONENT_TYPE: u8 = 0x41;
    const TYPE_SECTION: u8 = 7;
    // A vector of one type; in each but the innermost one declaration, which is a type.
    let opening = [COMPONENT_TYPE, 1, 1].repeat(depth.saturating_sub(1));
    let types = [&[1][..], &opening, &[COMPONENT_TYPE, 0]].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(TYPE_SECTION, &types)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_types_in_one_another_are_a_paid_verdict() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let pill = testbed.publish(&nested_types(10_000)).await?;
    let echo = testbed.publish_guest("echo").await?;
    let (bad, good) = (request(pill, ""), request(echo, "still there"));
    let (bad, good) = (testbed.ask(&caller, &bad).await?, testbed.ask(&caller, &good).await?);
    let settled = testbed.settlement(bad).await?;
    assert!(
        matches!(&settled.outcome, Outcome::InvalidModule { reason } if reason.contains("16 deep")),
        "{settled:?}"
    );
    assert!(settled.fee.as_yoctonear() > 0);
    let settled = testbed.settlement(good).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "still there".into() });
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_process_is_killed_is_set_aside_and_settles_later() -> Result<()> {
    // It spins for a second or more.
    const FUEL: u64 = 5_000_000_000;
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let (spin, echo) = (testbed.publish_guest("spin").await?, testbed.publish_guest("echo").await?);

    let mut sandbox = SandboxConfig::new(node::testbed_binary()?, [outlayer::SANDBOX_CHILD.into()]);
    // Its children are known by what they are told.
    let marker = format!("of-{}-{}", process::id(), testbed.contract.id());
    sandbox.args.push(marker.clone().into());
    let state = tempfile::tempdir()?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.engine = Arc::new(Sandbox::start(sandbox)?);
    // A child that compiles ahead is busy too.
    config.ahead_bytes_per_hour = 0;
    config.state_dir = Some(state.path().to_owned());
    config.process_backoff.first = Duration::from_secs(2);
    let failed: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = Arc::clone(&failed);
    config.observer = Some(Arc::new(move |stage: &Stage| {
        if let (Stage::Failed { reason, .. }, Ok(mut failed)) = (stage, listener.lock()) {
            failed.push(reason.clone());
        }
    }));
    let serving = testbed.serve_with(config)?;

    let mut spinning = with_fuel(request(spin, ""), FUEL);
    // With less memory a request may have more fuel.
    spinning.limits.memory_bytes = 4 << 20;
    let spinning = testbed.ask(&caller, &spinning).await?;
    let busy = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(pid) = children(&marker).into_iter().find(|pid| ticks(*pid) >= 20) {
            break pid;
        }
    };
    process::Command::new("kill").args(["-9", &busy.to_string()]).status().context("kill")?;
    let other = testbed.ask(&caller, &request(echo, "meanwhile")).await?;
    let settled = testbed.settlement(other).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "meanwhile".into() });
    let notes: Vec<_> = fs::read_dir(state.path())?.collect();
    assert_eq!(notes.len(), 1, "{notes:?}");

    let settled = testbed.settlement(spinning).await?;
    assert_eq!((&settled.outcome, settled.used), (&Outcome::OutOfFuel, Compute::Fuel(FUEL)));
    let failed = failed.lock().map(|failed| failed.clone()).unwrap_or_default();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("signal 9 (SIGKILL)"), "{failed:?}");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_says_where_a_guest_trapped_and_the_chain_hears_nothing_of_it() -> Result<()> {
    let guest = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func $"the innermost\1b[2J" (unreachable))
            (func (export "_start") (call 0)))"#,
    )?;
    const FUNCTIONS: [&str; 2] = [r"the innermost\u{1b}[2J", "function 1"];
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let code = testbed.publish(&guest).await?;
    let no_wrapper: [&str; 0] = [];
    let mut daemon = testbed.daemon(&testbed.node.rpc_addr(), &no_wrapper, &[])?;
    let result = testbed.finished(testbed.ask(&caller, &request(code, "")).await?).await?;
    let known = format!("{result:?}");
    assert!(!known.contains("innermost"), "{known}");
    let settled = settlement(result)?;
    assert_eq!(settled.outcome, Outcome::Trapped { reason: "unreachable".to_owned() });
    let at = format!("at={}", FUNCTIONS.join(" < "));
    logged(&mut daemon, &["where the guest trapped", &at]).await?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("guest.wasm");
    fs::write(&file, guest)?;
    let run = async |arguments: &[&str]| -> Result<String> {
        let mut command = process::Command::new(node::testbed_binary()?);
        command.args(["outlayer", "run"]).arg(&file).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        assert_eq!(output.status.code(), Some(1));
        Ok(String::from_utf8(output.stdout)?)
    };
    for arguments in [&[][..], &["--in-process"]] {
        let said = run(arguments).await?;
        for (how, function) in ["trapped in", "called from"].into_iter().zip(FUNCTIONS) {
            let said_it = |line: &str| line.starts_with(how) && line.ends_with(function);
            assert!(said.lines().any(said_it), "{said}");
        }
    }
    let said: serde_json::Value = serde_json::from_str(&run(&["--json"]).await?)?;
    assert_eq!(said["trapped_in"], serde_json::json!(FUNCTIONS));
    Ok(())
}

/// The processes that were started with `marker`.
fn children(marker: &str) -> HashSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    })
    .collect()
}

/// The processor time that a process has used, hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok());
    ticks.unwrap_or_default()
}
