//! Whether an action may be applied: whether its account exists, and whether the actor may do this
//! to the account (`check_account_existence` and `check_actor_permissions` in nearcore's
//! `runtime/runtime/src/actions.rs`).

use near_parameters::RuntimeConfig;
use near_primitives::{
    account::{Account, id::AccountType},
    action::Action,
    errors::ActionErrorKind,
    types::AccountId,
};

/// What a receipt is apart from its actions.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) is_refund: bool,
    /// Whether it has one action only.
    pub(super) is_alone: bool,
}

impl Shape {
    /// Whether a transfer in such a receipt may create the account. The actions after it could add
    /// a key of the sender's choice, unless the account's id commits to its keys.
    fn creates(self, account_id: &AccountId, config: &RuntimeConfig) -> bool {
        let safe = account_id.get_account_type() == AccountType::UniversalAccount;
        !self.is_refund && is_implicit(account_id, config) && (self.is_alone || safe)
    }
}

/// Whether an account with this id is created by the first transfer to it.
fn is_implicit(account_id: &AccountId, config: &RuntimeConfig) -> bool {
    match account_id.get_account_type() {
        AccountType::NearImplicitAccount | AccountType::NearDeterministicAccount => true,
        AccountType::EthImplicitAccount => config.wasm_config.eth_implicit_accounts,
        AccountType::UniversalAccount => config.wasm_config.universal_accounts,
        AccountType::NamedAccount => false,
    }
}

/// Fails unless the account exists, or does not exist yet, as the action needs it.
pub(super) fn existence(
    action: &Action,
    account: Option<&Account>,
    account_id: &AccountId,
    config: &RuntimeConfig,
    shape: Shape,
) -> Result<(), ActionErrorKind> {
    let account_id = account_id.clone();
    match (action, account) {
        (Action::CreateAccount(_), Some(_)) => {
            Err(ActionErrorKind::AccountAlreadyExists { account_id })
        }
        // Otherwise a batch could create an implicit account and add a key of its own choice.
        (Action::CreateAccount(_), None) if is_implicit(&account_id, config) => {
            Err(ActionErrorKind::OnlyImplicitAccountCreationAllowed { account_id })
        }
        (Action::CreateAccount(_), None) => Ok(()),
        (Action::Transfer(_), None) if shape.creates(&account_id, config) => Ok(()),
        (Action::DeterministicStateInit(_) | Action::UniversalStateInit(_), _) => Ok(()),
        (_, None) => Err(ActionErrorKind::AccountDoesNotExist { account_id }),
        (Action::Transfer(_), Some(_)) => Ok(()),
        (_, Some(account)) if !account.is_initialized() => {
            Err(ActionErrorKind::AccountNotInitialized { account_id })
        }
        (_, Some(_)) => Ok(()),
    }
}

/// Fails if only the account itself may do this and the actor is another account, or if the account
/// is to be deleted while it has a stake.
pub(super) fn permission(
    action: &Action,
    account: Option<&Account>,
    actor_id: &AccountId,
    account_id: &AccountId,
) -> Result<(), ActionErrorKind> {
    let only_by_itself = matches!(
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
    if only_by_itself && actor_id != account_id {
        return Err(ActionErrorKind::ActorNoPermission {
            account_id: account_id.clone(),
            actor_id: actor_id.clone(),
        });
    }
    let has_stake = account.is_some_and(|account| !account.locked().is_zero());
    if matches!(action, Action::DeleteAccount(_)) && has_stake {
        return Err(ActionErrorKind::DeleteAccountStaking { account_id: account_id.clone() });
    }
    Ok(())
}
