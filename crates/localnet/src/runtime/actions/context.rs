//! What an action is given: the receipt that it belongs to, and its account.

use std::sync::Arc;

use near_primitives::{
    account::Account,
    receipt::{Receipt, VersionedActionReceipt},
};
use near_vm_runner::logic::types::PromiseResult;

use crate::runtime::error::RuntimeError;

/// The receipt that is being executed, as its actions see it.
pub(crate) struct ReceiptContext<'a> {
    pub(crate) receipt: &'a Receipt,
    pub(crate) action_receipt: &'a VersionedActionReceipt<'a>,
    /// The data that the receipt has waited for, in the order of its inputs.
    pub(crate) promise_results: Arc<[PromiseResult]>,
    /// The bytes of storage proof that the block had recorded before this receipt. `None` before
    /// protocol 86, where the limit holds for each call and not for the whole receipt.
    pub(crate) recorded_before: Option<u64>,
}

/// The account of an action that can only be applied to an existing one. The checks before it
/// guarantee that there is one.
pub(super) fn existing(account: &mut Option<Account>) -> Result<&mut Account, RuntimeError> {
    account.as_mut().ok_or_else(|| {
        RuntimeError::Inconsistent("an action needs an account that does not exist".to_owned())
    })
}
