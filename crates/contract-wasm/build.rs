//! Chooses the contract's Wasm that becomes part of the crate: the files in `wasm/`, or those in
//! the folder that `OUTLAYER_CONTRACT_WASM` names. A release names a folder whose Wasm has the
//! release's commit in its metadata, which the files of a commit cannot have.

use std::{env, path::PathBuf};

/// The files of the folder.
const FILES: [&str; 2] = ["outlayer_contract.wasm", "SHA256SUMS"];

fn main() {
    println!("cargo::rerun-if-env-changed=OUTLAYER_CONTRACT_WASM");
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("wasm");
    let named = env::var_os("OUTLAYER_CONTRACT_WASM").filter(|name| !name.is_empty());
    let folder = named.map_or(own, PathBuf::from);
    for name in FILES {
        let file = folder.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        if !(file.is_absolute() && file.is_file()) {
            println!(
                "cargo::error=OUTLAYER_CONTRACT_WASM: found {}, expected the absolute path of a \
                 folder with {}",
                folder.display(),
                FILES.join(" and ")
            );
        }
    }
    println!("cargo::rustc-env=OUTLAYER_CONTRACT_WASM_FOLDER={}", folder.display());
}
