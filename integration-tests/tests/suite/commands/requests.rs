//! Publishing, asking, following, cancelling, verifying.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use near_workspaces::types::NearToken;
use outlayer_integration_tests::{Testbed, artifacts, guests::request, node};
use outlayer_localnet::{Config, node::RpcFaults};
use outlayer_protocol::methods;
use serde_json::{Value, json};

use super::home::Home;
use crate::common::web_server;

/// A user who has an account with its key in near-cli-rs's place, and a guest's file.
async fn user(testbed: &Testbed) -> Result<(Home, near_workspaces::Account)> {
    let mut home = Home::new(testbed)?;
    let user = testbed.node.dev_create_account().await?;
    home.import(&user)?;
    home.call(user.id().as_str(), "you.testnet");
    std::fs::write(home.path().join("echo.wasm"), artifacts::wasm("echo")?)?;
    Ok((home, user))
}

fn yocto(value: &Value) -> Result<u128> {
    value.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("{value}"))
}

/// What all workers were paid.
fn paid_to_workers(money: &Value) -> Result<u128> {
    let workers = money["workers"].as_array().context("workers")?;
    workers.iter().map(|worker| yocto(&worker["paid"])).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_published_and_asked_and_every_yocto_is_accounted_for() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let account = user.id().as_str();
    let run =
        async |arguments: &[&str]| home.run(&[arguments, &["--account", account]].concat()).await;

    let early = run(&["request", "echo.wasm"]).await?.with(2)?;
    ensure!(early.stderr.contains("publish it with `outlayer publish FILE`"), "{early:?}");
    let dry = run(&["publish", "echo.wasm", "--name", "echo", "--dry-run"]).await?;
    home.snapshot("publish-dry-run", &dry)?;
    home.snapshot("publish", &run(&["publish", "echo.wasm", "--name", "echo"]).await?)?;
    let again = run(&["publish", "echo.wasm", "--name", "echo", "--json"]).await?;
    home.snapshot("publish-again-json", &again)?;

    let serving = testbed.serve()?;
    home.snapshot("request", &run(&["request", "echo.wasm", "--input", "hello"]).await?)?;
    let before = user.view_account().await?.balance;
    let name = format!("{}/echo", user.id());
    let asked = home
        .run(&[
            "request",
            "--name",
            &name,
            "--input",
            "hello",
            "--keep-result",
            "1000",
            "--json",
            "--account",
            user.id().as_str(),
        ])
        .await?;
    home.snapshot("request-json", &asked)?;
    let after = user.view_account().await?.balance;
    let said = asked.json()?;
    let money = &said["money"];
    let [attached, fee, refund, held, gas] =
        ["attached", "fee", "refund", "held", "gas"].map(|name| yocto(&money[name]));
    let (fee, held, gas) = (fee?, held?, gas?);
    assert_eq!(attached?, fee + refund? + held);
    assert_eq!(paid_to_workers(money)? + yocto(&money["protocol"])?, fee);
    let paid = before.as_yoctonear() - after.as_yoctonear();
    assert_eq!(paid, fee + held + gas, "what the account has less is what was said");

    let id = said["request_id"].to_string();
    let hash = said["transaction"].as_str().context("transaction")?.to_owned();
    home.snapshot("status-kept", &home.run(&["status", &id]).await?)?;
    home.snapshot("status-transaction", &home.run(&["status", &hash]).await?)?;
    home.snapshot("status-contract", &home.run(&["status"]).await?)?;
    let worker = ["worker", "status", "--account", testbed.worker.id().as_str()];
    home.snapshot("worker-status", &home.run(&worker).await?)?;
    let worker = home.run(&[&worker[..], &["--json"]].concat()).await?;
    home.snapshot("worker-status-json", &worker)?;
    home.snapshot("watch", &home.run(&["watch", &id]).await?)?;
    let raw = home.run(&["result", &id, "--raw"]).await?.with(0)?;
    assert_eq!(raw.stdout, "hello");
    home.snapshot("result-of-transaction", &home.run(&["result", &hash, "--json"]).await?)?;
    home.snapshot("replay-by-id", &home.run(&["replay", &id]).await?)?;
    home.run(&["replay", "--tx", &hash]).await?.with(0)?;
    home.run(&["replay", "--tx", &hash, "--signer", user.id().as_str()]).await?.with(0)?;
    home.snapshot("audit", &home.run(&["audit", "--from", "0", "--parallel", "2"]).await?)?;
    let all = home.run(&["audit", "--from", "0", "--to", &id, "--json"]).await?.with(0)?;
    assert_eq!(all.json()?["summary"], json!({ "match": 2 }));
    serving.stop().await?;

    let never = home.run(&["status", "99999"]).await?;
    home.snapshot("status-never-made", &never)?;
    home.run(&["replay", "99999"]).await?.with(1)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_worker_of_several_is_shown_with_what_it_earned() -> Result<()> {
    let block_time = Duration::from_millis(150);
    let testbed = Testbed::start_with_timer().await?;
    let others = [testbed.new_worker().await?, testbed.new_worker().await?];
    let (mut home, user) = user(&testbed).await?;
    for (worker, name) in others.iter().zip(["second.testnet", "third.testnet"]) {
        home.call(worker.id().as_str(), name);
    }
    testbed.publish_guest("echo").await?;
    testbed.set_block_time(block_time);
    testbed.wait_for_workers();
    let mut serving = Vec::new();
    for worker in [&testbed.worker, &others[0], &others[1]] {
        let mut config = testbed.worker_config(worker)?;
        config.poll_interval = block_time / 2;
        serving.push(testbed.serve_with(config)?);
    }
    let ask = ["request", "echo.wasm", "--approvals", "2", "--spares", "1", "--fuel", "2000000000"];
    let account = ["--account", user.id().as_str()];
    let before = user.view_account().await?.balance;
    let said = home.run(&[&ask[..], &["--json"], &account].concat()).await?.with(0)?.json()?;
    let money = &said["money"];
    let [fee, held, gas] = ["fee", "held", "gas"].map(|name| yocto(&money[name]));
    let (fee, held, gas) = (fee?, held?, gas?);
    assert_eq!(paid_to_workers(money)? + yocto(&money["protocol"])?, fee);
    assert!(yocto(&money["held_for_open_shares"])? == held, "no result is kept: {money}");

    // All shares are closed, and each worker has earned what was said, unless it has taken its
    // share after the settlement.
    let id = said["request_id"].as_u64().context("request_id")?;
    while testbed.shares(id).await?.is_some() {
        tokio::time::sleep(block_time).await;
    }
    let workers = money["workers"].as_array().context("workers")?;
    assert!(workers.len() >= 2, "{money}");
    let mut late = 0;
    for worker in [&testbed.worker, &others[0], &others[1]] {
        let earned = testbed.worker_view(worker.id()).await?.earnings.as_yoctonear();
        match workers.iter().find(|one| one["worker_id"] == worker.id().as_str()) {
            // Whoever closed the shares was paid for it out of what was held.
            Some(said) if held > 0 => assert!(earned >= yocto(&said["paid"])?, "{money}"),
            Some(said) => assert_eq!(earned, yocto(&said["paid"])?, "{money}"),
            None => late += earned,
        }
    }
    assert!(late <= held, "{late} of {money}");
    let after = user.view_account().await?.balance;
    let paid = before.as_yoctonear() - after.as_yoctonear();
    assert!((fee + gas..=fee + held + gas).contains(&paid), "{paid} of {money}");
    let shown = home.run(&["status", &id.to_string()]).await?.with(0)?.stdout;
    let lines = shown.lines().filter(|line| line.trim_start().starts_with("of it"));
    assert_eq!(lines.count(), workers.len() + 1, "{shown}");
    for one in serving {
        one.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_answers_is_followed_by_id_and_cancelled() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    testbed.publish_guest("echo").await?;
    let account = user.id().as_str();
    let late = home.run(&["request", "echo.wasm", "--timeout", "3", "--account", account]).await?;
    home.snapshot("request-not-settled", &late)?;
    ensure!(late.stderr.contains("request 0 was taken in block"), "{late:?}");
    home.snapshot("status-live", &home.run(&["status", "0"]).await?)?;
    home.run(&["result", "0"]).await?.with(4)?;
    home.run(&["replay", "0"]).await?.with(4)?;
    let waited = home.run(&["watch", "0", "--timeout", "1", "--json"]).await?;
    home.snapshot("watch-not-settled-json", &waited)?;

    home.snapshot("cancel-unsigned", &{
        let said = home.run(&["cancel", "0", "--account", account, "--unsigned"]).await?;
        ensure!(said.stdout.contains("near transaction sign-transaction "), "{said:?}");
        let lines = said.stdout.lines().filter(|line| !line.starts_with("  or "));
        super::home::Said { stdout: lines.map(|line| format!("{line}\n")).collect(), ..said }
    })?;
    home.snapshot("cancel", &home.run(&["cancel", "0", "--account", account]).await?)?;
    home.run(&["replay", "0"]).await?.with(5)?;
    let again = home.run(&["cancel", "0", "--account", account]).await?.with(2)?;
    ensure!(again.stderr.contains("settled already"), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_ends_a_replay_and_an_audit_with_its_own_code() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let echo = testbed.publish_guest("echo").await?;
    let asked = testbed.ask(&user, &request(echo, "truth")).await?;
    let mut lie = testbed.execute(testbed.wait_for_pending(1).await?[0].request_id).await?;
    lie.output = "falsehood".into();
    assert!(testbed.resolve(&testbed.worker, &lie).await?.is_success());
    testbed.settlement(asked).await?;
    home.snapshot("replay-mismatch", &home.run(&["replay", "0"]).await?)?;
    home.snapshot("audit-mismatch", &home.run(&["audit", "--to", "0"]).await?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_paid_for_set_read_and_taken_out() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let account = user.id().as_str();
    let run =
        async |arguments: &[&str]| home.run(&[arguments, &["--account", account]].concat()).await;
    let unpaid = run(&["storage", "set", "k", "v"]).await?.with(2)?;
    ensure!(unpaid.stderr.contains("try: pay for more bytes"), "{unpaid:?}");
    assert_eq!(run(&["storage", "balance"]).await?.code, Some(1));
    home.snapshot("storage-deposit", &run(&["storage", "deposit", "0.1"]).await?)?;
    home.snapshot("storage-set", &run(&["storage", "set", "k", "v"]).await?)?;
    home.snapshot("storage-get-json", &run(&["storage", "get", "k", "--json"]).await?)?;
    assert_eq!(run(&["storage", "get", "k", "--raw"]).await?.stdout, "v");
    assert_eq!(run(&["storage", "get", "absent"]).await?.code, Some(1));
    home.snapshot("storage-list", &run(&["storage", "list"]).await?)?;
    home.snapshot("storage-list-json", &run(&["storage", "list", "--json"]).await?)?;
    home.snapshot("storage-balance", &run(&["storage", "balance"]).await?)?;
    let before = run(&["storage", "balance", "--json"]).await?;
    home.snapshot("storage-balance-json", &before)?;
    let before = before.json()?;
    let removed = run(&["storage", "remove", "k", "--json"]).await?;
    home.snapshot("storage-remove-json", &removed)?;
    assert_eq!(removed.json()?["was_there"], json!(true));
    home.snapshot("storage-remove-nothing", &run(&["storage", "remove", "k"]).await?)?;
    let after = run(&["storage", "balance", "--json"]).await?.json()?;
    assert!(yocto(&after["available"])? > yocto(&before["available"])?);
    let taken = run(&["storage", "withdraw", "--json"]).await?.with(0)?.json()?;
    assert_eq!(taken["withdrawn"], after["available"]);
    assert_eq!(taken["available"], "0");
    home.snapshot("storage-withdraw-nothing", &run(&["storage", "withdraw"]).await?)?;
    let more = run(&["storage", "withdraw", "5"]).await?;
    assert_eq!(more.code, Some(1), "{more:?}");
    home.snapshot("claim-nothing", &run(&["claim"]).await?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_back_is_claimed() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    testbed.publish_guest("echo").await?;
    // The refund goes to an account that does not exist, which is then created.
    let id = format!("sub.{}", user.id());
    let serving = testbed.serve()?;
    let asked = home
        .run(&[
            "request",
            "echo.wasm",
            "--refund-to",
            &id,
            "--json",
            "--account",
            user.id().as_str(),
        ])
        .await?
        .with(0)?
        .json()?;
    serving.stop().await?;
    assert_eq!(asked["money"]["claimable"], asked["money"]["refund"], "{asked}");
    let created = user.create_subaccount("sub").initial_balance(NearToken::from_near(1));
    let created = created.transact().await?.into_result()?;
    home.import(&created)?;
    let claimed = home.run(&["claim", "--account", &id, "--json"]).await?;
    home.snapshot("claim-json", &claimed)?;
    assert_eq!(claimed.json()?["claimed"], asked["money"]["refund"]);
    let left = testbed.contract.view(methods::GET_CLAIMABLE);
    let left: NearToken = left.args_json(json!({ "account_id": id })).await?.json()?;
    assert_eq!(left, NearToken::from_yoctonear(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_survives_a_node_that_fails() -> Result<()> {
    let (handle, node) = node::start_within(Config::default()).await?;
    let testbed = Testbed::on(node).await?;
    let (home, user) = user(&testbed).await?;
    testbed.publish_guest("echo").await?;
    let serving = testbed.serve()?;
    // Which answers are lost depends on the order of the questions, and one question in 13,000 is
    // answered by nothing but faults.
    handle.fail_rpc(Some(RpcFaults { carried_out: true, ..RpcFaults::at_rate(0.15, 21) }));
    let arguments = ["request", "echo.wasm", "--json", "--account", user.id().as_str()];
    let said = home.run(&arguments).await?.with(0)?.json()?;
    handle.fail_rpc(None);
    assert_eq!((&said["request_id"], &said["money"]["adds_up"]), (&json!(0), &json!(true)));
    home.run(&["status", "1"]).await?.with(1)?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_blocks_are_deleted_is_pruned() -> Result<()> {
    let config = Config { window: 100, ..Config::default() };
    let (handle, node) = node::start_within(config).await?;
    let testbed = Testbed::on(node).await?;
    let (home, user) = user(&testbed).await?;
    testbed.publish_guest("echo").await?;
    let serving = testbed.serve()?;
    let arguments = ["request", "echo.wasm", "--json", "--account", user.id().as_str()];
    let asked = home.run(&arguments).await?.with(0)?.json()?;
    serving.stop().await?;
    handle.produce_blocks(300)?;
    let replay = home.run(&["replay", "0"]).await?.with(6)?;
    ensure!(replay.stderr.contains("the oldest whose state the node still has"), "{replay:?}");
    let status = home.run(&["status", "0"]).await?.with(6)?;
    ensure!(status.stdout.contains("request 0 is settled"), "{status:?}");
    let hash = asked["transaction"].as_str().context("transaction")?;
    home.run(&["replay", hash]).await?.with(6)?;
    let audit = home.run(&["audit", "--json"]).await?.with(6)?.json()?;
    assert_eq!(audit["summary"], json!({ "pruned": 1 }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_cannot_be_had_has_an_exit_code_of_its_own() -> Result<()> {
    let testbed = Testbed::start().await?;
    let (home, user) = user(&testbed).await?;
    let url = web_server(artifacts::wasm("echo")?).await?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.code.allow_private_urls = true;
    let serving = testbed.serve_with(config)?;
    let ask = ["request", "echo.wasm", "--url", &url, "--account", user.id().as_str()];
    home.run(&ask).await?.with(0)?;
    serving.stop().await?;
    // Not from a URL within this machine, unless that is allowed.
    let replay = home.run(&["replay", "0"]).await?.with(7)?;
    ensure!(replay.stderr.contains("--allow-private-urls"), "{replay:?}");
    let audit = home.run(&["audit", "--json"]).await?.with(7)?.json()?;
    assert_eq!(audit["summary"], json!({ "code_unavailable": 1 }));
    home.run(&["replay", "0", "--allow-private-urls"]).await?.with(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_localnet_the_contract_is_known_and_elsewhere_it_is_asked_for() -> Result<()> {
    let testbed = Testbed::start().await?;
    let home = Home::new(&testbed)?;
    let without = |network: &str| {
        let mut command = home.command(&["status", "0"])?;
        command.env_remove("OUTLAYER_CONTRACT").env("OUTLAYER_NETWORK", network);
        anyhow::Ok(command)
    };
    // The one of `outlayer dev`, which this node does not have.
    let localnet = home.output(without("localnet")?).await?.with(2)?;
    ensure!(localnet.stderr.contains("outlayer.test.near"), "{localnet:?}");
    let testnet = home.output(without("testnet")?).await?.with(2)?;
    for part in ["OUTLAYER_CONTRACT", "outlayer dev"] {
        ensure!(testnet.stderr.contains(part), "{testnet:?}");
    }
    let mut nowhere = without("")?;
    nowhere.env_remove("OUTLAYER_NETWORK").env_remove("OUTLAYER_RPC_URL");
    let nowhere = home.output(nowhere).await?.with(2)?;
    ensure!(nowhere.stderr.contains("`outlayer dev` starts localnet"), "{nowhere:?}");
    Ok(())
}
