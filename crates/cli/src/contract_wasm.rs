//! Where the commands find the contract's Wasm when nobody names a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::code_file;

/// The file's name, as `scripts/wasm` gives it.
const FILE: &str = "outlayer_contract.wasm";

/// Reads the contract's Wasm: the file that was given, or else the one that belongs to the program
/// that is running.
pub(crate) fn read(given: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => find()?,
    };
    code_file::read(&path).context("the contract")
}

/// An installed command has the file in `share/outlayer` beside its own folder, and one that was
/// built in the workspace finds it in `target/wasm`.
fn find() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the path of this program")?;
    let program = program.canonicalize().unwrap_or(program);
    let folders = program.ancestors().skip(1).take(3);
    let looked: Vec<_> = folders
        .flat_map(|folder| [folder.join("wasm"), folder.join("share/outlayer")])
        .map(|folder| folder.join(FILE))
        .collect();
    if let Some(found) = looked.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let looked: String = looked.iter().map(|path| format!("\n    {}", path.display())).collect();
    bail!(
        "the contract's Wasm is in none of these places:{looked}\nName the file with --contract, \
         or run scripts/wasm in OutLayer's sources to build it"
    )
}
