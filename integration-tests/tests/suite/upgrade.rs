//! An upgrade of the contract while requests are live.

use anyhow::{Context, Result};
use near_workspaces::result::ExecutionFinalResult;
use outlayer_integration_tests::{Testbed, artifacts, guests::request, testbed::MAX_GAS};
use outlayer_protocol::{Hash32, NearToken, Outcome, methods};
use serde_json::{Value, json};

use crate::common::{NOTHING, refusal, unanswerable};

/// The contract's code with a custom section added, which does nothing.
fn other_code() -> Result<Vec<u8>> {
    let mut code = artifacts::wasm("outlayer_contract")?;
    code.extend(b"\0\x07\x05build2");
    Ok(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_live_across_an_upgrade_settle() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let code = other_code()?;
    let owner = testbed.contract.as_account();
    let propose = owner
        .call(testbed.contract.id(), methods::PROPOSE_UPGRADE)
        .args_json(json!({ "code_hash": Hash32::of(&code) }));
    propose.deposit(NearToken::from_yoctonear(1)).max_gas().transact().await?.into_result()?;
    let announced: Value = testbed.contract.view(methods::GET_UPGRADE).await?.json()?;
    let from_height = announced["from_height"].as_u64().context("from_height")?;
    let upgrade = async || -> Result<ExecutionFinalResult> {
        let call = owner.call(testbed.contract.id(), methods::UPGRADE).args(code.clone());
        Ok(call.deposit(NearToken::from_yoctonear(1)).gas(MAX_GAS).transact().await?)
    };
    assert!(refusal(upgrade().await?).contains("the upgrade may be made from block"));

    testbed.advance_to(from_height - 30).await?;
    let answered = testbed.ask(&caller, &request(echo, "across an upgrade")).await?;
    testbed.wait_for_pending(1).await?;
    let forgotten = testbed.ask(&caller, &unanswerable(&caller)).await?;
    let pending = testbed.wait_for_pending(2).await?;
    let before = testbed.contract.view_code().await?;
    testbed.advance_to(from_height).await?;
    let upgraded = upgrade().await?;
    assert!(upgraded.is_success(), "{upgraded:?}");
    let after = testbed.contract.view_code().await?;
    assert!(before != after && after == code, "the new code stands");
    assert_eq!(testbed.pending().await?, pending);

    let deadline = pending.iter().map(|one| one.deadline).max().unwrap_or(0);
    let request_id = pending.iter().map(|one| one.request_id).min().unwrap_or(0);
    let response = testbed.execute(request_id).await?;
    let resolved = testbed.resolve(&testbed.worker, &response).await?;
    assert!(resolved.is_success(), "{resolved:?}");
    assert_eq!(
        testbed.settlement(answered).await?.outcome,
        Outcome::Completed { output: "across an upgrade".into() }
    );
    testbed.advance_to(deadline + 3).await?;
    let settled = testbed.settlement(forgotten).await?;
    assert_eq!((settled.outcome, settled.fee), (Outcome::TimedOut, NOTHING));
    assert_eq!(testbed.funds().await?.deposits, NOTHING);
    Ok(())
}
