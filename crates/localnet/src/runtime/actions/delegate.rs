//! Meta transactions (NEP-366; `apply_delegate_action` in nearcore's
//! `runtime/runtime/src/actions.rs`).

use near_parameters::SignatureKind;
use near_primitives::{
    account::{AccessKey, FunctionCallPermission},
    action::{
        Action,
        delegate::{VersionedDelegateActionRef, VersionedSignedDelegateActionRef},
    },
    errors::{ActionErrorKind, InvalidAccessKeyError},
    receipt::{ActionReceipt, ReceiptEnum},
    types::Nonce,
    version::ProtocolFeature,
};

use super::{context::ReceiptContext, result::ActionResult};
use crate::runtime::{
    amounts::{add_compute, add_gas},
    block::Block,
    error::RuntimeError,
    fees::{receipt_exec_fee, total_prepaid_exec_fees, total_prepaid_gas, total_prepaid_send_fees},
    new_receipts::without_id,
};

/// Checks the inner signature and the sender's key, and sends the inner actions in a receipt of the
/// sender.
pub(super) fn apply(
    block: &mut Block<'_>,
    context: &ReceiptContext<'_>,
    signed: VersionedSignedDelegateActionRef<'_>,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let inner = signed.delegate_action();
    if block.config.wasm_config.fix_ml_dsa_cost_charging {
        let cost = block.config.fees.signature_verification_costs[SignatureKind::MlDsa65];
        if inner.public_key().key_type().is_post_quantum() {
            result.compute_usage = add_compute(result.compute_usage, cost.compute)?;
        }
    }
    if let Err(kind) = check(block, context, signed, inner) {
        result.fail(kind);
        return Ok(());
    }
    let Some(access_key) = block.update.access_key(inner.sender_id(), inner.public_key())? else {
        result.fail(ActionErrorKind::DelegateActionAccessKeyError(
            InvalidAccessKeyError::AccessKeyNotFound {
                account_id: inner.sender_id().clone(),
                public_key: Box::new(inner.public_key().clone()),
            },
        ));
        return Ok(());
    };
    let nonce = current_nonce(block, inner, &access_key)?;
    let checked = nonce.and_then(|current| check_key(block, inner, &access_key, current));
    match checked {
        Ok(()) => use_nonce(block, inner, access_key),
        Err(kind) => {
            result.fail(kind);
            return Ok(());
        }
    }
    send(block, context, inner, result)
}

/// Sends the inner actions. The relayer has paid for everything. If the actions fail, their deposit
/// is refunded to the sender; unused gas is refunded to the relayer.
fn send(
    block: &Block<'_>,
    context: &ReceiptContext<'_>,
    inner: VersionedDelegateActionRef<'_>,
    result: &mut ActionResult,
) -> Result<(), RuntimeError> {
    let outer = context.action_receipt;
    let actions = inner.get_actions();
    let config = block.config;
    let exec = total_prepaid_exec_fees(config, &actions, inner.receiver_id())?.gas;
    let required = add_gas(exec, total_prepaid_gas(&actions)?)?;
    let required = add_gas(required, receipt_exec_fee(config).gas)?;
    let send = total_prepaid_send_fees(config, outer.actions())?;
    result.gas_used = add_gas(add_gas(result.gas_used, required)?, send.gas)?;
    result.gas_burnt = add_gas(result.gas_burnt, send.gas)?;
    result.compute_usage = add_compute(result.compute_usage, send.compute)?;
    let receipt = ReceiptEnum::Action(ActionReceipt {
        signer_id: outer.signer_id().clone(),
        signer_public_key: outer.signer_public_key().clone(),
        gas_price: outer.gas_price(),
        output_data_receivers: Vec::new(),
        input_data_ids: Vec::new(),
        actions,
    });
    let (from, to) = (context.receipt.receiver_id(), inner.receiver_id().clone());
    result.new_receipts.push(without_id(from, to, receipt));
    Ok(())
}

fn check(
    block: &Block<'_>,
    context: &ReceiptContext<'_>,
    signed: VersionedSignedDelegateActionRef<'_>,
    inner: VersionedDelegateActionRef<'_>,
) -> Result<(), ActionErrorKind> {
    if !signed.verify() {
        return Err(ActionErrorKind::DelegateActionInvalidSignature);
    }
    if block.ctx.height > inner.max_block_height() {
        return Err(ActionErrorKind::DelegateActionExpired);
    }
    let receiver_id = context.receipt.receiver_id();
    if inner.sender_id() != receiver_id {
        return Err(ActionErrorKind::DelegateActionSenderDoesNotMatchTxReceiver {
            sender_id: inner.sender_id().clone(),
            receiver_id: receiver_id.clone(),
        });
    }
    Ok(())
}

/// The nonce that the sender's key has used last, of the index that the action names if the key is
/// a gas key.
fn current_nonce(
    block: &Block<'_>,
    inner: VersionedDelegateActionRef<'_>,
    access_key: &AccessKey,
) -> Result<Result<Nonce, ActionErrorKind>, RuntimeError> {
    let invalid_key = ActionErrorKind::DelegateActionAccessKeyError;
    let (info, index) = match (access_key.gas_key_info(), inner.nonce().nonce_index()) {
        (None, None) => return Ok(Ok(access_key.nonce)),
        (Some(_), None) => {
            return Ok(Err(invalid_key(InvalidAccessKeyError::DelegateActionRequiresNonGasKey)));
        }
        (None, Some(_)) => {
            return Ok(Err(invalid_key(InvalidAccessKeyError::DelegateActionRequiresGasKey)));
        }
        (Some(info), Some(index)) => (info, index),
    };
    if index >= info.num_nonces {
        return Ok(Err(ActionErrorKind::DelegateActionInvalidNonceIndex {
            nonce_index: index,
            num_nonces: info.num_nonces,
        }));
    }
    let nonce = block.update.gas_key_nonce(inner.sender_id(), inner.public_key(), index)?;
    let missing = || RuntimeError::Inconsistent(format!("nonce {index} of a gas key is missing"));
    Ok(Ok(nonce.ok_or_else(missing)?))
}

/// Stores the nonce that the action has used.
fn use_nonce(
    block: &mut Block<'_>,
    inner: VersionedDelegateActionRef<'_>,
    mut access_key: AccessKey,
) {
    let (sender_id, key, nonce) = (inner.sender_id(), inner.public_key(), inner.nonce());
    match nonce.nonce_index() {
        Some(index) => block.update.set_gas_key_nonce(sender_id, key, index, nonce.nonce()),
        None => {
            access_key.nonce = nonce.nonce();
            block.update.set_access_key(sender_id, key, &access_key);
        }
    }
}

/// Checks the sender's key against the delegate action.
fn check_key(
    block: &Block<'_>,
    inner: VersionedDelegateActionRef<'_>,
    access_key: &AccessKey,
    ak_nonce: Nonce,
) -> Result<(), ActionErrorKind> {
    let delegate_nonce = inner.nonce().nonce();
    if delegate_nonce <= ak_nonce {
        return Err(ActionErrorKind::DelegateActionInvalidNonce { delegate_nonce, ak_nonce });
    }
    let upper_bound = block.ctx.height.saturating_mul(AccessKey::ACCESS_KEY_NONCE_RANGE_MULTIPLIER);
    if delegate_nonce >= upper_bound {
        return Err(ActionErrorKind::DelegateActionNonceTooLarge { delegate_nonce, upper_bound });
    }
    if let Some(permission) = access_key.permission.function_call_permission() {
        // Before protocol 85, the error of a later check took precedence over the one about the
        // deposit.
        let first_error_wins = ProtocolFeature::FixDelegateActionDepositWithFunctionCallError
            .enabled(block.ctx.protocol_version);
        check_permission(permission, inner, first_error_wins)
            .map_err(ActionErrorKind::DelegateActionAccessKeyError)?;
    }
    Ok(())
}

fn check_permission(
    permission: &FunctionCallPermission,
    inner: VersionedDelegateActionRef<'_>,
    first_error_wins: bool,
) -> Result<(), InvalidAccessKeyError> {
    let actions = inner.get_actions();
    let [Action::FunctionCall(call)] = &*actions else {
        return Err(InvalidAccessKeyError::RequiresFullAccess);
    };
    let has_deposit = !call.deposit.is_zero();
    if has_deposit && first_error_wins {
        return Err(InvalidAccessKeyError::DepositWithFunctionCall);
    }
    if inner.receiver_id() != &permission.receiver_id {
        return Err(InvalidAccessKeyError::ReceiverMismatch {
            tx_receiver: inner.receiver_id().clone(),
            ak_receiver: permission.receiver_id.clone(),
        });
    }
    if !permission.method_names.is_empty() && !permission.method_names.contains(&call.method_name) {
        return Err(InvalidAccessKeyError::MethodNameMismatch {
            method_name: call.method_name.clone(),
        });
    }
    if has_deposit {
        return Err(InvalidAccessKeyError::DepositWithFunctionCall);
    }
    Ok(())
}
