//! Chooses the contract's Wasm that becomes part of the crate: the files in `wasm/`, or those in
//! the folder that `OUTLAYER_CONTRACT_WASM` names. A release names a folder whose Wasm has the
//! release's commit in its metadata, which the files of a commit cannot have.

use std::{env, ffi::OsString, path::PathBuf};

/// The files of the folder.
const FILES: [&str; 2] = ["outlayer_contract.wasm", "SHA256SUMS"];

fn main() {
    println!("cargo::rerun-if-env-changed=OUTLAYER_CONTRACT_WASM");
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("wasm");
    match chosen(env::var_os("OUTLAYER_CONTRACT_WASM"), own) {
        Ok(folder) => {
            for name in FILES {
                println!("cargo::rerun-if-changed={}", folder.join(name).display());
            }
            println!("cargo::rustc-env=OUTLAYER_CONTRACT_WASM_FOLDER={}", folder.display());
        }
        Err(reason) => println!("cargo::error={reason}"),
    }
}

/// The folder whose files become part of the crate.
pub(crate) fn chosen(named: Option<OsString>, own: PathBuf) -> Result<PathBuf, String> {
    let folder = named.filter(|name| !name.is_empty()).map_or(own, PathBuf::from);
    if folder.is_absolute() && FILES.iter().all(|name| folder.join(name).is_file()) {
        return Ok(folder);
    }
    Err(format!(
        "OUTLAYER_CONTRACT_WASM: found {}, expected the absolute path of a folder with {}",
        folder.display(),
        FILES.join(" and ")
    ))
}
