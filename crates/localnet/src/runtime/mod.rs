//! The runtime: what a NEAR node does with the transactions and receipts of a block.
//!
//! It follows nearcore's `runtime/runtime`, and each module names the file of nearcore that its
//! rules come from. Contracts run in `near-vm-runner`; fees come from `near-parameters`.
//!
//! Each line of this list imports only from the lines below it:
//!
//! * `apply` applies a block;
//! * `receipts` executes a receipt, or keeps it until its data has arrived;
//! * `actions` does what the actions of a receipt ask for;
//! * `transactions` checks a transaction, charges its signer and turns it into a receipt;
//! * `delayed` and `yields` are queues that are kept in the state, and `views` answers view calls;
//! * `block` is a block while it is being applied;
//! * `contracts`, `external`, `conversions` and `cache` run contracts;
//! * `update` is the state with the changes of the block, `reads` counts what was read of it, and
//!   `retry` applies a block again after a fault;
//! * `validate`, `fees`, `storage_stake` and `amounts` are rules and arithmetic;
//! * `new_receipts`, `types` and `error` are what the others share.

mod actions;
mod amounts;
mod apply;
mod block;
mod cache;
mod contracts;
mod conversions;
mod delayed;
mod error;
mod external;
mod fees;
mod new_receipts;
mod reads;
mod receipts;
mod retry;
mod storage_stake;
mod transactions;
mod types;
mod update;
mod validate;
mod views;
mod yields;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use near_parameters::{RuntimeConfig, RuntimeConfigStore};
use near_primitives::{
    account::Account,
    errors::InvalidTxError,
    receipt::Receipt,
    transaction::SignedTransaction,
    types::{AccountId, Gas, ProtocolVersion},
};

use self::{block::Block, cache::ContractCache, transactions::verify, types::ChainContext};
use crate::state::State;

pub use self::{
    error::{RuntimeError, ViewCallError},
    types::{ApplyResult, BlockContext, RuntimeOptions, ViewCallResult},
};

/// The fee tables of all protocol versions. Reading them takes a while, so it is done once.
static CONFIGS: LazyLock<RuntimeConfigStore> = LazyLock::new(|| RuntimeConfigStore::new(None));

/// The runtime of a chain, with its compiled contracts. One serves all blocks, and threads can
/// share it. Calls block their thread, so an async caller runs them on a thread that may block.
pub struct Runtime {
    chain_id: String,
    cache: ContractCache,
}

impl Runtime {
    /// Opens the runtime. Fails when the directory for compiled contracts cannot be used.
    pub fn new(opts: RuntimeOptions) -> Result<Self, RuntimeError> {
        let chain_id = if opts.chain_id.is_empty() { "sandbox".to_owned() } else { opts.chain_id };
        Ok(Self { chain_id, cache: ContractCache::open(opts.contract_cache.as_deref())? })
    }

    /// The fees and limits of a protocol version.
    pub fn config(&self, protocol_version: ProtocolVersion) -> &Arc<RuntimeConfig> {
        CONFIGS.get_config(protocol_version)
    }

    fn chain(&self, protocol_version: ProtocolVersion) -> ChainContext<'_> {
        ChainContext {
            chain_id: &self.chain_id,
            config: self.config(protocol_version),
            cache: self.cache.get(),
        }
    }

    /// Checks a transaction before it enters the pool: its form and signature, then its signer's
    /// key, nonce and balance as they stand in `state`. The caller checks whether its block hash is
    /// recent.
    pub fn validate_transaction(
        &self,
        state: &State,
        ctx: &BlockContext,
        tx: &SignedTransaction,
    ) -> Result<(), InvalidTxError> {
        let config = self.config(ctx.protocol_version);
        verify::check_form(config, ctx, tx)?;
        let charged = verify::charge(config, ctx.gas_price, None, &tx.transaction, state)?;
        charged.unpaid_deposit.map_or(Ok(()), Err)
    }

    /// Applies one block (of one chunk) on top of `state`.
    ///
    /// First it stores the accounts that the end of an epoch has `settled`. Then it takes the
    /// transactions in order, executes local, delayed and incoming receipts, and ends yields that
    /// have timed out. When it fails, `state` is unchanged. A receipt that the runtime cannot
    /// execute fails with an error that says so, and the block goes on without it.
    pub fn apply(
        &self,
        state: &mut State,
        ctx: &BlockContext,
        settled: Vec<(AccountId, Account)>,
        incoming: Vec<Receipt>,
        txs: Vec<SignedTransaction>,
    ) -> Result<ApplyResult, RuntimeError> {
        let chain = self.chain(ctx.protocol_version);
        let (after, result) = retry::until_applied(|skipped| {
            apply::apply(Block::new(chain, state, ctx, skipped), &settled, &incoming, &txs)
        })?;
        *state = after;
        Ok(result)
    }

    /// Runs a method of a contract without changing anything. `ctx` describes the block after which
    /// `state` is read.
    pub fn view_call(
        &self,
        state: &State,
        ctx: &BlockContext,
        contract: &AccountId,
        method: &str,
        args: &[u8],
        gas: Option<Gas>,
    ) -> Result<ViewCallResult, ViewCallError> {
        views::call(self.chain(ctx.protocol_version), state, ctx, contract, method, args, gas)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("chain_id", &self.chain_id).finish_non_exhaustive()
    }
}
