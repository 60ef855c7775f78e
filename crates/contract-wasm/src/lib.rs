//! The OutLayer contract's Wasm, so that whoever deploys it needs no file beside their program: the
//! command `outlayer`, and the test kit.
//!
//! `scripts/testkit-contract` writes the files of `wasm/`, and a test of the workspace compares
//! them with what the contract's sources give. The bytes do not name the commit that they were
//! built from, because they are part of it. A program that is released has other bytes, which do:
//! `scripts/release` builds them, and names their folder in `OUTLAYER_CONTRACT_WASM`.

#![deny(missing_docs)]

/// The contract's Wasm, as `scripts/wasm` has built it from the sources of [`VERSION`].
pub const WASM: &[u8] =
    include_bytes!(concat!(env!("OUTLAYER_CONTRACT_WASM_FOLDER"), "/outlayer_contract.wasm"));

/// The name of the file that `scripts/wasm` makes of the contract.
pub const FILE_NAME: &str = "outlayer_contract.wasm";

/// The SHA-256 of [`WASM`], 64 hex digits, as it was when the file was made. Whoever deploys the
/// bytes compares it with theirs.
pub const SHA256: &str = SUMS.split_at(64).0;

const SUMS: &str = include_str!(concat!(env!("OUTLAYER_CONTRACT_WASM_FOLDER"), "/SHA256SUMS"));

/// The version of the contract, which its metadata (NEP-330) has, too.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
#[path = "../build.rs"]
#[allow(dead_code, reason = "cargo runs it; here its choice is tested")]
mod build_script;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn a_release_names_the_folder_of_its_wasm_and_no_other_file_is_taken_for_it() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm");
        let chosen = |named: Option<&str>| build_script::chosen(named.map(Into::into), own.clone());
        assert_eq!((chosen(None), chosen(Some(""))), (Ok(own.clone()), Ok(own.clone())));
        assert_eq!(chosen(own.to_str()), Ok(own.clone()));
        for wrong in ["wasm", "/nowhere", own.join("SHA256SUMS").to_str().unwrap_or_default()] {
            let error = chosen(Some(wrong)).unwrap_err();
            assert!(error.contains(wrong) && error.contains("expected the absolute"), "{error}");
        }
    }

    #[test]
    fn the_wasm_is_the_one_that_the_hash_names() {
        let found: String = Sha256::digest(WASM).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, SHA256);
        let line = format!("{SHA256}  {FILE_NAME}\n");
        assert_eq!(SUMS, line);
    }

    #[test]
    fn the_metadata_in_the_wasm_has_this_version() {
        let version = format!("\"version\":\"{VERSION}\"");
        let found = WASM.windows(version.len()).any(|bytes| bytes == version.as_bytes());
        assert!(found, "the contract's metadata do not have {version}");
    }
}
