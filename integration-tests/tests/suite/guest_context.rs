//! What a guest is told is what the chain says.

use anyhow::{Context, Result};
use outlayer_integration_tests::{Testbed, guests::request, testbed::settlement};
use outlayer_protocol::{ExecutionRequest, Outcome, context::CONTEXT_VARIABLES};
use serde_json::Value;

async fn answer(
    testbed: &Testbed,
    caller: &near_workspaces::Account,
    asked_for: &ExecutionRequest,
) -> Result<Value> {
    let settled = testbed.settlement(testbed.ask(caller, asked_for).await?).await?;
    let Outcome::Completed { output } = settled.outcome else { panic!("{:?}", settled.outcome) };
    Ok(serde_json::from_slice(&output)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_told_every_field_of_the_context() -> Result<()> {
    let testbed = Testbed::start().await?;
    let guest = testbed.publish_guest("context").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&caller, &request(guest, "")).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let context = testbed.live(request_id).await?.context("live")?.request.context;
    let response = testbed.execute(request_id).await?;
    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    let Outcome::Completed { output } = settlement(testbed.finished(asked).await?)?.outcome else {
        panic!("{:?}", response.status)
    };
    let told: Value = serde_json::from_slice(&output)?;
    let names = CONTEXT_VARIABLES.map(|name| name.trim_start_matches("OUTLAYER_").to_lowercase());
    let expected = context.env().into_iter().skip(2).map(|(_, value)| value);
    for (name, value) in names.iter().zip(expected) {
        let found = &told[name];
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(text, value, "{name} in {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn randomness_follows_the_seed_that_is_given_or_the_request() -> Result<()> {
    let testbed = Testbed::start().await?;
    let ark = testbed.publish_guest("random-ark").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let seeded = request(ark, r#"{"seed": 42}"#);
    let drawn = request(ark, "{}");
    assert_eq!(
        answer(&testbed, &caller, &seeded).await?,
        answer(&testbed, &caller, &seeded).await?
    );
    let (one, other) =
        (answer(&testbed, &caller, &drawn).await?, answer(&testbed, &caller, &drawn).await?);
    assert_ne!(one["nonce"], other["nonce"], "two requests have two seeds");
    serving.stop().await
}
