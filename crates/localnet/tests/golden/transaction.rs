//! The transactions of the recordings. They are encoded field by field, because some have names
//! that no account can have.

use base64::{Engine, engine::general_purpose::STANDARD};
use near_crypto::{SecretKey, Signature};
use near_primitives::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission},
    action::{
        Action, AddKeyAction, CreateAccountAction, DeleteAccountAction, DeleteKeyAction,
        DeployContractAction, FunctionCallAction, TransferAction,
        delegate::{DelegateAction, NonDelegateAction, SignedDelegateAction},
    },
    hash::CryptoHash,
    types::{Balance, Gas},
};
use serde_json::Value;

use crate::{client::Client, folder, keys::key};

/// A signed transaction.
pub(crate) struct Ready {
    pub(crate) signer: String,
    /// The hash in base58.
    pub(crate) hash: String,
    /// The encoded transaction in base64.
    pub(crate) base64: String,
    /// The last nonce that the key had used.
    pub(crate) nonce: u64,
    /// The last nonce that the key of a delegate action's sender had used. 0 without such an
    /// action.
    pub(crate) sender_nonce: u64,
}

/// Makes the transactions of a replay.
pub(crate) struct Maker<'a> {
    pub(crate) client: &'a Client<'a>,
    /// The key of `test.near`.
    pub(crate) root_key: SecretKey,
    /// The height of the chain's head.
    pub(crate) height: u64,
}

fn yocto(value: &Value) -> Balance {
    Balance::from_yoctonear(value.as_str().unwrap().parse().unwrap())
}

impl Maker<'_> {
    fn key(&self, label: &str) -> SecretKey {
        if label == "test.near" { self.root_key.clone() } else { key(label) }
    }

    /// The transaction of a step. `ahead` is the number of transactions of the same key that have
    /// been sent and are in no block yet.
    pub(crate) fn make(&self, step: &Value, ahead: i64) -> Ready {
        let signer = step["signer"].as_str().unwrap();
        let receiver = step["receiver"].as_str().unwrap();
        let secret = self.key(step["key"].as_str().unwrap_or(signer));
        let public = secret.public_key();
        let last = self.client.nonce(signer, &public.to_string()).unwrap_or(0);
        let offset = step["nonce_offset"].as_i64().unwrap_or(1) + ahead;
        let nonce = last.checked_add_signed(offset).unwrap();
        let block_hash: CryptoHash = match step["block"].as_str() {
            Some("genesis") => self.client.genesis_hash().parse().unwrap(),
            Some("unknown") => CryptoHash::hash_bytes(b"unknown"),
            _ => self.client.block_hash("final").parse().unwrap(),
        };
        let mut sender_nonce = 0;
        let mut actions: Vec<Action> = step["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| self.action(action, &mut sender_nonce))
            .collect();
        if let Some(times) = step["repeat_actions"].as_u64() {
            actions =
                std::iter::repeat_n(actions, usize::try_from(times).unwrap()).flatten().collect();
        }
        let mut bytes = Vec::new();
        for field in [
            borsh::to_vec(signer).unwrap(),
            borsh::to_vec(&public).unwrap(),
            borsh::to_vec(&nonce).unwrap(),
            borsh::to_vec(receiver).unwrap(),
            borsh::to_vec(&block_hash).unwrap(),
            borsh::to_vec(&actions).unwrap(),
        ] {
            bytes.extend(field);
        }
        let hash = CryptoHash::hash_bytes(&bytes);
        let mut signature = borsh::to_vec(&secret.sign(hash.as_ref())).unwrap();
        if step["signature"] == "bad" {
            signature[1] ^= 1;
        }
        bytes.extend(signature);
        Ready {
            signer: signer.to_owned(),
            hash: hash.to_string(),
            base64: STANDARD.encode(bytes),
            nonce: last,
            sender_nonce,
        }
    }

    fn action(&self, action: &Value, sender_nonce: &mut u64) -> Action {
        let text = |field: &str| action[field].as_str().unwrap();
        match text("type") {
            "CreateAccount" => Action::CreateAccount(CreateAccountAction {}),
            "Transfer" => Action::Transfer(TransferAction { deposit: yocto(&action["deposit"]) }),
            "DeployContract" => {
                let code = match action["contract"].as_str() {
                    Some(name) => contract(name),
                    None => STANDARD.decode(text("code_base64")).unwrap(),
                };
                Action::DeployContract(DeployContractAction { code })
            }
            "FunctionCall" => Action::FunctionCall(Box::new(FunctionCallAction {
                method_name: text("method").to_owned(),
                args: arguments(action),
                gas: Gas::from_gas(action["gas"].as_u64().unwrap()),
                deposit: yocto(&action["deposit"]),
            })),
            "AddKey" => Action::AddKey(Box::new(AddKeyAction {
                public_key: self.key(text("key")).public_key(),
                access_key: AccessKey { nonce: 0, permission: permission(&action["permission"]) },
            })),
            "DeleteKey" => Action::DeleteKey(Box::new(DeleteKeyAction {
                public_key: self.key(text("key")).public_key(),
            })),
            "DeleteAccount" => Action::DeleteAccount(DeleteAccountAction {
                beneficiary_id: text("beneficiary_id").parse().unwrap(),
            }),
            "Delegate" => self.delegate(action, sender_nonce),
            other => panic!("unknown action {other}"),
        }
    }

    fn delegate(&self, action: &Value, sender_nonce: &mut u64) -> Action {
        let sender = action["sender_id"].as_str().unwrap();
        let secret = self.key(sender);
        let public_key = secret.public_key();
        *sender_nonce = self.client.nonce(sender, &public_key.to_string()).unwrap_or(0);
        let offset = action["nonce_offset"].as_i64().unwrap_or(1);
        let delta = action["max_block_delta"].as_u64().unwrap_or(1000);
        let actions = action["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|inner| NonDelegateAction::try_from(self.action(inner, &mut 0)).unwrap())
            .collect();
        let delegate_action = DelegateAction {
            sender_id: sender.parse().unwrap(),
            receiver_id: action["receiver_id"].as_str().unwrap().parse().unwrap(),
            actions,
            nonce: sender_nonce.checked_add_signed(offset).unwrap(),
            max_block_height: self.height + delta,
            public_key,
        };
        let signature: Signature = secret.sign(delegate_action.get_nep461_hash().as_ref());
        Action::Delegate(Box::new(SignedDelegateAction { delegate_action, signature }))
    }
}

/// The bytes of a recorded contract.
pub(crate) fn contract(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("contracts").join(format!("{name}.wasm"))).unwrap()
}

fn arguments(action: &Value) -> Vec<u8> {
    if let Some(text) = action["args_utf8"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(text) = action["args_base64"].as_str() {
        return STANDARD.decode(text).unwrap();
    }
    match action.get("args_fill") {
        Some(fill) => {
            let byte = u8::try_from(fill["byte"].as_u64().unwrap()).unwrap();
            vec![byte; usize::try_from(fill["len"].as_u64().unwrap()).unwrap()]
        }
        None => Vec::new(),
    }
}

fn permission(value: &Value) -> AccessKeyPermission {
    match value.get("FunctionCall") {
        None => AccessKeyPermission::FullAccess,
        Some(call) => AccessKeyPermission::FunctionCall(FunctionCallPermission {
            allowance: call["allowance"].as_str().map(|_| yocto(&call["allowance"])),
            receiver_id: call["receiver_id"].as_str().unwrap().to_owned(),
            method_names: call["method_names"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
        }),
    }
}
