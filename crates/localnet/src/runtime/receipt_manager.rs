//! Receipts that a contract call makes, while it runs
//! (`runtime/runtime/src/receipt_manager.rs` in nearcore).

use near_primitives::action::{Action, FunctionCallAction};
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::DataReceiver;
use near_primitives::types::{AccountId, Gas, GasWeight};
use near_vm_runner::logic::{HostError, VMLogicError};

type VmResult<T> = Result<T, VMLogicError>;

/// A receipt with actions in the making.
pub(super) struct NewReceipt {
    pub(super) receiver_id: AccountId,
    pub(super) refund_to: Option<AccountId>,
    pub(super) output_data_receivers: Vec<DataReceiver>,
    pub(super) input_data_ids: Vec<CryptoHash>,
    pub(super) actions: Vec<Action>,
    /// It waits for a resume, not for the results of other receipts.
    pub(super) is_yield: bool,
}

/// A resume in the making.
pub(super) struct NewResume {
    pub(super) data_id: CryptoHash,
    pub(super) data: Vec<u8>,
}

/// Everything that one call makes.
#[derive(Default)]
pub(super) struct ReceiptManager {
    pub(super) receipts: Vec<NewReceipt>,
    pub(super) resumes: Vec<NewResume>,
    /// Calls that share in what gas is left: receipt, action, weight.
    weights: Vec<(usize, usize, GasWeight)>,
}

fn position(receipt_index: u64) -> usize {
    usize::try_from(receipt_index).unwrap_or(usize::MAX)
}

impl ReceiptManager {
    pub(super) fn get(&self, receipt_index: u64) -> Option<&NewReceipt> {
        self.receipts.get(position(receipt_index))
    }

    pub(super) fn get_mut(&mut self, receipt_index: u64) -> Option<&mut NewReceipt> {
        self.receipts.get_mut(position(receipt_index))
    }

    fn push(&mut self, receiver_id: AccountId, inputs: Vec<CryptoHash>, is_yield: bool) -> u64 {
        self.receipts.push(NewReceipt {
            receiver_id,
            refund_to: None,
            output_data_receivers: Vec::new(),
            input_data_ids: inputs,
            actions: Vec::new(),
            is_yield,
        });
        super::amounts::count(self.receipts.len() - 1)
    }

    /// A receipt that runs after those it depends on, each named with the id of the data it will send.
    pub(super) fn create(
        &mut self,
        dependencies: Vec<(u64, CryptoHash)>,
        receiver_id: AccountId,
    ) -> VmResult<u64> {
        for (receipt_index, data_id) in &dependencies {
            self.get_mut(*receipt_index)
                .ok_or(HostError::InvalidReceiptIndex { receipt_index: *receipt_index })?
                .output_data_receivers
                .push(DataReceiver { data_id: *data_id, receiver_id: receiver_id.clone() });
        }
        let inputs = dependencies.into_iter().map(|(_, data_id)| data_id).collect();
        Ok(self.push(receiver_id, inputs, false))
    }

    /// A receipt that runs when its data is resumed or times out.
    pub(super) fn create_yield(&mut self, data_id: CryptoHash, receiver_id: AccountId) -> u64 {
        self.push(receiver_id, vec![data_id], true)
    }

    /// Adds an action, and tells its place. The VM only names receipts that it made.
    pub(super) fn append(&mut self, receipt_index: u64, action: Action) -> usize {
        let Some(receipt) = self.get_mut(receipt_index) else {
            debug_assert!(false, "the VM named receipt {receipt_index}, which it never made");
            return 0;
        };
        receipt.actions.push(action);
        receipt.actions.len() - 1
    }

    /// Adds a call. One with a weight gets a share of what gas is left in the end.
    pub(super) fn append_call(
        &mut self,
        receipt_index: u64,
        call: FunctionCallAction,
        weight: GasWeight,
    ) {
        let action = self.append(receipt_index, Action::FunctionCall(Box::new(call)));
        if weight.0 > 0 {
            self.weights.push((position(receipt_index), action, weight));
        }
    }

    /// Shares out gas by weight; the last call gets what division leaves. Tells how much was given.
    pub(super) fn distribute_gas(&mut self, unused: Gas) -> Option<Gas> {
        let sum: u128 = self.weights.iter().map(|(_, _, weight)| u128::from(weight.0)).sum();
        if sum == 0 {
            return Some(Gas::ZERO);
        }
        let total = u128::from(unused.as_gas());
        let mut left = unused;
        let last = self.weights.len() - 1;
        for (n, (receipt, action, weight)) in self.weights.iter().enumerate() {
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
