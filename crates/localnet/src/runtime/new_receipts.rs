//! Building receipts that have no id yet. The id depends on what else the parent receipt makes, so
//! it is set when the receipt is sent.

use near_primitives::{
    hash::CryptoHash,
    receipt::{DataReceipt, Receipt, ReceiptEnum, ReceiptV0},
    types::AccountId,
};

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
