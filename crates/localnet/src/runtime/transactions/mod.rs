//! Turning transactions into receipts. A transaction is checked, its signer is charged, and its
//! actions go on in a receipt (`runtime/runtime/src/lib.rs` in nearcore).

mod cost;
pub(super) mod verify;

use std::collections::HashSet;

use near_primitives::{
    errors::InvalidTxError,
    receipt::Receipt,
    transaction::{
        ExecutionMetadata, ExecutionOutcome, ExecutionOutcomeWithId, ExecutionStatus,
        SignedTransaction,
    },
    types::StateChangeCause,
    utils::create_receipt_id_from_transaction,
    version::ProtocolFeature,
};

use crate::runtime::{amounts::add_tokens, block::Block};

/// Turns transactions into receipts. Returns the local ones, those that a signer sends to itself,
/// which the block processes at once. The others are left for the next block.
pub(super) fn take_all(block: &mut Block<'_>, txs: &[SignedTransaction]) -> Vec<Receipt> {
    let mut local = Vec::new();
    let mut seen = HashSet::new();
    let unique = ProtocolFeature::UniqueChunkTransactions.enabled(block.ctx.protocol_version);
    for tx in txs {
        let tx_hash = tx.get_hash();
        if unique && !seen.insert(tx_hash) {
            continue;
        }
        match take(block, tx) {
            Ok(receipt) if receipt.receiver_id() == receipt.predecessor_id() => {
                local.push(receipt);
            }
            Ok(receipt) => block.outgoing.push(receipt),
            Err(error) => block.rejected.push((tx_hash, error)),
        }
    }
    local
}

fn take(block: &mut Block<'_>, tx: &SignedTransaction) -> Result<Receipt, InvalidTxError> {
    let ctx = block.ctx;
    verify::check_form(block.config, ctx, tx)?;
    let (tx_hash, transaction) = (tx.get_hash(), &tx.transaction);
    let key = transaction.public_key();
    let charged = verify::charge(
        block.config,
        ctx.gas_price,
        Some(ctx.height),
        transaction,
        |signer_id| block.update.account(signer_id),
        |signer_id| block.update.access_key(signer_id, key),
    )?;
    let signer_id = transaction.signer_id();
    let receipt_id = create_receipt_id_from_transaction(&tx_hash, ctx.height);
    let outcome = ExecutionOutcome {
        status: ExecutionStatus::SuccessReceiptId(receipt_id),
        logs: Vec::new(),
        receipt_ids: vec![receipt_id],
        gas_burnt: charged.cost.gas_burnt,
        compute_usage: Some(charged.cost.compute_burnt),
        tokens_burnt: charged.cost.burnt_amount,
        executor_id: signer_id.clone(),
        metadata: ExecutionMetadata::V1,
    };
    let burnt = add_tokens(block.burnt, charged.cost.burnt_amount);
    block.burnt = burnt.map_err(|_| InvalidTxError::CostOverflow)?;
    block.count_usage(&outcome).map_err(|_| InvalidTxError::CostOverflow)?;
    block.outcomes.push(ExecutionOutcomeWithId { id: tx_hash, outcome });
    block.update.set_account(signer_id, &charged.account);
    block.update.set_access_key(signer_id, key, &charged.access_key);
    block.update.commit(&StateChangeCause::TransactionProcessing { tx_hash });
    Ok(Receipt::from_tx(
        receipt_id,
        signer_id.clone(),
        transaction.receiver_id().clone(),
        key.clone(),
        charged.cost.receipt_gas_price,
        transaction.actions().to_vec(),
    ))
}
