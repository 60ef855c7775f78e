//! A worker that dies between execution and submission, and is started again.

use std::time::Duration;

use anyhow::Result;
use outlayer_integration_tests::{Testbed, guests::request, testbed::events};
use outlayer_protocol::{Outcome, events::Event};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_before_it_submits_and_started_again_settles_once() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;

    let url = testbed.node.rpc_addr();
    let mut daemon = testbed.daemon::<&str>(&url, &[], &["--submit-delay", "600000"])?;
    let asked = testbed.ask(&caller, &request(echo, "twice started")).await?;
    let executed = loop {
        daemon.check()?;
        if let Some(line) = daemon.log().lines().find(|line| line.contains("executed")) {
            break line.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    daemon.kill()?;
    assert!(executed.contains("request"), "{executed}");
    assert_eq!(testbed.pending().await?.len(), 1, "nothing was submitted: {executed}");

    let serving = testbed.serve()?;
    let result = testbed.finished(asked).await?;
    let completed = events(&result)
        .into_iter()
        .filter(|event| matches!(event, Event::ExecutionCompleted(_)))
        .count();
    assert_eq!(completed, 1);
    let settled = outlayer_integration_tests::testbed::settlement(result)?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "twice started".into() });
    serving.stop().await
}
