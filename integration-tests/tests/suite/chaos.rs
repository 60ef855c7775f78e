//! Faults from seeds. The binary `chaos` of this package runs any number of them.

use anyhow::Result;
use outlayer_integration_tests::faults::chaos::{kill_at_each, run_all};

/// How many chains there are at once. A seed keeps a core busy for a tenth of its time.
const CHAINS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn under_a_hundred_seeds_of_faults_every_request_ends_once_and_nothing_is_executed_twice()
-> Result<()> {
    let report = run_all(0..100, 2, CHAINS, |_, _| {}).await?;
    println!("{report}");
    assert_eq!((report.runs, report.requests), (100, 200), "{report}");
    // The faults have been there: more was signed or asked than a quiet run needs.
    assert!(report.faults * 20 > report.exchanges, "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_between_its_exchanges_with_the_node_loses_nothing() -> Result<()> {
    // The binary `chaos` does it at every exchange, with `--kills 1`.
    let (points, report) = kill_at_each(4, 2, 2).await?;
    println!("killed at {points} points; {report}");
    // Some of them before discovery, between execution and answer, and before the settlement.
    assert!(points >= 6, "{points} points; {report}");
    Ok(())
}
