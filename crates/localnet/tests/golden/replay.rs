//! Replays one scenario on a new node.

use std::{collections::HashMap, path::Path, time::Duration};

use near_crypto::KeyFile;
use outlayer_localnet::{Config, Handle, node::BlockProduction};
use serde_json::{Map, Value, json};

use crate::{
    client::{Client, Reply},
    compare::{Context, Difference, compare},
    differences::is_known,
    normal::{self, Names},
    transaction::{Maker, Ready},
};

/// How many blocks pass between a transaction of a `send` step and the next step. The recorder
/// waited for four blocks after the one with the transaction, and what it sent then was included
/// one block later.
const AFTER_SEND: u64 = 5;

/// After so many blocks, everything in a scenario is final.
const PATIENCE: u64 = 300;

/// Starts a node like the recorded one.
pub(crate) fn spawn() -> Handle {
    outlayer_localnet::spawn(Config {
        protocol_version: 84,
        sandbox_accounts: false,
        production: if crate::live() {
            BlockProduction::Instant { heartbeat: Some(Duration::from_millis(60)) }
        } else {
            BlockProduction::Manual
        },
        contract_cache: None,
        ..Config::default()
    })
    .unwrap()
}

/// Replays a scenario. Returns a text for each difference.
pub(crate) fn run(path: &Path) -> Vec<String> {
    let scenario: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let name = scenario["name"].as_str().unwrap();
    let handle = spawn();
    let client = Client::new(&handle);
    let root = KeyFile::from_file(&handle.home().join("validator_key.json")).unwrap();
    let mut replay = Replay {
        handle: &handle,
        client: &client,
        names: Names::default(),
        sent: HashMap::new(),
        heights: HashMap::new(),
        context: Context {
            root_key: root.public_key.to_string(),
            chain_id: handle.node().chain().config().chain_id.clone(),
            nonce: 0,
            sender_nonce: 0,
        },
        root,
    };
    replay.set_up(&scenario);
    let mut lines = Vec::new();
    for (place, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let found = replay.step(place, step);
        let mut differences = Vec::new();
        compare(&replay.context, "", &step["expect"], &found, &mut differences);
        for difference in differences.iter().filter(|d| !is_known(name, place, d)) {
            let Difference { path, expected, found } = difference;
            lines.push(format!(
                "{name} step {place}{path}\n    recorded {expected}\n    found    {found}"
            ));
        }
    }
    lines
}

/// A replay of one scenario.
struct Replay<'a> {
    handle: &'a Handle,
    client: &'a Client<'a>,
    names: Names,
    /// The hash and the signer of each labelled transaction.
    sent: HashMap<String, (String, String)>,
    /// The height of the block that took each labelled transaction.
    heights: HashMap<String, u64>,
    context: Context,
    root: KeyFile,
}

impl Replay<'_> {
    fn make(&mut self, step: &Value, ahead: i64) -> Ready {
        let maker = Maker {
            client: self.client,
            root_key: self.root.secret_key.clone(),
            height: self.handle.height(),
        };
        let ready = maker.make(step, ahead);
        self.context.nonce = ready.nonce;
        self.context.sender_nonce = ready.sender_nonce;
        ready
    }

    fn set_up(&mut self, scenario: &Value) {
        for account in scenario["setup"].as_array().unwrap() {
            let mut actions = vec![
                json!({"type": "CreateAccount"}),
                json!({"type": "Transfer", "deposit": account["balance"]}),
                json!({"type": "AddKey", "key": account["account_id"], "permission": "FullAccess"}),
            ];
            if let Some(contract) = account.get("contract") {
                actions.push(json!({"type": "DeployContract", "contract": contract}));
            }
            let step = json!({
                "signer": "test.near", "receiver": account["account_id"], "actions": actions,
            });
            let ready = self.make(&step, 0);
            let reply = self.commit(&ready);
            assert!(
                reply.body["result"]["status"].get("SuccessValue").is_some(),
                "the set-up failed: {}",
                reply.body
            );
        }
    }

    fn commit(&self, ready: &Ready) -> Reply {
        let request = json!({
            "jsonrpc": "2.0", "id": "g", "method": "broadcast_tx_commit", "params": [ready.base64],
        });
        self.client.post(request.to_string())
    }

    fn send(&mut self, label: &str, ready: &Ready) {
        let reply = self.client.call("broadcast_tx_async", json!([ready.base64]));
        assert_eq!(reply["result"], ready.hash, "{reply}");
        self.remember(label, ready);
    }

    fn remember(&mut self, label: &str, ready: &Ready) {
        self.sent.insert(label.to_owned(), (ready.hash.clone(), ready.signer.clone()));
    }

    /// Executes a step. Returns what it did, in the form of the recorded expectation.
    fn step(&mut self, place: usize, step: &Value) -> Value {
        let expected = &step["expect"];
        let label = step["label"].as_str().map_or_else(|| format!("t{place}"), str::to_owned);
        let mut found = Map::new();
        if let Some(accounts) = expected.get("accounts_before") {
            found.insert("accounts_before".into(), self.accounts(accounts));
        }
        match step["step"].as_str().unwrap() {
            "tx" => self.transaction(&label, step, &mut found),
            "send" => {
                let ready = self.make(step, 0);
                self.send(&label, &ready);
                self.wait_until_included(&label);
                self.wait_as_recorded(&label);
            }
            "burst" => {
                let all = step["transactions"].as_array().unwrap();
                let ready: Vec<(String, Ready)> = all
                    .iter()
                    .zip(0..)
                    .map(|(tx, ahead)| {
                        (tx["label"].as_str().unwrap().to_owned(), self.make(tx, ahead))
                    })
                    .collect();
                for (label, ready) in &ready {
                    self.send(label, ready);
                }
                for (label, _) in &ready {
                    self.wait_until_included(label);
                }
                self.blocks(AFTER_SEND);
                let heights: Vec<u64> =
                    ready.iter().map(|(label, _)| self.heights[label]).collect();
                let same = heights.windows(2).all(|pair| pair[0] == pair[1]);
                found.insert("same_block".into(), same.into());
            }
            "tx_at" => {
                let target = self.heights[step["after"].as_str().unwrap()]
                    + step["blocks"].as_u64().unwrap();
                let lead = if crate::live() { 2 } else { 1 };
                self.blocks(target - lead - self.handle.height());
                let ready = self.make(step, 0);
                self.send(&label, &ready);
                self.wait_until_included(&label);
                assert_eq!(self.heights[&label], target);
                self.blocks(AFTER_SEND);
                found.insert("outcome".into(), self.outcome(&label, &expected["outcome"]));
            }
            "collect" => found
                .insert("outcome".into(), self.collect(&label, &expected["outcome"]))
                .map_or((), drop),
            "fast_forward" => {
                let blocks = step["blocks"].as_u64().unwrap();
                let before = self.handle.height();
                let request = json!({
                    "jsonrpc": "2.0", "id": "g", "method": "sandbox_fast_forward",
                    "params": {"delta_height": blocks},
                });
                let reply = self.client.post_quietly(request.to_string());
                found.insert("http_status".into(), reply.http_status.into());
                found.insert("reply".into(), reply.body);
                let advanced = self.handle.height() >= before + blocks;
                found.insert("advanced_at_least_blocks".into(), advanced.into());
            }
            "new_height" => self.blocks(step["blocks"].as_u64().unwrap()),
            "rpc" => {
                let body = match step.get("raw_body") {
                    Some(raw) => raw.as_str().unwrap().to_owned(),
                    None => self.fill(&step["request"]).to_string(),
                };
                let reply = self.client.post(body);
                found.insert("http_status".into(), reply.http_status.into());
                found.insert("body".into(), self.names.replace(&reply.body));
            }
            other => panic!("unknown step {other}"),
        }
        if let Some(accounts) = expected.get("accounts_after") {
            found.insert("accounts_after".into(), self.accounts(accounts));
        }
        found.into()
    }

    fn transaction(&mut self, label: &str, step: &Value, found: &mut Map<String, Value>) {
        let ready = self.make(step, 0);
        let reply = self.commit(&ready);
        if reply.body.get("result").is_some() {
            self.remember(label, &ready);
            self.note_height(label);
            found.insert("outcome".into(), self.collect(label, &step["expect"]["outcome"]));
            // In these blocks, the callback of a resumed yield and its refunds are executed.
            self.blocks(AFTER_SEND);
            return;
        }
        found.insert("http_status".into(), reply.http_status.into());
        match reply.body.get("error") {
            Some(error) => found.insert("error".into(), error.clone()),
            None => found.insert("body".into(), reply.body),
        };
    }

    /// Makes blocks, or waits for them, until one has taken a transaction.
    fn wait_until_included(&mut self, label: &str) {
        let (hash, _) = self.sent[label].clone();
        let hash = hash.parse().unwrap();
        while self.handle.node().transaction_status(&hash).is_none() {
            self.blocks(1);
        }
        self.note_height(label);
    }

    /// Lets as many blocks pass after a transaction as the recorder did.
    fn wait_as_recorded(&self, label: &str) {
        let lead = if crate::live() { 1 } else { 0 };
        let target = self.heights[label] + AFTER_SEND - lead;
        self.blocks(target.saturating_sub(self.handle.height()));
    }

    /// Makes this number of blocks, or waits for them.
    fn blocks(&self, count: u64) {
        if crate::live() {
            let target = self.handle.height() + count;
            while self.handle.height() < target {
                std::thread::sleep(Duration::from_micros(100));
            }
            return;
        }
        self.handle.produce_blocks(count).unwrap();
    }

    /// Notes the height of the block that has taken a transaction, and names the transaction.
    fn note_height(&mut self, label: &str) {
        let (hash, signer) = &self.sent[label];
        let status = self.client.transaction_status(hash, signer);
        let block = status["transaction_outcome"]["block_hash"].as_str().unwrap();
        self.heights.insert(label.to_owned(), self.client.height_of(block));
        self.names.insert(hash, format!("{label}.tx"));
    }

    /// Makes blocks until a transaction is final. Returns its outcome.
    fn collect(&mut self, label: &str, expected: &Value) -> Value {
        let (hash, signer) = self.sent[label].clone();
        for _ in 0..PATIENCE {
            let status = self.client.transaction_status(&hash, &signer);
            if status["final_execution_status"] == "FINAL" {
                break;
            }
            self.blocks(1);
        }
        self.outcome(label, expected)
    }

    fn outcome(&mut self, label: &str, expected: &Value) -> Value {
        let (hash, signer) = &self.sent[label];
        let status = self.client.transaction_status(hash, signer);
        normal::outcome(self.client, &mut self.names, label, &status, &self.heights, expected)
    }

    fn accounts(&self, expected: &Value) -> Value {
        let Some(accounts) = expected.as_object() else {
            return Value::Null;
        };
        let shown = accounts.iter().map(|(id, wanted)| {
            let with_state = wanted.get("state").is_some();
            (id.clone(), self.client.account(id, with_state))
        });
        Value::Object(shown.collect())
    }

    /// A request with its placeholders filled in.
    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "{final_block_hash}" => {
                self.client.block_hash("final").into()
            }
            Value::String(text) if text == "{root_key}" => self.context.root_key.clone().into(),
            Value::String(text) => {
                match text.strip_prefix("{tx:").and_then(|text| text.strip_suffix('}')) {
                    Some(label) => self.sent[label].0.clone().into(),
                    None => value.clone(),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(k, v)| (k.clone(), self.fill(v))).collect())
            }
            other => other.clone(),
        }
    }
}
