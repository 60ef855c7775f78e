//! The transaction pool.

use std::collections::{HashMap, HashSet, VecDeque};

use near_crypto::PublicKey;
use near_primitives::{
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{AccountId, BlockHeight, Nonce, NonceIndex},
};

/// The most transactions that one block includes. nearcore bounds the gas for converting them to
/// receipts instead, which comes to about this many small transactions.
pub const MAX_IN_BLOCK: usize = 2_000;

/// The most bytes of transactions that one block includes (nearcore's
/// `combined_transactions_size_limit`).
pub const MAX_BYTES_IN_BLOCK: u64 = 4 * 1024 * 1024;

/// The transactions that were accepted and are in no block yet, in the order of their arrival.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// Each with the lowest height of a block that may include it. The heights are in ascending
    /// order.
    queue: VecDeque<(BlockHeight, SignedTransaction)>,
    hashes: HashSet<CryptoHash>,
}

impl Pool {
    /// Adds a transaction, unless it is in the pool already. A block at `height` or above may
    /// include it.
    pub fn push(&mut self, tx: SignedTransaction, height: BlockHeight) {
        if self.hashes.insert(tx.get_hash()) {
            self.push_copy(tx, height);
        }
    }

    /// Adds a transaction even if it is in the pool already.
    pub fn push_copy(&mut self, tx: SignedTransaction, height: BlockHeight) {
        self.hashes.insert(tx.get_hash());
        let place = self.queue.partition_point(|(first, _)| *first <= height);
        self.queue.insert(place, (height, tx));
    }

    /// Puts the transactions of a removed block before all others.
    pub fn push_front(&mut self, txs: &[SignedTransaction], height: BlockHeight) {
        for tx in txs.iter().rev() {
            if self.hashes.insert(tx.get_hash()) {
                self.queue.push_front((height, tx.clone()));
            }
        }
        // Keeps the heights in ascending order.
        self.queue.make_contiguous().sort_by_key(|(first, _)| *first);
    }

    /// Whether a transaction is in the pool.
    pub fn contains(&self, hash: &CryptoHash) -> bool {
        self.hashes.contains(hash)
    }

    /// How many nonces above `used` and below that of `tx` are in no waiting transaction of the
    /// same access key, or of the same index of a gas key. They may still be on their way. A
    /// transaction that waits twice counts twice.
    pub fn missing_nonces(&self, tx: &SignedTransaction, used: Nonce) -> u64 {
        let nonce = tx.transaction.nonce().nonce();
        let between = nonce.saturating_sub(used).saturating_sub(1);
        if between == 0 {
            return 0;
        }
        let lane = Lane::of(tx);
        let waiting = self
            .queue
            .iter()
            .map(|(_, other)| other)
            .filter(|other| (used + 1..nonce).contains(&other.transaction.nonce().nonce()))
            .filter(|other| Lane::of(other) == lane)
            .count();
        between.saturating_sub(u64::try_from(waiting).unwrap_or(u64::MAX))
    }

    /// The number of transactions, copies included.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are no transactions.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the transactions for the block at `height`, as many as fit. They come in the order of
    /// their arrival, except that those of one access key are sorted by nonce, so that clients may
    /// send in parallel.
    pub fn take(&mut self, height: BlockHeight) -> Vec<SignedTransaction> {
        let mut bytes = 0_u64;
        let mut taken = Vec::new();
        while let Some((first, tx)) = self.queue.front() {
            if *first > height {
                break;
            }
            let size = tx.get_size();
            let full =
                taken.len() >= MAX_IN_BLOCK || bytes.saturating_add(size) > MAX_BYTES_IN_BLOCK;
            if full && !taken.is_empty() {
                break;
            }
            bytes = bytes.saturating_add(size);
            if let Some((_, tx)) = self.queue.pop_front() {
                self.hashes.remove(&tx.get_hash());
                taken.push(tx);
            }
        }
        order_nonces(&mut taken);
        taken
    }
}

/// What the nonces of a transaction count for: an access key, or one of the nonces of a gas key.
#[derive(PartialEq, Eq, Hash)]
struct Lane {
    signer: AccountId,
    key: PublicKey,
    index: Option<NonceIndex>,
}

impl Lane {
    fn of(tx: &SignedTransaction) -> Self {
        let tx = &tx.transaction;
        let index = tx.nonce().nonce_index();
        Self { signer: tx.signer_id().clone(), key: tx.public_key().clone(), index }
    }
}

/// Sorts the transactions of each access key by nonce, within the places that they have in the
/// list.
fn order_nonces(txs: &mut [SignedTransaction]) {
    let mut places: HashMap<Lane, Vec<usize>> = HashMap::new();
    for (place, tx) in txs.iter().enumerate() {
        places.entry(Lane::of(tx)).or_default().push(place);
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut own: Vec<SignedTransaction> = places.iter().map(|i| txs[*i].clone()).collect();
        own.sort_by_key(|tx| tx.transaction.nonce().nonce());
        for (place, tx) in places.into_iter().zip(own) {
            txs[place] = tx;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use near_crypto::{InMemorySigner, KeyType};
    use near_primitives::types::Balance;

    use super::*;

    fn transfer(signer: &str, nonce: u64) -> SignedTransaction {
        let signer = InMemorySigner::from_seed(signer.parse().unwrap(), KeyType::ED25519, signer);
        SignedTransaction::send_money(
            nonce,
            signer.get_account_id(),
            "bob".parse().unwrap(),
            &signer,
            Balance::from_yoctonear(1),
            CryptoHash::default(),
        )
    }

    #[test]
    fn a_key_s_transactions_come_in_the_order_of_their_nonces() {
        let mut pool = Pool::default();
        for (signer, nonce) in [("alice", 3), ("carol", 9), ("alice", 1), ("alice", 2)] {
            pool.push(transfer(signer, nonce), 1);
        }
        let taken: Vec<(String, u64)> = pool
            .take(1)
            .iter()
            .map(|tx| (tx.transaction.signer_id().to_string(), tx.transaction.nonce().nonce()))
            .collect();
        let expected = [("alice", 1), ("carol", 9), ("alice", 2), ("alice", 3)];
        assert_eq!(taken, expected.map(|(signer, nonce)| (signer.to_owned(), nonce)));
        assert!(pool.is_empty());
    }

    #[test]
    fn nonces_that_nobody_has_sent_are_missing() {
        let mut pool = Pool::default();
        for (signer, nonce) in [("alice", 4), ("alice", 7), ("carol", 5)] {
            pool.push(transfer(signer, nonce), 1);
        }
        assert_eq!(pool.missing_nonces(&transfer("alice", 8), 3), 2);
        assert_eq!(pool.missing_nonces(&transfer("alice", 8), 7), 0);
        assert_eq!(pool.missing_nonces(&transfer("alice", 5), 3), 0);
        assert_eq!(pool.missing_nonces(&transfer("alice", 2), 3), 0);
    }

    #[test]
    fn a_transaction_that_is_sent_twice_waits_once() {
        let mut pool = Pool::default();
        pool.push(transfer("alice", 1), 1);
        pool.push(transfer("alice", 1), 1);
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn a_transaction_waits_for_its_height() {
        let mut pool = Pool::default();
        pool.push(transfer("alice", 1), 7);
        assert!(pool.take(6).is_empty());
        assert_eq!(pool.take(7).len(), 1);
    }

    #[test]
    fn a_block_takes_no_more_than_fits() {
        let mut pool = Pool::default();
        for nonce in 0..2_100 {
            pool.push(transfer("alice", nonce), 1);
        }
        assert_eq!(pool.take(1).len(), MAX_IN_BLOCK);
        assert_eq!(pool.take(1).len(), 100);
    }
}
