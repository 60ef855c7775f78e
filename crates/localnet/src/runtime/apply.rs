//! Applying one block: transactions first, then local, delayed and incoming receipts, then the
//! timeouts of yields (`Runtime::apply` in nearcore's `runtime/runtime/src/lib.rs`).

use std::sync::Arc;

use near_primitives::{
    account::Account,
    receipt::Receipt,
    transaction::SignedTransaction,
    types::{AccountId, StateChangeCause},
};

use super::{
    block::Block,
    delayed,
    error::RuntimeError,
    receipts, transactions,
    types::ApplyResult,
    validate::{self, Mode},
    yields,
};
use crate::state::State;

/// Applies the block. Returns the state after it, and what the block did.
pub(super) fn apply(
    mut block: Block<'_>,
    settled: &[(AccountId, Account)],
    incoming: &[Receipt],
    txs: &[SignedTransaction],
) -> Result<(State, ApplyResult), RuntimeError> {
    for (account_id, account) in settled {
        block.update.set_account(account_id, account);
    }
    block.update.commit(&StateChangeCause::ValidatorAccountsUpdate);
    let local = transactions::take_all(&mut block, txs);
    for receipt in local {
        process_or_delay(&mut block, receipt)?;
    }
    while !block.is_full() {
        let Some(receipt) = delayed::pop(&mut block)? else {
            break;
        };
        process_with_instant(&mut block, receipt)?;
    }
    for receipt in incoming {
        block.skipped.enter(Some(*receipt.receipt_id()));
        if block.skipped.fault(receipt.receipt_id()).is_none() {
            check_incoming(&block, receipt)?;
        }
        process_or_delay(&mut block, receipt.clone())?;
    }
    block.skipped.enter(None);
    yields::resolve_timeouts(&mut block)?;
    block.update.commit(&StateChangeCause::UpdatedDelayedReceipts);
    let delayed_receipts = delayed::len(&block)?;
    Ok(block.finish(delayed_receipts))
}

fn check_incoming(block: &Block<'_>, receipt: &Receipt) -> Result<(), RuntimeError> {
    validate::receipt(block.rules(Mode::Existing), receipt).map_err(|error| {
        let source = Arc::new(error);
        RuntimeError::InvalidReceipt { receipt_id: *receipt.receipt_id(), source }
    })
}

fn process_or_delay(block: &mut Block<'_>, receipt: Receipt) -> Result<(), RuntimeError> {
    if block.is_full() {
        return delayed::push(block, &receipt);
    }
    process_with_instant(block, receipt)
}

/// Processes a receipt, and right after it the instant receipts that it made.
fn process_with_instant(block: &mut Block<'_>, receipt: Receipt) -> Result<(), RuntimeError> {
    process_one(block, receipt)?;
    while let Some(receipt) = block.instant.pop_front() {
        process_one(block, receipt)?;
    }
    Ok(())
}

fn process_one(block: &mut Block<'_>, receipt: Receipt) -> Result<(), RuntimeError> {
    if let Some(outcome) = receipts::process(block, &receipt)? {
        block.count_usage(&outcome.outcome)?;
        block.outcomes.push(outcome);
    }
    block.processed.push(receipt);
    block.skipped.enter(None);
    Ok(())
}
