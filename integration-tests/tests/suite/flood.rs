//! More requests than a worker can serve before they time out.

use std::time::Duration;

use anyhow::Result;
use outlayer_integration_tests::faults::flood::{Flood, flood};

/// The binary `flood` of this package does it on any scale, such as 2,000 requests of a second
/// each: `--requests 2000 --fuel 5000000000`.
#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_requests_some_of_each_payer_settle_and_the_rest_is_refunded() -> Result<()> {
    // Each takes a third of a second or more, and they live for twenty-four seconds.
    let block_time = Duration::from_millis(120);
    let plan = Flood { requests: 240, payers: 10, senders: 40, fuel: 5_000_000_000, block_time };
    let report = flood(plan).await?;
    println!("{report}");
    assert_eq!(report.settled + report.timed_out, plan.requests, "{report:?}");
    assert!(report.timed_out > 0, "it is no flood: {report:?}");
    // Hardly anything is executed in vain.
    assert!(report.executed <= report.settled + report.settled / 4 + 4, "{report:?}");
    let greedy = report.payers[0].1;
    let others = &report.payers[1..];
    assert!(others.iter().all(|(_, settled)| *settled > 0), "a payer is shut out: {report:?}");
    // Who asks for half of all has no more of it than others have, unless these have everything.
    let most = others.iter().map(|(_, settled)| *settled).max().unwrap_or_default();
    let have_all = others.iter().all(|(asked, settled)| asked == settled);
    assert!(greedy <= most * 2 + 4 || have_all, "{report:?}");
    assert!(report.daemon_kib < 300 << 10, "{report:?}");
    Ok(())
}
