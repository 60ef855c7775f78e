//! What the key that a worker runs with may do, and what it may not.

use std::time::Duration;

use anyhow::Result;
use near_workspaces::{
    Account,
    types::{AccessKey, KeyType, SecretKey},
};
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::{ExecutionRequest, Hash32, NearToken, Outcome, methods};
use serde_json::json;

use crate::common::{NOTHING, refusal};

/// The worker's account with a key that may only call these methods of the contract.
async fn limited_to(testbed: &Testbed, methods: &[&str]) -> Result<Account> {
    let key = SecretKey::from_random(KeyType::ED25519);
    let allowance = Some(NearToken::from_near(1));
    let access = AccessKey::function_call_access(testbed.contract.id(), methods, allowance);
    let added = testbed.worker.batch(testbed.worker.id()).add_key(key.public_key(), access);
    added.transact().await?.into_result()?;
    Ok(Account::from_secret_key(testbed.worker.id().clone(), key, &testbed.node))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_resolve_execution_alone_is_all_that_a_worker_needs() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let limited = limited_to(&testbed, &[methods::RESOLVE_EXECUTION]).await?;
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

/// The methods that `worker/README.md` names, all but the one for answers in parts.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_a_few_methods_is_enough_to_agree_with_others() -> Result<()> {
    let block_time = Duration::from_millis(150);
    let testbed = Testbed::start_with_timer().await?;
    let others = [testbed.new_worker().await?, testbed.new_worker().await?];
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let work = [
        methods::RESOLVE_EXECUTION,
        methods::COMMIT_EXECUTION,
        methods::REVEAL_EXECUTION,
        methods::CLOSE,
    ];
    let limited = limited_to(&testbed, &work).await?;
    testbed.set_block_time(block_time);
    testbed.wait_for_workers();
    let mut config = testbed.worker_config(&limited)?;
    config.poll_interval = block_time / 2;
    let serving = testbed.serve_with(config)?;
    let asked_for = ExecutionRequest { approvals: 2, ..request(echo, "a limited key") };
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    // One of the others agrees, and the other one is never heard of again.
    let digest = testbed.digest(&testbed.execute(request_id).await?).await?;
    testbed.commit_to(&others[0], request_id, digest).await?;
    testbed.commit_to(&others[1], request_id, Hash32::of(b"nothing")).await?;
    while testbed.agreement(request_id).await?.votes.len() < 3 {
        tokio::time::sleep(block_time).await;
    }
    assert!(testbed.reveal(&others[0], request_id, digest).await?.is_success());
    assert_eq!(
        testbed.settlement(asked).await?.outcome,
        Outcome::Completed { output: "a limited key".into() }
    );
    while testbed.shares(request_id).await?.is_some() {
        tokio::time::sleep(block_time).await;
    }
    assert_eq!(testbed.worker_view(limited.id()).await?.settled, 1);
    serving.stop().await
}
