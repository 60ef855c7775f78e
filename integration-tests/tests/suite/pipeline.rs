//! How soon a worker answers, and what it does when there is more to do than it can.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot};
use outlayer_integration_tests::{
    Testbed,
    guests::{request, with_fuel},
    testbed::{events, settlement},
};
use outlayer_protocol::{ExecutionRequest, Outcome, events::Event};

/// The blocks of a request, of its answer's transaction and receipt, and of its settlement.
const BLOCKS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_settled_within_four_blocks_of_its_own() -> Result<()> {
    let testbed = Testbed::start_with_timer().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    testbed.set_block_time(Duration::from_secs(1));
    testbed.wait_for_workers();
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.poll_interval = Duration::from_millis(500);
    let serving = testbed.serve_with(config)?;
    let mut taken = Vec::new();
    for number in 0..6 {
        let asked = testbed.ask(&caller, &request(echo, format!("{number}").as_str())).await?;
        let result = testbed.finished(asked).await?;
        let requested = events(&result).into_iter().find_map(|event| match event {
            Event::ExecutionRequested(event) => Some(event.context.block_height),
            _ => None,
        });
        taken.push(testbed.settled_at(&result).await? - requested.unwrap_or_default());
    }
    println!("blocks from request to settlement: {taken:?}");
    // The machine may be slow at times.
    taken.sort_unstable();
    assert!(taken[taken.len() / 2] <= BLOCKS, "{taken:?}");
    serving.stop().await
}

/// An engine that takes a second for each execution, at least.
struct Slow(Arc<dyn Engine>);

impl Engine for Slow {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        std::thread::sleep(Duration::from_secs(1));
        self.0.execute(job, snapshot)
    }
}

/// One core, and requests for more time than there is until their deadline: the payer with few
/// requests has all of them answered, and what is not answered goes back whole.
#[tokio::test(flavor = "multi_thread")]
async fn under_overload_no_payer_is_shut_out_and_the_rest_goes_back() -> Result<()> {
    const FLOOD: usize = 40;
    const FEW: usize = 2;
    const FUEL: u64 = 100_000_000;
    let testbed = Testbed::start_with_timer().await?;
    let spin = testbed.publish_guest("spin").await?;
    let (flood, few) =
        (testbed.node.dev_create_account().await?, testbed.node.dev_create_account().await?);
    // However long a busy machine takes to ask, no request times out meanwhile.
    testbed.set_block_time(Duration::from_secs(2));
    let asked_by = |payer: &near_workspaces::Account| ExecutionRequest {
        refund_to: Some(payer.id().clone()),
        ..with_fuel(request(spin, ""), FUEL)
    };
    let mut asked = Vec::new();
    for _ in 0..FLOOD {
        asked.push((false, testbed.ask(&flood, &asked_by(&flood)).await?));
    }
    for _ in 0..FEW {
        asked.push((true, testbed.ask(&few, &asked_by(&few)).await?));
    }
    testbed.wait_for_pending(FLOOD + FEW).await?;
    testbed.set_block_time(Duration::from_millis(100));
    let deposit = testbed.estimate(&asked_by(&flood)).await?.total;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.concurrency = 1;
    config.engine = Arc::new(Slow(config.engine));
    let serving = testbed.serve_with(config)?;
    let (mut answered, mut timed_out) = (0, 0);
    for (is_few, transaction) in asked {
        let settled = settlement(testbed.finished(transaction).await?)?;
        match settled.outcome {
            Outcome::OutOfFuel => answered += 1,
            Outcome::TimedOut => {
                assert!(!is_few, "{settled:?}");
                assert_eq!(settled.refund.as_yoctonear(), deposit.as_yoctonear());
                timed_out += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("answered {answered}, timed out {timed_out}");
    assert!(answered > FEW && timed_out > 0, "answered {answered}, timed out {timed_out}");
    serving.stop().await
}
