//! Plans, from the guest that makes them to the accounts that are paid.

use anyhow::{Context, Result};
use near_workspaces::{Account, Contract, types::NearToken};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::request,
    testbed::{DAPP_GAS, events, settlement},
};
use outlayer_protocol::{
    Compute, ExecutionRecord, ExecutionRequest, GuestKind, Hash32, Limit, Outcome, Plan,
    events::Event,
    plan::{Action, PlanError},
};
use serde_json::{Value, json};

use crate::{
    dapps::{cost, deploy},
    replay::replay,
};

const POT: NearToken = NearToken::from_millinear(600);

/// A division of the pot among two members by `examples/payout`, with any guest.
struct Division<'a> {
    testbed: &'a Testbed,
    dapp: Contract,
    payer: &'a Account,
    members: &'a [Account; 2],
}

impl<'a> Division<'a> {
    async fn new(
        testbed: &'a Testbed,
        guest: &[u8],
        payer: &'a Account,
        members: &'a [Account; 2],
    ) -> Result<Self> {
        let code = testbed.publish(guest).await?;
        let points = json!([[members[0].id(), 2], [members[1].id(), 1]]);
        let outlayer = testbed.contract.id();
        let init = json!({ "outlayer": outlayer, "code": code, "members": points });
        let dapp = deploy(testbed, "example_payout", init).await?;
        Ok(Self { testbed, dapp, payer, members })
    }

    /// Pays out the pot. Gives the transaction's hash, the dApp's answer, and what the callback was
    /// told of the request.
    async fn pay_out(&self) -> Result<(String, Value, Vec<Event>)> {
        let about = json!({ "payer": self.payer.id(), "pot": POT });
        let cost = cost(self.testbed, &self.dapp, about).await?;
        let call = self
            .payer
            .call(self.dapp.id(), "pay_out")
            .args_json(json!({ "pot": POT }))
            .deposit(POT.saturating_add(cost))
            .gas(DAPP_GAS);
        let asked = call.transact_async().await?;
        let hash = asked.hash().to_string();
        let result = self.testbed.finished(asked).await?;
        let events = events(&result);
        Ok((hash, result.into_result()?.json()?, events))
    }

    async fn balances(&self) -> Result<[u128; 4]> {
        let mut all = [0; 4];
        let [one, two] = self.members;
        for (place, id) in all.iter_mut().zip([one.id(), two.id(), self.dapp.id(), self.payer.id()])
        {
            *place = self.testbed.balance(id).await?;
        }
        Ok(all)
    }
}

/// Three accounts: who pays, and two members.
async fn accounts(testbed: &Testbed) -> Result<(Account, [Account; 2])> {
    let new = async || testbed.node.dev_create_account().await;
    Ok((new().await?, [new().await?, new().await?]))
}

/// A guest whose body plans with the functions of the module `outlayer`: promise, call, transfer.
/// `$to` plans a promise for the account whose name stands at an address.
fn planner(names: &[&str], body: &str) -> Result<Vec<u8>> {
    let data = names
        .iter()
        .enumerate()
        .map(|(number, name)| format!("(data (i32.const {}) \"{name}\")", 100 * number));
    let data = data.collect::<Vec<_>>().join(" ");
    let text = format!(
        r#"(module
            (import "outlayer" "plan_promise"
                (func $promise (param i32 i32 i32 i32) (result i32)))
            (import "outlayer" "plan_call"
                (func $call (param i32 i32 i32 i32 i32 i32 i64 i64)))
            (import "outlayer" "plan_transfer" (func $transfer (param i32 i32)))
            (memory (export "memory") 1)
            {data}
            (data (i32.const 1000) "steal")
            (func $to (param $at i32) (param $length i32) (result i32)
                (call $promise (local.get $at) (local.get $length) (i32.const 0) (i32.const 0)))
            (func $pay (param $promise i32) (param $low i64) (param $high i64)
                (i64.store (i32.const 2000) (local.get $low))
                (i64.store (i32.const 2008) (local.get $high))
                (call $transfer (local.get $promise) (i32.const 2000)))
            (func (export "_start") {body}))"#
    );
    Ok(wat::parse_str(text)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_carried_out_by_the_contract_that_asked_and_replays() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (payer, members) = accounts(&testbed).await?;
    let serving = testbed.serve()?;
    for guest in ["payout", "payout.component"] {
        let wasm = artifacts::wasm(guest)?;
        let division = Division::new(&testbed, &wasm, &payer, &members).await?;
        let before = division.balances().await?;
        let (hash, paid, events) = division.pay_out().await?;
        let nothing = NearToken::from_yoctonear(0);
        assert_eq!(paid, json!({ "paid": POT, "returned": nothing, "refused": null }));
        let after = division.balances().await?;
        let part = POT.as_yoctonear() / 3;
        assert_eq!((after[0] - before[0], after[1] - before[1]), (2 * part, part), "{guest}");
        let Some(Event::ExecutionCompleted(completed)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(completed.outcome, "planned");
        assert!(completed.plan_hash.is_some());
        let (matches, report) = replay(&testbed, &hash, payer.id().as_str()).await?;
        assert!(matches, "{report}");
        assert_eq!(report["digest"], completed.digest.to_string());
    }
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_plans_too_much_pays_nobody_and_the_pot_goes_back() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (payer, members) = accounts(&testbed).await?;
    let serving = testbed.serve()?;
    let [one, two] = [&members[0], &members[1]].map(|one| one.id().to_string());
    let to = |number: usize| {
        let names = [&one[..], &two[..], "outlayer.near"];
        format!("(call $to (i32.const {}) (i32.const {}))", 100 * number, names[number].len())
    };
    let pay = |number: usize, amount: u128| {
        let (low, high) = (amount & u128::from(u64::MAX), amount >> 64);
        format!("(call $pay {} (i64.const {low}) (i64.const {high}))", to(number))
    };
    let pot = POT.as_yoctonear();
    let steal = format!(
        "(call $call {} (i32.const 1000) (i32.const 5) (i32.const 0) (i32.const 0)
            (i32.const 2000) (i64.const 1000000000000) (i64.const 0))",
        to(0)
    );
    let long = format!(
        "(call $call {} (i32.const 1000) (i32.const 5) (i32.const 0) (i32.const 10000)
            (i32.const 2000) (i64.const 1) (i64.const 0))",
        to(0)
    );
    for (body, expected) in [
        (pay(0, pot) + &pay(1, 1), "the plan spends"),
        (pay(0, u128::MAX), "the plan spends"),
        (pay(0, 1) + &pay(2, 1), "which this contract does not allow"),
        (steal, "calls steal of"),
        (pay(0, 1) + &pay(1, 1) + &pay(0, 1), "at most 2"),
        (long, "limit_exceeded"),
    ] {
        let guest = planner(&[&one, &two, "outlayer.near"], &body)?;
        let other = Division::new(&testbed, &guest, &payer, &members).await?;
        let before = other.balances().await?;
        let outlayers = testbed.funds().await?.deposits;
        let (_, paid, _) = other.pay_out().await?;
        let refused = paid["refused"].as_str().with_context(|| paid.to_string())?;
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(paid["returned"], json!(POT), "{paid}");
        let after = other.balances().await?;
        assert_eq!((after[0], after[1]), (before[0], before[1]), "{refused}");
        // The contract has lost nothing; before protocol version 87 it earned from its gas.
        assert!(after[2] >= before[2], "{refused}");
        // The payer has the pot back, and has paid for the request and the gas.
        let spent = before[3] - after[3];
        assert!(spent < NearToken::from_millinear(100).as_yoctonear(), "{spent}: {refused}");
        assert_eq!(testbed.funds().await?.deposits, outlayers);
    }
    serving.stop().await
}

/// A method that plans a payment and a call after it, whose result it returns.
const NEAR_GUEST: &str = r#"(module
    (import "env" "promise_batch_create" (func $create (param i64 i64) (result i64)))
    (import "env" "promise_batch_then" (func $then (param i64 i64 i64) (result i64)))
    (import "env" "promise_batch_action_transfer" (func $transfer (param i64 i64)))
    (import "env" "promise_batch_action_function_call"
        (func $call (param i64 i64 i64 i64 i64 i64 i64)))
    (import "env" "promise_return" (func $return (param i64)))
    (memory 1)
    (data (i32.const 0) "alice.nearbook.nearnote{}\07")
    (func (export "plan") (local $note i64)
        (call $transfer (call $create (i64.const 10) (i64.const 0)) (i64.const 25))
        (local.set $note (call $then (i64.const 0) (i64.const 9) (i64.const 10)))
        (call $call (local.get $note) (i64.const 4) (i64.const 19) (i64.const 2) (i64.const 23)
            (i64.const 64) (i64.const 5000000000000))
        (call $return (local.get $note))))"#;

fn near_request(code: Hash32, plan_bytes: u32) -> ExecutionRequest {
    let mut asked_for = request(code, "");
    asked_for.kind = Some(GuestKind::Near);
    asked_for.args = vec!["plan".to_owned()];
    asked_for.limits = asked_for.limits.with_plan(plan_bytes);
    asked_for.limits.compute = Compute::Gas(30_000_000_000_000);
    asked_for.limits.memory_bytes = 128 << 20;
    asked_for
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_as_a_guest_plans_its_promises() -> Result<()> {
    let testbed = Testbed::start().await?;
    let code = testbed.publish(&wat::parse_str(NEAR_GUEST)?).await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let asked = testbed.ask(&caller, &near_request(code, 500)).await?;
    let (hash, signer) = (asked.hash().to_string(), asked.sender_id().to_string());
    let settled = testbed.settlement(asked).await?;
    let Outcome::Planned { output, plan } = &settled.outcome else { panic!("{settled:?}") };
    assert!(output.is_empty());
    let plan = Plan::decode(plan)?;
    assert_eq!(plan.returns, Some(1));
    let [pay, note] = &plan.promises[..] else { panic!("{plan:?}") };
    let deposit = |amount| NearToken::from_yoctonear(amount);
    assert_eq!((pay.receiver.as_str(), &pay.after[..]), ("alice.near", &[][..]));
    assert_eq!(pay.actions, [Action::Transfer { deposit: deposit(7) }]);
    assert_eq!((note.receiver.as_str(), &note.after[..]), ("book.near", &[0][..]));
    let call = Action::FunctionCall {
        method: "note".to_owned(),
        args: "{}".into(),
        deposit: deposit(0),
        gas: 5_000_000_000_000,
        weight: 0,
    };
    assert_eq!(note.actions, [call]);
    let (matches, report) = replay(&testbed, &hash, &signer).await?;
    assert!(matches, "{report}");

    let settled = testbed.settlement(testbed.ask(&caller, &near_request(code, 0)).await?).await?;
    let exceeded = Outcome::LimitExceeded { which: Limit::PlanBytes, limit: 0 };
    assert_eq!(settled.outcome, exceeded);
    serving.stop().await
}

/// The contract hands the bytes on as they are. Who reads them as a plan finds that they are none.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_makes_a_plan_up_is_told_by_the_digest_and_by_a_replay() -> Result<()> {
    let testbed = Testbed::start().await?;
    let code = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked_for = request(code, "the truth");
    asked_for.limits = asked_for.limits.with_plan(100);
    let asked = testbed.ask(&caller, &asked_for).await?;
    let (hash, signer) = (asked.hash().to_string(), asked.sender_id().to_string());
    let request_id = testbed.wait_for_pending(1).await?[0].request_id;
    let mut lie = testbed.execute(request_id).await?;
    let live = testbed.live(request_id).await?.context("live")?.request;
    let honest = ExecutionRecord::new(&live, &lie).digest();
    lie.plan = "a plan".into();
    assert!(testbed.resolve(&testbed.worker, &lie).await?.is_success());
    let settled = settlement(testbed.finished(asked).await?)?;
    assert_ne!(settled.digest, Some(honest));
    let Outcome::Planned { plan, .. } = &settled.outcome else { panic!("{settled:?}") };
    assert!(matches!(Plan::decode(plan), Err(PlanError::Malformed { .. })));
    let (matches, report) = replay(&testbed, &hash, &signer).await?;
    assert!(!matches, "{report}");
    Ok(())
}
