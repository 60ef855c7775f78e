//! What goes into a block and what comes out of it: the types with which the runtime is called.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use near_parameters::RuntimeConfig;
use near_primitives::{
    errors::InvalidTxError,
    hash::CryptoHash,
    receipt::Receipt,
    transaction::ExecutionOutcomeWithId,
    types::{
        AccountId, Balance, BlockHeight, Compute, EpochHeight, EpochId, Gas, ProtocolVersion,
        RawStateChangesWithTrieKey, validator_stake::ValidatorStake,
    },
};
use near_vm_runner::ContractRuntimeCache;

/// How a [`Runtime`](super::Runtime) is set up.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// The name of the chain, which a contract can ask for. An empty one means `sandbox`.
    pub chain_id: String,
    /// The directory that keeps compiled contracts from one run to the next. With `None`, a
    /// temporary directory is used and removed at the end.
    pub contract_cache: Option<PathBuf>,
}

/// What all blocks of a chain at one protocol version have in common.
#[derive(Clone, Copy)]
pub(super) struct ChainContext<'a> {
    pub(super) chain_id: &'a str,
    /// Fees and limits.
    pub(super) config: &'a RuntimeConfig,
    /// The compiled contracts.
    pub(super) cache: &'a dyn ContractRuntimeCache,
}

/// What a block tells the receipts that are executed in it.
#[derive(Debug, Clone)]
pub struct BlockContext {
    /// The block's height.
    pub height: BlockHeight,
    /// The hash of the block's parent.
    pub prev_block_hash: CryptoHash,
    /// A hash of this block that is known before the block is applied. It serves only the caller's
    /// bookkeeping: at protocol 84 to 88, ids are derived from the height instead.
    pub block_hash: CryptoHash,
    /// The block's time, in nanoseconds since 1970.
    pub timestamp: u64,
    /// The block's random value, from which the seed of every receipt is derived.
    pub random_seed: CryptoHash,
    /// The price of gas, in yoctoNEAR for each unit.
    pub gas_price: Balance,
    /// The number of the epoch, as contracts see it.
    pub epoch_height: EpochHeight,
    /// The id of the epoch.
    pub epoch_id: EpochId,
    /// The protocol version, which decides on fees and rules.
    pub protocol_version: ProtocolVersion,
    /// The validators of the epoch with their stakes, in yoctoNEAR.
    pub validators: Arc<BTreeMap<AccountId, Balance>>,
    /// The smallest stake that an account may offer, in yoctoNEAR.
    pub minimum_stake: Balance,
    /// The gas that the block may burn before further receipts are delayed.
    pub gas_limit: Gas,
}

/// What one block did.
#[derive(Debug, Clone, Default)]
pub struct ApplyResult {
    /// The outcomes of transactions and receipts, in order of execution.
    pub outcomes: Vec<ExecutionOutcomeWithId>,
    /// Receipts for the next block, including data receipts and resumes.
    pub outgoing: Vec<Receipt>,
    /// Every receipt that this block processed, in order. Local receipts, the receipts of yields
    /// and data receipts are among them.
    pub processed_receipts: Vec<Receipt>,
    /// Transactions that the block did not take, by hash, each with the reason.
    pub rejected: Vec<(CryptoHash, InvalidTxError)>,
    /// Gas burnt by the block, including gas that nobody pays for.
    pub gas_burnt: Gas,
    /// Compute units that the block used, which fill it: a unit or more for each unit of gas.
    pub compute: Compute,
    /// Tokens burnt by the block, in yoctoNEAR.
    pub tokens_burnt: Balance,
    /// The stakes that accounts offered, the last offer of each account.
    pub validator_proposals: Vec<ValidatorStake>,
    /// Every key that the block changed, with the causes in order.
    pub state_changes: Vec<RawStateChangesWithTrieKey>,
    /// How many receipts stand in the queue of delayed receipts after the block.
    pub delayed_receipts: u64,
}

/// The answer to a view call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewCallResult {
    /// The bytes that the method returned. Empty when it returned nothing.
    pub result: Vec<u8>,
    /// The lines that the method logged.
    pub logs: Vec<String>,
    /// The gas that the call burnt. Nobody pays for it.
    pub gas_burnt: Gas,
}
