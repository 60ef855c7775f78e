//! Checking a transaction, and charging its signer for it
//! (`runtime/runtime/src/verifier.rs` in nearcore).

use near_crypto::PublicKey;
use near_parameters::RuntimeConfig;
use near_primitives::{
    account::{AccessKey, Account, FunctionCallPermission},
    action::Action,
    errors::{DepositCostFailureReason, InvalidAccessKeyError, InvalidTxError, StorageError},
    transaction::{NonceMode, SignedTransaction, Transaction, ValidatedTransaction},
    types::{AccountId, Balance, BlockHeight, Nonce, NonceIndex},
};

use super::cost::{TransactionCost, transaction_cost};
use crate::{
    runtime::{
        error::RuntimeError,
        storage_stake,
        types::BlockContext,
        update::StateUpdate,
        validate::{self, Mode, Rules},
    },
    state::State,
};

/// The state in which a transaction's signer is looked up.
pub(crate) trait Signers {
    /// An account.
    fn account(&self, account_id: &AccountId) -> Result<Option<Account>, RuntimeError>;

    /// A key of an account.
    fn access_key(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
    ) -> Result<Option<AccessKey>, RuntimeError>;

    /// One of the nonces of a gas key.
    fn gas_key_nonce(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
    ) -> Result<Option<Nonce>, RuntimeError>;
}

impl Signers for State {
    fn account(&self, account_id: &AccountId) -> Result<Option<Account>, RuntimeError> {
        Ok(State::account(self, account_id))
    }

    fn access_key(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
    ) -> Result<Option<AccessKey>, RuntimeError> {
        Ok(State::access_key(self, account_id, key))
    }

    fn gas_key_nonce(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
    ) -> Result<Option<Nonce>, RuntimeError> {
        Ok(State::gas_key_nonce(self, account_id, key, index))
    }
}

impl Signers for StateUpdate {
    fn account(&self, account_id: &AccountId) -> Result<Option<Account>, RuntimeError> {
        StateUpdate::account(self, account_id)
    }

    fn access_key(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
    ) -> Result<Option<AccessKey>, RuntimeError> {
        StateUpdate::access_key(self, account_id, key)
    }

    fn gas_key_nonce(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
    ) -> Result<Option<Nonce>, RuntimeError> {
        StateUpdate::gas_key_nonce(self, account_id, key, index)
    }
}

/// What a valid transaction leaves of its signer's account and key, and what it costs.
pub(crate) struct Charged {
    pub(super) account: Account,
    /// `None` when the account has no keys yet, and uses a nonce of its own.
    pub(super) access_key: Option<AccessKey>,
    /// The nonce of the gas key that the transaction has used, with its index. `None` when the key
    /// is no gas key.
    pub(super) gas_key_nonce: Option<(NonceIndex, Nonce)>,
    pub(super) cost: TransactionCost,
    /// Why the account cannot pay the deposits of a transaction of a gas key. Such a transaction
    /// makes no receipt, but the gas key pays for what it has burnt.
    pub(crate) unpaid_deposit: Option<InvalidTxError>,
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
    signers: &impl Signers,
) -> Result<Charged, InvalidTxError> {
    let cost = transaction_cost(config, tx, gas_price).map_err(|_| InvalidTxError::CostOverflow)?;
    let signer_id = tx.signer_id();
    let account = signers
        .account(signer_id)
        .map_err(|err| internal(&err))?
        .ok_or_else(|| InvalidTxError::SignerDoesNotExist { signer_id: signer_id.clone() })?;
    let access_key =
        signers.access_key(signer_id, tx.public_key()).map_err(|err| internal(&err))?;
    let Some(access_key) = access_key else {
        let known = config.wasm_config.universal_accounts;
        if let Some(nonce) = account.bootstrap_nonce().filter(|_| known)
            && tx.is_state_init_bootstrap()
        {
            return charge_bootstrap(config, height, tx, account, nonce, cost);
        }
        return Err(InvalidTxError::InvalidAccessKeyError(
            InvalidAccessKeyError::AccessKeyNotFound {
                account_id: signer_id.clone(),
                public_key: Box::new(tx.public_key().clone()),
            },
        ));
    };
    match (access_key.gas_key_info(), tx.nonce().nonce_index()) {
        (None, None) => charge_account(config, height, tx, account, access_key, cost),
        (Some(info), Some(index)) if index < info.num_nonces => {
            let num_nonces = info.num_nonces;
            let nonce = signers
                .gas_key_nonce(signer_id, tx.public_key(), index)
                .map_err(|err| internal(&err))?
                .ok_or(InvalidTxError::InvalidNonceIndex {
                    tx_nonce_index: Some(index),
                    num_nonces,
                })?;
            check_nonce(tx, tx.nonce_mode(), nonce, height)?;
            charge_gas_key(config, tx, account, access_key, cost, index)
        }
        // A nonce with an index is for gas keys, and a gas key accepts no other.
        (info, tx_nonce_index) => Err(InvalidTxError::InvalidNonceIndex {
            tx_nonce_index,
            num_nonces: info.map_or(0, |info| info.num_nonces),
        }),
    }
}

/// Charges a transaction of an ordinary key: the account pays for everything.
fn charge_account(
    config: &RuntimeConfig,
    height: Option<BlockHeight>,
    tx: &Transaction,
    mut account: Account,
    mut access_key: AccessKey,
    cost: TransactionCost,
) -> Result<Charged, InvalidTxError> {
    check_nonce(tx, tx.nonce_mode(), access_key.nonce, height)?;
    let left = left_after(tx, &account, cost)?;
    charge_allowance(&mut access_key, tx, cost.total_cost)?;
    check_storage(config, tx, &account, left)?;
    if let Some(permission) = access_key.permission.function_call_permission() {
        check_permission(permission, tx).map_err(InvalidTxError::InvalidAccessKeyError)?;
    }
    account.set_amount(left);
    access_key.nonce = tx.nonce().nonce();
    let access_key = Some(access_key);
    Ok(Charged { account, access_key, gas_key_nonce: None, cost, unpaid_deposit: None })
}

/// Charges the transaction with which a universal account gives itself its keys. It uses exactly
/// the next nonce of the account, whatever mode it names, so it can be sent only once.
fn charge_bootstrap(
    config: &RuntimeConfig,
    height: Option<BlockHeight>,
    tx: &Transaction,
    mut account: Account,
    nonce: Nonce,
    cost: TransactionCost,
) -> Result<Charged, InvalidTxError> {
    check_nonce(tx, NonceMode::Strict, nonce, height)?;
    let left = left_after(tx, &account, cost)?;
    check_storage(config, tx, &account, left)?;
    account.set_amount(left);
    account
        .set_bootstrap_nonce(tx.nonce().nonce())
        .map_err(|err| internal(&RuntimeError::Inconsistent(format!("{err:?}"))))?;
    Ok(Charged { account, access_key: None, gas_key_nonce: None, cost, unpaid_deposit: None })
}

/// What the account has left when it has paid for a transaction, in yoctoNEAR.
fn left_after(
    tx: &Transaction,
    account: &Account,
    cost: TransactionCost,
) -> Result<Balance, InvalidTxError> {
    let (balance, cost) = (account.amount(), cost.total_cost);
    let signer_id = tx.signer_id();
    balance.checked_sub(cost).ok_or_else(|| InvalidTxError::NotEnoughBalance {
        signer_id: signer_id.clone(),
        balance,
        cost,
    })
}

/// Fails when the balance that is left does not cover the account's storage.
fn check_storage(
    config: &RuntimeConfig,
    tx: &Transaction,
    account: &Account,
    left: Balance,
) -> Result<(), InvalidTxError> {
    match storage_stake::lacking(account, left, config) {
        Ok(None) => Ok(()),
        Ok(Some(amount)) => {
            let signer_id = tx.signer_id().clone();
            Err(InvalidTxError::LackBalanceForState { signer_id, amount })
        }
        Err(err) => Err(internal(&err)),
    }
}

/// Charges a transaction of a gas key: the key pays for the gas, and the account for the deposits.
fn charge_gas_key(
    config: &RuntimeConfig,
    tx: &Transaction,
    mut account: Account,
    mut access_key: AccessKey,
    cost: TransactionCost,
    index: NonceIndex,
) -> Result<Charged, InvalidTxError> {
    let signer_id = tx.signer_id();
    let balance = access_key.gas_key_info().map_or(Balance::ZERO, |info| info.balance);
    let lacks = |cost| InvalidTxError::NotEnoughGasKeyBalance {
        signer_id: signer_id.clone(),
        balance,
        cost,
    };
    let left = balance.checked_sub(cost.gas_cost).ok_or_else(|| lacks(cost.gas_cost))?;
    let after_failure =
        balance.checked_sub(cost.burnt_amount).ok_or_else(|| lacks(cost.burnt_amount))?;
    if let Some(permission) = access_key.permission.function_call_permission() {
        check_permission(permission, tx).map_err(InvalidTxError::InvalidAccessKeyError)?;
    }
    let unpaid_deposit = pay_deposit(config, signer_id, &mut account, cost.deposit)?;
    if let Some(info) = access_key.gas_key_info_mut() {
        info.balance = if unpaid_deposit.is_none() { left } else { after_failure };
    }
    let gas_key_nonce = Some((index, tx.nonce().nonce()));
    let access_key = Some(access_key);
    Ok(Charged { account, access_key, gas_key_nonce, cost, unpaid_deposit })
}

/// Takes the deposits of a transaction from its signer's account, or says why that is not possible.
fn pay_deposit(
    config: &RuntimeConfig,
    signer_id: &AccountId,
    account: &mut Account,
    deposit: Balance,
) -> Result<Option<InvalidTxError>, InvalidTxError> {
    let lacks = |balance, cost, reason| InvalidTxError::NotEnoughBalanceForDeposit {
        signer_id: signer_id.clone(),
        balance,
        cost,
        reason,
    };
    let Some(left) = account.amount().checked_sub(deposit) else {
        let reason = DepositCostFailureReason::NotEnoughBalance;
        return Ok(Some(lacks(account.amount(), deposit, reason)));
    };
    match storage_stake::lacking(account, left, config) {
        Ok(None) => {
            account.set_amount(left);
            Ok(None)
        }
        Ok(Some(missing)) => {
            Ok(Some(lacks(left, missing, DepositCostFailureReason::LackBalanceForState)))
        }
        Err(err) => Err(internal(&err)),
    }
}

fn check_nonce(
    tx: &Transaction,
    mode: NonceMode,
    ak_nonce: Nonce,
    height: Option<BlockHeight>,
) -> Result<(), InvalidTxError> {
    let tx_nonce = tx.nonce().nonce();
    let is_next = match mode {
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
