//! What the actions of a receipt do (`apply_action` in nearcore's `runtime/runtime/src/lib.rs`).

mod accounts;
mod checks;
mod code;
mod context;
mod delegate;
mod function_call;
mod gas_keys;
mod global;
mod keys;
mod result;
mod stake;
mod state_init;
mod transfer;
mod universal;

use near_primitives::{
    account::{Account, AccountContract},
    action::{Action, delegate::VersionedSignedDelegateActionRef},
    hash::CryptoHash,
    types::AccountId,
};

use self::context::existing;
use crate::runtime::{block::Block, error::RuntimeError, fees::exec_fee};

pub(super) use self::{
    context::ReceiptContext, global::distribute as distribute_global_contract, result::ActionResult,
};

/// Applies the action at `index`. `actor_id` is the account on whose behalf it acts: at first the
/// receipt's predecessor, and an account that an action has created from then on.
pub(super) fn apply(
    block: &mut Block<'_>,
    context: &ReceiptContext<'_>,
    account: &mut Option<Account>,
    actor_id: &mut AccountId,
    index: usize,
    action_hash: CryptoHash,
) -> Result<ActionResult, RuntimeError> {
    let receipt = context.receipt;
    let account_id = receipt.receiver_id();
    let actions = context.action_receipt.actions();
    let Some(action) = actions.get(index) else {
        return Err(RuntimeError::Inconsistent(format!("a receipt has no action {index}")));
    };
    let mut result = ActionResult::new(exec_fee(block.config, action, account_id)?);
    result.contracts = vec![
        account.as_ref().map_or(AccountContract::None, |account| account.contract().into_owned()),
    ];
    let is_refund = receipt.predecessor_id().is_system();
    let shape = checks::Shape { is_refund, is_alone: actions.len() == 1 };
    let checked = checks::existence(action, account.as_ref(), account_id, block.config, shape)
        .and_then(|()| checks::permission(action, account.as_ref(), actor_id, account_id));
    if let Err(kind) = checked {
        result.fail(kind);
        return Ok(result);
    }
    match action {
        Action::CreateAccount(_) => {
            accounts::create(block, account, actor_id, receipt, &mut result);
        }
        Action::DeployContract(deploy) => {
            code::deploy(block, existing(account)?, account_id, &deploy.code)?;
        }
        Action::FunctionCall(call) => {
            let is_last = index + 1 == actions.len();
            let account = existing(account)?;
            function_call::apply(block, context, account, call, action_hash, is_last, &mut result)?;
        }
        Action::Transfer(transfer) => {
            transfer::apply(block, context, account, transfer.deposit, is_refund)?;
        }
        Action::Stake(stake) => {
            let least = block.ctx.minimum_stake;
            stake::apply(existing(account)?, account_id, stake, least, &mut result)?;
        }
        Action::AddKey(add) => {
            keys::add(block, existing(account)?, account_id, add, &mut result)?;
        }
        Action::DeleteKey(delete) => {
            keys::delete(block, existing(account)?, account_id, &delete.public_key, &mut result)?;
        }
        Action::DeleteAccount(delete) => {
            let beneficiary = &delete.beneficiary_id;
            accounts::delete(block, account, actor_id, receipt, beneficiary, &mut result)?;
        }
        Action::Delegate(signed) => {
            let signed = VersionedSignedDelegateActionRef::V1(signed);
            delegate::apply(block, context, signed, &mut result)?;
        }
        Action::DelegateV2(signed) => {
            let signed = VersionedSignedDelegateActionRef::V2(signed);
            delegate::apply(block, context, signed, &mut result)?;
        }
        Action::DeployGlobalContract(deploy) => {
            global::deploy(block, existing(account)?, account_id, deploy, &mut result)?;
        }
        Action::UseGlobalContract(usage) => {
            let identifier = &usage.contract_identifier;
            global::use_on(block, existing(account)?, account_id, identifier, &mut result)?;
        }
        Action::TransferToGasKey(transfer) => {
            gas_keys::transfer_to(block, account_id, transfer, &mut result)?;
        }
        Action::WithdrawFromGasKey(withdraw) => {
            let account = existing(account)?;
            gas_keys::withdraw(block, account, account_id, withdraw, &mut result)?;
        }
        Action::DeterministicStateInit(init) => {
            state_init::apply(block, account, receipt, init, &mut result)?;
        }
        Action::UniversalStateInit(init) => {
            universal::apply(block, account, receipt, init, &mut result)?;
        }
    }
    Ok(result)
}
