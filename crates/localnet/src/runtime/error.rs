//! What can go wrong in the runtime itself, and why a view call has no answer.

use std::{io, path::PathBuf, sync::Arc};

use near_primitives::{
    account::InvalidAccountState,
    errors::{ActionErrorKind, FunctionCallError, ReceiptValidationError},
    hash::CryptoHash,
    types::AccountId,
};
use near_vm_runner::logic::errors::VMRunnerError;

/// A fault of the runtime or of the stored state. A transaction alone cannot cause one.
///
/// Sources are shared, because a fault is kept while its block is applied again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// Stored bytes do not decode.
    #[error("the state holds a value that does not decode: {key}: {source}")]
    Undecodable {
        /// The key of the value, as nearcore's `TrieKey` prints it.
        key: String,
        /// What the decoder found.
        source: Arc<io::Error>,
    },
    /// The state or a stored receipt contradicts itself, which no chain can lead to.
    #[error("the state is inconsistent: {0}")]
    Inconsistent(String),
    /// An account in the state cannot be changed as an action asks for.
    #[error("the state is inconsistent: {account_id}: {source}")]
    Account {
        /// The account.
        account_id: AccountId,
        /// nearcore's reason.
        source: InvalidAccountState,
    },
    /// A receipt of an earlier block breaks the rules for receipts.
    #[error("receipt {receipt_id} is invalid: {source}")]
    InvalidReceipt {
        /// The id of the receipt.
        receipt_id: CryptoHash,
        /// The rule that it breaks.
        source: Arc<ReceiptValidationError>,
    },
    /// An amount of tokens, gas or bytes left the range of its type.
    #[error("an amount overflowed while {0}")]
    Overflow(&'static str),
    /// The VM could not run a contract, for a reason that lies outside of the contract.
    #[error("the contract VM failed: {0}")]
    Vm(#[source] Arc<VMRunnerError>),
    /// The runtime has a defect. The text is the panic's message.
    #[error("the runtime panicked: {0}")]
    Panicked(String),
    /// The directory for compiled contracts cannot be used.
    #[error("the contract cache at {path} cannot be opened: {source}")]
    ContractCache {
        /// The directory.
        path: PathBuf,
        /// The reason that the operating system gives.
        source: Arc<io::Error>,
    },
}

impl RuntimeError {
    /// The error with which a receipt fails when the runtime cannot execute it.
    pub(super) fn to_action_error(&self) -> ActionErrorKind {
        ActionErrorKind::FunctionCallError(FunctionCallError::ExecutionError(format!(
            "localnet cannot execute this: {self}"
        )))
    }
}

/// Why a view call has no answer. The texts are those of nearcore's RPC.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewCallError {
    /// The account does not exist.
    #[error("Account ID #{requested_account_id} does not exist")]
    AccountDoesNotExist {
        /// The account that the call named.
        requested_account_id: AccountId,
    },
    /// The contract failed, or did what a view call must not do.
    #[error("{message}")]
    VmError {
        /// nearcore's description of the failure.
        message: String,
        /// What the contract had logged before it failed.
        logs: Vec<String>,
        /// The failure as nearcore types it, when it came from the contract.
        error: Option<FunctionCallError>,
    },
    /// The runtime itself failed.
    #[error(transparent)]
    Internal(#[from] RuntimeError),
}
