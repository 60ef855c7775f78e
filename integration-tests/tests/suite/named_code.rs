//! Code that is asked for by name, through the whole round trip, and several answers in one call.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use near_workspaces::{Account, result::ExecutionFinalResult};
use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::request,
    testbed::{events, settlement},
};
use outlayer_protocol::{
    CodeRef, CodeSource, ExecutionRequest, Hash32, NearToken, Outcome, events::Event, methods,
    response::Answer, views::NamedCodeView,
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::common::{refusal, small, web_server};

/// Gives the next version of `echo` to code. The result is the number of the version.
async fn name(testbed: &Testbed, owner: &Account, hash: Hash32) -> Result<u32> {
    let call = owner.call(testbed.contract.id(), methods::NAME_CODE);
    let call = call.args_json(json!({ "name": "echo", "code": CodeRef { hash, url: None } }));
    let call = call.deposit(NearToken::from_near(1)).max_gas();
    Ok(call.transact().await?.into_result()?.json()?)
}

/// The code that a request was taken for, and its full name.
fn pinned(result: &ExecutionFinalResult) -> (Hash32, Option<String>) {
    let events = events(result);
    let Some(Event::ExecutionRequested(requested)) = events.first() else { panic!("{events:?}") };
    (requested.code.hash, requested.code_name.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_by_name_is_executed_with_the_code_that_the_name_stood_for() -> Result<()> {
    let testbed = Testbed::start().await?;
    let module = testbed.publish_guest("echo").await?;
    let component = testbed.publish_guest("echo.component").await?;
    let caller = testbed.node.dev_create_account().await?;
    let owner = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let by_name = |version: &str| {
        let name = format!("{}/echo{version}", owner.id());
        ExecutionRequest::new(CodeSource::Named { name }, "by name")
    };
    let ask = async |version: &str| -> Result<_> {
        let result = testbed.finished(testbed.ask(&caller, &by_name(version)).await?).await?;
        let pinned = pinned(&result);
        assert_eq!(settlement(result)?.outcome, Outcome::Completed { output: "by name".into() });
        Ok(pinned)
    };
    let full = |version| Some(format!("{}/echo@{version}", owner.id()));

    assert_eq!(name(&testbed, &owner, module).await?, 1);
    assert_eq!(ask("").await?, (module, full(1)));
    assert_eq!(name(&testbed, &owner, component).await?, 2);
    assert_eq!(ask("").await?, (component, full(2)));
    assert_eq!(ask("@1").await?, (module, full(1)));

    let retire = owner.call(testbed.contract.id(), methods::RETIRE_NAMED_CODE);
    let retire = retire.args_json(json!({ "name": "echo", "version": 2 }));
    let retire = retire.deposit(NearToken::from_yoctonear(1)).max_gas();
    retire.transact().await?.into_result()?;
    assert_eq!(ask("").await?, (module, full(1)));
    let call = caller.call(testbed.contract.id(), methods::REQUEST_EXECUTION);
    let call = call.args_json(json!({ "request": by_name("@2") }));
    let refused = call.deposit(NearToken::from_near(1)).max_gas().transact().await?;
    let refused = refusal(refused);
    assert!(refused.contains("[name_retired]"), "{refused}");
    let listed = testbed
        .contract
        .view(methods::LIST_NAMED_CODE)
        .args_json(json!({ "of": format!("{}/echo", owner.id()), "from_index": 0, "limit": 10 }));
    let listed: Vec<NamedCodeView> = listed.await?.json()?;
    let listed: Vec<_> = listed.into_iter().map(|one| (one.hash, one.retired)).collect();
    assert_eq!(listed, [(module, false), (component, true)]);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_answers_come_in_one_call_and_each_has_its_own_result() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked = Vec::new();
    for input in ["one", "two"] {
        let limits = small();
        asked.push(
            testbed.ask(&caller, &ExecutionRequest { limits, ..request(echo, input) }).await?,
        );
        testbed.wait_for_pending(asked.len()).await?;
    }
    let (one, two) = (testbed.execute(0).await?, testbed.execute(1).await?);
    let mut unknown = one.clone();
    unknown.request_id = 99;
    let mut answers = Vec::new();
    for response in [one.clone(), unknown, two, one] {
        let digest = testbed.digest(&response).await?;
        answers.push(Answer { response, digest, salt: None });
    }
    let call = testbed.worker.call(testbed.contract.id(), methods::RESOLVE_MANY);
    let result = call.args_borsh(answers).max_gas().transact().await?.into_result()?;
    let codes: Vec<Option<String>> = result.json()?;
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(codes, [None, code("unknown_request"), None, code("already_answered")]);
    for (transaction, output) in asked.into_iter().zip(["one", "two"]) {
        let settled = testbed.settlement(transaction).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: output.into() });
    }
    Ok(())
}

/// Tells of the executions that may use no fuel, which only compile.
struct CompilesAhead(Arc<dyn Engine>, mpsc::UnboundedSender<Hash32>);

impl Engine for CompilesAhead {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let execution = self.0.execute(job, snapshot);
        if job.limits.compute.amount() == 0 {
            let _ = self.1.send(job.code.hash());
        }
        execution
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_or_named_is_compiled_before_anybody_asks_for_it() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = testbed.node.dev_create_account().await?;
    let (told, mut compiled) = mpsc::unbounded_channel();
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.engine = Arc::new(CompilesAhead(config.engine, told));
    config.code.allow_private_urls = true;
    config.poll_interval = Duration::from_millis(20);
    let serving = testbed.serve_with(config)?;
    let published = testbed.publish_guest("echo").await?;
    assert_eq!(compiled.recv().await, Some(published));
    let component = artifacts::wasm("echo.component")?;
    let hash = Hash32::of(&component);
    let code = CodeRef { hash, url: Some(web_server(component).await?) };
    let call = owner.call(testbed.contract.id(), methods::NAME_CODE);
    let call = call.args_json(json!({ "name": "echo", "code": code }));
    call.deposit(NearToken::from_near(1)).max_gas().transact().await?.into_result()?;
    assert_eq!(compiled.recv().await, Some(hash));
    serving.stop().await
}
