//! Deploying with an account that is created for it, and upgrading.

use anyhow::{Context, Result, ensure};
use outlayer_integration_tests::{Testbed, artifacts};
use outlayer_protocol::{methods, views::ConfigView};
use serde_json::json;

use super::home::Home;

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_gets_an_account_of_its_own_and_nothing_is_overwritten() -> Result<()> {
    let testbed = Testbed::start().await?;
    let mut home = Home::new(&testbed)?;
    let parent = testbed.node.dev_create_account().await?;
    home.import(&parent)?;
    let id = format!("outlayer.{}", parent.id());
    home.call(&id, "outlayer.you.testnet");
    home.call(parent.id().as_str(), "you.testnet");
    std::fs::write(home.path().join("config.json"), r#"{"prices": {"per_fuel": "7"}}"#)?;
    let worker = testbed.worker.id().as_str();
    let deploy = [
        "deploy",
        "--create",
        "--account",
        &id,
        "--initial-balance",
        "6",
        "--worker",
        worker,
        "--config",
        "config.json",
    ];

    let dry = home.run(&[&deploy[..], &["--dry-run"]].concat()).await?.with(0)?;
    let lines: Vec<&str> =
        dry.stdout.lines().filter(|line| line.starts_with("transaction")).collect();
    assert_eq!(lines.len(), 3, "{dry:?}");
    home.snapshot("deploy-dry-run", &dry)?;
    let dry = home.run(&[&deploy[..], &["--dry-run", "--json"]].concat()).await?.with(0)?;
    home.snapshot("deploy-dry-run-json", &dry)?;
    let dry = dry.json()?;
    assert_eq!(dry["transactions"].as_array().map(Vec::len), Some(3), "{dry}");
    assert!(testbed.node.view_account(&id.parse()?).await.is_err(), "nothing was sent");

    let said = home.run(&deploy).await?;
    home.snapshot("deploy", &said)?;
    let deployed: ConfigView =
        testbed.node.view(&id.parse()?, methods::GET_CONFIG).await?.json()?;
    assert_eq!(deployed.config.prices.per_fuel.as_yoctonear(), 7);
    let code = testbed.node.view_code(&id.parse()?).await?;
    assert!(code == outlayer_testkit::contract_wasm()?, "it is the code of the command");
    let registered = testbed.node.view(&id.parse()?, methods::GET_WORKER);
    let registered: serde_json::Value =
        registered.args_json(json!({ "worker_id": worker })).await?.json()?;
    assert!(registered.is_object());

    let again = home.run(&["deploy", "--account", &id]).await?.with(2)?;
    ensure!(again.stderr.contains("has a contract already"), "{again:?}");
    let again = home.run(&deploy).await?.with(2)?;
    ensure!(again.stderr.contains("exists already"), "{again:?}");
    let poor = ["deploy", "--account", "nobody.testnet", "--dry-run"];
    let poor = home.run(&poor).await?.with(2)?;
    ensure!(poor.stderr.contains("does not exist; give --create"), "{poor:?}");
    std::fs::write(home.path().join("README.md"), "# no Wasm")?;
    let text = home.run(&["deploy", "README.md", "--account", &id]).await?.with(2)?;
    ensure!(text.stderr.contains("README.md is no WebAssembly: it is a text file"), "{text:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_announced_and_made_when_its_time_has_come() -> Result<()> {
    let testbed = Testbed::start().await?;
    let home = Home::new(&testbed)?;
    home.import(testbed.contract.as_account())?;
    let mut code = artifacts::wasm("outlayer_contract")?;
    std::fs::write(home.path().join("same.wasm"), &code)?;
    std::fs::write(home.path().join("other.wasm"), [&code[..], b"\0\x07\x05build4"].concat())?;
    code.extend(b"\0\x07\x05build3");
    std::fs::write(home.path().join("next.wasm"), &code)?;
    let id = testbed.contract.id().as_str();
    let upgrade = async |file: &str, more: &[&str]| {
        home.run(&[&["upgrade", file, "--account", id][..], more].concat()).await
    };
    home.snapshot("upgrade-unchanged", &upgrade("same.wasm", &[]).await?)?;
    let dry = upgrade("next.wasm", &["--dry-run"]).await?.with(0)?;
    ensure!(dry.stdout.contains("propose_upgrade"), "{dry:?}");
    home.snapshot("upgrade-announced", &upgrade("next.wasm", &[]).await?)?;
    let other = upgrade("other.wasm", &[]).await?.with(2)?;
    ensure!(other.stderr.contains("give --replace"), "{other:?}");
    let early = upgrade("next.wasm", &["--json"]).await?.with(4)?.json()?;
    testbed.advance_to(early["from_height"].as_u64().context("from_height")?).await?;
    home.snapshot("upgrade-made-json", &upgrade("next.wasm", &["--wait", "--json"]).await?)?;
    assert_eq!(testbed.contract.view_code().await?, code);

    let owner = testbed.contract.as_account();
    let key = owner.secret_key().public_key();
    let nonce = testbed.node.view_access_key(owner.id(), &key).await?.nonce;
    let same = upgrade("next.wasm", &["--replace", "--wait"]).await?.with(1)?;
    ensure!(same.stdout.contains("has this code already; nothing was sent"), "{same:?}");
    home.snapshot("upgrade-unchanged-json", &upgrade("next.wasm", &["--json"]).await?)?;
    let after = testbed.node.view_access_key(owner.id(), &key).await?.nonce;
    assert_eq!(after, nonce, "nothing was sent");
    Ok(())
}
