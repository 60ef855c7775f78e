//! Every transaction that a worker has signed, by what it asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Result, ensure};
use near_primitives::{
    action::Action,
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction},
    views::FinalExecutionStatus,
};
use outlayer_localnet::Handle;

/// What a transaction asks for: two with the same call do the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    signer: String,
    method: String,
    args: CryptoHash,
}

/// The transactions that passed a proxy. The proxies of one run share it.
#[derive(Debug, Default)]
pub struct Record(Mutex<BTreeMap<Call, BTreeSet<CryptoHash>>>);

impl Record {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<Call, BTreeSet<CryptoHash>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a transaction that the worker has sent.
    pub fn note(&self, signed: &SignedTransaction) {
        let hash = signed.get_hash();
        let (Transaction::V0(transaction), [Action::FunctionCall(called)]) =
            (&signed.transaction, signed.transaction.actions())
        else {
            return;
        };
        let call = Call {
            signer: transaction.signer_id.to_string(),
            method: called.method_name.clone(),
            args: CryptoHash::hash_bytes(&called.args),
        };
        self.calls().entry(call).or_default().insert(hash);
    }

    /// How many transactions were signed.
    pub fn signed(&self) -> usize {
        self.calls().values().map(BTreeSet::len).sum()
    }

    /// Checks that of the transactions that make the same call the chain has executed at most one
    /// for each of `lives`: a worker that is started again does not know what it sent before. Where
    /// the chain `forked`, it may also have executed some before, in vain: an answer to a request
    /// whose block was replaced comes before the request, and is given again. Returns how many of
    /// all it has executed.
    ///
    /// # Errors
    /// When it has executed more.
    pub fn executed_once_each(&self, chain: &Handle, lives: usize, forked: bool) -> Result<usize> {
        let mut all = 0;
        for (call, transactions) in self.calls().iter() {
            let mut executed: Vec<_> = transactions
                .iter()
                .filter_map(|hash| {
                    let status = chain.node().transaction_status(hash)?;
                    let height = chain.node().chain().history().transaction(hash)?.0;
                    let failed = matches!(status.outcome.status, FinalExecutionStatus::Failure(_));
                    Some((height, failed, hash))
                })
                .collect();
            executed.sort_by_key(|(height, ..)| *height);
            if forked {
                let in_vain = executed.iter().take_while(|(_, failed, _)| *failed).count();
                executed.drain(..in_vain);
            }
            ensure!(
                executed.len() <= lives,
                "{call:?} was signed {} times in {lives} lives, and executed as {executed:?}",
                transactions.len()
            );
            all += executed.len();
        }
        Ok(all)
    }
}
