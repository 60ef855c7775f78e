//! Replays what a real node did at protocol 84 (`tests/golden/README.md`) on the runtime alone.
//! Every outcome, receipt and account must be the same as recorded.

use std::collections::BTreeMap;

use near_primitives::{
    account::AccessKey,
    action::{Action, AddKeyAction, CreateAccountAction, DeployContractAction, TransferAction},
    hash::CryptoHash,
    serialize::to_base64,
    transaction::{ExecutionStatus, SignedTransaction},
    types::AccountId,
    views::{AccessKeyView, ExecutionOutcomeView, ExecutionStatusView, ReceiptView},
};
use serde_json::{Value, json};

use super::{
    chain::{Chain, RUNTIME, id, public_key, signer},
    scenario::{action, blur, contract, costs, folder, shorten, text, tokens},
};

/// How much more gas the method `grow` of `basic.wat` burns in this VM than on the recorded node. A
/// `memory.grow` costs 31 more operators here, and one for each page that it asks for, whether the
/// memory grows or not (`linear_op` costs in near-parameters' `84.yaml`). The method asks for 10
/// and for 100,000 pages.
const GROW_DIFFERENCE: u64 = (31 + 10 + 31 + 100_000) * 822_756;

/// The replay of one scenario.
struct Replay {
    chain: Chain,
    /// The hashes of the labelled transactions.
    sent: BTreeMap<String, CryptoHash>,
    /// The hashes that have names in the recordings, each with its name.
    names: Vec<(String, String)>,
    /// What was not as recorded, one text for each difference.
    differences: Vec<String>,
}

impl Replay {
    fn new(scenario: &Value) -> Self {
        let mut chain = Chain::new(84);
        for account in scenario["setup"].as_array().unwrap() {
            let new = id(text(account, "account_id"));
            let mut actions = vec![
                Action::CreateAccount(CreateAccountAction {}),
                Action::Transfer(TransferAction { deposit: tokens(&account["balance"]) }),
                Action::AddKey(Box::new(AddKeyAction {
                    public_key: public_key(new.as_str()),
                    access_key: AccessKey::full_access(),
                })),
            ];
            if let Some(name) = account["contract"].as_str() {
                let code = contract(name);
                actions.push(Action::DeployContract(DeployContractAction { code }));
            }
            let root = id("test.near");
            let tx = chain.sign(&root, "test.near", &new, actions, 1);
            chain.block(vec![tx]);
            chain.settle();
        }
        Self { chain, sent: BTreeMap::new(), names: Vec::new(), differences: Vec::new() }
    }

    /// The transaction of a step. `None` if a name in it is invalid, so that it cannot be decoded,
    /// or if it refers to a certain block, which this chain does not have.
    fn transaction(&self, step: &Value) -> Option<SignedTransaction> {
        let signer_id: AccountId = text(step, "signer").parse().ok()?;
        let receiver_id: AccountId = text(step, "receiver").parse().ok()?;
        if step["block"].is_string() {
            return None;
        }
        let actions: Vec<Action> =
            step["actions"].as_array().unwrap().iter().map(|a| action(&self.chain, a)).collect();
        let times = step["repeat_actions"].as_u64().unwrap_or(1);
        let actions = (0..times).flat_map(|_| actions.clone()).collect();
        let label = step["key"].as_str().unwrap_or(signer_id.as_str());
        let offset = step["nonce_offset"].as_i64().unwrap_or(1);
        let mut tx = self.chain.sign(&signer_id, label, &receiver_id, actions, offset);
        if step["signature"] == "bad" {
            let forged = signer(&signer_id, "other").sign(tx.get_hash().as_ref());
            tx = SignedTransaction::new(forged, tx.transaction);
        }
        Some(tx)
    }

    /// Whether a transaction is invalid. Compares its error with the recorded one.
    fn is_invalid(&mut self, at: &str, tx: &SignedTransaction, expect: &Value) -> bool {
        let ctx = self.chain.context(self.chain.height + 1);
        let checked = RUNTIME.validate_transaction(&self.chain.state, &ctx, tx);
        match (checked, expect["error"].is_object()) {
            (Ok(()), false) => false,
            (Ok(()), true) => {
                self.differences
                    .push(format!("{at}: valid, but recorded as invalid: {}", expect["error"]));
                true
            }
            (Err(error), true) => {
                let found = serde_json::to_value(&error).unwrap();
                let expected = &expect["error"]["data"]["TxExecutionError"]["InvalidTxError"];
                self.compare(at, "error", &blur(&found), &blur(expected));
                true
            }
            (Err(error), false) => {
                self.differences.push(format!("{at}: invalid: {error:?}"));
                true
            }
        }
    }

    fn compare(&mut self, at: &str, what: &str, found: &Value, expected: &Value) {
        if found != expected {
            self.differences
                .push(format!("{at}: {what}\n     found {found}\n  expected {expected}"));
        }
    }

    fn step(&mut self, number: usize, step: &Value) {
        let label = step["label"].as_str().map_or_else(|| format!("t{number}"), str::to_owned);
        let at = format!("step {number} ({label})");
        let expect = &step["expect"];
        match text(step, "step") {
            "rpc" => return,
            "new_height" => {
                for _ in 0..step["blocks"].as_u64().unwrap() {
                    self.chain.block(vec![]);
                }
            }
            "fast_forward" => {
                let blocks = step["blocks"].as_u64().unwrap();
                self.chain.block_after(blocks, vec![]);
                self.chain.block(vec![]);
                self.chain.block(vec![]);
            }
            "burst" => {
                let mut txs = Vec::new();
                for (n, transaction) in step["transactions"].as_array().unwrap().iter().enumerate()
                {
                    let mut transaction = transaction.clone();
                    transaction["nonce_offset"] = json!(n + 1);
                    let tx = self.transaction(&transaction).unwrap();
                    self.sent.insert(text(&transaction, "label").to_owned(), tx.get_hash());
                    txs.push(tx);
                }
                self.chain.block(txs);
            }
            "collect" => {
                let tx = self.sent[&label];
                for _ in 0..300 {
                    if self.chain.is_done(&tx) && self.chain.outgoing.is_empty() {
                        break;
                    }
                    self.chain.block(vec![]);
                }
                self.check_outcome(&at, &label, &tx, &expect["outcome"]);
            }
            kind @ ("tx" | "send" | "tx_at") => {
                let Some(tx) = self.transaction(step) else {
                    return;
                };
                if !self.is_invalid(&at, &tx, expect) {
                    if kind == "tx_at" {
                        let after = self.sent[text(step, "after")];
                        let height = self.chain.outcomes[&after].1;
                        let goal = height + step["blocks"].as_u64().unwrap();
                        while self.chain.height + 1 < goal {
                            self.chain.block(vec![]);
                        }
                    }
                    let hash = tx.get_hash();
                    self.sent.insert(label.clone(), hash);
                    self.chain.block(vec![tx]);
                    if kind == "send" {
                        (0..4).for_each(|_| self.chain.block(vec![]));
                    }
                    if kind == "tx" {
                        self.chain.settle();
                    }
                    if kind == "tx_at" {
                        (0..3).for_each(|_| self.chain.block(vec![]));
                    }
                    if expect["outcome"].is_object() {
                        self.check_outcome(&at, &label, &hash, &expect["outcome"]);
                    }
                }
            }
            other => panic!("unknown step {other}"),
        }
        if let Some(accounts) = expect["accounts_after"].as_object() {
            for (name, expected) in accounts {
                let mut found = self.account(name);
                if let (Some(found), Some(expected)) = (found.as_object_mut(), expected.as_object())
                {
                    found.retain(|field, _| expected.contains_key(field));
                }
                self.compare(&at, name, &found, expected);
            }
        }
    }

    fn account(&self, name: &str) -> Value {
        let account_id = id(name);
        let state = &self.chain.state;
        let Some(account) = state.account(&account_id) else {
            return Value::Null;
        };
        let keys: BTreeMap<String, Value> = state
            .access_keys(&account_id)
            .into_iter()
            .map(|(key, access_key)| {
                let view = serde_json::to_value(AccessKeyView::from(access_key)).unwrap();
                (key.to_string(), view["permission"].clone())
            })
            .collect();
        let stored: Vec<Value> = state
            .contract_data_iter(&account_id, b"")
            .map(|(key, value)| {
                let value =
                    if value.len() == 32 { "<32 bytes>".to_owned() } else { to_base64(&value) };
                json!({"key": to_base64(&key), "value": value})
            })
            .collect();
        json!({
            "amount": account.amount(),
            "locked": account.locked(),
            "storage_usage": account.storage_usage(),
            "code_hash": account.local_contract_hash().unwrap_or_default(),
            "keys": keys,
            "state": stored,
        })
    }

    /// Names the receipts of a transaction, breadth first. Returns their ids in that order.
    fn name_receipts(&mut self, label: &str, tx: &CryptoHash) -> Vec<CryptoHash> {
        self.names.push((tx.to_string(), format!("{label}.tx")));
        let mut queue = vec![*tx];
        let mut receipts = Vec::new();
        let mut next = 0;
        while next < queue.len() {
            if let Some((outcome, _)) = self.chain.outcomes.get(&queue[next]) {
                for id in &outcome.receipt_ids {
                    if !queue.contains(id) {
                        self.names.push((id.to_string(), format!("{label}.r{}", receipts.len())));
                        receipts.push(*id);
                        queue.push(*id);
                    }
                }
            }
            next += 1;
        }
        receipts
    }

    /// A value with names in place of hashes.
    fn rename(&self, value: &Value) -> Value {
        let mut json = value.to_string();
        for (hash, name) in &self.names {
            json = json.replace(hash, name);
        }
        serde_json::from_str(&json).unwrap()
    }

    fn final_status(&self, tx: &CryptoHash) -> Value {
        let mut at = *tx;
        loop {
            let Some((outcome, _)) = self.chain.outcomes.get(&at) else {
                return json!("Started");
            };
            match &outcome.status {
                ExecutionStatus::SuccessReceiptId(next) => at = *next,
                status => {
                    let view = ExecutionStatusView::from(status.clone());
                    return serde_json::to_value(view).unwrap();
                }
            }
        }
    }

    fn check_outcome(&mut self, at: &str, label: &str, tx: &CryptoHash, expected: &Value) {
        if !expected.is_object() {
            return;
        }
        let receipts = self.name_receipts(label, tx);
        let status = self.final_status(tx);
        self.compare(at, "status", &shorten(&status), &expected["status"]);
        let start = self.chain.outcomes.get(tx).map_or(0, |(_, height)| *height);
        let found = self.outcome(tx, start);
        self.compare_outcome(at, &found, &expected["transaction_outcome"]);
        let listed = expected["receipts_outcome"].as_array().unwrap();
        if listed.len() != receipts.len() {
            self.differences.push(format!(
                "{at}: {} receipts, expected {}",
                receipts.len(),
                listed.len()
            ));
        }
        for (receipt, expected) in receipts.iter().zip(listed) {
            let found = self.outcome(receipt, start);
            self.compare_outcome(at, &found, expected);
        }
        for (name, recorded) in expected["receipts"].as_object().into_iter().flatten() {
            let hash = self.names.iter().find(|(_, known)| known == name).map(|(hash, _)| hash);
            let receipt = hash.and_then(|hash| self.chain.receipts.get(&hash.parse().unwrap()));
            let Some(receipt) = receipt.cloned() else {
                self.differences.push(format!("{at}: receipt {name} was not processed"));
                continue;
            };
            let mut view = serde_json::to_value(ReceiptView::from(receipt)).unwrap();
            view.as_object_mut().unwrap().remove("receipt_id");
            let found = blur(&shorten(&self.rename(&view)));
            // Here an id of data stands in a call's arguments, where the recording has a
            // placeholder.
            if recorded.to_string().contains("\"<d0>\"") {
                continue;
            }
            self.compare(at, name, &found, &blur(recorded));
        }
    }

    fn outcome(&self, id: &CryptoHash, start: u64) -> Value {
        let Some((outcome, height)) = self.chain.outcomes.get(id) else {
            return Value::Null;
        };
        let view = ExecutionOutcomeView::from(outcome.clone());
        let mut value = serde_json::to_value(view).unwrap();
        value["block_delta"] = json!(height - start);
        value["id"] = json!(id);
        self.rename(&value)
    }

    fn compare_outcome(&mut self, at: &str, found: &Value, expected: &Value) {
        let name = text(expected, "id").to_owned();
        for field in [
            "id",
            "executor_id",
            "status",
            "logs",
            "receipt_ids",
            "gas_burnt",
            "tokens_burnt",
            "block_delta",
        ] {
            let (found, expected) = (shorten(&found[field]), &expected[field]);
            // Larger numbers depend on how long the recorder took between two steps.
            if field == "block_delta" && expected.as_u64().is_none_or(|delta| delta > 5) {
                continue;
            }
            self.compare(at, &format!("{name}.{field}"), &found, expected);
        }
        let (found, expected) = (&found["metadata"], &expected["metadata"]);
        self.compare(at, &format!("{name}.version"), &found["version"], &expected["version"]);
        let (found, expected) = (costs(found), costs(expected));
        if found != expected {
            let differs: Vec<String> = found
                .keys()
                .chain(expected.keys())
                .filter(|cost| found.get(*cost) != expected.get(*cost))
                .map(|cost| format!("{cost} {:?} {:?}", found.get(cost), expected.get(cost)))
                .collect();
            self.differences.push(format!("{at}: {name}.profile {differs:?}"));
        }
    }
}

fn replay(name: &str) -> Replay {
    let path = folder().join(format!("scenarios/{name}.json"));
    let scenario: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut replay = Replay::new(&scenario);
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        replay.step(number, step);
    }
    replay
}

#[test]
fn recorded_outcomes_come_out_the_same() {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "calls-memory")
        .collect();
    names.sort();
    assert!(names.len() > 100);
    let mut failed = Vec::new();
    for name in names {
        let replay = replay(&name);
        if !replay.differences.is_empty() {
            println!("== {name}\n  {}", replay.differences.join("\n  "));
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{} scenarios differ: {failed:?}", failed.len());
}

#[test]
fn growing_memory_costs_more_than_recorded_and_nothing_else_differs() {
    let replay = replay("calls-memory");
    let recorded = 894_775_029_862;
    let receipt = &replay.names.iter().find(|(_, name)| name == "t0.r0").unwrap().0;
    let (outcome, _) = &replay.chain.outcomes[&receipt.parse().unwrap()];
    assert_eq!(outcome.gas_burnt.as_gas() - recorded, GROW_DIFFERENCE);
    for difference in &replay.differences {
        let follows = ["t0.r0", "t0.r1", ".test.near"].iter().any(|what| difference.contains(what));
        assert!(follows, "{difference}");
    }
}
