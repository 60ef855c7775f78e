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
            Ok(Some(receipt)) if receipt.receiver_id() == receipt.predecessor_id() => {
                local.push(receipt);
            }
            Ok(Some(receipt)) => block.outgoing.push(receipt),
            Ok(None) => {}
            Err(error) => block.rejected.push((tx_hash, error)),
        }
    }
    local
}

/// Charges a transaction and makes its receipt. A transaction of a gas key whose deposits the
/// account cannot pay has no receipt: it fails, and the key pays for its gas.
fn take(block: &mut Block<'_>, tx: &SignedTransaction) -> Result<Option<Receipt>, InvalidTxError> {
    let ctx = block.ctx;
    verify::check_form(block.config, ctx, tx)?;
    let (tx_hash, transaction) = (tx.get_hash(), &tx.transaction);
    let key = transaction.public_key();
    let charged =
        verify::charge(block.config, ctx.gas_price, Some(ctx.height), transaction, &block.update)?;
    let (signer_id, cost) = (transaction.signer_id(), charged.cost);
    let receipt_id = create_receipt_id_from_transaction(&tx_hash, ctx.height);
    let failed = charged.unpaid_deposit.is_some();
    let outcome = match charged.unpaid_deposit {
        Some(error) => ExecutionOutcomeWithId::failed_with_gas_burnt(
            tx,
            error,
            cost.gas_burnt,
            cost.burnt_amount,
        ),
        None => ExecutionOutcomeWithId {
            id: tx_hash,
            outcome: ExecutionOutcome {
                status: ExecutionStatus::SuccessReceiptId(receipt_id),
                logs: Vec::new(),
                receipt_ids: vec![receipt_id],
                gas_burnt: cost.gas_burnt,
                compute_usage: Some(cost.compute_burnt),
                tokens_burnt: cost.burnt_amount,
                executor_id: signer_id.clone(),
                metadata: ExecutionMetadata::V1,
            },
        },
    };
    let burnt = add_tokens(block.burnt, cost.burnt_amount);
    block.burnt = burnt.map_err(|_| InvalidTxError::CostOverflow)?;
    block.count_usage(&outcome.outcome).map_err(|_| InvalidTxError::CostOverflow)?;
    block.outcomes.push(outcome);
    block.update.set_account(signer_id, &charged.account);
    if let Some(access_key) = &charged.access_key {
        block.update.set_access_key(signer_id, key, access_key);
    }
    if let Some((index, nonce)) = charged.gas_key_nonce {
        block.update.set_gas_key_nonce(signer_id, key, index, nonce);
    }
    block.update.commit(&StateChangeCause::TransactionProcessing { tx_hash });
    if failed {
        return Ok(None);
    }
    Ok(Some(Receipt::from_tx(
        receipt_id,
        signer_id.clone(),
        transaction.receiver_id().clone(),
        key.clone(),
        cost.receipt_gas_price,
        transaction.actions().to_vec(),
    )))
}
