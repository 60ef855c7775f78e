//! Why a node could not do what it was asked to do with its blocks.

use std::sync::Arc;

use near_primitives::types::{AccountId, BlockHeight, BlockHeightDelta};

use crate::{runtime::RuntimeError, store::StoreError};

/// Why a block could not be produced, or could not be removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NodeError {
    /// A fast-forward by too many heights.
    #[error("cannot fast-forward by {found} heights; the limit is {allowed}")]
    FastForwardTooFar {
        /// The number of heights asked for.
        found: BlockHeightDelta,
        /// The most heights that one fast-forward may skip.
        allowed: BlockHeightDelta,
    },
    /// A balance in `sandbox_patch_state` that nearcore's encoding of accounts reserves.
    #[error(
        "{account_id} cannot hold {amount} yoctoNEAR: nearcore's encoding of accounts uses \
         2^128 - 1 as a marker; use a smaller amount"
    )]
    ReservedBalance {
        /// The account in the record.
        account_id: AccountId,
        /// Its balance, in yoctoNEAR.
        amount: u128,
    },
    /// A balance and a stake in `sandbox_patch_state` that are too large together.
    #[error(
        "{account_id} cannot hold {amount} yoctoNEAR and have {locked} yoctoNEAR locked: \
         the sum is above 2^128 - 1"
    )]
    BalanceOverflow {
        /// The account in the record.
        account_id: AccountId,
        /// Its balance, in yoctoNEAR.
        amount: u128,
        /// Its stake, in yoctoNEAR.
        locked: u128,
    },
    /// The block was produced, but without the records of `sandbox_patch_state`.
    #[error("the records are refused, because no block can be produced with them: {source}")]
    Patch {
        /// Why the runtime could not execute the block with the records.
        source: RuntimeError,
    },
    /// The block was produced, but could not be written to the state directory.
    #[error("the block at height {height} could not be written to the state directory: {source}")]
    Store {
        /// The block that was not written.
        height: BlockHeight,
        /// Why writing failed.
        source: Arc<StoreError>,
    },
    /// A reorg would remove blocks that are final.
    #[error("{found} blocks cannot be removed; only {allowed} are not final")]
    ReorgTooDeep {
        /// The number of blocks asked for.
        found: usize,
        /// The number of blocks that are not final.
        allowed: usize,
    },
    /// The runtime could not execute the block.
    #[error("the block at height {height} failed: {source}")]
    Runtime {
        /// The block that was not produced.
        height: BlockHeight,
        /// Why the runtime failed.
        source: RuntimeError,
    },
}
