//! Reads the recorded scenarios, and makes values comparable with what was recorded
//! (`tests/golden/README.md`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use near_primitives::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission},
    action::{
        Action, AddKeyAction, CreateAccountAction, DeleteAccountAction, DeleteKeyAction,
        DeployContractAction, FunctionCallAction, TransferAction,
        delegate::{DelegateAction, NonDelegateAction, SignedDelegateAction},
    },
    hash::hash,
    serialize::from_base64,
    types::{Balance, Gas},
};
use serde_json::{Value, json};

use super::chain::{Chain, id, public_key, signer};

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub(super) fn tokens(value: &Value) -> Balance {
    Balance::from_yoctonear(value.as_str().unwrap().parse().unwrap())
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

/// The bytes of a recorded contract.
pub(super) fn contract(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("contracts/{name}.wasm"))).unwrap()
}

fn args(action: &Value) -> Vec<u8> {
    if let Some(text) = action["args_utf8"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(text) = action["args_base64"].as_str() {
        return from_base64(text).unwrap();
    }
    if let Some(fill) = action["args_fill"].as_object() {
        let byte = u8::try_from(fill["byte"].as_u64().unwrap()).unwrap();
        return vec![byte; usize::try_from(fill["len"].as_u64().unwrap()).unwrap()];
    }
    Vec::new()
}

fn permission(action: &Value) -> AccessKeyPermission {
    let Some(call) = action["permission"].get("FunctionCall") else {
        return AccessKeyPermission::FullAccess;
    };
    AccessKeyPermission::FunctionCall(FunctionCallPermission {
        allowance: call["allowance"].is_string().then(|| tokens(&call["allowance"])),
        receiver_id: text(call, "receiver_id").to_owned(),
        method_names: serde_json::from_value(call["method_names"].clone()).unwrap(),
    })
}

/// The action that a recorded transaction describes.
pub(super) fn action(chain: &Chain, recorded: &Value) -> Action {
    match text(recorded, "type") {
        "CreateAccount" => Action::CreateAccount(CreateAccountAction {}),
        "Transfer" => Action::Transfer(TransferAction { deposit: tokens(&recorded["deposit"]) }),
        "FunctionCall" => Action::FunctionCall(Box::new(FunctionCallAction {
            method_name: text(recorded, "method").to_owned(),
            args: args(recorded),
            gas: Gas::from_gas(recorded["gas"].as_u64().unwrap()),
            deposit: tokens(&recorded["deposit"]),
        })),
        "AddKey" => Action::AddKey(Box::new(AddKeyAction {
            public_key: public_key(text(recorded, "key")),
            access_key: AccessKey { nonce: 0, permission: permission(recorded) },
        })),
        "DeleteKey" => Action::DeleteKey(Box::new(DeleteKeyAction {
            public_key: public_key(text(recorded, "key")),
        })),
        "DeleteAccount" => Action::DeleteAccount(DeleteAccountAction {
            beneficiary_id: id(text(recorded, "beneficiary_id")),
        }),
        "DeployContract" => {
            let code = match recorded["contract"].as_str() {
                Some(name) => contract(name),
                None => from_base64(text(recorded, "code_base64")).unwrap(),
            };
            Action::DeployContract(DeployContractAction { code })
        }
        "Delegate" => delegate(chain, recorded),
        other => panic!("unknown action {other}"),
    }
}

fn delegate(chain: &Chain, recorded: &Value) -> Action {
    let sender_id = id(text(recorded, "sender_id"));
    let key = public_key(sender_id.as_str());
    let nonce = chain.state.access_key(&sender_id, &key).unwrap().nonce;
    let offset = recorded["nonce_offset"].as_i64().unwrap_or(1);
    let lifetime = recorded["max_block_delta"].as_i64().unwrap_or(1000);
    let inner = recorded["actions"].as_array().unwrap();
    let delegate_action = DelegateAction {
        sender_id: sender_id.clone(),
        receiver_id: id(text(recorded, "receiver_id")),
        actions: inner
            .iter()
            .map(|inner| NonDelegateAction::try_from(action(chain, inner)).unwrap())
            .collect(),
        nonce: nonce.checked_add_signed(offset).unwrap(),
        max_block_height: chain.height.checked_add_signed(lifetime).unwrap(),
        public_key: key,
    };
    let signer = signer(&sender_id, sender_id.as_str());
    Action::Delegate(Box::new(SignedDelegateAction::sign(&signer, delegate_action)))
}

/// The gas profile of an outcome's metadata.
pub(super) fn costs(metadata: &Value) -> BTreeMap<String, String> {
    metadata["gas_profile"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| (text(entry, "cost").to_owned(), text(entry, "gas_used").to_owned()))
        .collect()
}

/// Replaces a text of more than 4,096 characters by its length and hash, as the recordings do.
pub(super) fn shorten(value: &Value) -> Value {
    match value {
        Value::String(long) if long.len() > 4096 => {
            let digest = hex::encode(hash(long.as_bytes()).0);
            json!(format!("<{} characters, sha256 of the text {digest}>", long.len()))
        }
        Value::Array(items) => items.iter().map(shorten).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shorten(value))).collect()
        }
        other => other.clone(),
    }
}

/// Replaces by `null` what differs from run to run: nonces, heights, signatures and ids of data.
pub(super) fn blur(value: &Value) -> Value {
    const VARYING: [&str; 8] = [
        "nonce",
        "tx_nonce",
        "ak_nonce",
        "delegate_nonce",
        "max_block_height",
        "signature",
        "data_id",
        "input_data_ids",
    ];
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let hidden = VARYING.contains(&name.as_str());
                (name.clone(), if hidden { Value::Null } else { blur(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(blur).collect(),
        other => other.clone(),
    }
}
