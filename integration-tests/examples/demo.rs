//! The demo shows a person two requests: one that is served, and one that is not. It exits with 0
//! only if both end as they should.
//!
//! It is an example and not a binary because cargo then gives its dependencies the features that
//! they have in the tests. `scripts/test` compiles none of them again after `scripts/demo`.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, Contract, result::ExecutionFinalResult, types::NearToken};
use outlayer_integration_tests::{
    Testbed, artifacts, guests,
    testbed::{DAPP_GAS, burnt, events},
};
use outlayer_protocol::{
    Hash32,
    events::{Event, ExecutionRequested},
};
use serde_json::json;

const INPUT: &str = "{}";

/// The Wasm files that the demo needs. `scripts/demo` builds them too, and shows the progress.
const WASM: [&str; 4] = ["outlayer_contract", "example_ask", "fixture_dapp", "random-ark"];

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => {
            println!("\nBoth came out right.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn near(yocto: impl Into<u128>) -> String {
    const NEAR: u128 = 1_000_000_000_000_000_000_000_000;
    let yocto = yocto.into();
    format!("{}.{:024} NEAR", yocto / NEAR, yocto % NEAR)
}

fn row(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<18} {value}");
}

/// What the demo's two acts share.
struct Stage {
    testbed: Testbed,
    ask: Contract,
    caller: Account,
    ark: Hash32,
}

impl Stage {
    async fn set() -> Result<Self> {
        artifacts::build_only(&WASM)?;
        println!("Starting a NEAR node, deploying OutLayer and the dApp of examples/ask …");
        let testbed = Testbed::start().await?;
        let ask = testbed.node.dev_deploy(&artifacts::wasm("example_ask")?).await?;
        ask.call("new")
            .args_json(json!({ "outlayer": testbed.contract.id() }))
            .transact()
            .await?
            .into_result()?;
        let caller = testbed.node.dev_create_account().await?;
        let ark = testbed.publish_guest("random-ark").await?;
        row("node", format!("protocol version {}", testbed.node.status().await?.protocol_version));
        row("OutLayer", testbed.contract.id());
        row("dApp", ask.id());
        row("worker", testbed.worker.id());
        row("guest", format!("random-ark, sha256 {ark}"));
        Ok(Self { testbed, ask, caller, ark })
    }

    /// Sends a request through the dApp.
    async fn request(&self) -> Result<near_workspaces::operations::TransactionStatus> {
        let mut request = guests::request(self.ark, INPUT);
        request.refund_to = Some(self.caller.id().clone());
        let cost = self.testbed.estimate(&request).await?;
        println!("\n{} asks the dApp to run random-ark on {INPUT}", self.caller.id());
        row("attached", near(cost.total.as_yoctonear()));
        row("  at most, fee", near(cost.max_fee.as_yoctonear()));
        row("  for storage", near(cost.storage_reserve.as_yoctonear()));
        let deposit = NearToken::from_yoctonear(cost.total.as_yoctonear());
        let call = self
            .caller
            .call(self.ask.id(), "ask")
            .args_json(json!({ "code": self.ark, "input": INPUT }));
        Ok(call.deposit(deposit).gas(DAPP_GAS).transact_async().await?)
    }

    async fn last_answer(&self) -> Result<String> {
        Ok(self.ask.view("last_answer").await?.json()?)
    }
}

fn requested(events: &[Event]) -> Result<&ExecutionRequested> {
    match events.first() {
        Some(Event::ExecutionRequested(event)) => Ok(event),
        other => anyhow::bail!("expected the event execution_requested, found {other:?}"),
    }
}

fn show_request(requested: &ExecutionRequested) {
    let context = &requested.context;
    println!("\nRequest {}, as the contract's event shows it", requested.request_id);
    row("code", requested.code.hash);
    row("input", format!("{} bytes, sha256 {}", requested.input_bytes, requested.input_hash));
    row("limit", requested.limits.compute);
    row("block", context.block_height);
    row("timestamp", format!("{} ns", context.block_timestamp));
    row("epoch", context.epoch_height);
    row("random seed", context.random_seed);
    row("signer", &context.signer_id);
    row("predecessor", &context.predecessor_id);
    row("deadline", format!("block {}", requested.deadline));
}

async fn demo() -> Result<()> {
    let stage = Stage::set().await?;
    served(&stage).await?;
    unserved(&stage).await
}

async fn served(stage: &Stage) -> Result<()> {
    let testbed = &stage.testbed;
    let serving = testbed.serve()?;
    let result = testbed.finished(stage.request().await?).await?;
    serving.stop().await?;
    let events = events(&result);
    let requested = requested(&events)?;
    show_request(requested);
    let Some(Event::ExecutionCompleted(completed)) = events.last() else {
        anyhow::bail!("expected the event execution_completed, found {events:?}");
    };
    let settled_at = testbed.settled_at(&result).await?;
    let gas_paid = burnt(&result.clone().into_result()?);
    let answer: String = result.into_result()?.json()?;
    println!("\nSettled: {}", completed.outcome);
    row("the dApp received", &answer);
    row("used", completed.used);
    row("fee", near(completed.fee.as_yoctonear()));
    row("refund", near(completed.refund.as_yoctonear()));
    row("gas, besides", near(gas_paid));
    row("record's digest", completed.digest);
    let blocks = settled_at.saturating_sub(requested.context.block_height);
    row("settled in block", format!("{settled_at}, {blocks} blocks after the request"));

    ensure!(
        completed.outcome == "completed",
        "expected the outcome completed, found {}",
        completed.outcome
    );
    ensure!(stage.last_answer().await? == answer, "the dApp keeps something else than it returned");
    let rolled: serde_json::Value =
        serde_json::from_str(&answer).context("random-ark answers in JSON")?;
    ensure!(rolled.is_object(), "random-ark answered {answer}");
    let deposit = requested.context.attached_deposit.as_yoctonear();
    let accounted = completed.fee.as_yoctonear() + completed.refund.as_yoctonear();
    ensure!(accounted == deposit, "fee and refund are {accounted}, the deposit was {deposit}");
    ensure!(testbed.live(requested.request_id).await?.is_none(), "the record is still there");
    Ok(())
}

async fn unserved(stage: &Stage) -> Result<()> {
    let testbed = &stage.testbed;
    println!("\nThe worker is gone. The same request again:");
    let asked = stage.request().await?;
    let pending = testbed.wait_for_pending(1).await?;
    let deadline = pending.first().map(|one| one.deadline).context("the request is not live")?;
    println!("\nSkipping ahead to its deadline, block {deadline} …");
    testbed.advance_to(deadline + 3).await?;
    let result: ExecutionFinalResult = testbed.finished(asked).await?;
    let events = events(&result);
    let requested = requested(&events)?;
    let Some(Event::ExecutionTimedOut(timed_out)) = events.last() else {
        anyhow::bail!("expected the event execution_timed_out, found {events:?}");
    };
    let answer: String = result.into_result()?.json()?;
    println!("\nSettled: timed_out");
    row("the dApp received", &answer);
    row("refund", near(timed_out.refund.as_yoctonear()));

    ensure!(answer == "no answer: timed_out", "expected a timeout, the dApp received {answer}");
    let (refund, deposit) = (timed_out.refund, requested.context.attached_deposit);
    ensure!(refund == deposit, "{refund} came back of {deposit}");
    ensure!(testbed.live(requested.request_id).await?.is_none(), "the record is still there");
    Ok(())
}
