//! Compiled contracts in memory, for near-vm-runner.

use std::{io, sync::Arc};

use near_primitives_core::hash::CryptoHash;
use near_vm_runner::{CompiledContract, CompiledContractInfo, ContractRuntimeCache};
use outlayer_protocol::Hash32;

use crate::cache::ModuleCache;

/// The last contracts used. The runner's keys bind code, configuration and engine.
#[derive(Clone)]
pub(super) struct Cache(Arc<ModuleCache<CompiledContractInfo>>);

impl Cache {
    /// A cache for so many bytes of compiled code.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(ModuleCache::new(capacity)))
    }
}

impl ContractRuntimeCache for Cache {
    fn handle(&self) -> Box<dyn ContractRuntimeCache> {
        Box::new(self.clone())
    }

    fn put(&self, key: &CryptoHash, value: CompiledContractInfo) -> io::Result<()> {
        let bytes = match &value.compiled {
            CompiledContract::Code(code) => code.len(),
            CompiledContract::CompileModuleError(error) => error.size_bytes_approximate(),
        };
        self.0.insert(Hash32(key.0), value, bytes);
        Ok(())
    }

    fn get(&self, key: &CryptoHash) -> io::Result<Option<CompiledContractInfo>> {
        Ok(self.0.get(&Hash32(key.0)))
    }
}
