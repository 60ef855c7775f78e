//! Many requests at once, from several callers.

use anyhow::Result;
use outlayer_integration_tests::{Testbed, guests::request};
use outlayer_protocol::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_requests_of_several_callers_settle_each_to_its_own_caller() -> Result<()> {
    const CALLERS: usize = 4;
    const EACH: usize = 5;
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(testbed.node.dev_create_account().await?);
    }
    let serving = testbed.serve()?;
    let mut asked = Vec::new();
    for round in 0..EACH {
        for (index, caller) in callers.iter().enumerate() {
            let input = format!("caller {index}, request {round}");
            asked.push((input.clone(), testbed.ask(caller, &request(echo, input.as_str())).await?));
        }
    }
    let mut ids = Vec::new();
    for (input, transaction) in asked {
        let settled = testbed.settlement(transaction).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: input.as_str().into() });
        ids.extend(settled.request_id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CALLERS * EACH);
    for (index, caller) in callers.iter().enumerate() {
        let args = serde_json::json!({ "asker": caller.id() });
        let answers: Vec<String> = testbed.dapp.view("answers").args_json(args).await?.json()?;
        assert_eq!(answers.len(), EACH, "caller {index}");
    }
    assert!(testbed.pending().await?.is_empty());
    serving.stop().await
}
