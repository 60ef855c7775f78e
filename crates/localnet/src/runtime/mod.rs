//! The engine: what a NEAR node does with a block's transactions and receipts.
//!
//! It follows nearcore's `runtime/runtime`, of which each module here names the file that its rules come
//! from. Contracts run in `near-vm-runner`; fees come from `near-parameters`.

mod actions;
mod amounts;
mod block;
mod cache;
mod contracts;
mod conversions;
mod delayed;
mod execute;
mod external;
mod fees;
mod function_call;
mod outcome;
mod receipts;
mod refunds;
mod salvage;
mod storage_stake;
mod types;
mod update;
mod validate;
mod verify;
mod views;
mod yields;

#[cfg(test)]
mod tests;

pub use types::{
    ApplyResult, BlockContext, RuntimeError, RuntimeOptions, ViewCallError, ViewCallResult,
};

use crate::state::State;
use cache::ContractCache;
use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives::account::Account;
use near_primitives::errors::InvalidTxError;
use near_primitives::receipt::Receipt;
use near_primitives::transaction::SignedTransaction;
use near_primitives::types::{AccountId, ProtocolVersion};
use near_vm_runner::ContractRuntimeCache;
use std::sync::{Arc, LazyLock};

/// The fee tables of all protocol versions. Reading them takes a while, so it is done once.
static CONFIGS: LazyLock<RuntimeConfigStore> = LazyLock::new(|| RuntimeConfigStore::new(None));

/// The engine. One serves all blocks; it holds the compiled contracts and can be shared by threads.
/// Calls block: run them where that is no harm.
pub struct Runtime {
    chain_id: String,
    cache: ContractCache,
}

impl Runtime {
    /// Opens the engine. Fails when the directory for compiled contracts cannot be used.
    pub fn new(opts: RuntimeOptions) -> Result<Self, RuntimeError> {
        let chain_id = if opts.chain_id.is_empty() { "sandbox".to_owned() } else { opts.chain_id };
        Ok(Self { chain_id, cache: ContractCache::open(opts.contract_cache.as_deref())? })
    }

    /// The configuration (fees, limits) of a protocol version.
    pub fn config(&self, protocol_version: ProtocolVersion) -> &Arc<RuntimeConfig> {
        CONFIGS.get_config(protocol_version)
    }

    fn chain_id(&self) -> &str {
        &self.chain_id
    }

    fn cache(&self) -> &dyn ContractRuntimeCache {
        self.cache.get()
    }

    /// Checks a transaction before it enters the pool: its form and signature, then its signer's key,
    /// nonce and balance after the block of `state`. Whether its block hash is recent, the caller knows.
    pub fn validate_transaction(
        &self,
        state: &State,
        ctx: &BlockContext,
        tx: &SignedTransaction,
    ) -> Result<(), InvalidTxError> {
        let config = self.config(ctx.protocol_version);
        verify::check_form(config, ctx, tx)?;
        let key = tx.transaction.public_key();
        verify::charge(
            config,
            ctx.gas_price,
            None,
            &tx.transaction,
            |signer_id| Ok(state.account(signer_id)),
            |signer_id| Ok(state.access_key(signer_id, key)),
        )?;
        Ok(())
    }

    /// Executes one block (of one chunk) on top of `state`: accounts that the end of an epoch has `settled`, then
    /// transactions in order, then local, delayed and incoming receipts, then the timeouts of yields. `state` is left alone when it fails. A receipt that
    /// the engine cannot execute fails with an error that says so; the block goes on without it.
    pub fn apply(
        &self,
        state: &mut State,
        ctx: &BlockContext,
        settled: Vec<(AccountId, Account)>,
        incoming: Vec<Receipt>,
        txs: Vec<SignedTransaction>,
    ) -> Result<ApplyResult, RuntimeError> {
        let (after, result) = salvage::GivenUp::retry(|given_up| {
            block::Block::new(self, state, ctx, given_up).apply(&settled, &incoming, &txs)
        })?;
        *state = after;
        Ok(result)
    }

    /// Runs a method without changing anything. `ctx` is the block whose state is read.
    pub fn view_call(
        &self,
        state: &State,
        ctx: &BlockContext,
        contract: &AccountId,
        method: &str,
        args: &[u8],
    ) -> Result<ViewCallResult, ViewCallError> {
        views::call(self, state, ctx, contract, method, args)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("chain_id", &self.chain_id).finish_non_exhaustive()
    }
}
