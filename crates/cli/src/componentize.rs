//! `outlayer componentize`: makes a component of a guest that was built as a core module.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use outlayer_componentize::componentize;

/// A guest that uses `outlayer-sdk` must be built with the sdk's feature `component`.
#[derive(Debug, Args)]
pub(crate) struct ComponentizeArgs {
    /// The core module, built for wasm32-wasip1
    module: PathBuf,
    /// The file to write the component to
    component: PathBuf,
}

impl ComponentizeArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        let Self { module, component } = self;
        let bytes = fs::read(&module).with_context(|| module.display().to_string())?;
        let made = componentize(&bytes).with_context(|| module.display().to_string())?;
        fs::write(&component, made).with_context(|| component.display().to_string())?;
        Ok(true)
    }
}
