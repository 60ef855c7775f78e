//! Every kind of guest, and both meters, through the whole round trip.

use anyhow::{Result, bail};
use outlayer_executor::{Code, EmptySnapshot, Execution, Executor, ExecutorConfig, Job};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::{self, request},
};
use outlayer_protocol::{
    Compute, ExecutionRequest, GuestKind, Hash32, Limit, NearToken, Outcome, ResourceLimits,
    Status, config::Prices, pricing,
};
use serde_json::{Value, json};

use crate::common::priced;

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
    let output_bytes = "in gas".len() as u64;
    let due = pricing::fee(&Prices::default(), &priced(&asked_for), settled.used, output_bytes)?;
    assert_eq!(settled.fee, due.total());
    serving.stop().await
}

/// A request for a method of a contract.
fn method(contract: Hash32, name: &str, input: &str) -> ExecutionRequest {
    let mut asked_for = request(contract, input);
    asked_for.kind = Some(GuestKind::Near);
    asked_for.args = vec![name.to_owned()];
    asked_for.limits.compute = Compute::Gas(30_000_000_000_000);
    asked_for.limits.memory_bytes = 128 << 20;
    asked_for
}

#[tokio::test(flavor = "multi_thread")]
async fn a_near_contracts_methods_are_guests_and_its_state_lives_in_the_namespace() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
    let contract = testbed.publish(&artifacts::wasm("fixture_dapp")?).await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let ask = async |name, input| {
        testbed.settlement(testbed.ask(&caller, &method(contract, name, input)).await?).await
    };
    let settled = ask("answers", r#"{"asker": "alice.near"}"#).await?;
    let Outcome::Trapped { reason } = &settled.outcome else { panic!("{settled:?}") };
    // Nobody has called `new` in this namespace yet.
    assert!(reason.contains("The contract is not initialized"), "{reason}");
    assert!(settled.used.amount() > 0);

    // Neither method is payable. They run all the same, because a request's deposit is not a
    // deposit of the call.
    let settled = ask("new", r#"{"outlayer": "outlayer.near"}"#).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "".into() });
    let settled = ask("answers", r#"{"asker": "alice.near"}"#).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "[]".into() });

    let settled = ask("cancel", r#"{"request_id": 1}"#).await?;
    let no_plan = Outcome::LimitExceeded { which: Limit::PlanBytes, limit: 0 };
    assert_eq!(settled.outcome, no_plan, "the request allows no promises");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_asked_like_a_module() -> Result<()> {
    let testbed = Testbed::start().await?;
    let module = testbed.publish_guest("random-ark").await?;
    let component = testbed.publish_guest("random-ark.component").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let ask = async |code, kind, input| -> Result<Value> {
        let mut asked_for = request(code, input);
        asked_for.kind = kind;
        let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
        let Outcome::Completed { output } = settled.outcome else { panic!("{settled:?}") };
        Ok(serde_json::from_slice(&output)?)
    };
    let seeded = r#"{"seed": 42}"#;
    let answer = ask(component, Some(GuestKind::WasiP2), seeded).await?;
    assert_eq!(answer["source"], "seed");
    assert_eq!(answer, ask(module, Some(GuestKind::WasiP1), seeded).await?);
    let (one, other) = (ask(component, None, "").await?, ask(component, None, "").await?);
    assert_eq!((&one["source"], &other["source"]), (&json!("request"), &json!("request")));
    assert_ne!(one["nonce"], other["nonce"], "two requests have two seeds");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_and_a_module_share_a_namespace() -> Result<()> {
    let testbed = Testbed::start().await?;
    testbed.pay_for_storage().await?;
    let module = testbed.publish_guest("key-value").await?;
    let component = testbed.publish_guest("key-value.component").await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let increment = r#"[{"op": "increment", "key": "visits"}]"#;
    for (code, output) in [(component, "[1]"), (module, "[2]"), (component, "[3]")] {
        let asked = testbed.ask(&caller, &request(code, increment)).await?;
        let settled = testbed.settlement(asked).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: output.into() });
    }
    serving.stop().await
}

/// Runs a guest of `wasi-examples/` without a chain.
fn run(executor: &Executor, guest: &str, input: &str) -> Result<Execution> {
    let context = guests::context(NearToken::from_millinear(500))?;
    let code = artifacts::wasm(guest)?;
    let limits = ResourceLimits::default().with_storage(8, 4, 4 << 10);
    let job = Job { input: input.as_bytes(), ..Job::new(Code::of(&code), &limits, &context) };
    Ok(executor.execute(&job, &mut EmptySnapshot)?)
}

#[test]
fn every_guest_does_the_same_as_a_component() -> Result<()> {
    let executor = Executor::new(ExecutorConfig::default())?;
    for (guest, input) in [
        ("echo", "text \u{0} and more"),
        ("echo", ""),
        ("random-ark", r#"{"seed": 1}"#),
        ("random-ark", r#"{"no": "such field"}"#),
        ("key-value", r#"[{"op": "set", "key": "k", "value": "v"}, {"op": "get", "key": "k"}]"#),
        ("key-value", r#"[{"op": "increment", "key": "n"}, {"op": "remove", "key": "n"}]"#),
        ("context", ""),
        ("exit", "0"),
        ("exit", "1"),
        ("exit", "no number"),
        ("trap", "unreachable"),
        ("trap", "recurse"),
        ("trap", "allocate"),
        ("spin", ""),
        ("big", ""),
        ("offline", ""),
    ] {
        let module = run(&executor, guest, input)?;
        let component = run(&executor, &format!("{guest}.component"), input)?;
        assert_eq!(component.status, module.status, "{guest} {input}");
        assert_eq!(component.output, module.output, "{guest} {input}");
        assert_eq!(component.reads, module.reads, "{guest} {input}");
        assert_eq!(component.journal, module.journal, "{guest} {input}");
        assert_eq!(component.logs, module.logs, "{guest} {input}");
    }
    // WASI 0.2 knows success and failure, and no other code.
    assert_eq!(run(&executor, "exit", "3")?.status, Status::Exited { code: 3 });
    assert_eq!(run(&executor, "exit.component", "3")?.status, Status::Exited { code: 1 });
    // The log shows where the guest panicked, which is the same in both.
    let (module, component) =
        (run(&executor, "trap", "panic")?, run(&executor, "trap.component", "panic")?);
    assert_eq!((component.status, component.logs), (module.status, module.logs));
    Ok(())
}

/// The standard library's calls for files, sockets and names give errors, in both kinds of guest.
#[test]
fn what_no_guest_may_do_is_an_error_that_it_can_handle() -> Result<()> {
    let executor = Executor::new(ExecutorConfig::default())?;
    for guest in ["offline", "offline.component"] {
        let execution = run(&executor, guest, "")?;
        assert_eq!(execution.status, Status::Completed, "{guest}");
        let output = String::from_utf8(execution.output)?;
        let lines: Vec<&str> = output.lines().collect();
        let [attempts @ .., last] = lines.as_slice() else { bail!("{guest} prints nothing") };
        assert_eq!(*last, "slept for 3600 s", "{guest}");
        assert_eq!(attempts.len(), 7, "{guest}: {output}");
        assert!(attempts.iter().all(|line| line.ends_with(": refused")), "{guest}: {output}");
    }
    Ok(())
}
