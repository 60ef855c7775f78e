//! An account's storage in the contract, as it stood after one block.

use std::sync::mpsc;

use outlayer_protocol::{AccountId, limits::MAX_VALUE_BYTES};
use tokio::runtime::Handle;

use crate::{At, ChainError, Contract};

/// Reads an account's namespace through the contract's view, always after the same block.
#[derive(Clone, Debug)]
pub struct NamespaceReader {
    contract: Contract,
    account_id: AccountId,
    at: At,
    runtime: Handle,
}

/// A value that could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The contract stores no value of this length, so the node's answer is wrong.
    #[error("the node answered with a value of {found} bytes, expected at most {MAX_VALUE_BYTES}")]
    TooLong {
        /// The value's length, bytes.
        found: usize,
    },
    /// The runtime on which the question was asked has ended.
    #[error("the program is shutting down")]
    ShuttingDown,
}

impl NamespaceReader {
    /// A reader of `account_id`'s namespace as it stood after the block `at`. The block should be
    /// named by hash or height: a reader of the newest block mixes values of several blocks.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(contract: Contract, account_id: AccountId, at: At) -> Self {
        Self { contract, account_id, at, runtime: Handle::current() }
    }

    /// The value of `key`, or `None` when the key is absent. This blocks the thread until the node
    /// has answered, so it must not be called on one of the runtime's own threads.
    ///
    /// # Errors
    /// [`ReadError`] when the value is not known.
    pub fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        // A guest's execution may poll futures of its own on this thread, where the runtime must
        // not be entered. So the question is asked on the runtime, and this thread only waits.
        let (answer, answered) = mpsc::sync_channel(1);
        let (contract, account_id, at) = (self.contract.clone(), self.account_id.clone(), self.at);
        let key = key.to_vec();
        self.runtime.spawn(async move {
            // Sending fails only when nobody waits for the answer any more.
            let _ = answer.send(contract.storage_get(&account_id, &key, at).await);
        });
        match answered.recv().map_err(|_| ReadError::ShuttingDown)?? {
            Some(value) if value.len() > MAX_VALUE_BYTES as usize => {
                Err(ReadError::TooLong { found: value.len() })
            }
            value => Ok(value),
        }
    }
}
