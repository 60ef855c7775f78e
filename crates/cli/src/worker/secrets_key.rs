//! `outlayer worker secrets-key`: the key to which owners of secrets seal them for this worker.

use std::path::PathBuf;

use clap::Args;
use outlayer_protocol::{AccountId, secrets::key_word};
use outlayer_secrets::WorkerKey;
use serde_json::json;

use super::keys::account;
use crate::{print, request_args::quoted, settings::Settings};

/// Make the worker's key for secrets, and say how it is published
///
/// The file is made when it is not there, and never replaced: what is sealed to its key opens with
/// no other. The contract's owner publishes the key in the worker's metadata. The worker is given
/// the file with its setting secrets_key_file.
#[derive(Args, Debug)]
pub(crate) struct WorkerSecretsKeyArgs {
    /// The file of the key, which nobody but its owner may read
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    settings: Settings<false>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WorkerSecretsKeyArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        crate::logs::init("warn");
        let is_new = !self.file.try_exists()?;
        if is_new {
            WorkerKey::generate()?.write(&self.file)?;
        }
        // What was written is what the worker will read.
        let word = key_word(&WorkerKey::read(&self.file)?.public());
        let worker = account(&self.settings)?;
        let contract = self.settings.value::<AccountId>("contract", "the id of a NEAR account")?;
        let or = |id: Option<AccountId>, name: &str| {
            id.map_or_else(|| name.to_owned(), |id| quoted(id.as_str()))
        };
        let command = format!(
            "outlayer worker register --worker {} --secrets-key {word} --contract {} --key-file \
             OWNER_KEY_FILE --rpc-url URL",
            or(worker, "WORKER"),
            or(contract, "CONTRACT"),
        );
        if self.json {
            print::json(&json!({
                "file": self.file, "is_new": is_new, "metadata_word": word, "command": command,
                "public_key": word.rsplit(':').next(),
            }))?;
            return Ok(true);
        }
        let state = if is_new { "made now" } else { "was there" };
        print::line("key file", format!("{}, {state}", self.file.display()));
        print::line("metadata word", &word);
        print::raw(format_args!(
            "\nThe contract's owner publishes it, beside the other words of the worker's \
             metadata, with\n\n    {command}\n"
        ));
        Ok(true)
    }
}
