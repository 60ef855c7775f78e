//! A transaction before it is sent, as people and programs read it.

use outlayer_client::{Action, Permission};
use outlayer_protocol::{AccountId, Bytes, Hash32, NearToken};
use serde_json::{Value, json};

use crate::print;

/// Units of gas in a Tgas.
pub(super) const TERAGAS: u64 = 1_000_000_000_000;

/// A transaction that a command wants to make.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// What it is for, in a few words.
    pub(crate) purpose: String,
    pub(crate) receiver: AccountId,
    pub(crate) actions: Vec<Action>,
    /// The file that a deployed code was read from; `None` for code that is part of this command.
    pub(crate) code_file: Option<std::path::PathBuf>,
}

/// A call of a contract with JSON arguments and so many Tgas.
pub(crate) fn call(
    purpose: impl Into<String>,
    contract: &AccountId,
    method: &str,
    args: &Value,
    tgas: u64,
    deposit: NearToken,
) -> Planned {
    let args = args.to_string().into_bytes();
    let gas = tgas.saturating_mul(TERAGAS);
    let call = Action::Call { method: method.to_owned(), args, gas, deposit };
    Planned {
        purpose: purpose.into(),
        receiver: contract.clone(),
        actions: vec![call],
        code_file: None,
    }
}

impl Planned {
    /// The name by which an error speaks of it.
    pub(super) fn name(&self) -> &str {
        self.actions.last().map(Action::name).unwrap_or_default()
    }

    /// Whether a key with this permission can sign it.
    pub(super) fn may_be_signed_with(&self, permission: &Permission) -> bool {
        *permission == Permission::FullAccess
            || self.actions.iter().all(|action| match action {
                Action::Call { method, deposit, .. } => {
                    *deposit == NearToken::from_yoctonear(0)
                        && permission.may_call(&self.receiver, method)
                }
                _ => false,
            })
    }

    pub(super) fn as_json(&self, signer: &AccountId, command: &str, raw: Option<&Bytes>) -> Value {
        let actions: Vec<Value> = self.actions.iter().map(action_json).collect();
        let mut shown = json!({
            "purpose": self.purpose, "signer_id": signer, "receiver_id": self.receiver,
            "actions": actions, "near_cli": command,
        });
        if let (Some(raw), Some(fields)) = (raw, shown.as_object_mut()) {
            fields.insert("unsigned_transaction".to_owned(), json!(raw));
        }
        shown
    }

    pub(super) fn show(
        &self,
        number: u64,
        signer: &AccountId,
        command: &str,
        raw: Option<&Bytes>,
        network: &str,
    ) -> anyhow::Result<()> {
        print::line("transaction", format!("{number}: {}", self.purpose));
        print::line("  from", signer);
        print::line("  to", &self.receiver);
        for action in &self.actions {
            print::line("  action", action_text(action));
        }
        print::line("  near-cli", command);
        if let Some(raw) = raw {
            let raw = serde_json::to_value(raw)?;
            let raw = raw.as_str().unwrap_or_default();
            print::line(
                "  or",
                format!("near transaction sign-transaction {raw} network-config {network}"),
            );
        }
        Ok(())
    }
}

/// Arguments for people: JSON as it is, other bytes by their number.
fn args_text(args: &[u8]) -> String {
    match std::str::from_utf8(args) {
        Ok(text) if serde_json::from_str::<Value>(text).is_ok() && text.len() <= 2_000 => {
            print::text(args)
        }
        _ => format!("({} bytes, sha256 {})", args.len(), Hash32::of(args)),
    }
}

fn action_text(action: &Action) -> String {
    match action {
        Action::CreateAccount => "create the account".to_owned(),
        Action::Transfer(amount) => format!("transfer {}", print::near(*amount)),
        Action::AddFullAccessKey(key) => format!("add the full-access key {key}"),
        Action::Deploy(code) => {
            format!("deploy code of {} bytes, sha256 {}", code.len(), Hash32::of(code))
        }
        Action::Call { method, args, gas, deposit } => format!(
            "call {method} {}, {} Tgas, {}",
            args_text(args),
            gas / TERAGAS,
            print::near(*deposit)
        ),
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        Action::CreateAccount => json!({ "create_account": {} }),
        Action::Transfer(amount) => json!({ "transfer": { "amount": amount } }),
        Action::AddFullAccessKey(key) => {
            json!({ "add_full_access_key": { "public_key": key.to_string() } })
        }
        Action::Deploy(code) => {
            json!({ "deploy": { "bytes": code.len(), "sha256": Hash32::of(code) } })
        }
        Action::Call { method, args, gas, deposit } => {
            let args = serde_json::from_slice::<Value>(args)
                .unwrap_or_else(|_| json!({ "bytes": args.len(), "sha256": Hash32::of(args) }));
            json!({ "call": {
                "method": method, "args": args, "gas": gas.to_string(), "deposit": deposit
            } })
        }
    }
}
