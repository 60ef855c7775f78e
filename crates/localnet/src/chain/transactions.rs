//! Which transactions the chain takes: their validity period, the pool they wait in, and those that
//! turned out to be invalid.

use near_primitives::{
    block_header::BlockHeader,
    errors::{InvalidTxError, StorageError},
    hash::CryptoHash,
    transaction::SignedTransaction,
};

use super::{Chain, FIXED_STEP};
use crate::runtime::RuntimeError;

/// How many invalid transactions are kept, so that a client that waits for one learns why it is
/// invalid.
const MAX_KEPT_INVALID: usize = 10_000;

impl Chain {
    /// Whether a transaction is in the pool or in a block.
    pub fn knows(&self, hash: &CryptoHash) -> bool {
        self.pool.contains(hash) || self.history.transaction(hash).is_some()
    }

    /// How many transactions wait for a block.
    pub fn pending_transactions(&self) -> usize {
        self.pool.len()
    }

    /// Why a transaction that had entered the pool was not included in a block.
    pub fn invalid_transaction(&self, hash: &CryptoHash) -> Option<&InvalidTxError> {
        self.invalid.get(hash)
    }

    /// Checks that the block a transaction refers to is recent enough, as of the head
    /// (`chain/chain/src/store.rs`: `check_transaction_validity_period`).
    pub fn check_expiry(&self, tx: &SignedTransaction) -> Result<(), InvalidTxError> {
        let base =
            self.history.by_hash(tx.transaction.block_hash()).ok_or(InvalidTxError::Expired)?;
        let last = base.height().saturating_add(self.config.transaction_validity_period);
        if self.head().height() <= last || self.outran_near(&base.header) {
            Ok(())
        } else {
            Err(InvalidTxError::Expired)
        }
    }

    /// Makes transactions expire only when their validity period is over by time as well as by
    /// height. Instant blocks pass a hundred heights in a moment, which gives clients no time.
    pub(crate) fn expire_by_time(&mut self, by_time: bool) {
        self.expires_by_time = by_time;
    }

    /// Whether the chain has got from `base` to its head faster than NEAR would, without having
    /// skipped heights.
    fn outran_near(&self, base: &BlockHeader) -> bool {
        let head = self.head();
        let heights = head.height().saturating_sub(base.height());
        let blocks = head.block_ordinal().saturating_sub(base.block_ordinal());
        let passed = head.raw_timestamp().saturating_sub(base.raw_timestamp());
        let period = u32::try_from(self.config.transaction_validity_period).unwrap_or(u32::MAX);
        let validity = FIXED_STEP.saturating_mul(period);
        self.expires_by_time && heights == blocks && u128::from(passed) <= validity.as_nanos()
    }

    /// How many nonces below that of `tx` its access key has neither used nor sent.
    pub fn missing_nonces(&self, tx: &SignedTransaction) -> u64 {
        let (signer, key) = (tx.transaction.signer_id(), tx.transaction.public_key());
        let state = self.state();
        let used = match tx.transaction.nonce().nonce_index() {
            Some(index) => state.gas_key_nonce(signer, key, index),
            None => state.access_key(signer, key).map(|key| key.nonce),
        };
        used.map_or(0, |used| self.pool.missing_nonces(tx, used))
    }

    /// Puts a transaction that was checked before into the pool. The first block that may include
    /// it is `ahead` heights above the head.
    pub fn enqueue(&mut self, tx: SignedTransaction, ahead: u64) {
        self.invalid.remove(&tx.get_hash());
        let height = self.head().height().saturating_add(ahead);
        self.pool.push(tx, height);
    }

    /// Puts a second copy of a transaction into the pool. The first block that may include it is
    /// `ahead` heights above the head.
    pub fn enqueue_copy(&mut self, tx: SignedTransaction, ahead: u64) {
        let height = self.head().height().saturating_add(ahead);
        self.pool.push_copy(tx, height);
    }

    /// Marks the transactions of a block that the runtime could not execute as invalid.
    pub(crate) fn mark_all_invalid(&mut self, hashes: &[CryptoHash], error: &RuntimeError) {
        let reason = StorageError::StorageInconsistentState(error.to_string());
        for hash in hashes {
            self.mark_invalid(*hash, reason.clone().into());
        }
    }

    /// Notes why a transaction was not included.
    pub(super) fn mark_invalid(&mut self, hash: CryptoHash, error: InvalidTxError) {
        if self.invalid.len() >= MAX_KEPT_INVALID {
            self.invalid.clear();
        }
        self.invalid.insert(hash, error);
    }
}
