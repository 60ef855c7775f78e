//! The FunctionCall action (`runtime/runtime/src/function_call.rs` in nearcore).

use std::{rc::Rc, sync::Arc};

use near_primitives::{
    account::Account, action::FunctionCallAction, errors::ActionErrorKind, hash::CryptoHash,
    utils::create_random_seed, version::ProtocolFeature,
};
use near_vm_runner::logic::{VMContext, VMOutcome};
use outlayer_near_host::ReceiptManager;

use super::{context::ReceiptContext, result::ActionResult};
use crate::{
    runtime::{
        amounts::{add_compute, add_gas, add_tokens},
        block::Block,
        contracts::Call,
        conversions,
        error::RuntimeError,
        external::{CallExternal, receipt_manager},
        new_receipts, yields,
    },
    state::encode,
};

/// Calls a method of the receiver's contract.
pub(super) fn apply(
    block: &mut Block<'_>,
    receipt_context: &ReceiptContext<'_>,
    account: &mut Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    add_tokens(account.amount(), call.deposit)?;
    let (outcome, manager) = run(block, receipt_context, account, call, action_hash, is_last)?;

    result.gas_burnt = add_gas(result.gas_burnt, outcome.burnt_gas)?;
    result.gas_burnt_for_function_call =
        add_gas(result.gas_burnt_for_function_call, outcome.burnt_gas)?;
    result.gas_used = add_gas(result.gas_used, outcome.used_gas)?;
    result.compute_usage = add_compute(result.compute_usage, outcome.compute_usage)?;
    result.logs.extend(outcome.logs);
    result.profile.merge(&outcome.profile);
    if let Some(error) = outcome.aborted {
        let error = conversions::function_call_error(error);
        result.fail(ActionErrorKind::FunctionCallError(error));
        return Ok(());
    }
    let account_id = receipt_context.receipt.receiver_id();
    for receipt in &manager.receipts {
        if let (true, [data_id]) = (receipt.is_yield, &*receipt.input_data_ids) {
            yields::enqueue_timeout(block, account_id, *data_id)?;
        }
    }
    let parent = receipt_context.action_receipt;
    let receipts = manager
        .receipts
        .into_iter()
        .map(|new| new_receipts::action_receipt(new, account_id, parent));
    result.new_receipts.extend(receipts);
    let resumes =
        manager.resumes.into_iter().map(|new| new_receipts::resume_receipt(new, account_id));
    result.new_receipts.extend(resumes);
    account.set_amount(outcome.balance);
    account.set_storage_usage(outcome.storage_usage);
    result.subsidy = add_tokens(result.subsidy, outcome.subsidized_amount)?;
    result.result = Ok(outcome.return_data);
    Ok(())
}

/// Runs the method. Returns what the VM reports, and the receipts that the method made.
fn run(
    block: &mut Block<'_>,
    receipt_context: &ReceiptContext<'_>,
    account: &Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
) -> Result<(VMOutcome, ReceiptManager), RuntimeError> {
    let account_id = receipt_context.receipt.receiver_id();
    let contract = account.contract().into_owned();
    let vm_call = Call {
        config: block.config,
        cache: block.cache,
        account_id,
        contract: &contract,
        method: &call.method_name,
        gas: call.gas,
        view: None,
    };
    let prepared = vm_call.prepare(&block.update);
    let context = vm_context(block, receipt_context, account, call, action_hash, is_last);
    let mut external = CallExternal {
        update: &mut block.update,
        manager: receipt_manager(action_hash, block.ctx.height),
        account_id: account_id.clone(),
        validators: Arc::clone(&block.ctx.validators),
        chain_id: block.chain_id,
        recorded_before: receipt_context.recorded_before,
        post_quantum: ProtocolFeature::PostQuantumSignatures.enabled(block.ctx.protocol_version),
    };
    let mut outcome = vm_call.run(prepared, &mut external, &context)?;
    let mut manager = external.manager;
    let unused = call.gas.saturating_sub(outcome.used_gas);
    let given = manager
        .distribute_gas(unused)
        .ok_or(RuntimeError::Overflow("sharing out gas by weight"))?;
    outcome.used_gas = add_gas(outcome.used_gas, given)?;
    Ok((outcome, manager))
}

fn vm_context(
    block: &Block<'_>,
    receipt_context: &ReceiptContext<'_>,
    account: &Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
) -> VMContext {
    let ReceiptContext { receipt, action_receipt, promise_results, .. } = receipt_context;
    // Only the last action has its result sent to those who wait for it.
    let output_data_receivers = if is_last {
        action_receipt.output_data_receivers().iter().map(|to| to.receiver_id.clone()).collect()
    } else {
        Vec::new()
    };
    VMContext {
        current_account_id: receipt.receiver_id().clone(),
        signer_account_id: action_receipt.signer_id().clone(),
        signer_account_pk: encode(action_receipt.signer_public_key()),
        predecessor_account_id: receipt.predecessor_id().clone(),
        refund_to_account_id: receipt.balance_refund_receiver().clone(),
        input: Rc::from(&*call.args),
        promise_results: Arc::clone(promise_results),
        block_height: block.ctx.height,
        block_timestamp: block.ctx.timestamp,
        epoch_height: block.ctx.epoch_height,
        account_balance: account.amount(),
        account_locked_balance: account.locked(),
        storage_usage: account.storage_usage(),
        account_contract: account.contract().into_owned(),
        attached_deposit: call.deposit,
        prepaid_gas: call.gas,
        random_seed: create_random_seed(action_hash, block.ctx.random_seed),
        view_config: None,
        output_data_receivers,
    }
}
