//! A transaction as a command line of near-cli-rs, for whoever signs with a hardware key.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use outlayer_client::Action;
use outlayer_protocol::{AccountId, Bytes, NearToken};
use serde_json::Value;

use super::planned::{Planned, TERAGAS};
use crate::print;

/// The longest arguments that are part of a command line, bytes. Linux takes 128 KiB, and people
/// read less.
const MOST_ARGUMENT: usize = 4 << 10;

/// The file for code that is part of this command, which near-cli takes from a file.
const CODE_FILE: &str = outlayer_contract_wasm::FILE_NAME;

/// The file for arguments that are too long for a command line.
pub(super) struct ArgumentsFile {
    pub(super) path: String,
    /// Whether it is written, or only named. The same goes for code that has no file.
    pub(super) is_written: bool,
}

/// The command line. It asks how to sign, because only its user knows that.
pub(super) fn command(
    planned: &Planned,
    signer: &AccountId,
    network: &str,
    long: &ArgumentsFile,
) -> anyhow::Result<String> {
    let receiver = &planned.receiver;
    let command = match planned.actions.as_slice() {
        [Action::Call { method, args, gas, deposit }] => format!(
            "near contract call-function as-transaction {receiver} {method} {} sign-as {signer}",
            arguments(args, *gas, *deposit, long)?
        ),
        [Action::Deploy(code), Action::Call { method, args, gas, deposit }] => format!(
            "near contract deploy {receiver} use-file {} with-init-call {method} {}",
            file(planned, code, long)?,
            arguments(args, *gas, *deposit, long)?
        ),
        [Action::CreateAccount, Action::Transfer(amount), Action::AddFullAccessKey(key)] => {
            format!(
                "near account create-account fund-myself {receiver} {} \
             use-manually-provided-public-key {key} sign-as {signer}",
                quoted(&near(*amount))
            )
        }
        actions => {
            let mut all = format!("near transaction construct-transaction {signer} {receiver}");
            for action in actions {
                all.push_str(" add-action ");
                all.push_str(&one(planned, action, long)?);
            }
            all + " skip"
        }
    };
    Ok(format!("{command} network-config {network}"))
}

fn one(planned: &Planned, action: &Action, long: &ArgumentsFile) -> anyhow::Result<String> {
    Ok(match action {
        Action::CreateAccount => "create-account".to_owned(),
        Action::Transfer(amount) => format!("transfer {}", quoted(&near(*amount))),
        Action::AddFullAccessKey(key) => {
            format!("add-key grant-full-access use-manually-provided-public-key {key}")
        }
        Action::Deploy(code) => {
            format!("deploy-contract use-file {} without-init-call", file(planned, code, long)?)
        }
        Action::Call { method, args, gas, deposit } => {
            format!("function-call {method} {}", arguments(args, *gas, *deposit, long)?)
        }
    })
}

/// The file with the code that is deployed. Code that has none is written to one, but not over
/// other content.
fn file(planned: &Planned, code: &[u8], long: &ArgumentsFile) -> anyhow::Result<String> {
    let path = planned.code_file.as_deref().unwrap_or(Path::new(CODE_FILE));
    if planned.code_file.is_none() && long.is_written {
        match fs::read(path) {
            Ok(found) if found == code => {}
            Ok(_) => bail!(
                "{CODE_FILE} is here already and has other content; remove it, or name it as the \
                 contract to deploy"
            ),
            Err(_) => fs::write(path, code).with_context(|| CODE_FILE.to_owned())?,
        }
    }
    Ok(quoted(&path.display().to_string()))
}

fn arguments(
    args: &[u8],
    gas: u64,
    deposit: NearToken,
    long: &ArgumentsFile,
) -> anyhow::Result<String> {
    let args = if args.len() > MOST_ARGUMENT {
        if long.is_written {
            fs::write(&long.path, args).with_context(|| long.path.clone())?;
        }
        format!("file-args {}", quoted(&long.path))
    } else if serde_json::from_slice::<Value>(args).is_ok() {
        format!("json-args {}", quoted(&String::from_utf8_lossy(args)))
    } else {
        let encoded = serde_json::to_value(Bytes::from(args))?;
        format!("base64-args {}", encoded.as_str().unwrap_or_default())
    };
    Ok(format!(
        "{args} prepaid-gas '{} Tgas' attached-deposit {}",
        gas / TERAGAS,
        quoted(&near(deposit))
    ))
}

fn near(amount: NearToken) -> String {
    if amount.as_yoctonear() == 1 { "1 yoctoNEAR".to_owned() } else { print::near(amount) }
}

/// A text as one word of a shell's command line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_near_cli_rs() {
        let id = |text: &str| text.parse::<AccountId>().unwrap();
        let call = |args: &[u8]| Action::Call {
            method: "claim".into(),
            args: args.to_vec(),
            gas: 30 * TERAGAS,
            deposit: NearToken::from_yoctonear(1),
        };
        let shown = |receiver: &str, actions: Vec<Action>| {
            let code_file = Some("a b.wasm".into());
            let receiver = id(receiver);
            let planned = Planned { purpose: String::new(), receiver, actions, code_file };
            let long = ArgumentsFile { path: "claim-1.args".into(), is_written: false };
            command(&planned, &id("a.testnet"), "testnet", &long).unwrap()
        };
        assert_eq!(
            shown("o.testnet", vec![call(br#"{"a":"it's"}"#)]),
            "near contract call-function as-transaction o.testnet claim json-args \
             '{\"a\":\"it'\\''s\"}' prepaid-gas '30 Tgas' attached-deposit '1 yoctoNEAR' sign-as \
             a.testnet network-config testnet"
        );
        assert!(shown("o.testnet", vec![call(&[0xff])]).contains(" base64-args /w== "));
        let long = shown("o.testnet", vec![call(&[0; MOST_ARGUMENT + 1])]);
        assert!(long.contains(" claim file-args 'claim-1.args' prepaid-gas "), "{long}");
        let deploy = shown("a.testnet", vec![Action::Deploy(vec![1]), call(b"{}")]);
        assert!(
            deploy.starts_with(
                "near contract deploy a.testnet use-file 'a b.wasm' with-init-call claim \
                 json-args '{}' "
            ),
            "{deploy}"
        );
        assert!(shown("a.testnet", vec![Action::CreateAccount, call(b"{}")]).contains(
            "construct-transaction a.testnet a.testnet add-action create-account add-action \
             function-call claim"
        ));
    }
}
