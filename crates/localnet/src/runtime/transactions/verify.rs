//! Checking a transaction, and charging its signer for it
//! (`runtime/runtime/src/verifier.rs` in nearcore).

use near_parameters::RuntimeConfig;
use near_primitives::{
    account::{AccessKey, Account, FunctionCallPermission},
    action::Action,
    errors::{InvalidAccessKeyError, InvalidTxError, StorageError},
    transaction::{NonceMode, SignedTransaction, Transaction, ValidatedTransaction},
    types::{AccountId, Balance, BlockHeight, Nonce},
};

use super::cost::{TransactionCost, transaction_cost};
use crate::runtime::{
    error::RuntimeError,
    storage_stake,
    types::BlockContext,
    validate::{self, Mode, Rules},
};

/// What a valid transaction leaves of its signer's account and key, and what it costs.
pub(crate) struct Charged {
    pub(super) account: Account,
    pub(super) access_key: AccessKey,
    pub(super) cost: TransactionCost,
}

/// A fault of the runtime. nearcore's error has room for its text only.
fn internal(err: &RuntimeError) -> InvalidTxError {
    InvalidTxError::StorageError(StorageError::StorageInconsistentState(err.to_string()))
}

/// Makes the checks that need no state: the actions, the version, the size and the signature.
pub(crate) fn check_form(
    config: &RuntimeConfig,
    ctx: &BlockContext,
    tx: &SignedTransaction,
) -> Result<(), InvalidTxError> {
    let rules = Rules {
        limits: &config.wasm_config.limit_config,
        protocol_version: ctx.protocol_version,
        mode: Mode::New,
    };
    validate::actions(rules, tx.transaction.actions(), tx.transaction.receiver_id())
        .map_err(InvalidTxError::ActionsValidation)?;
    ValidatedTransaction::check_valid_for_config(config, tx, ctx.protocol_version)?;
    if !tx.signature.verify(tx.get_hash().as_ref(), tx.transaction.public_key()) {
        return Err(InvalidTxError::InvalidSignature);
    }
    Ok(())
}

/// Checks a transaction against its signer's account and key, and charges both. `height` bounds the
/// nonce. It is `None` before a block takes the transaction.
pub(crate) fn charge(
    config: &RuntimeConfig,
    gas_price: Balance,
    height: Option<BlockHeight>,
    tx: &Transaction,
    find_account: impl FnOnce(&AccountId) -> Result<Option<Account>, RuntimeError>,
    find_key: impl FnOnce(&AccountId) -> Result<Option<AccessKey>, RuntimeError>,
) -> Result<Charged, InvalidTxError> {
    let cost = transaction_cost(config, tx, gas_price).map_err(|_| InvalidTxError::CostOverflow)?;
    let signer_id = tx.signer_id();
    let mut account = find_account(signer_id)
        .map_err(|err| internal(&err))?
        .ok_or_else(|| InvalidTxError::SignerDoesNotExist { signer_id: signer_id.clone() })?;
    let mut access_key = find_key(signer_id).map_err(|err| internal(&err))?.ok_or_else(|| {
        InvalidTxError::InvalidAccessKeyError(InvalidAccessKeyError::AccessKeyNotFound {
            account_id: signer_id.clone(),
            public_key: Box::new(tx.public_key().clone()),
        })
    })?;
    check_nonce_index(tx, &access_key)?;
    check_nonce(tx, access_key.nonce, height)?;

    let balance = account.amount();
    let Some(left) = balance.checked_sub(cost.total_cost) else {
        return Err(InvalidTxError::NotEnoughBalance {
            signer_id: signer_id.clone(),
            balance,
            cost: cost.total_cost,
        });
    };
    charge_allowance(&mut access_key, tx, cost.total_cost)?;
    match storage_stake::lacking(&account, left, config) {
        Ok(None) => {}
        Ok(Some(amount)) => {
            return Err(InvalidTxError::LackBalanceForState {
                signer_id: signer_id.clone(),
                amount,
            });
        }
        Err(err) => return Err(internal(&err)),
    }
    if let Some(permission) = access_key.permission.function_call_permission() {
        check_permission(permission, tx).map_err(InvalidTxError::InvalidAccessKeyError)?;
    }
    account.set_amount(left);
    access_key.nonce = tx.nonce().nonce();
    Ok(Charged { account, access_key, cost })
}

/// A nonce with an index is for gas keys, and a gas key accepts no other. No account has a gas key
/// here.
fn check_nonce_index(tx: &Transaction, access_key: &AccessKey) -> Result<(), InvalidTxError> {
    let tx_nonce_index = tx.nonce().nonce_index();
    match access_key.gas_key_info() {
        None if tx_nonce_index.is_none() => Ok(()),
        gas_key => Err(InvalidTxError::InvalidNonceIndex {
            tx_nonce_index,
            num_nonces: gas_key.map_or(0, |info| info.num_nonces),
        }),
    }
}

fn check_nonce(
    tx: &Transaction,
    ak_nonce: Nonce,
    height: Option<BlockHeight>,
) -> Result<(), InvalidTxError> {
    let tx_nonce = tx.nonce().nonce();
    let is_next = match tx.nonce_mode() {
        NonceMode::Monotonic => tx_nonce > ak_nonce,
        NonceMode::Strict => ak_nonce.checked_add(1) == Some(tx_nonce),
    };
    if !is_next {
        return Err(InvalidTxError::InvalidNonce { tx_nonce, ak_nonce });
    }
    if let Some(height) = height {
        let upper_bound = height.saturating_mul(AccessKey::ACCESS_KEY_NONCE_RANGE_MULTIPLIER);
        if tx_nonce >= upper_bound {
            return Err(InvalidTxError::NonceTooLarge { tx_nonce, upper_bound });
        }
    }
    Ok(())
}

fn charge_allowance(
    access_key: &mut AccessKey,
    tx: &Transaction,
    cost: Balance,
) -> Result<(), InvalidTxError> {
    let Some(permission) = access_key.permission.function_call_permission_mut() else {
        return Ok(());
    };
    let Some(allowance) = permission.allowance else {
        return Ok(());
    };
    let Some(left) = allowance.checked_sub(cost) else {
        return Err(InvalidTxError::InvalidAccessKeyError(
            InvalidAccessKeyError::NotEnoughAllowance {
                account_id: tx.signer_id().clone(),
                public_key: Box::new(tx.public_key().clone()),
                allowance,
                cost,
            },
        ));
    };
    permission.allowance = Some(left);
    Ok(())
}

fn check_permission(
    permission: &FunctionCallPermission,
    tx: &Transaction,
) -> Result<(), InvalidAccessKeyError> {
    let [Action::FunctionCall(call)] = tx.actions() else {
        return Err(InvalidAccessKeyError::RequiresFullAccess);
    };
    if !call.deposit.is_zero() {
        return Err(InvalidAccessKeyError::DepositWithFunctionCall);
    }
    if tx.receiver_id() != &permission.receiver_id {
        return Err(InvalidAccessKeyError::ReceiverMismatch {
            tx_receiver: tx.receiver_id().clone(),
            ak_receiver: permission.receiver_id.clone(),
        });
    }
    if !permission.method_names.is_empty() && !permission.method_names.contains(&call.method_name) {
        return Err(InvalidAccessKeyError::MethodNameMismatch {
            method_name: call.method_name.clone(),
        });
    }
    Ok(())
}
