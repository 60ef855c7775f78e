//! `outlayer componentize`: makes a component of a guest that was built as a core module.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use outlayer_componentize::componentize;
use outlayer_protocol::Hash32;
use serde_json::json;

use crate::{code_file, print};

/// Make a component of a guest that was built for wasm32-wasip1
///
/// A guest that uses `outlayer-sdk` must be built with the sdk's feature `component`.
#[derive(Debug, Args)]
pub(crate) struct ComponentizeArgs {
    /// The core module, built for wasm32-wasip1
    module: PathBuf,
    /// The file to write the component to
    component: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ComponentizeArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let Self { module, component, json } = self;
        let bytes = code_file::read(&module)?;
        let made = componentize(&bytes).with_context(|| module.display().to_string())?;
        fs::write(&component, &made)
            .with_context(|| format!("{} cannot be written", component.display()))?;
        let hash = Hash32::of(&made);
        if json {
            print::json(&json!({
                "component": component.display().to_string(), "code_hash": hash,
                "code_bytes": made.len(),
            }))?;
        } else {
            print::line("component", component.display());
            print::line("code", hash);
            print::line("bytes", made.len());
        }
        Ok(true)
    }
}
