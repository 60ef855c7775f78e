//! Wasm: the contract of OutLayer, which comes with this package, and the developer's own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use outlayer_protocol::Hash32;
use serde_json::Value;

use crate::{Error, Result};

/// The environment variable that names the cargo which builds Wasm, where the one that runs the
/// tests has no standard library for it.
pub const WASM_CARGO: &str = "OUTLAYER_WASM_CARGO";

/// What a NEAR node of any protocol version from 84 on accepts, and the setting under which
/// near-sdk turns panics into messages.
const CONTRACT_FLAGS: &str = "--cfg near -C target-cpu=mvp \
     -C target-feature=+mutable-globals,+sign-ext,+nontrapping-fptoint,+bulk-memory";

/// The bytes of the OutLayer contract, as `outlayer-contract-wasm` has them, checked by their hash.
///
/// # Errors
/// [`Error::ContractHash`] when the package was changed.
pub fn contract() -> Result<&'static [u8]> {
    let (code, expected) = (outlayer_contract_wasm::WASM, outlayer_contract_wasm::SHA256);
    let found = Hash32::of(code);
    if found.to_string() != expected {
        return Err(Error::ContractHash { found, expected: expected.to_owned() });
    }
    Ok(code)
}

/// Builds the dApp contract whose package is in `folder`, in the profile `release`.
///
/// # Errors
/// [`Error::Build`], with what cargo says on standard error.
pub fn build_contract(folder: impl AsRef<Path>) -> Result<Vec<u8>> {
    build(folder.as_ref(), "wasm32-unknown-unknown", &["--lib"], Some(CONTRACT_FLAGS))
}

/// Builds the guest whose package is in `folder`, a program, in the profile `release`.
///
/// # Errors
/// [`Error::Build`], with what cargo says on standard error.
pub fn build_guest(folder: impl AsRef<Path>) -> Result<Vec<u8>> {
    build(folder.as_ref(), "wasm32-wasip1", &["--bins"], None)
}

fn build(folder: &Path, target: &str, what: &[&str], flags: Option<&str>) -> Result<Vec<u8>> {
    let failed = |reason: String| Error::Build { package: folder.to_owned(), reason };
    let folder = &folder.canonicalize().map_err(|error| failed(error.to_string()))?;
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cargo = named(WASM_CARGO).or_else(|| named("CARGO")).unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--release", "--target", target])
        .args(["--message-format", "json-render-diagnostics"])
        .args(what)
        // Cargo finds the project's own settings from here.
        .current_dir(folder)
        // They are meant for the tests, which run on the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    // Whoever has flags of their own knows what they do.
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    if let Some(flags) = flags.filter(|_| named(&variable).is_none()) {
        command.env(variable, flags);
    }
    let output = command
        .output()
        .map_err(|error| failed(format!("{} does not run: {error}", cargo.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let advice = if said.contains("can't find crate for `core`")
            || said.contains("can't find crate for `std`")
        {
            format!("\nThe compiler has no {target}: `rustup target add {target}` brings it")
        } else {
            String::new()
        };
        return Err(failed(format!("cargo ended with {}\n{said}{advice}", output.status)));
    }
    let built = wasm_files(&output.stdout, folder);
    let [file] = &built[..] else {
        let names: Vec<_> = built.iter().map(|path| path.display().to_string()).collect();
        return Err(failed(format!(
            "expected one Wasm file, found {}: {}",
            built.len(),
            if names.is_empty() {
                "is it a cdylib, or a program?".into()
            } else {
                names.join(", ")
            }
        )));
    };
    std::fs::read(file).map_err(|source| Error::File { path: file.clone(), source })
}

/// The Wasm files that cargo made of the package in `folder`, from its messages.
fn wasm_files(messages: &[u8], folder: &Path) -> Vec<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let of_package = messages.filter(|message| {
        let path = message["manifest_path"].as_str().map(Path::new);
        message["reason"] == "compiler-artifact"
            && path.is_some_and(|path| path.canonicalize().is_ok_and(|path| path == manifest))
    });
    let files = of_package.flat_map(|message| {
        let names = message["filenames"].as_array().cloned().unwrap_or_default();
        names.into_iter().filter_map(|name| name.as_str().map(PathBuf::from)).collect::<Vec<_>>()
    });
    files.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_one_that_the_hash_names() {
        assert!(contract().unwrap().starts_with(b"\0asm"));
    }

    #[test]
    fn a_package_that_does_not_build_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let error = build_guest(folder.path()).unwrap_err().to_string();
        assert!(error.contains("Cargo.toml"), "{error}");
        let manifest = "[package]\nname = \"g\"\nedition = \"2024\"\n[workspace]\n";
        std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/main.rs"), "fn main() { nonsense() }").unwrap();
        let error = build_guest(folder.path()).unwrap_err().to_string();
        assert!(error.contains("nonsense") || error.contains("rustup target add"), "{error}");
    }
}
