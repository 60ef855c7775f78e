//! The fees of actions, one by one and summed up over a receipt
//! (`runtime/runtime/src/config.rs` in nearcore).

use near_crypto::PublicKey;
use near_parameters::{
    ActionCosts, Fee, ParameterCost, RuntimeConfig, RuntimeFeesConfig, gas_key_add_key_exec_fee,
    gas_key_add_key_send_fee, gas_key_transfer_exec_fee, gas_key_transfer_send_fee,
    transfer_exec_fee, transfer_send_fee, universal_state_init_content_terms,
    universal_state_init_size_terms,
};
use near_primitives::{
    account::AccessKeyPermission,
    action::{Action, delegate::VersionedDelegateActionRef},
    types::{AccountId, Balance, Gas},
    universal_state_init::state_init_counts,
};

use super::{
    amounts::{add_cost, add_gas, add_tokens, count, len, times},
    error::RuntimeError,
};

/// When a fee is due: when the action is sent (to oneself or to another account), or when it is
/// executed.
#[derive(Clone, Copy)]
enum Due {
    Send { to_self: bool },
    Exec,
}

impl Due {
    fn of(self, fee: &Fee) -> ParameterCost {
        match self {
            Self::Send { to_self } => fee.send_fee(to_self),
            Self::Exec => fee.exec_fee(),
        }
    }
}

/// The delegate action inside a meta transaction. `None` for any other action.
pub(super) fn delegated(action: &Action) -> Option<VersionedDelegateActionRef<'_>> {
    match action {
        Action::Delegate(signed) => Some((&signed.delegate_action).into()),
        Action::DelegateV2(signed) => Some((&signed.delegate_action).into()),
        _ => None,
    }
}

fn per_byte(
    fees: &RuntimeFeesConfig,
    due: Due,
    base: ActionCosts,
    byte: ActionCosts,
    bytes: u64,
) -> Result<ParameterCost, RuntimeError> {
    add_cost(due.of(fees.fee(base)), times(due.of(fees.fee(byte)), bytes)?)
}

/// The bytes of a key's method names, with one byte more for the end of each.
fn method_name_bytes(names: &[String]) -> u64 {
    names.iter().map(|name| len(name.as_bytes()) + 1).sum()
}

fn key_fee(
    fees: &RuntimeFeesConfig,
    due: Due,
    permission: &AccessKeyPermission,
) -> Result<ParameterCost, RuntimeError> {
    match permission.function_call_permission() {
        Some(call) => per_byte(
            fees,
            due,
            ActionCosts::add_function_call_key_base,
            ActionCosts::add_function_call_key_byte,
            method_name_bytes(&call.method_names),
        ),
        None => Ok(due.of(fees.fee(ActionCosts::add_full_access_key))),
    }
}

/// The fee of an action, due either way. Most actions have the same rule for both.
fn action_fee(
    config: &RuntimeConfig,
    due: Due,
    action: &Action,
    receiver_id: &AccountId,
) -> Result<ParameterCost, RuntimeError> {
    use ActionCosts as Cost;
    let fees = &*config.fees;
    let plain = |cost| Ok(due.of(fees.fee(cost)));
    match action {
        Action::CreateAccount(_) => plain(Cost::create_account),
        Action::DeployContract(deploy) => per_byte(
            fees,
            due,
            Cost::deploy_contract_base,
            Cost::deploy_contract_byte,
            len(&deploy.code),
        ),
        Action::FunctionCall(call) => per_byte(
            fees,
            due,
            Cost::function_call_base,
            Cost::function_call_byte,
            len(call.method_name.as_bytes()).saturating_add(len(&call.args)),
        ),
        Action::Transfer(_) => {
            let kind = receiver_id.get_account_type();
            let eth = config.wasm_config.eth_implicit_accounts;
            let universal = config.wasm_config.universal_accounts;
            Ok(match due {
                Due::Send { to_self } => transfer_send_fee(fees, to_self, eth, universal, kind),
                Due::Exec => transfer_exec_fee(fees, eth, universal, kind),
            })
        }
        Action::Stake(_) => plain(Cost::stake),
        Action::AddKey(add) => {
            let permission = &add.access_key.permission;
            let fee = key_fee(fees, due, permission)?;
            let Some(gas_key) = add.access_key.gas_key_info() else {
                return Ok(fee);
            };
            let nonces = match due {
                Due::Send { to_self } => gas_key_add_key_send_fee(fees, to_self),
                Due::Exec => gas_key_add_key_exec_fee(
                    fees,
                    receiver_id.len(),
                    add.public_key.trie_id_len(),
                    gas_key.num_nonces,
                )
                .total(),
            };
            add_cost(fee, nonces)
        }
        Action::DeleteKey(_) => plain(Cost::delete_key),
        Action::DeleteAccount(_) => plain(Cost::delete_account),
        Action::Delegate(_) | Action::DelegateV2(_) => plain(Cost::delegate),
        Action::DeployGlobalContract(deploy) => per_byte(
            fees,
            due,
            Cost::deploy_global_contract_base,
            Cost::deploy_global_contract_byte,
            len(&deploy.code),
        ),
        Action::UseGlobalContract(usage) => per_byte(
            fees,
            due,
            Cost::use_global_contract_base,
            Cost::use_global_contract_byte,
            count(usage.contract_identifier.len()),
        ),
        Action::DeterministicStateInit(init) => {
            let entries = count(init.state_init.data().len());
            let fee = per_byte(
                fees,
                due,
                Cost::deterministic_state_init_base,
                Cost::deterministic_state_init_byte,
                count(init.state_init.len_bytes()),
            )?;
            let entry = due.of(fees.fee(Cost::deterministic_state_init_entry));
            add_cost(fee, times(entry, entries)?)
        }
        Action::TransferToGasKey(transfer) => {
            Ok(gas_key_transfer(config, due, &transfer.public_key, receiver_id))
        }
        Action::WithdrawFromGasKey(withdraw) => {
            Ok(gas_key_transfer(config, due, &withdraw.public_key, receiver_id))
        }
        Action::UniversalStateInit(init) => {
            let counts = state_init_counts(&init.state_init);
            let mut fee = ParameterCost::ZERO;
            for (cost, units) in universal_state_init_size_terms(counts.num_bytes)
                .into_iter()
                .chain(universal_state_init_content_terms(counts))
            {
                fee = add_cost(fee, times(due.of(fees.fee(cost)), units)?)?;
            }
            Ok(fee)
        }
    }
}

fn gas_key_transfer(
    config: &RuntimeConfig,
    due: Due,
    key: &PublicKey,
    receiver_id: &AccountId,
) -> ParameterCost {
    match due {
        Due::Send { to_self } => {
            let len = if config.wasm_config.fix_ml_dsa_cost_charging {
                key.len()
            } else {
                key.trie_id_len()
            };
            gas_key_transfer_send_fee(&config.fees, to_self, len).total()
        }
        Due::Exec => {
            gas_key_transfer_exec_fee(&config.fees, receiver_id.len(), key.trie_id_len()).total()
        }
    }
}

/// What executing an action burns, without what a contract burns.
pub(super) fn exec_fee(
    config: &RuntimeConfig,
    action: &Action,
    receiver_id: &AccountId,
) -> Result<ParameterCost, RuntimeError> {
    action_fee(config, Due::Exec, action, receiver_id)
}

/// What sending actions burns. A meta transaction includes the actions inside it.
pub(super) fn total_send_fees(
    config: &RuntimeConfig,
    to_self: bool,
    actions: &[Action],
    receiver_id: &AccountId,
) -> Result<ParameterCost, RuntimeError> {
    let mut total = ParameterCost::ZERO;
    for action in actions {
        total = add_cost(total, action_fee(config, Due::Send { to_self }, action, receiver_id)?)?;
        if let Some(inner) = delegated(action) {
            let fees = total_send_fees(config, to_self, &inner.get_actions(), inner.receiver_id())?;
            total = add_cost(total, fees)?;
        }
    }
    Ok(total)
}

/// The send fees of the actions inside meta transactions, which the relayer pays in advance.
pub(super) fn total_prepaid_send_fees(
    config: &RuntimeConfig,
    actions: &[Action],
) -> Result<ParameterCost, RuntimeError> {
    let mut total = ParameterCost::ZERO;
    for inner in actions.iter().filter_map(delegated) {
        let to_self = inner.sender_id() == inner.receiver_id();
        let fees = total_send_fees(config, to_self, &inner.get_actions(), inner.receiver_id())?;
        total = add_cost(total, fees)?;
    }
    Ok(total)
}

/// The execution fees of actions, all of which the signer pays in advance.
pub(super) fn total_prepaid_exec_fees(
    config: &RuntimeConfig,
    actions: &[Action],
    receiver_id: &AccountId,
) -> Result<ParameterCost, RuntimeError> {
    let mut total = ParameterCost::ZERO;
    for action in actions {
        match delegated(action) {
            None => total = add_cost(total, exec_fee(config, action, receiver_id)?)?,
            Some(inner) => {
                let to = inner.receiver_id();
                let fees = total_prepaid_exec_fees(config, &inner.get_actions(), to)?;
                total = add_cost(total, fees)?;
                total = add_cost(total, exec_fee(config, action, to)?)?;
                total = add_cost(total, receipt_exec_fee(config))?;
            }
        }
    }
    Ok(total)
}

/// What executing a receipt burns, without its actions.
pub(super) fn receipt_exec_fee(config: &RuntimeConfig) -> ParameterCost {
    config.fees.fee(ActionCosts::new_action_receipt).exec_fee()
}

/// The deposits of all actions, also of those inside meta transactions, in yoctoNEAR.
pub(super) fn total_deposit(actions: &[Action]) -> Result<Balance, RuntimeError> {
    actions.iter().try_fold(Balance::ZERO, |total, action| {
        let deposit = match delegated(action) {
            Some(inner) => total_deposit(&inner.get_actions())?,
            None => action.get_deposit_balance(),
        };
        add_tokens(total, deposit)
    })
}

/// The gas attached to all calls, also to those inside meta transactions.
pub(super) fn total_prepaid_gas(actions: &[Action]) -> Result<Gas, RuntimeError> {
    actions.iter().try_fold(Gas::ZERO, |total, action| {
        let gas = match delegated(action) {
            Some(inner) => total_prepaid_gas(&inner.get_actions())?,
            None => action.get_prepaid_gas(),
        };
        add_gas(total, gas)
    })
}
