//! Building receipts that have no id yet. The id depends on what else the parent receipt makes, so
//! it is set when the receipt is sent.

use near_primitives::{
    hash::CryptoHash,
    receipt::{
        ActionReceiptV2, DataReceipt, Receipt, ReceiptEnum, ReceiptV0, VersionedActionReceipt,
    },
    types::AccountId,
};
use outlayer_near_host::{NewReceipt, NewResume};

/// A receipt whose id is still zero.
pub(super) fn without_id(from: &AccountId, to: AccountId, receipt: ReceiptEnum) -> Receipt {
    Receipt::V0(ReceiptV0 {
        predecessor_id: from.clone(),
        receiver_id: to,
        receipt_id: CryptoHash::default(),
        receipt,
    })
}

/// The data that an executed receipt sends to a receipt that waits for it. `None` stands for a
/// failure.
pub(super) fn data_receipt(
    from: &AccountId,
    to: AccountId,
    data_id: CryptoHash,
    data: Option<Vec<u8>>,
) -> Receipt {
    without_id(from, to, ReceiptEnum::Data(DataReceipt { data_id, data }))
}

/// A receipt that a contract makes. `account_id` is the account that makes it, in the call of the
/// receipt `parent`.
pub(super) fn action_receipt(
    new: NewReceipt,
    account_id: &AccountId,
    parent: &VersionedActionReceipt<'_>,
) -> Receipt {
    let receipt = ActionReceiptV2 {
        signer_id: parent.signer_id().clone(),
        refund_to: new.refund_to,
        signer_public_key: parent.signer_public_key().clone(),
        gas_price: parent.gas_price(),
        output_data_receivers: new.output_data_receivers,
        input_data_ids: new.input_data_ids,
        actions: new.actions,
    };
    let receipt = if new.is_yield {
        ReceiptEnum::PromiseYieldV2(receipt)
    } else {
        ReceiptEnum::ActionV2(receipt)
    };
    without_id(account_id, new.receiver_id, receipt)
}

/// A resume that a contract makes. An account can resume only its own yields.
pub(super) fn resume_receipt(new: NewResume, account_id: &AccountId) -> Receipt {
    let data = DataReceipt { data_id: new.data_id, data: Some(new.data) };
    without_id(account_id, account_id.clone(), ReceiptEnum::PromiseResume(data))
}
