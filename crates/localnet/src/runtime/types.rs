//! What goes into a block and what comes out of it: the types of the engine's surface.

use near_primitives::errors::InvalidTxError;
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::Receipt;
use near_primitives::transaction::ExecutionOutcomeWithId;
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::{
    AccountId, Balance, BlockHeight, EpochHeight, EpochId, Gas, ProtocolVersion,
    RawStateChangesWithTrieKey,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How a [`Runtime`](super::Runtime) is set up.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// The name of the chain, which a contract may ask for (`sandbox` when empty).
    pub chain_id: String,
    /// Where compiled contracts are kept across runs. Only in memory when absent.
    pub contract_cache: Option<PathBuf>,
}

/// What a block tells the receipts that run in it.
#[derive(Debug, Clone)]
pub struct BlockContext {
    /// The block's height.
    pub height: BlockHeight,
    /// The hash of the block below.
    pub prev_block_hash: CryptoHash,
    /// A hash of this block that is known before it is executed. Ids derived at protocol 84 to 88
    /// use the height instead, so it only serves the callers' bookkeeping.
    pub block_hash: CryptoHash,
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// The block's random value, the source of every receipt's seed.
    pub random_seed: CryptoHash,
    /// The gas price, in yoctoNEAR a unit of gas.
    pub gas_price: Balance,
    /// The number of the epoch.
    pub epoch_height: EpochHeight,
    /// The epoch's id.
    pub epoch_id: EpochId,
    /// The protocol version whose fees and rules hold.
    pub protocol_version: ProtocolVersion,
    /// The validators of the epoch and their stakes, in yoctoNEAR.
    pub validators: Arc<BTreeMap<AccountId, Balance>>,
    /// The smallest stake that an account may offer, in yoctoNEAR.
    pub minimum_stake: Balance,
    /// How much gas the block may burn before receipts are delayed.
    pub gas_limit: Gas,
}

/// What one block did.
#[derive(Debug, Clone, Default)]
pub struct ApplyResult {
    /// The outcomes of transactions and receipts, in order of execution.
    pub outcomes: Vec<ExecutionOutcomeWithId>,
    /// Receipts for the next block, data receipts and resumptions included.
    pub outgoing: Vec<Receipt>,
    /// Every receipt that this block processed, in order (transactions' local receipts,
    /// yields' receipts and data receipts included).
    pub processed_receipts: Vec<Receipt>,
    /// Transactions that were not taken, with the reason.
    pub rejected: Vec<(CryptoHash, InvalidTxError)>,
    /// Gas burnt by the block, paid for or not.
    pub gas_burnt: Gas,
    /// Tokens burnt by the block, in yoctoNEAR.
    pub tokens_burnt: Balance,
    /// Stakes that accounts offered.
    pub validator_proposals: Vec<ValidatorStake>,
    /// Every key that the block changed, with the causes in order.
    pub state_changes: Vec<RawStateChangesWithTrieKey>,
    /// Receipts in the queue of delayed ones after the block.
    pub delayed_receipts: u64,
}

/// What a view call answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewCallResult {
    /// The bytes that the method returned, empty when it returned nothing.
    pub result: Vec<u8>,
    /// What it logged.
    pub logs: Vec<String>,
    /// Gas burnt; nobody pays for it.
    pub gas_burnt: Gas,
}

/// Why a view call has no answer. The text is what nearcore's RPC gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewCallError {
    /// The account is not there.
    #[error("Account ID #{requested_account_id} does not exist")]
    AccountDoesNotExist {
        /// The account asked for.
        requested_account_id: AccountId,
    },
    /// The contract failed, or did what a view must not.
    #[error("{message}")]
    VmError {
        /// nearcore's description of the failure.
        message: String,
        /// What the contract logged before.
        logs: Vec<String>,
        /// The typed failure, when the contract raised one.
        error: Option<near_primitives::errors::FunctionCallError>,
    },
    /// The engine itself failed.
    #[error("{message}")]
    Internal {
        /// What failed.
        message: String,
    },
}

/// A fault of the engine or of its stored state, never of a transaction.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// Stored bytes do not decode.
    #[error("the state holds a value that does not decode: {0}")]
    CorruptState(String),
    /// Balances or gas left the range of their types.
    #[error("an amount overflowed while {0}")]
    Overflow(&'static str),
    /// The VM could not run a contract for a reason outside of the contract.
    #[error("the contract VM failed: {0}")]
    Vm(String),
    /// A defect of the engine.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// The directory for compiled contracts cannot be used.
    #[error("the contract cache at {path} cannot be opened: {reason}")]
    ContractCache {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}
