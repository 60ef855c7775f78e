//! Wasm: the contract of OutLayer, which comes with this package, and the developer's own.

use std::path::Path;

use outlayer_protocol::Hash32;
use outlayer_wasm_build::{BuildError, Kind, Options, Package, Progress};

use crate::{Error, Result};

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

/// Builds the dApp contract whose package is in `folder`, in the profile `release`, to the bytes
/// that `outlayer build` gives.
///
/// # Errors
/// [`Error::Build`], with what cargo says on standard error.
pub fn build_contract(folder: impl AsRef<Path>) -> Result<Vec<u8>> {
    build(folder.as_ref(), Kind::Contract)
}

/// Builds the guest whose package is in `folder`, a program, in the profile `release`, to the bytes
/// that `outlayer build` gives.
///
/// # Errors
/// [`Error::Build`], with what cargo says on standard error.
pub fn build_guest(folder: impl AsRef<Path>) -> Result<Vec<u8>> {
    build(folder.as_ref(), Kind::Guest)
}

fn build(folder: &Path, kind: Kind) -> Result<Vec<u8>> {
    let failed =
        |reason: BuildError| Error::Build { package: folder.to_owned(), reason: Box::new(reason) };
    let package = Package::read(folder, Progress::Kept).map_err(failed)?;
    package.only(kind).map_err(failed)?;
    let options = Options { progress: Progress::Kept, ..Options::default() };
    let files = package.build(kind, &options).map_err(failed)?;
    Ok(files.into_iter().next().map(|file| file.code).unwrap_or_default())
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
        let error = build_contract(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no contract, expected one"), "{error}");
    }
}
