//! Accounts that have been deleted, and accounts that do not exist yet.

use anyhow::{Context, Result};
use near_workspaces::{
    Account, AccountId,
    types::{Gas, KeyType, SecretKey},
};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::request,
    testbed::{DAPP_GAS, MAX_GAS, events},
};
use outlayer_protocol::{
    ExecutionRequest, NearToken, Outcome, ResourceLimits, Settlement, events::Event, methods,
};
use serde_json::json;

use crate::common::{NOTHING, refusal};

async fn claimable(testbed: &Testbed, account_id: &AccountId) -> Result<NearToken> {
    let args = json!({ "account_id": account_id });
    Ok(testbed.contract.view(methods::GET_CLAIMABLE).args_json(args).await?.json()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_deleted_while_it_waits_keeps_its_refund() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let user = testbed.node.dev_create_account().await?;
    let dapp = testbed.node.dev_deploy(&artifacts::wasm("fixture_dapp")?).await?;
    let new = dapp.call("new").args_json(json!({ "outlayer": testbed.contract.id() }));
    new.transact().await?.into_result()?;
    // The request names no other payer, so the refund belongs to the dApp, which is also called
    // back.
    let asked_for = request(echo, "is anybody there?");
    let deposit = testbed.estimate(&asked_for).await?.total;
    let protocol = testbed.funds().await?.protocol;
    let ask = user.call(dapp.id(), "ask").args_json(json!({ "request": asked_for }));
    let asked = ask.deposit(deposit).gas(DAPP_GAS).transact_async().await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let dapp_id = dapp.id().clone();
    assert!(dapp.delete_contract(user.id()).await?.is_success());

    let response = testbed.execute(request_id).await?;
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    let result = testbed.finished(asked).await?;
    let failures = format!("{:?}", result.receipt_failures());
    assert!(failures.contains("AccountDoesNotExist"), "{failures}");
    let events = events(&result);
    let [.., Event::ExecutionCompleted(completed), Event::RefundBounced(bounced)] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(completed.fee.saturating_add(completed.refund), deposit);
    assert!(completed.refund > NOTHING);
    assert_eq!((&bounced.account_id, bounced.amount), (&dapp_id, completed.refund));

    assert!(testbed.live(request_id).await?.is_none());
    assert_eq!(claimable(&testbed, &dapp_id).await?, completed.refund);
    let funds = testbed.funds().await?;
    assert_eq!((funds.deposits, funds.claimable), (NOTHING, completed.refund));
    let share = funds.protocol.saturating_sub(protocol);
    assert_eq!(funds.earnings.saturating_add(share), completed.fee);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refund_of_a_payer_that_is_gone_waits_until_it_is_back() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let create = async || -> Result<Account> {
        let create = caller.create_subaccount("payer");
        let created = create.initial_balance(NearToken::from_near(2)).transact().await?;
        Ok(created.into_result()?)
    };
    let payer = create().await?;
    let asked_for =
        ExecutionRequest { refund_to: Some(payer.id().clone()), ..request(echo, "who pays?") };
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let payer_id = payer.id().clone();
    assert!(payer.delete_account(caller.id()).await?.is_success());
    let response = testbed.execute(request_id).await?;
    assert!(testbed.resolve(&testbed.worker, &response).await?.is_success());
    let settled = testbed.settlement(asked).await?;
    assert!(settled.refund > NOTHING);

    assert_eq!(claimable(&testbed, &payer_id).await?, settled.refund);
    assert_eq!(testbed.funds().await?.claimable, settled.refund);

    let payer = create().await?;
    let before = testbed.balance(&payer_id).await?;
    let claim = payer
        .call(testbed.contract.id(), methods::CLAIM)
        .args_json(json!({}))
        .deposit(NearToken::from_yoctonear(1))
        .gas(Gas::from_tgas(30));
    let claimed: NearToken = claim.transact().await?.into_result()?.json()?;
    assert_eq!((claimed, claimable(&testbed, &payer_id).await?), (settled.refund, NOTHING));
    // The claim cost far less than it brought.
    let after = testbed.balance(&payer_id).await?;
    let (won, refund) = (after.saturating_sub(before), settled.refund.as_yoctonear());
    assert!(won > refund / 2 && won < refund, "{won} of {refund}");
    let again = payer
        .call(testbed.contract.id(), methods::CLAIM)
        .args_json(json!({}))
        .deposit(NearToken::from_yoctonear(1))
        .gas(Gas::from_tgas(30));
    assert!(refusal(again.transact().await?).contains("nothing is due"));
    Ok(())
}

/// A transfer may have to create an account with an implicit id, which costs more gas. The request
/// must have set this gas aside.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_an_implicit_id_asks_with_exactly_the_gas_that_the_estimate_says()
-> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let friend = testbed.node.dev_create_account().await?;
    let key = SecretKey::from_random(KeyType::ED25519);
    let public = key.public_key();
    let id: String = public.key_data().iter().map(|byte| format!("{byte:02x}")).collect();
    let id: AccountId = id.parse()?;
    friend.transfer_near(&id, NearToken::from_near(20)).await?.into_result()?;
    let user = Account::from_secret_key(id.clone(), key, &testbed.node);

    // The request does as little as possible, so that the refund decides how much gas it needs.
    let limits = ResourceLimits { output_bytes: 100, ..ResourceLimits::default() };
    let asked_for = ExecutionRequest { limits, ..request(echo, "implicit") };
    let estimate = async |request: &ExecutionRequest| -> Result<u64> {
        let args = json!({ "request": request });
        let gas: serde_json::Value =
            testbed.contract.view(methods::ESTIMATE_GAS).args_json(args).await?.json()?;
        gas.as_u64().or_else(|| gas.as_str().and_then(|text| text.parse().ok())).context("gas")
    };
    let gas = estimate(&asked_for).await?;
    let named = ExecutionRequest { refund_to: Some(friend.id().clone()), ..asked_for.clone() };
    assert!(estimate(&named).await? + 7_000_000_000_000 < gas);
    let call = user.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
    let call = call
        .args_json(json!({ "request": asked_for }))
        .deposit(testbed.estimate(&asked_for).await?.total)
        .gas(Gas::from_gas(gas));
    let asked = call.transact_async().await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    let settled: Settlement = testbed.finished(asked).await?.into_result()?.json()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "implicit".into() });
    assert_eq!(claimable(&testbed, &id).await?, NOTHING);

    // Nobody has created this payer yet: the refund creates it.
    let key = SecretKey::from_random(KeyType::ED25519);
    let public = key.public_key();
    let id: String = public.key_data().iter().map(|byte| format!("{byte:02x}")).collect();
    let payer: AccountId = id.parse()?;
    let asked_for = ExecutionRequest { refund_to: Some(payer.clone()), ..asked_for };
    let call = friend.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
    let call = call
        .args_json(json!({ "request": asked_for }))
        .deposit(NearToken::from_near(1))
        .gas(MAX_GAS);
    let asked = call.transact_async().await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    let settled: Settlement = testbed.finished(asked).await?.into_result()?.json()?;
    let balance = testbed.balance(&payer).await?;
    // Since protocol version 85 the network takes a charge for a new account.
    let charge = NearToken::from_millinear(7).as_yoctonear();
    let refund = settled.refund.as_yoctonear();
    assert!(balance == refund || balance == refund - charge, "{balance} of {refund}");
    Ok(())
}
