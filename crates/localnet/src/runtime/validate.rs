//! The checks of actions and receipts that need no state
//! (`runtime/runtime/src/{action_validation,verifier}.rs` in nearcore).

use near_crypto::key_conversion::is_valid_staking_key;
use near_parameters::vm::LimitConfig;
use near_primitives::{
    account::{AccessKey, AccessKeyPermission, id::AccountType},
    action::{Action, delegate::VersionedDelegateActionRef},
    config::AccountIdValidityRulesVersion,
    deterministic_account_id::DeterministicAccountStateInit,
    errors::{ActionsValidationError, ReceiptValidationError},
    receipt::{Receipt, VersionedReceiptEnum},
    types::{AccountId, Gas, ProtocolVersion},
    universal_state_init::{DecodeMode, RawStateInit, UniversalStateInit},
    utils::{derive_near_deterministic_account_id, derive_universal_account_id},
    version::ProtocolFeature,
};

use super::{
    amounts::{count, len},
    fees::{delegated, total_prepaid_gas},
};

/// Whether what is checked is new, which decides how strict the check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It was just made, so it must keep all rules of today.
    New,
    /// It was made earlier, perhaps under older rules.
    Existing,
}

/// The rules by which a check decides.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) limits: &'a LimitConfig,
    pub(super) protocol_version: ProtocolVersion,
    pub(super) mode: Mode,
}

type Checked = Result<(), ActionsValidationError>;

/// Checks the actions of a receipt or a transaction for `receiver_id`.
pub(super) fn actions(rules: Rules<'_>, actions: &[Action], receiver_id: &AccountId) -> Checked {
    let Rules { limits, mode, .. } = rules;
    if count(actions.len()) > limits.max_actions_per_receipt {
        return Err(ActionsValidationError::TotalNumberOfActionsExceeded {
            total_number_of_actions: count(actions.len()),
            limit: limits.max_actions_per_receipt,
        });
    }
    if actions.iter().any(Action::post_quantum_signatures_required) {
        require(rules, ProtocolFeature::PostQuantumSignatures, "PostQuantumSignatures")?;
    }
    if mode == Mode::New {
        deploys(limits, actions)?;
        state_inits(limits, actions)?;
    }
    let mut delegates = 0;
    for (position, action) in actions.iter().enumerate() {
        match action {
            Action::DeleteAccount(_) if position + 1 < actions.len() => {
                return Err(ActionsValidationError::DeleteActionMustBeFinal);
            }
            Action::Delegate(_) | Action::DelegateV2(_) => {
                delegates += 1;
                if delegates > 1 {
                    return Err(ActionsValidationError::DelegateActionMustBeOnlyOne);
                }
            }
            _ => {}
        }
        single(rules, action, receiver_id)?;
    }
    let total_prepaid_gas =
        total_prepaid_gas(actions).map_err(|_| ActionsValidationError::IntegerOverflow)?;
    if total_prepaid_gas > limits.max_total_prepaid_gas {
        return Err(ActionsValidationError::TotalPrepaidGasExceeded {
            total_prepaid_gas,
            limit: limits.max_total_prepaid_gas,
        });
    }
    Ok(())
}

fn deploys(limits: &LimitConfig, actions: &[Action]) -> Checked {
    let number = actions
        .iter()
        .filter(|a| matches!(a, Action::DeployContract(_) | Action::DeployGlobalContract(_)))
        .count();
    if count(number) > limits.max_deploy_actions_per_receipt {
        return Err(ActionsValidationError::TotalNumberOfDeployActionsExceeded {
            number_of_deploy_actions: count(number),
            limit: limits.max_deploy_actions_per_receipt,
        });
    }
    Ok(())
}

/// Bounds the keys and entries that the state inits of a receipt write, whose fees it has to
/// reserve.
fn state_inits(limits: &LimitConfig, actions: &[Action]) -> Checked {
    let (number_of_keys, number_of_entries) =
        actions.iter().map(Action::state_init_counts).fold((0_u64, 0_u64), |sum, counts| {
            (sum.0.saturating_add(counts.keys), sum.1.saturating_add(counts.entries))
        });
    if number_of_keys > limits.max_universal_state_init_keys {
        return Err(ActionsValidationError::TotalNumberOfStateInitKeysExceeded {
            number_of_keys,
            limit: limits.max_universal_state_init_keys,
        });
    }
    if number_of_entries > limits.max_state_init_entries {
        return Err(ActionsValidationError::TotalNumberOfStateInitEntriesExceeded {
            number_of_entries,
            limit: limits.max_state_init_entries,
        });
    }
    Ok(())
}

fn single(rules: Rules<'_>, action: &Action, receiver_id: &AccountId) -> Checked {
    let limits = rules.limits;
    match action {
        Action::CreateAccount(_) | Action::DeleteKey(_) | Action::UseGlobalContract(_) => Ok(()),
        Action::Transfer(_) => transfer(rules, receiver_id),
        Action::DeployContract(deploy) => contract_size(limits, len(&deploy.code)),
        Action::DeployGlobalContract(deploy) => contract_size(limits, len(&deploy.code)),
        Action::FunctionCall(call) => {
            function_call(rules, &call.method_name, len(&call.args), call.gas)
        }
        Action::Stake(stake) if is_valid_staking_key(&stake.public_key) => Ok(()),
        Action::Stake(stake) => Err(ActionsValidationError::UnsuitableStakingKey {
            public_key: Box::new(stake.public_key.clone()),
        }),
        Action::AddKey(add) => add_key(rules, &add.access_key),
        // The beneficiary's name was checked when the action was decoded.
        Action::DeleteAccount(_) => Ok(()),
        Action::Delegate(_) | Action::DelegateV2(_) => match delegated(action) {
            Some(inner) => delegate(rules, action, inner, receiver_id),
            None => Ok(()),
        },
        Action::TransferToGasKey(_) | Action::WithdrawFromGasKey(_) => {
            require(rules, ProtocolFeature::GasKeys, "GasKeys")
        }
        Action::DeterministicStateInit(init) => state_init(limits, &init.state_init, receiver_id),
        Action::UniversalStateInit(init) => {
            require(rules, ProtocolFeature::UniversalAccounts, "UniversalAccounts")?;
            universal_state_init(rules, &init.state_init, receiver_id)
        }
    }
}

/// Fails unless the protocol version has a feature.
fn require(rules: Rules<'_>, feature: ProtocolFeature, name: &str) -> Checked {
    if feature.enabled(rules.protocol_version) {
        return Ok(());
    }
    Err(ActionsValidationError::UnsupportedProtocolFeature {
        protocol_feature: name.to_owned(),
        version: rules.protocol_version,
    })
}

fn transfer(rules: Rules<'_>, receiver_id: &AccountId) -> Checked {
    if receiver_id.get_account_type() != AccountType::UniversalAccount || rules.mode != Mode::New {
        return Ok(());
    }
    let known = ProtocolFeature::UniversalAccounts.enabled(rules.protocol_version);
    if !known && ProtocolFeature::RejectUniversalAccountTransfers.enabled(rules.protocol_version) {
        return Err(ActionsValidationError::TransferToUniversalAccountNotAllowed {
            account_id: receiver_id.clone(),
        });
    }
    Ok(())
}

fn contract_size(limits: &LimitConfig, size: u64) -> Checked {
    if size > limits.max_contract_size {
        return Err(ActionsValidationError::ContractSizeExceeded {
            size,
            limit: limits.max_contract_size,
        });
    }
    Ok(())
}

fn function_call(rules: Rules<'_>, method: &str, args: u64, gas: Gas) -> Checked {
    let limits = rules.limits;
    if gas == Gas::ZERO {
        return Err(ActionsValidationError::FunctionCallZeroAttachedGas);
    }
    if rules.mode == Mode::New
        && method.is_empty()
        && ProtocolFeature::RejectEmptyMethodName.enabled(rules.protocol_version)
    {
        return Err(ActionsValidationError::FunctionCallEmptyMethodName);
    }
    let length = len(method.as_bytes());
    if length > limits.max_length_method_name {
        return Err(ActionsValidationError::FunctionCallMethodNameLengthExceeded {
            length,
            limit: limits.max_length_method_name,
        });
    }
    if args > limits.max_arguments_length {
        return Err(ActionsValidationError::FunctionCallArgumentsLengthExceeded {
            length: args,
            limit: limits.max_arguments_length,
        });
    }
    Ok(())
}

fn add_key(rules: Rules<'_>, access_key: &AccessKey) -> Checked {
    permission(rules.limits, &access_key.permission)?;
    let Some(gas_key) = access_key.gas_key_info() else {
        return Ok(());
    };
    require(rules, ProtocolFeature::GasKeys, "GasKeys")?;
    let call = access_key.permission.function_call_permission();
    if call.is_some_and(|call| call.allowance.is_some()) {
        return Err(ActionsValidationError::GasKeyFunctionCallAllowanceNotAllowed);
    }
    let limit = AccessKeyPermission::MAX_NONCES_FOR_GAS_KEY;
    if !(1..=limit).contains(&gas_key.num_nonces) {
        let requested_nonces = gas_key.num_nonces;
        return Err(ActionsValidationError::GasKeyInvalidNumNonces { requested_nonces, limit });
    }
    if !gas_key.balance.is_zero() {
        let balance = gas_key.balance;
        return Err(ActionsValidationError::AddGasKeyWithNonZeroBalance { balance });
    }
    Ok(())
}

/// An account whose id commits to its first code and data gets exactly those.
fn state_init(
    limits: &LimitConfig,
    init: &DeterministicAccountStateInit,
    receiver_id: &AccountId,
) -> Checked {
    let derived_id = derive_near_deterministic_account_id(init);
    if derived_id != *receiver_id {
        let receiver_id = receiver_id.clone();
        return Err(ActionsValidationError::InvalidDeterministicStateInitReceiver {
            receiver_id,
            derived_id,
        });
    }
    for (key, value) in init.data() {
        let (length, limit) = (len(key), limits.max_length_storage_key);
        if length > limit {
            return Err(ActionsValidationError::DeterministicStateInitKeyLengthExceeded {
                length,
                limit,
            });
        }
        let (length, limit) = (len(value), limits.max_length_storage_value);
        if length > limit {
            return Err(ActionsValidationError::DeterministicStateInitValueLengthExceeded {
                length,
                limit,
            });
        }
    }
    Ok(())
}

/// An account whose id commits to its first keys, code and data gets exactly those.
fn universal_state_init(rules: Rules<'_>, init: &RawStateInit, receiver_id: &AccountId) -> Checked {
    let derived_id = derive_universal_account_id(init);
    if derived_id != *receiver_id {
        let receiver_id = receiver_id.clone();
        return Err(ActionsValidationError::InvalidUniversalStateInitReceiver {
            receiver_id,
            derived_id,
        });
    }
    let canonical = ProtocolFeature::CanonicalUniversalStateInit.enabled(rules.protocol_version);
    let state_init = UniversalStateInit::from_raw(init, DecodeMode::strict_if(canonical))
        .map_err(|_| ActionsValidationError::MalformedUniversalStateInit)?;
    for (key, value) in state_init.data() {
        let (length, limit) = (len(key), rules.limits.max_length_storage_key);
        if length > limit {
            return Err(ActionsValidationError::UniversalStateInitKeyLengthExceeded {
                length,
                limit,
            });
        }
        let (length, limit) = (len(value), rules.limits.max_length_storage_value);
        if length > limit {
            return Err(ActionsValidationError::UniversalStateInitValueLengthExceeded {
                length,
                limit,
            });
        }
    }
    Ok(())
}

fn permission(limits: &LimitConfig, permission: &AccessKeyPermission) -> Checked {
    let Some(call) = permission.function_call_permission() else {
        return Ok(());
    };
    if limits.account_id_validity_rules_version != AccountIdValidityRulesVersion::V0
        && call.receiver_id.parse::<AccountId>().is_err()
    {
        return Err(ActionsValidationError::InvalidAccountId {
            account_id: shorten(&call.receiver_id, AccountId::MAX_LEN * 2),
        });
    }
    let mut total = 0;
    for name in &call.method_names {
        let length = len(name.as_bytes());
        if length > limits.max_length_method_name {
            return Err(ActionsValidationError::AddKeyMethodNameLengthExceeded {
                length,
                limit: limits.max_length_method_name,
            });
        }
        total += length + 1;
    }
    if total > limits.max_number_bytes_method_names {
        return Err(ActionsValidationError::AddKeyMethodNamesNumberOfBytesExceeded {
            total_number_of_bytes: total,
            limit: limits.max_number_bytes_method_names,
        });
    }
    Ok(())
}

/// The beginning of a text, at most `limit` bytes of it and no part of a character.
fn shorten(text: &str, limit: usize) -> String {
    (0..=limit).rev().find_map(|end| text.get(..end)).unwrap_or_default().to_owned()
}

fn delegate(
    rules: Rules<'_>,
    action: &Action,
    inner: VersionedDelegateActionRef<'_>,
    receiver_id: &AccountId,
) -> Checked {
    if matches!(action, Action::DelegateV2(_)) {
        require(rules, ProtocolFeature::DelegateV2, "DelegateV2")?;
        let removed = ProtocolFeature::RejectDelegateV2.enabled(rules.protocol_version);
        if removed && rules.mode == Mode::New {
            return Err(ActionsValidationError::RemovedProtocolFeature {
                protocol_feature: "DelegateV2".to_owned(),
                version: rules.protocol_version,
            });
        }
    }
    let inner_actions = inner.get_actions();
    let withdraws = || inner_actions.iter().any(|a| matches!(a, Action::WithdrawFromGasKey(_)));
    if rules.mode == Mode::New
        && ProtocolFeature::RejectWithdrawFromGasKeyInDelegate.enabled(rules.protocol_version)
        && withdraws()
    {
        return Err(ActionsValidationError::WithdrawFromGasKeyNotAllowedInDelegate);
    }
    let receiver_id =
        if ProtocolFeature::FixDelegatedDeterministicStateInit.enabled(rules.protocol_version) {
            inner.receiver_id()
        } else {
            receiver_id
        };
    actions(rules, &inner_actions, receiver_id)
}

/// Checks a receipt before it is sent or processed.
pub(super) fn receipt(rules: Rules<'_>, receipt: &Receipt) -> Result<(), ReceiptValidationError> {
    let limits = rules.limits;
    if rules.mode == Mode::New {
        let size = count(borsh::object_length(receipt).unwrap_or(usize::MAX));
        if size > limits.max_receipt_size {
            return Err(ReceiptValidationError::ReceiptSizeExceeded {
                size,
                limit: limits.max_receipt_size,
            });
        }
    }
    check_ids(receipt)?;
    match receipt.versioned_receipt() {
        VersionedReceiptEnum::Action(action) | VersionedReceiptEnum::PromiseYield(action) => {
            let inputs = count(action.input_data_ids().len());
            if inputs > limits.max_number_input_data_dependencies {
                return Err(ReceiptValidationError::NumberInputDataDependenciesExceeded {
                    number_of_input_data_dependencies: inputs,
                    limit: limits.max_number_input_data_dependencies,
                });
            }
            if let Some(account_id) = action.refund_to()
                && AccountId::validate(account_id.as_str()).is_err()
            {
                return Err(ReceiptValidationError::InvalidRefundTo {
                    account_id: account_id.to_string(),
                });
            }
            actions(rules, action.actions(), receipt.receiver_id())
                .map_err(ReceiptValidationError::ActionsValidation)
        }
        VersionedReceiptEnum::Data(data) | VersionedReceiptEnum::PromiseResume(data) => {
            let length = data.data.as_deref().map_or(0, len);
            if length > limits.max_length_returned_data {
                return Err(ReceiptValidationError::ReturnedValueLengthExceeded {
                    length,
                    limit: limits.max_length_returned_data,
                });
            }
            Ok(())
        }
        VersionedReceiptEnum::GlobalContractDistribution(_) => Ok(()),
    }
}

/// Checks the ids of the accounts. A contract may have named one that was parsed under looser
/// rules.
fn check_ids(receipt: &Receipt) -> Result<(), ReceiptValidationError> {
    let invalid = |id: &AccountId| AccountId::validate(id.as_str()).is_err();
    if invalid(receipt.predecessor_id()) {
        return Err(ReceiptValidationError::InvalidPredecessorId {
            account_id: receipt.predecessor_id().to_string(),
        });
    }
    if invalid(receipt.receiver_id()) {
        return Err(ReceiptValidationError::InvalidReceiverId {
            account_id: receipt.receiver_id().to_string(),
        });
    }
    Ok(())
}
