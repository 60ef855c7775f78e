//! `doctor`, `worker status`, `worker register` and `worker withdraw`.

use outlayer_client::testing::{Answer, CONTRACT};
use outlayer_protocol::{EngineVersion, NearToken};
use serde_json::{Value, json};

use super::fake::{World, folder, function_call, run, text};

const STATUS: &str = "\
worker           worker.near
contract         outlayer.near
registered       yes
settled          41 answers
lost             1 commitments
missed           2 claims
earned           1.25 NEAR
balance          3 NEAR can be spent
key              PUBLIC may call every method of outlayer.near, and pay gas fees of 0.5 NEAR more
";

/// The public part of the worker's key, which snapshots leave out.
fn without_key(text: &str) -> String {
    let words =
        text.split(' ').map(|word| if word.starts_with("ed25519:") { "PUBLIC" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_registration_earnings_balance_and_keys() {
    let (node, world) = World::new().start().await;
    let folder = folder();
    let said = run(folder.path(), &node.url, &["worker", "status"]).await;
    assert_eq!(text(&said.stderr), "");
    assert_eq!(without_key(&text(&said.stdout)), STATUS);
    assert_eq!(said.status.code(), Some(0));

    let said = run(folder.path(), &node.url, &["worker", "status", "--json"]).await;
    let mut said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said["keys"][0]["public_key"].take().as_str().unwrap().starts_with("ed25519:"));
    let expected = json!({
        "account_id": "worker.near", "contract_id": "outlayer.near",
        "registration": {
            "worker_id": "worker.near", "earnings": "1250000000000000000000000", "settled": 41,
            "lost": 1, "missed": 2, "suspended": false, "metadata": ""
        },
        "free_balance": "3000000000000000000000000",
        "keys": [{
            "public_key": null, "permission": "function_call",
            "allowance": "500000000000000000000000", "receiver_id": "outlayer.near", "methods": []
        }]
    });
    assert_eq!(said, expected);

    world.lock().unwrap().registration = None;
    let said = run(folder.path(), &node.url, &["worker", "status"]).await;
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stdout);
    assert!(said.contains("registered       no; see `outlayer worker register`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_registers_and_others_are_told_what_the_owner_must_do() {
    let mut world = World::new();
    world.registration = None;
    let (node, world) = world.start().await;
    let folder = folder();
    let said = run(folder.path(), &node.url, &["worker", "register"]).await;
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stdout);
    for part in [
        "worker.near is not registered with outlayer.near",
        "Only the contract's owner, owner.near, registers workers",
        "outlayer worker register --worker worker.near --contract outlayer.near --key-file",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let said = run(folder.path(), &node.url, &["worker", "register", "--json"]).await;
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let expected = json!({
        "worker_id": "worker.near", "contract_id": "outlayer.near", "owner_id": "owner.near",
        "state": "needs_owner", "transaction": null
    });
    assert_eq!(said, expected);
    assert!(world.lock().unwrap().called.is_empty());

    let owner =
        ["worker", "register", "--worker", "worker.near", "--key-file", "owner.json", "--json"];
    let said = run(folder.path(), &node.url, &owner).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["state"], "registered");
    assert!(said["transaction"].is_string());
    assert_eq!(world.lock().unwrap().called, ["register_worker"]);

    world.lock().unwrap().registration = Some(super::fake::registration());
    let said = run(folder.path(), &node.url, &["worker", "register"]).await;
    assert_eq!(text(&said.stdout), "worker.near is registered already\n");
    assert_eq!(world.lock().unwrap().called.len(), 1, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn earnings_are_withdrawn_with_a_full_access_key_only() {
    let (node, world) = World::new().start().await;
    let folder = folder();
    let said = run(folder.path(), &node.url, &["worker", "withdraw"]).await;
    assert_eq!(said.status.code(), Some(2));
    let said = text(&said.stderr);
    assert!(said.contains("is a function-call key, which cannot attach NEAR"), "{said}");
    assert!(said.contains("give --key-file with a full-access key of worker.near"), "{said}");
    assert!(world.lock().unwrap().called.is_empty());

    world.lock().unwrap().permission = json!("FullAccess");
    let said = run(folder.path(), &node.url, &["worker", "withdraw", "--json"]).await;
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["withdrawn"], "1250");
    assert_eq!(world.lock().unwrap().called, ["withdraw_earnings"]);

    let poor = NearToken::from_yoctonear(0);
    world.lock().unwrap().registration.as_mut().unwrap().earnings = poor;
    let said = run(folder.path(), &node.url, &["worker", "withdraw"]).await;
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(text(&said.stdout), "worker.near has nothing to withdraw\n");
}

/// The findings of `doctor --json`, by check, and whether a worker could serve.
async fn findings(folder: &std::path::Path, url: &str, more: &[&str]) -> (bool, Vec<Value>) {
    let arguments = [&["doctor", "--json", "--cache-dir", "cache"][..], more].concat();
    let said = run(folder, url, &arguments).await;
    let report: Value =
        serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{}", text(&said.stderr)));
    let can_serve = report["can_serve"].as_bool().unwrap();
    assert_eq!(said.status.code(), Some(i32::from(!can_serve)));
    (can_serve, report["findings"].as_array().unwrap().clone())
}

fn level<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let found = findings.iter().find(|one| one["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {findings:?}"))["level"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_everything_and_fails_where_a_worker_could_not_serve() {
    let (node, world) = World::new().start().await;
    let folder = folder();
    let (can_serve, all) = findings(folder.path(), &node.url, &["--state-dir", "state"]).await;
    let checks: Vec<_> = all.iter().map(|one| one["check"].as_str().unwrap()).collect();
    let expected = [
        "rpc",
        "clock",
        "contract",
        "account",
        "balance",
        "keys",
        "registration",
        "sandbox",
        "engine",
        "speed",
        "memory",
        "cache",
        "state",
    ];
    assert_eq!(checks, expected);
    // How fast the machine is, and what confines guests, is the machine's.
    let settled = all.iter().filter(|one| one["check"] != "speed" && one["check"] != "sandbox");
    assert!(settled.clone().all(|one| one["level"] == "ok"), "{all:?}");
    assert!(can_serve || level(&all, "speed") == "fail");

    type Change = fn(&mut World);
    let cases: [(&str, &str, Change); 8] = [
        ("registration", "fail", |world| world.registration = None),
        ("registration", "fail", |world| world.registration.as_mut().unwrap().suspended = true),
        ("balance", "fail", |world| world.balance = NearToken::from_millinear(499)),
        ("contract", "warn", |world| world.paused = true),
        ("contract", "fail", |world| world.config.engine_version = EngineVersion(9)),
        ("keys", "warn", |world| world.permission = json!("FullAccess")),
        ("keys", "warn", |world| {
            world.permission = function_call();
            world.permission["FunctionCall"]["allowance"] = json!("1");
        }),
        ("keys", "fail", |world| {
            world.permission = json!({ "FunctionCall": {
                "allowance": null, "receiver_id": CONTRACT,
                "method_names": ["resolve_execution", "stage_response"]
            } });
        }),
    ];
    for (check, expected, change) in cases {
        {
            let mut world = world.lock().unwrap();
            let fresh = World::new();
            world.registration = fresh.registration;
            world.balance = fresh.balance;
            world.paused = fresh.paused;
            world.config = fresh.config;
            world.permission = fresh.permission;
            change(&mut world);
        }
        let (can_serve, all) = findings(folder.path(), &node.url, &["--state-dir", "state"]).await;
        assert_eq!(level(&all, check), expected, "{all:?}");
        if expected == "fail" {
            assert!(!can_serve);
        }
        let found = all.iter().find(|one| one["check"] == check).unwrap();
        assert!(found["advice"].is_string(), "{found}");
    }

    world.lock().unwrap().broken = Some(|| Answer::Http(503, Vec::new()));
    let (can_serve, all) = findings(folder.path(), &node.url, &[]).await;
    assert!(!can_serve);
    assert_eq!(level(&all, "rpc"), "fail");
    assert!(all.iter().all(|one| one["check"] != "registration"), "nobody was asked");
    assert_eq!(level(&all, "engine"), "ok");

    // Whatever is wrong with the settings, the rest is still looked at.
    let (can_serve, all) = findings(folder.path(), "no url", &["--tgas", "0"]).await;
    assert!(!can_serve);
    assert_eq!((level(&all, "settings"), level(&all, "rpc")), ("fail", "fail"));
    let (_, all) = findings(folder.path(), &node.url, &["--key-file", "gone.json"]).await;
    assert_eq!(level(&all, "keys"), "fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_speaks_to_people_with_what_to_do() {
    let mut world = World::new();
    world.registration = None;
    let (node, _world) = world.start().await;
    let folder = folder();
    let said = run(folder.path(), &node.url, &["doctor", "--state-dir", "state"]).await;
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stdout);
    for part in [
        "ok    contract      outlayer.near asks for engine 2\n",
        "ok    account       worker.near exists\n",
        "ok    balance       3.000 NEAR can be spent\n",
        "FAIL  registration  worker.near is not registered with outlayer.near\n                    \
         Ask the contract's owner to register it, see `outlayer worker register`.\n",
        "ok    engine        engine 2 gives the expected digests\n",
        "warn  cache         no folder is set\n",
    ] {
        assert!(said.contains(part), "{part}is not in:\n{said}");
    }
}
