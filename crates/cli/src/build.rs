//! `outlayer build`: a package to Wasm that is checked, and named by its hash.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use outlayer_guest::{ENGINE_VERSION, NEAR_CONFIG_VERSION, prepare::detect};
use outlayer_protocol::{
    CodeRef, Config, ExecutionRequest, GuestKind, Hash32, NearToken, ResourceLimits, Status,
    pricing::quote, reserve::MOST_ID_BYTES,
};
use serde::Serialize;
use serde_json::Map;

use crate::{
    cargo::{BuildOptions, BuiltFile, Package},
    engine::EngineArgs,
    estimate::{STORAGE_BYTE_COST, rejection},
    print,
};

/// Build a guest or a contract to Wasm, check it, and say what a request costs
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The folder of the package: a program is built to a guest, a library to a contract
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    options: BuildOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file that was built.
#[derive(Serialize)]
struct Built {
    file: PathBuf,
    kind: GuestKind,
    code_hash: Hash32,
    code_bytes: usize,
    /// The status that every execution of the guest would have; `None` when the engine takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Status>,
    /// What a request for the guest must attach, under the default configuration; `None` for a
    /// contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<NearToken>,
    /// How much of it always comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_reserve: Option<NearToken>,
}

impl BuildArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let package = Package::read(&self.folder)?;
        let files = package.build(self.options)?;
        let limits = package.limits(&Map::new())?;
        let built = files
            .into_iter()
            .map(|file| self.check(file, limits))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if self.json {
            print::json(&built)?;
        } else {
            built.iter().for_each(show);
        }
        Ok(built.iter().all(|one| one.refused.is_none()))
    }

    fn check(&self, file: BuiltFile, limits: ResourceLimits) -> anyhow::Result<Built> {
        let BuiltFile { path, code, is_contract } = file;
        let kind = detect(&code).with_context(|| path.display().to_string())?;
        let code_hash = Hash32::of(&code);
        let mut built = Built {
            file: path,
            kind,
            code_hash,
            code_bytes: code.len(),
            refused: None,
            attach: None,
            storage_reserve: None,
        };
        if is_contract {
            return Ok(built);
        }
        let mut request = ExecutionRequest::new(CodeRef { hash: code_hash, url: None }, Vec::new());
        request.limits = limits;
        let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
        request.validate(&config)?;
        let cost = quote(&config, &request, None, MOST_ID_BYTES, STORAGE_BYTE_COST)?;
        built.refused = rejection(&*self.engine.engine()?, &code, &request)?;
        (built.attach, built.storage_reserve) = (Some(cost.total), Some(cost.storage_reserve));
        Ok(built)
    }
}

fn show(built: &Built) {
    print::line("file", built.file.display());
    print::line("kind", built.kind);
    print::line("code", built.code_hash);
    print::line("size", format!("{} bytes", built.code_bytes));
    if let (Some(attach), Some(reserve)) = (built.attach, built.storage_reserve) {
        let reserve = print::near(reserve);
        print::line(
            "attach",
            format!("{} ({reserve} of it always comes back)", print::near(attach)),
        );
        match &built.refused {
            None => print::line("engine", "takes it"),
            Some(status) => print::line("engine", format!("REFUSES it: {}", print::status(status))),
        }
    }
}
