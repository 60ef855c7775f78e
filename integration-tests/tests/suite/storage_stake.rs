//! The contract near its storage stake. NEAR fails every receipt that would leave an account with
//! less money than its bytes cost.

use anyhow::{Context, Result};
use near_workspaces::{Account, result::ExecutionFinalResult};
use outlayer_integration_tests::{Testbed, guests::request, testbed::DAPP_GAS};
use outlayer_protocol::{ExecutionRequest, NearToken, Outcome, methods, views::FundsView};
use serde_json::json;

use crate::common::NOTHING;

/// What a byte of state must be backed by, yoctoNEAR.
const BYTE_COST: u128 = 10_000_000_000_000_000_000;

/// The contract's balance, and what its bytes cost, yoctoNEAR.
async fn stake(testbed: &Testbed) -> Result<(u128, u128)> {
    let account = testbed.contract.view_account().await?;
    Ok((account.balance.as_yoctonear(), u128::from(account.storage_usage) * BYTE_COST))
}

/// The sum of what the contract holds for others, yoctoNEAR.
async fn pots(testbed: &Testbed) -> Result<u128> {
    let FundsView { deposits, shares, earnings, protocol, claimable, storage, code, results } =
        testbed.funds().await?;
    let pots = [deposits, shares, earnings, protocol, claimable, storage, code, results];
    Ok(pots.iter().map(NearToken::as_yoctonear).sum())
}

async fn request_once(
    testbed: &Testbed,
    caller: &Account,
    request: &ExecutionRequest,
) -> Result<ExecutionFinalResult> {
    let deposit = testbed.estimate(request).await?.total;
    let call = caller.call(testbed.dapp.id(), "ask").args_json(json!({ "request": request }));
    Ok(call.deposit(deposit).gas(DAPP_GAS).transact().await?)
}

/// The two amounts in the refusal, yoctoNEAR: the contract's own money, and what its own bytes
/// cost.
fn amounts(result: &ExecutionFinalResult) -> Option<(u128, u128)> {
    let text = format!("{:?}", result.receipt_failures());
    let (_, rest) = text.split_once("its own money is ")?;
    let (found, rest) = rest.split_once(" yoctoNEAR, its own storage needs ")?;
    let (needed, _) = rest.split_once(';')?;
    Some((found.parse().ok()?, needed.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_edge_of_its_stake_the_contract_takes_nothing_on_and_settles_what_lives()
-> Result<()> {
    let testbed = Testbed::start().await?;
    // Others pay for all bytes that are stored after this.
    let (_, own_bytes) = stake(&testbed).await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let asked_for =
        ExecutionRequest { refund_to: Some(caller.id().clone()), ..request(echo, "poor") };
    let live = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;

    // The owner takes out all of the contract's own money, except what its own bytes cost now and
    // the gas of taking it out.
    let owner = testbed.contract.as_account();
    let (balance, _) = stake(&testbed).await?;
    let gas = NearToken::from_micronear(1_500).as_yoctonear();
    let all = balance - pots(&testbed).await? - own_bytes - gas;
    owner.transfer_near(caller.id(), NearToken::from_yoctonear(all)).await?.into_result()?;
    let refused = request_once(&testbed, &caller, &asked_for).await?;
    let (found, needed) = amounts(&refused).context("the contract's refusal")?;
    assert!(found < needed, "{found} {needed}");
    assert_eq!(testbed.pending().await?.len(), 1);

    // The live request is settled, and the worker is paid.
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    let settled = testbed.settlement(live).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "poor".into() });
    let withdraw = testbed.worker.call(testbed.contract.id(), methods::WITHDRAW_EARNINGS);
    let one = NearToken::from_yoctonear(1);
    withdraw.args_json(json!({})).deposit(one).max_gas().transact().await?.into_result()?;
    let (balance, bytes) = stake(&testbed).await?;
    assert!(balance >= bytes, "{balance} of {bytes}");

    // Somebody gives the contract what is missing, but for one yoctoNEAR, and then that one. Before
    // protocol version 87 the contract also earns from the gas of each call, so there the amount
    // cannot be exact.
    let refused = request_once(&testbed, &caller, &asked_for).await?;
    let (found, needed) = amounts(&refused).context("the contract's refusal")?;
    let give = async |yocto: u128| -> Result<()> {
        let gift = NearToken::from_yoctonear(yocto);
        caller.transfer_near(testbed.contract.id(), gift).await?.into_result()?;
        Ok(())
    };
    let exact = testbed.node.status().await?.protocol_version >= 87;
    if exact {
        give(needed - found - 1).await?;
        let refused = request_once(&testbed, &caller, &asked_for).await?;
        assert_eq!(amounts(&refused), Some((needed - 1, needed)));
        give(1).await?;
    } else {
        give(needed - found).await?;
    }
    let asked = testbed.ask(&caller, &asked_for).await?;
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let response = testbed.execute(request_id).await?;
    testbed.resolve(&testbed.worker, &response).await?.into_result()?;
    assert!(matches!(testbed.settlement(asked).await?.outcome, Outcome::Completed { .. }));
    let withdraw = testbed.worker.call(testbed.contract.id(), methods::WITHDRAW_EARNINGS);
    let one = NearToken::from_yoctonear(1);
    withdraw.args_json(json!({})).deposit(one).max_gas().transact().await?.into_result()?;
    let funds = testbed.funds().await?;
    assert_eq!((funds.deposits, funds.earnings, funds.claimable), (NOTHING, NOTHING, NOTHING));
    Ok(())
}
