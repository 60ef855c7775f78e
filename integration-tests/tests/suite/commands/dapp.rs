//! A developer's own contract, deployed, called and asked with the command.

use anyhow::{Context, Result, ensure};
use outlayer_integration_tests::{Testbed, artifacts};
use outlayer_protocol::Hash32;
use serde_json::json;

use super::home::Home;

#[tokio::test(flavor = "multi_thread")]
async fn a_dapp_is_deployed_called_with_what_its_request_costs_and_asked() -> Result<()> {
    let testbed = Testbed::start().await?;
    let mut home = Home::new(&testbed)?;
    let user = testbed.node.dev_create_account().await?;
    home.import(&user)?;
    let dapp = format!("asker.{}", user.id());
    home.call(&dapp, "asker.you.testnet");
    home.call(user.id().as_str(), "you.testnet");
    std::fs::write(home.path().join("asker.wasm"), artifacts::wasm("example_ask")?)?;
    let init = json!({ "outlayer": testbed.contract.id() }).to_string();
    let account = ["--account", user.id().as_str()];

    let deploy = ["dapp", "deploy", "asker.wasm", "--account", &dapp];
    let missing = home.run(&[&deploy[..], &["--init", &init]].concat()).await?.with(2)?;
    ensure!(missing.stderr.contains("Import the account"), "{missing:?}");
    let create = [&deploy[..], &["--create", "--init", &init]].concat();
    let dry = home.run(&[&create[..], &["--dry-run"]].concat()).await?;
    home.snapshot("dapp-deploy-dry-run", &dry)?;
    home.snapshot("dapp-deploy", &home.run(&create).await?)?;
    // It is deployed again without its state being lost; initialising it again fails as a whole.
    let again = home.run(&[&deploy[..], &["--json"]].concat()).await?.with(0)?.json()?;
    let bytes = artifacts::wasm("example_ask")?.len();
    assert_eq!((&again["contract_id"], &again["bytes"]), (&json!(dapp), &json!(bytes)));
    home.run(&[&deploy[..], &["--init", &init]].concat()).await?.with(2)?;
    home.import(testbed.contract.as_account())?;
    let outlayer = testbed.contract.id().as_str();
    let over = home.run(&["dapp", "deploy", "asker.wasm", "--account", outlayer]).await?.with(2)?;
    ensure!(over.stderr.contains("has OutLayer's contract"), "{over:?}");

    let code = Hash32::of(&artifacts::wasm("echo")?).to_string();
    testbed.publish_guest("echo").await?;
    let serving = testbed.serve()?;
    let (code, call) = (format!("code={code}"), ["dapp", "call", &dapp, "ask"]);
    let ask = [&call[..], &[&code, "input=hello"], &account].concat();
    let unpaid = home.run(&ask).await?.with(0)?;
    ensure!(unpaid.stdout.contains("refused: 0 yoctoNEAR attached"), "{unpaid:?}");
    let priced = [&ask[..], &["--price-of", "request"]].concat();
    home.snapshot("dapp-call", &home.run(&priced).await?)?;
    let said = home.run(&[&priced[..], &["--json"]].concat()).await?.with(0)?.json()?;
    let request = said["requests"].get(0).context("a request")?;
    assert_eq!((&said["returned"], &request["money"]["adds_up"]), (&json!("hello"), &json!(true)));
    home.snapshot("dapp-view", &home.run(&["dapp", "view", &dapp, "last_answer"]).await?)?;
    serving.stop().await?;

    let none = ["dapp", "call", &dapp, "ask", "--price-of", "last_answer"];
    let none = home.run(&[&none[..], &account].concat()).await?.with(2)?;
    ensure!(none.stderr.contains("expected a request of OutLayer"), "{none:?}");
    Ok(())
}
