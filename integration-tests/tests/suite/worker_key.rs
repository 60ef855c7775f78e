//! What the key that a worker runs with may do, and what it may not.

use anyhow::Result;
use near_workspaces::{
    Account,
    types::{AccessKey, KeyType, SecretKey},
};
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::{NearToken, Outcome, methods};
use serde_json::json;

use crate::common::{NOTHING, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_resolve_execution_alone_is_all_that_a_worker_needs() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let key = SecretKey::from_random(KeyType::ED25519);
    let allowance = NearToken::from_near(1);
    let access = AccessKey::function_call_access(
        testbed.contract.id(),
        &[methods::RESOLVE_EXECUTION],
        Some(allowance),
    );
    let added = testbed.worker.batch(testbed.worker.id()).add_key(key.public_key(), access);
    added.transact().await?.into_result()?;
    let limited = Account::from_secret_key(testbed.worker.id().clone(), key, &testbed.node);

    let serving = testbed.serve_with(testbed.worker_config(&limited)?)?;
    let asked = testbed.ask(&caller, &request(echo, "a limited key")).await?;
    assert_eq!(
        testbed.settlement(asked).await?.outcome,
        Outcome::Completed { output: "a limited key".into() }
    );
    serving.stop().await?;

    // Whoever steals it cannot take what the worker has earned.
    let stolen = limited
        .call(testbed.contract.id(), methods::WITHDRAW_EARNINGS)
        .args_json(json!({}))
        .transact()
        .await;
    let refused = match stolen {
        Ok(result) => refusal(result),
        Err(error) => format!("{error:?}"),
    };
    assert!(refused.contains("MethodNameMismatch"), "{refused}");
    assert!(testbed.funds().await?.earnings > NOTHING);
    Ok(())
}
