//! The chain as a contract sees it: the storage of its namespace, and nothing else.
//!
//! near-vm-runner reports the gas of a call only when the call ended for a reason of the contract's
//! own. So the reason for which the namespace ends a call is kept here, and near-vm-runner gets an
//! error of its own instead. What is kept here decides the verdict.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender},
};

use near_primitives_core::types::{AccountId, Balance};
use near_vm_runner::logic::{HostError, VMLogicError, ValuePtr, types::ReceiptIndex};
use outlayer_guest::{
    Fault, Job, Stop,
    host::{Storage, check_key},
};
use outlayer_near_host::{Chain, Charges, NodeCount, Plain, ReceiptManager, VmResult, Yields};

use crate::gas::TRIE_NODES;

const PROMISES: &str = "promises are refused: this guest cannot call contracts or transfer tokens";
const YIELDS: &str = "yields are refused: this guest cannot wait for another transaction";
const VALIDATORS: &str = "the stakes of validators are not known here";
const CHAIN_ID: &str = "the chain's name is not known here";
const UNIVERSAL_ACCOUNTS: &str = "universal accounts are not known here";

/// The way to the snapshot, which stays with the thread that executes the job.
pub(super) struct Source {
    ask: Sender<Vec<u8>>,
    answers: Receiver<Option<Vec<u8>>>,
}

impl Source {
    pub(super) fn new(ask: Sender<Vec<u8>>, answers: Receiver<Option<Vec<u8>>>) -> Self {
        Self { ask, answers }
    }

    fn fetch(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        // The other side hangs up when the snapshot has failed. It reports the failure itself.
        let gone = || Stop::Fault(Fault::engine("the snapshot has gone"));
        self.ask.send(key.to_vec()).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())
    }
}

/// A namespace during one call.
pub(super) struct Namespace {
    inner: RefCell<Inner>,
    account: AccountId,
}

struct Inner {
    storage: Storage,
    source: Source,
    stop: Option<Stop>,
}

impl Inner {
    /// Keeps the first reason for ending the call, and gives the error that ends it.
    fn stop(&mut self, stop: Stop) -> VMLogicError {
        self.stop.get_or_insert(stop);
        HostError::MemoryAccessViolation.into()
    }

    /// What the contract sees at `key`.
    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        check_key(key)?;
        if let Some(known) = self.storage.known(key) {
            return Ok(known.map(<[u8]>::to_vec));
        }
        self.storage.admit_read()?;
        let value = self.source.fetch(key)?;
        self.storage.record_read(key.to_vec(), value.clone());
        Ok(value)
    }

    fn get(&mut self, key: &[u8]) -> VmResult<Option<Vec<u8>>> {
        self.value(key).map_err(|stop| self.stop(stop))
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> VmResult<()> {
        self.storage.write(key.to_vec(), value.map(<[u8]>::to_vec)).map_err(|stop| self.stop(stop))
    }
}

impl Namespace {
    pub(super) fn new(job: &Job<'_>, source: Source) -> Self {
        Self {
            inner: RefCell::new(Inner { storage: Storage::new(job.limits), source, stop: None }),
            account: job.context.contract_id.clone(),
        }
    }

    /// Why the namespace ended the call, if it did, and what was read and written.
    pub(super) fn into_parts(self) -> (Option<Stop>, Storage) {
        let inner = self.inner.into_inner();
        (inner.stop, inner.storage)
    }

    fn refuse<T>(&self, reason: &'static str) -> VmResult<T> {
        Err(self.inner.borrow_mut().stop(Stop::Trap(reason)))
    }
}

impl Chain for Namespace {
    fn read(&self, key: &[u8]) -> VmResult<Option<Box<dyn ValuePtr + '_>>> {
        let value = self.inner.borrow_mut().get(key)?;
        Ok(value.map(|value| Box::new(Plain(value)) as Box<dyn ValuePtr>))
    }

    fn replace(
        &mut self,
        charges: &mut Charges<'_>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> VmResult<Option<Vec<u8>>> {
        let inner = self.inner.get_mut();
        let old = inner.get(key)?;
        charges.old_value(old.as_ref())?;
        charges.nodes(NodeCount { first: TRIE_NODES, again: 0 })?;
        inner.put(key, value)?;
        Ok(old)
    }

    fn validators(&self) -> VmResult<&BTreeMap<AccountId, Balance>> {
        self.refuse(VALIDATORS)
    }

    fn chain_id(&self) -> VmResult<&str> {
        self.refuse(CHAIN_ID)
    }

    fn universal_accounts(&self) -> VmResult<()> {
        self.refuse(UNIVERSAL_ACCOUNTS)
    }

    fn receipts(&mut self) -> VmResult<&mut ReceiptManager> {
        self.refuse(PROMISES)
    }

    /// No receipt can be made, so nobody asks about one.
    fn receiver(&self, _: ReceiptIndex) -> &AccountId {
        &self.account
    }

    fn yields(&mut self) -> VmResult<&mut dyn Yields> {
        self.refuse(YIELDS)
    }
}
