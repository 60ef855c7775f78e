//! Faults from seeds. The binary `chaos` of this package runs any number of them.

use anyhow::Result;
use outlayer_integration_tests::faults::chaos::Chaos;

#[tokio::test(flavor = "multi_thread")]
async fn under_twenty_seeds_of_faults_every_request_ends_once_and_nothing_is_executed_twice()
-> Result<()> {
    let mut chaos = Chaos::start().await?;
    for seed in 0..20 {
        chaos.run(seed, 2).await?;
    }
    let report = chaos.report();
    println!("{report}");
    // The faults have been there: more was signed or asked than a quiet run needs.
    assert!(report.faults * 20 > report.exchanges, "{report}");
    Ok(())
}
