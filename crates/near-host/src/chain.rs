//! What a chain says of itself, so that [`Host`](crate::Host) can stand for it.

use std::collections::BTreeMap;

use near_primitives::action::Action;
use near_primitives_core::{
    hash::{CryptoHash, YieldId},
    types::{AccountId, Balance},
};
use near_vm_runner::logic::{ValuePtr, types::ReceiptIndex};

use crate::{receipt_manager::ReceiptManager, storage::Charges, vm_result::VmResult};

/// The chain around one call of a contract.
///
/// A chain that lacks something refuses it with an error, which ends the call. A few methods of
/// near-vm-runner's trait cannot fail, though, and then the call goes on. So a chain that refuses
/// also remembers that it did, and its owner drops the outcome of the call.
pub trait Chain {
    /// The value that the contract's storage has at `key`.
    ///
    /// # Errors
    /// When the value cannot be read, or the contract may not read it.
    fn read(&self, key: &[u8]) -> VmResult<Option<Box<dyn ValuePtr + '_>>>;

    /// Puts `value` at `key`, or with `None` removes what is there, and gives the old value.
    ///
    /// It makes both [`Charges`] itself, because their place among its other steps decides what has
    /// happened when the gas does not suffice.
    ///
    /// # Errors
    /// When the gas does not suffice, or the contract may not write.
    fn replace(
        &mut self,
        charges: &mut Charges<'_>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> VmResult<Option<Vec<u8>>>;

    /// The size of the storage proof so far, bytes; 0 on a chain that records none.
    fn recorded_bytes(&self) -> usize {
        0
    }

    /// The size of the storage proof before the receipt that makes this call, bytes.
    fn recorded_bytes_before_receipt(&self) -> usize {
        0
    }

    /// The validators and their stakes.
    ///
    /// # Errors
    /// When they are not known.
    fn validators(&self) -> VmResult<&BTreeMap<AccountId, Balance>>;

    /// The chain's name, such as `mainnet`.
    ///
    /// # Errors
    /// When it is not known.
    fn chain_id(&self) -> VmResult<&str>;

    /// Succeeds if there are universal accounts, whose ids are hashes of their initial state.
    ///
    /// # Errors
    /// When they are not known.
    fn universal_accounts(&self) -> VmResult<()>;

    /// Whether keys of post-quantum signatures are accepted, as they are since protocol version 85.
    fn post_quantum_keys(&self) -> bool {
        true
    }

    /// The receipts that the call makes.
    ///
    /// # Errors
    /// When it may make none.
    fn receipts(&mut self) -> VmResult<&mut ReceiptManager>;

    /// Whether the call may add this action to a receipt.
    ///
    /// # Errors
    /// When it may not.
    fn admit(&mut self, _: &Action) -> VmResult<()> {
        Ok(())
    }

    /// Who receives a receipt. The virtual machine asks only about receipts that the call has made.
    fn receiver(&self, receipt: ReceiptIndex) -> &AccountId;

    /// The receipts that wait to be resumed.
    ///
    /// # Errors
    /// When the contract may neither yield nor resume.
    fn yields(&mut self) -> VmResult<&mut dyn Yields>;
}

/// What a chain notes about receipts that wait to be resumed.
pub trait Yields {
    /// Notes that a receipt for `receiver_id` is going to wait, and gives the id of the data that
    /// it waits for.
    fn begin(&mut self, receiver_id: &AccountId) -> CryptoHash;

    /// Does the same under an id that the contract chose; `None` when a receipt waits under this id
    /// already.
    fn begin_as(&mut self, receiver_id: &AccountId, yield_id: YieldId) -> Option<CryptoHash>;

    /// The id of the data that waits under an id of the contract's choice.
    fn find(&self, yield_id: YieldId) -> Option<CryptoHash>;

    /// Notes that a receipt is resumed; false when none waits for this data.
    fn resume(&mut self, data_id: CryptoHash) -> bool;
}
