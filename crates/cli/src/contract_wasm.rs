//! The contract's Wasm: the one that is part of this command, or a file in its place.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use outlayer_client::{At, Contract};
use outlayer_contract_wasm::{SHA256, VERSION, WASM};
use outlayer_protocol::Hash32;
use serde::Deserialize;
use serde_json::json;

use crate::code_file;

/// The view of NEP-330, which every contract of near-sdk has.
const SOURCE_METADATA: &str = "contract_source_metadata";

/// Code of the contract that is to be deployed.
pub(crate) struct ContractWasm {
    pub(crate) code: Vec<u8>,
    pub(crate) hash: Hash32,
    /// The file that it was read from; `None` for the code that is part of this command.
    pub(crate) file: Option<PathBuf>,
}

/// Reads the contract's Wasm: the file that was given, or else what is part of this command.
pub(crate) fn read(given: Option<&Path>) -> anyhow::Result<ContractWasm> {
    let code = match given {
        Some(path) => code_file::read(path).context("the contract")?,
        None => WASM.to_owned(),
    };
    let hash = Hash32::of(&code);
    ensure!(
        given.is_some() || hash.to_string() == SHA256,
        "the contract in this command has the hash {hash}, expected {SHA256}; it was not built \
         from the sources as they were published. Name a file with the contract's Wasm"
    );
    Ok(ContractWasm { code, hash, file: given.map(Path::to_owned) })
}

impl ContractWasm {
    /// The code for people, such as "the contract 0.1.0".
    pub(crate) fn name(&self) -> String {
        match &self.file {
            None => format!("the contract {VERSION}"),
            Some(path) => format!("the contract in {}", path.display()),
        }
    }
}

/// The version that a deployed contract says it has; `None` when it says nothing of it.
pub(crate) async fn deployed_version(contract: &Contract) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        version: Option<String>,
    }

    let view = contract.view::<Metadata>(SOURCE_METADATA, json!({}), At::Optimistic).await;
    view.ok().and_then(|metadata| metadata.version)
}
