//! Other kinds of guest and the other meter, through the whole round trip.

use anyhow::Result;
use outlayer_integration_tests::{Testbed, artifacts, guests::request};
use outlayer_protocol::{Compute, GuestKind, Outcome, config::Prices, pricing};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_gas_limit_is_metered_and_billed_in_gas() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let mut asked_for = request(echo, "in gas");
    asked_for.limits.compute = Compute::Gas(1_000_000_000_000);
    let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "in gas".into() });
    assert!(matches!(settled.used, Compute::Gas(gas) if gas > 0), "{:?}", settled.used);
    let bytes = 2 * "in gas".len() as u64;
    assert_eq!(settled.fee, pricing::fee(&Prices::default(), settled.used, bytes)?);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_near_contracts_method_is_a_guest_and_its_panic_an_outcome() -> Result<()> {
    let testbed = Testbed::start().await?;
    let contract = testbed.publish(&artifacts::wasm("fixture_dapp")?).await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let mut asked_for = request(contract, r#"{"asker": "alice.near"}"#);
    asked_for.kind = Some(GuestKind::Near);
    asked_for.args = vec!["answers".to_owned()];
    asked_for.limits.compute = Compute::Gas(30_000_000_000_000);
    asked_for.limits.memory_bytes = 128 << 20;
    let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
    let Outcome::Trapped { reason } = &settled.outcome else { panic!("{settled:?}") };
    // Nobody has called `new` in this namespace.
    assert!(reason.contains("The contract is not initialized"), "{reason}");
    assert!(settled.used.amount() > 0);
    serving.stop().await
}
