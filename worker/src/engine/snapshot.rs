//! A requester's namespace as it stood after one block.

use std::sync::mpsc;

use outlayer_executor::{Snapshot, SnapshotError};
use outlayer_protocol::{AccountId, limits::MAX_VALUE_BYTES};
use tokio::runtime::Handle;

use crate::chain::{At, Contract};

/// Reads through the contract's view, always at the same block.
pub(super) struct ChainSnapshot {
    contract: Contract,
    namespace: AccountId,
    at: At,
    runtime: Handle,
}

impl ChainSnapshot {
    /// The namespace after block `at`; must be made inside a tokio runtime.
    pub(super) fn new(contract: Contract, namespace: AccountId, at: At) -> Self {
        Self { contract, namespace, at, runtime: Handle::current() }
    }

    fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        // The engine calls from a thread of its own, which may be inside an executor of futures: so the question is
        // asked on the runtime, and this thread waits without entering it.
        let (answer, answered) = mpsc::sync_channel(1);
        let (contract, namespace, key, at) =
            (self.contract.clone(), self.namespace.clone(), key.to_vec(), self.at);
        self.runtime.spawn(async move {
            // The receiver is gone only when the thread is; then nobody needs the answer.
            let _ = answer.send(contract.storage_get(&namespace, &key, at).await);
        });
        match answered.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the worker is shutting down".to_owned()),
        }
    }
}

impl Snapshot for ChainSnapshot {
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        let value = self.fetch(key).map_err(SnapshotError)?;
        match value {
            Some(value) if value.len() > MAX_VALUE_BYTES as usize => Err(SnapshotError(format!(
                "the node answered with a value of {} bytes, expected at most {MAX_VALUE_BYTES}",
                value.len()
            ))),
            value => Ok(value),
        }
    }
}
