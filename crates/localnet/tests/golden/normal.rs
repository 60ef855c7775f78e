//! Brings a reply into the form of the recordings, with names in place of hashes.

use std::collections::{HashMap, VecDeque};

use base64::{Engine, engine::general_purpose::STANDARD};
use near_primitives::hash::CryptoHash;
use serde_json::{Map, Value, json};

use crate::client::Client;

/// The names that stand for hashes.
#[derive(Default)]
pub(crate) struct Names {
    /// The name of each hash.
    names: HashMap<String, String>,
    /// How many ids of data have names, over all transactions.
    data: usize,
}

impl Names {
    pub(crate) fn insert(&mut self, hash: &str, name: String) {
        self.names.insert(hash.to_owned(), name);
    }

    /// A copy of a value in which every hash is replaced by its name.
    pub(crate) fn replace(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.names.get(text).unwrap_or(text).clone().into(),
            Value::Array(items) => items.iter().map(|item| self.replace(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.replace(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Names the receipts of a transaction, breadth first, and the ids of their data in order of
    /// appearance. Returns the ids of the receipts in that order.
    pub(crate) fn name_tree(&mut self, label: &str, status: &Value) -> Vec<String> {
        let outcomes = by_id(&status["receipts_outcome"]);
        let root = &status["transaction_outcome"];
        self.insert(root["id"].as_str().unwrap(), format!("{label}.tx"));
        let mut queue: VecDeque<String> = ids(&root["outcome"]["receipt_ids"]).into();
        let mut order = Vec::new();
        while let Some(id) = queue.pop_front() {
            self.insert(&id, format!("{label}.r{}", order.len()));
            if let Some(outcome) = outcomes.get(&id) {
                queue.extend(ids(&outcome["outcome"]["receipt_ids"]));
            }
            order.push(id);
        }
        let receipts = receipts_by_id(&status["receipts"]);
        let mut data = Vec::new();
        for id in &order {
            let Some(receipt) = receipts.get(id) else {
                continue;
            };
            let action = &receipt["receipt"]["Action"];
            for target in action["output_data_receivers"].as_array().unwrap_or(&vec![]) {
                data.push(target["data_id"].as_str().unwrap().to_owned());
            }
            data.extend(ids(&action["input_data_ids"]));
        }
        for id in data {
            if self.names.contains_key(&id) {
                continue;
            }
            let bytes: CryptoHash = id.parse().unwrap();
            self.insert(&STANDARD.encode(bytes.0), format!("<d{}>", self.data));
            self.insert(&id, format!("d{}", self.data));
            self.data += 1;
        }
        order
    }
}

fn ids(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn by_id(list: &Value) -> HashMap<String, &Value> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item)).collect()
}

fn receipts_by_id(list: &Value) -> HashMap<String, &Value> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|item| (item["receipt_id"].as_str().unwrap().to_owned(), item)).collect()
}

/// An outcome in the form of the recordings. Where `expected` has a `block_delta` that counts from
/// another transaction, the blocks are counted from there here as well.
pub(crate) fn outcome(
    client: &Client<'_>,
    names: &mut Names,
    label: &str,
    status: &Value,
    heights: &HashMap<String, u64>,
    expected: &Value,
) -> Value {
    let order = names.name_tree(label, status);
    let outcomes = by_id(&status["receipts_outcome"]);
    let own_height =
        client.height_of(status["transaction_outcome"]["block_hash"].as_str().unwrap());
    let show = |outcome: &Value, expected: Option<&Value>| {
        let height = client.height_of(outcome["block_hash"].as_str().unwrap());
        let inner = &outcome["outcome"];
        let mut shown = json!({
            "id": outcome["id"],
            "block_delta": height - own_height,
            "executor_id": inner["executor_id"],
            "status": inner["status"],
            "gas_burnt": inner["gas_burnt"],
            "tokens_burnt": inner["tokens_burnt"],
            "logs": inner["logs"],
            "receipt_ids": inner["receipt_ids"],
            "metadata": inner["metadata"],
        });
        match expected.map(|expected| &expected["block_delta"]) {
            Some(Value::String(text)) => shown["block_delta"] = text.clone().into(),
            Some(Value::Object(delta)) => {
                let after = delta["after"].as_str().unwrap();
                let anchor = heights[after.strip_suffix(".tx").unwrap()];
                shown["block_delta"] = json!({"after": after, "blocks": height - anchor});
            }
            _ => {}
        }
        shown
    };
    let recorded = expected["receipts_outcome"].as_array().map(Vec::as_slice).unwrap_or_default();
    let receipts_outcome: Vec<Value> = order
        .iter()
        .enumerate()
        .filter_map(|(place, id)| {
            outcomes.get(id).map(|outcome| show(outcome, recorded.get(place)))
        })
        .collect();
    let mut transaction = status["transaction"].clone();
    for volatile in ["hash", "nonce", "signature"] {
        transaction.as_object_mut().unwrap().remove(volatile);
    }
    let listed = |list: &Value, id: &str| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|item| item[id].clone()).collect()
    };
    let receipts: Map<String, Value> = receipts_by_id(&status["receipts"])
        .into_iter()
        .map(|(id, receipt)| {
            let mut shown = receipt.clone();
            shown.as_object_mut().unwrap().remove("receipt_id");
            (names.replace(&Value::String(id)).as_str().unwrap().to_owned(), shown)
        })
        .collect();
    names.replace(&json!({
        "status": status["status"],
        "transaction": transaction,
        "transaction_outcome": show(&status["transaction_outcome"], None),
        "receipts_outcome": receipts_outcome,
        "rpc_receipts_outcome_order": listed(&status["receipts_outcome"], "id"),
        "receipts": receipts,
        "rpc_receipts_order": listed(&status["receipts"], "receipt_id"),
    }))
}
