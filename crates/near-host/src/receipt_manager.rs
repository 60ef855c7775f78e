//! The receipts that a contract call makes, while it runs
//! (`runtime/runtime/src/receipt_manager.rs` in nearcore).

use near_primitives::{
    action::{Action, FunctionCallAction},
    receipt::DataReceiver,
};
use near_primitives_core::{
    hash::CryptoHash,
    types::{AccountId, Gas, GasWeight},
};
use near_vm_runner::logic::{
    HostError,
    types::{ActionIndex, ReceiptIndex},
};

use crate::vm_result::VmResult;

/// A receipt with actions in the making.
#[derive(Debug)]
pub struct NewReceipt {
    /// The account that executes it.
    pub receiver_id: AccountId,
    /// Who gets its deposits back when it fails; `None` for the account that made it.
    pub refund_to: Option<AccountId>,
    /// Which receipts wait for its result.
    pub output_data_receivers: Vec<DataReceiver>,
    /// The data that it waits for itself.
    pub input_data_ids: Vec<CryptoHash>,
    /// What it does, in this order.
    pub actions: Vec<Action>,
    /// Whether it waits for a resume, and not for the results of other receipts.
    pub is_yield: bool,
}

/// A resume in the making.
#[derive(Debug)]
pub struct NewResume {
    /// The data that a yielded receipt waits for.
    pub data_id: CryptoHash,
    /// What the contract passes to it.
    pub data: Vec<u8>,
}

/// A call that shares in the gas that is left in the end.
struct Weighted {
    receipt: usize,
    action: usize,
    weight: GasWeight,
}

/// Everything that one call makes. A receipt's index is its place among the receipts.
pub struct ReceiptManager {
    /// The receipts with actions.
    pub receipts: Vec<NewReceipt>,
    /// The resumes, in the order in which the contract made them.
    pub resumes: Vec<NewResume>,
    weighted: Vec<Weighted>,
    data_id: Box<dyn Fn(u64) -> CryptoHash + Send>,
    data_ids: u64,
}

fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl ReceiptManager {
    /// No receipts. `data_id` names the data of the call: it is given 0, then 1, and so on.
    pub fn new(data_id: impl Fn(u64) -> CryptoHash + Send + 'static) -> Self {
        Self {
            receipts: Vec::new(),
            resumes: Vec::new(),
            weighted: Vec::new(),
            data_id: Box::new(data_id),
            data_ids: 0,
        }
    }

    /// An id for data that the call has not named yet.
    pub fn new_data_id(&mut self) -> CryptoHash {
        let data_id = (self.data_id)(self.data_ids);
        self.data_ids += 1;
        data_id
    }

    /// A receipt of this call.
    pub fn get(&self, receipt: ReceiptIndex) -> Option<&NewReceipt> {
        self.receipts.get(position(receipt))
    }

    /// A receipt of this call, to be changed.
    pub fn get_mut(&mut self, receipt: ReceiptIndex) -> Option<&mut NewReceipt> {
        self.receipts.get_mut(position(receipt))
    }

    pub(crate) fn action_mut(
        &mut self,
        receipt: ReceiptIndex,
        action: ActionIndex,
    ) -> Option<&mut Action> {
        self.get_mut(receipt)?.actions.get_mut(position(action))
    }

    fn push(
        &mut self,
        receiver_id: AccountId,
        input_data_ids: Vec<CryptoHash>,
        is_yield: bool,
    ) -> ReceiptIndex {
        self.receipts.push(NewReceipt {
            receiver_id,
            refund_to: None,
            output_data_receivers: Vec::new(),
            input_data_ids,
            actions: Vec::new(),
            is_yield,
        });
        self.receipts.len() as u64 - 1
    }

    /// Makes a receipt that runs after those that it depends on.
    pub(crate) fn create(
        &mut self,
        dependencies: &[ReceiptIndex],
        receiver_id: AccountId,
    ) -> VmResult<ReceiptIndex> {
        let mut inputs = Vec::with_capacity(dependencies.len());
        for &receipt_index in dependencies {
            let data_id = self.new_data_id();
            self.get_mut(receipt_index)
                .ok_or(HostError::InvalidReceiptIndex { receipt_index })?
                .output_data_receivers
                .push(DataReceiver { data_id, receiver_id: receiver_id.clone() });
            inputs.push(data_id);
        }
        Ok(self.push(receiver_id, inputs, false))
    }

    /// Makes a receipt that runs when its data is resumed, or has timed out.
    pub(crate) fn create_yield(
        &mut self,
        data_id: CryptoHash,
        receiver_id: AccountId,
    ) -> ReceiptIndex {
        self.push(receiver_id, vec![data_id], true)
    }

    pub(crate) fn resume(&mut self, data_id: CryptoHash, data: Vec<u8>) {
        self.resumes.push(NewResume { data_id, data });
    }

    /// Adds an action and gives its place in the receipt. The virtual machine only names receipts
    /// that the call has made.
    pub(crate) fn append(&mut self, receipt: ReceiptIndex, action: Action) -> ActionIndex {
        let Some(receipt) = self.get_mut(receipt) else {
            debug_assert!(false, "the VM named receipt {receipt}, which it never made");
            return 0;
        };
        receipt.actions.push(action);
        receipt.actions.len() as u64 - 1
    }

    /// Adds a call. One with a weight gets a share of the gas that is left in the end.
    pub(crate) fn append_call(
        &mut self,
        receipt: ReceiptIndex,
        call: FunctionCallAction,
        weight: GasWeight,
    ) {
        let action = position(self.append(receipt, Action::FunctionCall(Box::new(call))));
        if weight.0 > 0 {
            self.weighted.push(Weighted { receipt: position(receipt), action, weight });
        }
    }

    /// The weight of a call among those that share in the gas that is left; 0 when it has none.
    pub fn weight(&self, receipt: usize, action: usize) -> u64 {
        let mut weighted = self.weighted.iter();
        let found = weighted.find(|call| (call.receipt, call.action) == (receipt, action));
        found.map_or(0, |call| call.weight.0)
    }

    /// Shares out gas by weight, and says how much was given; the last call gets what the division
    /// leaves. `None` when a sum is too large.
    pub fn distribute_gas(&mut self, unused: Gas) -> Option<Gas> {
        let sum: u128 = self.weighted.iter().map(|call| u128::from(call.weight.0)).sum();
        if sum == 0 {
            return Some(Gas::ZERO);
        }
        let total = u128::from(unused.as_gas());
        let mut left = unused;
        let last = self.weighted.len() - 1;
        for (n, Weighted { receipt, action, weight }) in self.weighted.iter().enumerate() {
            let share = total.checked_mul(u128::from(weight.0))? / sum;
            let share = if n == last { left } else { Gas::from_gas(u64::try_from(share).ok()?) };
            left = left.checked_sub(share)?;
            let action = self.receipts.get_mut(*receipt)?.actions.get_mut(*action)?;
            let Action::FunctionCall(call) = action else {
                return None;
            };
            call.gas = call.gas.checked_add(share)?;
        }
        Some(unused)
    }
}
