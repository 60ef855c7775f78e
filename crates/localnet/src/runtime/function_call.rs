//! The FunctionCall action (`runtime/runtime/src/function_call.rs` in nearcore).

use super::amounts::{add_compute, add_gas, add_tokens};
use super::block::Block;
use super::contracts::Call;
use super::conversions;
use super::execute::Running;
use super::external::{CallExternal, receipt_manager};
use super::outcome::ActionResult;
use super::types::RuntimeError;
use crate::state::encode;
use near_primitives::account::Account;
use near_primitives::action::FunctionCallAction;
use near_primitives::errors::ActionErrorKind;
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::{ActionReceiptV2, DataReceipt, Receipt, ReceiptEnum, ReceiptV0};
use near_primitives::types::AccountId;
use near_primitives::utils::create_random_seed;
use near_primitives::version::ProtocolFeature;
use near_vm_runner::logic::{VMContext, VMOutcome};
use outlayer_near_host::{NewReceipt, NewResume, ReceiptManager};
use std::rc::Rc;
use std::sync::Arc;

/// Runs a method of the receiver's contract.
pub(super) fn apply(
    block: &mut Block<'_>,
    running: &Running<'_>,
    account: &mut Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    add_tokens(account.amount(), call.deposit)?;
    let (outcome, manager) = run(block, running, account, call, action_hash, is_last)?;

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
    let account_id = running.receipt.receiver_id();
    for receipt in &manager.receipts {
        if let (true, [data_id]) = (receipt.is_yield, &*receipt.input_data_ids) {
            block.enqueue_timeout(account_id, *data_id)?;
        }
    }
    let receipts = manager.receipts.into_iter().map(|new| action_receipt(running, new));
    result.new_receipts.extend(receipts);
    let resumes = manager.resumes.into_iter().map(|new| resume_receipt(account_id, new));
    result.new_receipts.extend(resumes);
    account.set_amount(outcome.balance);
    account.set_storage_usage(outcome.storage_usage);
    result.subsidy = add_tokens(result.subsidy, outcome.subsidized_amount)?;
    result.result = Ok(outcome.return_data);
    Ok(())
}

fn run(
    block: &mut Block<'_>,
    running: &Running<'_>,
    account: &Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
) -> Result<(VMOutcome, ReceiptManager), RuntimeError> {
    let account_id = running.receipt.receiver_id();
    let contract = account.contract().into_owned();
    let config = Arc::clone(&block.config);
    let runtime = block.runtime;
    let vm_call = Call {
        config: &config,
        cache: runtime.cache(),
        account_id,
        contract: &contract,
        method: &call.method_name,
        gas: call.gas,
        view: None,
    };
    let prepared = vm_call.prepare(&block.update);
    let context = context(block, running, account, call, action_hash, is_last);
    let mut external = CallExternal {
        update: &mut block.update,
        manager: receipt_manager(action_hash, block.ctx.height),
        account_id: account_id.clone(),
        validators: Arc::clone(&block.ctx.validators),
        chain_id: runtime.chain_id(),
        recorded_before: running.recorded_before,
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

fn context(
    block: &Block<'_>,
    running: &Running<'_>,
    account: &Account,
    call: &FunctionCallAction,
    action_hash: CryptoHash,
    is_last: bool,
) -> VMContext {
    let Running { receipt, action_receipt, promise_results, .. } = running;
    // Results go on from the last action only.
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

/// A receipt without its id, which depends on what else the receipt at hand makes.
fn unnumbered(from: &AccountId, to: AccountId, receipt: ReceiptEnum) -> Receipt {
    Receipt::V0(ReceiptV0 {
        predecessor_id: from.clone(),
        receiver_id: to,
        receipt_id: CryptoHash::default(),
        receipt,
    })
}

fn action_receipt(running: &Running<'_>, new: NewReceipt) -> Receipt {
    let parent = running.action_receipt;
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
    unnumbered(running.receipt.receiver_id(), new.receiver_id, receipt)
}

fn resume_receipt(account_id: &AccountId, new: NewResume) -> Receipt {
    let data = DataReceipt { data_id: new.data_id, data: Some(new.data) };
    unnumbered(account_id, account_id.clone(), ReceiptEnum::PromiseResume(data))
}

/// The data that a finished receipt sends to one that waits for it.
pub(super) fn data_receipt(
    from: &AccountId,
    to: AccountId,
    data_id: CryptoHash,
    data: Option<Vec<u8>>,
) -> Receipt {
    unnumbered(from, to, ReceiptEnum::Data(DataReceipt { data_id, data }))
}
