//! The actions of a receipt, one by one (`apply_action` in nearcore's `runtime/runtime/src/lib.rs`).

mod accounts;
mod checks;
mod code;
mod delegate;
pub(super) mod function_call;
pub(super) mod global;
mod keys;
pub(super) mod result;
mod stake;
mod transfer;

use super::block::Block;
use super::fees::exec_fee;
use super::receipts::execute::Running;
use super::types::RuntimeError;
use near_primitives::account::id::AccountType;
use near_primitives::account::{Account, AccountContract};
use near_primitives::action::Action;
use near_primitives::action::delegate::VersionedSignedDelegateActionRef;
use near_primitives::errors::ActionErrorKind;
use near_primitives::hash::CryptoHash;
use near_primitives::types::AccountId;
use result::ActionResult;

/// An account that a check has found to be there.
fn present(account: &mut Option<Account>) -> Result<&mut Account, RuntimeError> {
    account.as_mut().ok_or_else(|| {
        RuntimeError::CorruptState("an action needs an account that is not there".to_owned())
    })
}

/// Executes the action at `index`. `actor_id` is on whose behalf it runs.
pub(super) fn apply(
    block: &mut Block<'_>,
    running: &Running<'_>,
    account: &mut Option<Account>,
    actor_id: &mut AccountId,
    index: usize,
    action_hash: CryptoHash,
) -> Result<ActionResult, RuntimeError> {
    let receipt = running.receipt;
    let account_id = receipt.receiver_id();
    let actions = running.action_receipt.actions();
    let Some(action) = actions.get(index) else {
        return Err(RuntimeError::CorruptState(format!("a receipt has no action {index}")));
    };
    let mut result = ActionResult::new(exec_fee(&block.config, action, account_id)?);
    result.contracts = vec![
        account.as_ref().map_or(AccountContract::None, |account| account.contract().into_owned()),
    ];
    let is_refund = receipt.predecessor_id().is_system();
    // A transfer may come before other actions only on an account whose id commits to its contract
    // (`FixDeterministicAccountIdCreation`).
    let alone = actions.len() == 1
        || account_id.get_account_type() == AccountType::NearDeterministicAccount;
    let may_create_implicit = alone && !is_refund;
    let checked =
        checks::existence(action, account.as_ref(), account_id, &block.config, may_create_implicit)
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
            code::deploy(block, present(account)?, account_id, &deploy.code)?;
        }
        Action::FunctionCall(call) => {
            let is_last = index + 1 == actions.len();
            let account = present(account)?;
            function_call::apply(block, running, account, call, action_hash, is_last, &mut result)?;
        }
        Action::Transfer(transfer) => {
            transfer::apply(block, running, account, actor_id, transfer.deposit, is_refund)?;
        }
        Action::Stake(stake) => {
            let least = block.ctx.minimum_stake;
            stake::apply(present(account)?, account_id, stake, least, &mut result)?;
        }
        Action::AddKey(add) => {
            keys::add(block, present(account)?, account_id, add, &mut result)?;
        }
        Action::DeleteKey(delete) => {
            keys::delete(block, present(account)?, account_id, &delete.public_key, &mut result)?;
        }
        Action::DeleteAccount(delete) => {
            let beneficiary = &delete.beneficiary_id;
            accounts::delete(block, account, actor_id, receipt, beneficiary, &mut result)?;
        }
        Action::Delegate(signed) => {
            let signed = VersionedSignedDelegateActionRef::V1(signed);
            delegate::apply(block, running, signed, &mut result)?;
        }
        Action::DelegateV2(signed) => {
            let signed = VersionedSignedDelegateActionRef::V2(signed);
            delegate::apply(block, running, signed, &mut result)?;
        }
        Action::DeployGlobalContract(deploy) => {
            global::deploy(block, present(account)?, account_id, deploy, &mut result)?;
        }
        Action::UseGlobalContract(usage) => {
            let identifier = &usage.contract_identifier;
            global::use_on(block, present(account)?, account_id, identifier, &mut result)?;
        }
        // Validation refuses these, so no receipt carries them.
        Action::DeterministicStateInit(_)
        | Action::UniversalStateInit(_)
        | Action::TransferToGasKey(_)
        | Action::WithdrawFromGasKey(_) => {
            let actor_id = actor_id.clone();
            let account_id = account_id.clone();
            result.fail(ActionErrorKind::ActorNoPermission { account_id, actor_id });
        }
    }
    Ok(result)
}
