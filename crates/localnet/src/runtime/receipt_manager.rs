//! The receipts that a contract call makes while it runs
//! (`runtime/runtime/src/receipt_manager.rs` in nearcore).

use near_primitives::{
    action::{Action, FunctionCallAction},
    hash::CryptoHash,
    receipt::{
        ActionReceiptV2, DataReceipt, DataReceiver, Receipt, ReceiptEnum, VersionedActionReceipt,
    },
    types::{AccountId, Gas, GasWeight},
};
use near_vm_runner::logic::{HostError, VMLogicError};

use super::{amounts::count, new_receipts::without_id};

type VmResult<T> = Result<T, VMLogicError>;

/// An action receipt that a call makes.
pub(super) struct NewReceipt {
    pub(super) receiver_id: AccountId,
    pub(super) refund_to: Option<AccountId>,
    pub(super) output_data_receivers: Vec<DataReceiver>,
    pub(super) input_data_ids: Vec<CryptoHash>,
    pub(super) actions: Vec<Action>,
    /// Whether it waits for a resume and not for the results of other receipts.
    pub(super) is_yield: bool,
}

impl NewReceipt {
    /// The receipt, still without its id. `account_id` is the account that makes it, in the call of
    /// the receipt `parent`.
    pub(super) fn into_receipt(
        self,
        account_id: &AccountId,
        parent: &VersionedActionReceipt<'_>,
    ) -> Receipt {
        let receipt = ActionReceiptV2 {
            signer_id: parent.signer_id().clone(),
            refund_to: self.refund_to,
            signer_public_key: parent.signer_public_key().clone(),
            gas_price: parent.gas_price(),
            output_data_receivers: self.output_data_receivers,
            input_data_ids: self.input_data_ids,
            actions: self.actions,
        };
        let receipt = if self.is_yield {
            ReceiptEnum::PromiseYieldV2(receipt)
        } else {
            ReceiptEnum::ActionV2(receipt)
        };
        without_id(account_id, self.receiver_id, receipt)
    }
}

/// A resume that a call makes.
pub(super) struct NewResume {
    pub(super) data_id: CryptoHash,
    pub(super) data: Vec<u8>,
}

impl NewResume {
    /// The receipt, still without its id. An account can resume only its own yields.
    pub(super) fn into_receipt(self, account_id: &AccountId) -> Receipt {
        let data = DataReceipt { data_id: self.data_id, data: Some(self.data) };
        without_id(account_id, account_id.clone(), ReceiptEnum::PromiseResume(data))
    }
}

/// Everything that one call makes.
#[derive(Default)]
pub(super) struct ReceiptManager {
    pub(super) receipts: Vec<NewReceipt>,
    pub(super) resumes: Vec<NewResume>,
    /// The calls that get a share of the unused gas: receipt, action, weight.
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
        count(self.receipts.len() - 1)
    }

    /// Adds a receipt that is executed after those that it depends on. Each dependency is a
    /// receipt's index, with the id of the data that this receipt will send. Returns the new
    /// receipt's index.
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

    /// Adds a receipt that is executed when the yield is resumed or times out. Returns its index.
    pub(super) fn create_yield(&mut self, data_id: CryptoHash, receiver_id: AccountId) -> u64 {
        self.push(receiver_id, vec![data_id], true)
    }

    /// Adds an action to a receipt. Returns the action's index. The VM names only receipts that it
    /// has made.
    pub(super) fn append(&mut self, receipt_index: u64, action: Action) -> usize {
        let Some(receipt) = self.get_mut(receipt_index) else {
            debug_assert!(false, "the VM named receipt {receipt_index}, which it never made");
            return 0;
        };
        receipt.actions.push(action);
        receipt.actions.len() - 1
    }

    /// Adds a call to a receipt. A call with a weight gets a share of the gas that is left in the
    /// end.
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

    /// Divides unused gas among the calls by their weights. The last call also gets the remainder
    /// of the division. Returns how much was given, and `None` if a sum overflows.
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
