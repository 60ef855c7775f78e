//! A block while it is being applied: its context, its changes to the state, and what it has done
//! so far.

use std::collections::{HashSet, VecDeque};

use near_parameters::RuntimeConfig;
use near_primitives::{
    errors::InvalidTxError,
    hash::CryptoHash,
    receipt::Receipt,
    transaction::{ExecutionOutcome, ExecutionOutcomeWithId},
    types::{Balance, Compute, Gas, validator_stake::ValidatorStake},
};
use near_vm_runner::ContractRuntimeCache;

use super::{
    amounts::{add_compute, add_gas},
    error::RuntimeError,
    retry::Skipped,
    types::{ApplyResult, BlockContext, ChainContext},
    update::StateUpdate,
    validate::{Mode, Rules},
};
use crate::state::State;

pub(super) struct Block<'a> {
    pub(super) chain_id: &'a str,
    /// The fees and limits of the block's protocol version.
    pub(super) config: &'a RuntimeConfig,
    /// The compiled contracts.
    pub(super) cache: &'a dyn ContractRuntimeCache,
    pub(super) ctx: &'a BlockContext,
    pub(super) update: StateUpdate,
    /// The receipts that earlier attempts to apply this block failed at.
    pub(super) skipped: &'a Skipped,
    /// Receipts for the next block.
    pub(super) outgoing: Vec<Receipt>,
    /// Receipts that are processed right after the one that made them.
    pub(super) instant: VecDeque<Receipt>,
    /// The stakes that accounts offered, in order.
    pub(super) proposals: Vec<ValidatorStake>,
    /// Tokens burnt, in yoctoNEAR.
    pub(super) burnt: Balance,
    /// Tokens that the protocol issued to contracts, in yoctoNEAR.
    pub(super) subsidy: Balance,
    /// Compute units used, which decide when the block is full.
    pub(super) compute: Compute,
    pub(super) outcomes: Vec<ExecutionOutcomeWithId>,
    pub(super) processed: Vec<Receipt>,
    /// Transactions that the block did not take.
    pub(super) rejected: Vec<(CryptoHash, InvalidTxError)>,
    /// Gas burnt.
    gas: Gas,
}

impl<'a> Block<'a> {
    /// A block on top of `state` in which nothing has happened yet.
    pub(super) fn new(
        chain: ChainContext<'a>,
        state: &State,
        ctx: &'a BlockContext,
        skipped: &'a Skipped,
    ) -> Self {
        Self {
            chain_id: chain.chain_id,
            config: chain.config,
            cache: chain.cache,
            ctx,
            update: StateUpdate::new(state.clone()),
            skipped,
            outgoing: Vec::new(),
            instant: VecDeque::new(),
            proposals: Vec::new(),
            burnt: Balance::ZERO,
            subsidy: Balance::ZERO,
            compute: 0,
            outcomes: Vec::new(),
            processed: Vec::new(),
            rejected: Vec::new(),
            gas: Gas::ZERO,
        }
    }

    /// The rules that receipts and transactions of this block must keep.
    pub(super) fn rules(&self, mode: Mode) -> Rules<'a> {
        Rules {
            limits: &self.config.wasm_config.limit_config,
            protocol_version: self.ctx.protocol_version,
            mode,
        }
    }

    /// Whether the block has no room for another receipt, because its gas is used up or its storage
    /// proof is as large as it should get.
    pub(super) fn is_full(&self) -> bool {
        self.compute >= self.ctx.gas_limit.as_gas()
            || self.update.recorded_size()
                > self.config.witness_config.main_storage_proof_size_soft_limit
    }

    /// Counts the gas and the compute units of an outcome as used by the block.
    pub(super) fn count_usage(&mut self, outcome: &ExecutionOutcome) -> Result<(), RuntimeError> {
        self.gas = add_gas(self.gas, outcome.gas_burnt)?;
        self.compute = add_compute(self.compute, outcome.compute_usage.unwrap_or_default())?;
        Ok(())
    }

    /// The state after the block, and what the block did.
    pub(super) fn finish(self, delayed_receipts: u64) -> (State, ApplyResult) {
        let (state, state_changes) = self.update.finish();
        // Of several proposals of an account, the last one counts.
        let mut seen = HashSet::new();
        let validator_proposals = self
            .proposals
            .into_iter()
            .rev()
            .filter(|proposal| seen.insert(proposal.account_id().clone()))
            .collect();
        let result = ApplyResult {
            outcomes: self.outcomes,
            outgoing: self.outgoing,
            processed_receipts: self.processed,
            rejected: self.rejected,
            gas_burnt: self.gas,
            compute: self.compute,
            tokens_burnt: self.burnt.saturating_sub(self.subsidy),
            validator_proposals,
            state_changes,
            delayed_receipts,
        };
        (state, result)
    }
}
