//! The code of a contract whose bytes are at hand.

use std::sync::Arc;

use near_primitives_core::hash::CryptoHash;
use near_vm_runner::{Contract, ContractCode};

/// Code in memory. near-vm-runner copies it only when it has to compile it.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// The SHA-256 of the bytes.
    pub hash: CryptoHash,
    /// A core Wasm module.
    pub bytes: &'a [u8],
}

impl Contract for Code<'_> {
    fn hash(&self) -> CryptoHash {
        self.hash
    }

    fn get_code(&self) -> Option<Arc<ContractCode>> {
        Some(Arc::new(ContractCode::new(self.bytes.to_vec(), Some(self.hash))))
    }
}
