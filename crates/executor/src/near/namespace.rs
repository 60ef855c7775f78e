//! The chain as a contract sees it: the storage of its namespace, and the receipts that it plans.
//!
//! near-vm-runner reports the gas of a call only when the call ended for a reason of the contract's
//! own. So the reason for which the namespace ends a call is kept here, and near-vm-runner gets an
//! error of its own instead. What is kept here decides the verdict.

use std::{cell::RefCell, collections::BTreeMap};

use near_primitives_core::{
    hash::CryptoHash,
    types::{AccountId, Balance},
};
use near_vm_runner::logic::{HostError, VMLogicError, ValuePtr, types::ReceiptIndex};
use outlayer_guest::{
    Fault, Job, Snapshot, SnapshotError, Stop,
    host::{Storage, check_key},
};
use outlayer_near_host::{
    Action, Chain, Charges, NodeCount, Plain, ReceiptManager, VmResult, Yields,
};
use outlayer_protocol::{Limit, limits::MAX_VALUE_BYTES};

use crate::gas::TRIE_NODES;

const ACTIONS: &str = "a plan holds function calls and transfers: this action is refused";
const YIELDS: &str = "yields are refused: this guest cannot wait for another transaction";
const VALIDATORS: &str = "the stakes of validators are not known here";
const CHAIN_ID: &str = "the chain's name is not known here";
const UNIVERSAL_ACCOUNTS: &str = "universal accounts are not known here";

/// A namespace during one call.
pub(super) struct Namespace<'a> {
    inner: RefCell<Inner<'a>>,
    account: AccountId,
    receipts: ReceiptManager,
    planned_bytes: u64,
    max_plan_bytes: u32,
}

struct Inner<'a> {
    storage: Storage,
    snapshot: &'a mut dyn Snapshot,
    stop: Option<Stop>,
}

impl Inner<'_> {
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
        let value =
            fetch(self.snapshot, key).map_err(|error| Stop::Fault(Fault::Snapshot(error)))?;
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

impl<'a> Namespace<'a> {
    pub(super) fn new(job: &Job<'_>, snapshot: &'a mut dyn Snapshot) -> Self {
        Self {
            inner: RefCell::new(Inner { storage: Storage::new(job.limits), snapshot, stop: None }),
            account: job.context.contract_id.clone(),
            receipts: ReceiptManager::new(data_id),
            planned_bytes: 0,
            max_plan_bytes: job.limits.plan_bytes,
        }
    }

    /// Why the namespace ended the call, if it did, what was read and written, and the receipts.
    pub(super) fn into_parts(self) -> (Option<Stop>, Storage, ReceiptManager) {
        let inner = self.inner.into_inner();
        (inner.stop, inner.storage, self.receipts)
    }

    fn refuse<T>(&self, reason: &'static str) -> VmResult<T> {
        self.end(Stop::Trap(reason))
    }

    fn end<T>(&self, stop: Stop) -> VmResult<T> {
        Err(self.inner.borrow_mut().stop(stop))
    }
}

/// The name of the data for which a receipt waits. It never leaves the call.
fn data_id(number: u64) -> CryptoHash {
    let mut id = [0; 32];
    let (start, _) = id.split_at_mut(size_of::<u64>());
    start.copy_from_slice(&number.to_le_bytes());
    CryptoHash(id)
}

fn fetch(snapshot: &mut dyn Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
    let value = snapshot.read(key)?;
    match value.as_ref().map(Vec::len) {
        Some(bytes) if bytes > MAX_VALUE_BYTES as usize => Err(SnapshotError::too_long(bytes)),
        _ => Ok(value),
    }
}

impl Chain for Namespace<'_> {
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
        if self.max_plan_bytes == 0 {
            return self.end(Stop::limit(Limit::PlanBytes, 0u32));
        }
        Ok(&mut self.receipts)
    }

    /// What is planned is measured as it comes, so that little is kept of a plan that is too long.
    /// Its exact length is known in the end.
    fn admit(&mut self, action: &Action) -> VmResult<()> {
        match action {
            Action::Transfer(_) => {}
            Action::FunctionCall(call) => {
                let bytes = (call.method_name.len() + call.args.len()) as u64;
                self.planned_bytes = self.planned_bytes.saturating_add(bytes);
            }
            _ => return self.refuse(ACTIONS),
        }
        if self.planned_bytes > self.max_plan_bytes.into() {
            return self.end(Stop::limit(Limit::PlanBytes, self.max_plan_bytes));
        }
        Ok(())
    }

    fn receiver(&self, receipt: ReceiptIndex) -> &AccountId {
        self.receipts.get(receipt).map_or(&self.account, |receipt| &receipt.receiver_id)
    }

    fn yields(&mut self) -> VmResult<&mut dyn Yields> {
        self.refuse(YIELDS)
    }
}
