//! Whether an action may run: does its account exist, and may the actor do this to it
//! (`check_account_existence`, `check_actor_permissions` in nearcore's `runtime/runtime/src/actions.rs`).

use near_parameters::RuntimeConfig;
use near_primitives::account::Account;
use near_primitives::account::id::AccountType;
use near_primitives::action::Action;
use near_primitives::errors::ActionErrorKind;
use near_primitives::types::AccountId;

/// Whether a first transfer creates the account.
fn is_implicit(account_id: &AccountId, config: &RuntimeConfig) -> bool {
    match account_id.get_account_type() {
        AccountType::NearImplicitAccount | AccountType::NearDeterministicAccount => true,
        AccountType::EthImplicitAccount => config.wasm_config.eth_implicit_accounts,
        AccountType::UniversalAccount => config.wasm_config.universal_accounts,
        AccountType::NamedAccount => false,
    }
}

pub(super) fn existence(
    action: &Action,
    account: Option<&Account>,
    account_id: &AccountId,
    config: &RuntimeConfig,
    may_create_implicit: bool,
) -> Result<(), ActionErrorKind> {
    let account_id = account_id.clone();
    match (action, account) {
        (Action::CreateAccount(_), Some(_)) => {
            Err(ActionErrorKind::AccountAlreadyExists { account_id })
        }
        // Else a batch could create an implicit account and add a key of its own.
        (Action::CreateAccount(_), None) if is_implicit(&account_id, config) => {
            Err(ActionErrorKind::OnlyImplicitAccountCreationAllowed { account_id })
        }
        (Action::CreateAccount(_), None) => Ok(()),
        (Action::Transfer(_), None)
            if may_create_implicit
                && is_implicit(&account_id, config)
                && account_id.get_account_type() != AccountType::UniversalAccount =>
        {
            Ok(())
        }
        (Action::DeterministicStateInit(_) | Action::UniversalStateInit(_), _) => Ok(()),
        (_, None) => Err(ActionErrorKind::AccountDoesNotExist { account_id }),
        (_, Some(_)) => Ok(()),
    }
}

pub(super) fn permission(
    action: &Action,
    account: Option<&Account>,
    actor_id: &AccountId,
    account_id: &AccountId,
) -> Result<(), ActionErrorKind> {
    let for_owner = matches!(
        action,
        Action::DeployContract(_)
            | Action::Stake(_)
            | Action::AddKey(_)
            | Action::DeleteKey(_)
            | Action::DeleteAccount(_)
            | Action::DeployGlobalContract(_)
            | Action::UseGlobalContract(_)
            | Action::WithdrawFromGasKey(_)
    );
    if for_owner && actor_id != account_id {
        return Err(ActionErrorKind::ActorNoPermission {
            account_id: account_id.clone(),
            actor_id: actor_id.clone(),
        });
    }
    let stakes = account.is_some_and(|account| !account.locked().is_zero());
    if matches!(action, Action::DeleteAccount(_)) && stakes {
        return Err(ActionErrorKind::DeleteAccountStaking { account_id: account_id.clone() });
    }
    Ok(())
}
