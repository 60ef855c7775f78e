//! NEP-145: paying for the bytes of a namespace.
//!
//! The two types are the contract's own. Those of `near-contract-standards` come with near-sdk's
//! old collections and its `Promise`, and have neither `Debug` nor equality; its trait has no place
//! for a typed error. A test compares the types' JSON.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::views::StorageBalance;

use super::{ONE_YOCTO, check_one_yocto};
use crate::{
    Contract, ContractError, ContractExt, NamespaceError, Pot, change_fee,
    namespace::{self, MAX_EMPTY_BYTES, Namespace},
};

fn balance(namespace: &Namespace) -> StorageBalance {
    StorageBalance { total: namespace.deposit, available: namespace.available() }
}

/// NEP-145's bounds of a storage deposit, yoctoNEAR.
#[near(serializers = [json])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageBalanceBounds {
    /// What registering costs.
    pub min: NearToken,
    /// Always `None`: there is no maximum.
    pub max: Option<NearToken>,
}

#[near]
impl Contract {
    /// Registers an account (the caller, unless another is named), or adds to its deposit. With
    /// `registration_only`, what is attached beyond the minimum goes back.
    ///
    /// # Errors
    /// [`NamespaceError::Registration`].
    #[payable]
    #[handle_result]
    pub fn storage_deposit(
        &mut self,
        account_id: Option<AccountId>,
        registration_only: Option<bool>,
    ) -> Result<StorageBalance, ContractError> {
        let (caller, attached) = (env::predecessor_account_id(), env::attached_deposit());
        let account_id = account_id.unwrap_or_else(|| caller.clone());
        let needed = self.storage_balance_bounds().min;
        let earlier = namespace::find(&account_id);
        if earlier.is_none() && attached < needed {
            return Err(NamespaceError::Registration { found: attached, needed }.into());
        }
        let kept = match (registration_only.unwrap_or(false), earlier) {
            (false, _) => attached,
            (true, None) => needed,
            (true, Some(_)) => NearToken::ZERO,
        };
        let mut namespace = self.for_tenant(|_| namespace::open(&account_id));
        self.add_storage_deposit(&mut namespace, kept)?;
        namespace::save(&account_id, &namespace);
        let excess = attached.saturating_sub(kept);
        self.funds.take_in(Pot::Storage, excess)?;
        self.pay_out(Pot::Storage, &caller, excess)?;
        Ok(balance(&namespace))
    }

    /// Pays out the part of the caller's deposit that no stored byte needs, or `amount` of it.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: not exactly one yoctoNEAR is attached, the caller is not
    /// registered, or `amount` is more than is free.
    #[payable]
    #[handle_result]
    pub fn storage_withdraw(
        &mut self,
        amount: Option<NearToken>,
    ) -> Result<StorageBalance, ContractError> {
        check_one_yocto()?;
        let caller = env::predecessor_account_id();
        let mut namespace = namespace::load(&caller)?;
        let available = namespace.available();
        let amount = amount.unwrap_or(available);
        if amount > available {
            return Err(NamespaceError::Withdrawal { found: amount, available }.into());
        }
        namespace.deposit = namespace.deposit.saturating_sub(amount);
        namespace::save(&caller, &namespace);
        self.return_with_yocto(&caller, amount)?;
        Ok(balance(&namespace))
    }

    /// Closes the caller's namespace and pays out its whole deposit. Returns false when there is no
    /// namespace. With `force`, its keys are removed first (as many as one call's gas allows).
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: not exactly one yoctoNEAR is attached, keys are left and
    /// `force` is not given, a key is locked, or keys are left that live requests may read.
    #[payable]
    #[handle_result]
    pub fn storage_unregister(&mut self, force: Option<bool>) -> Result<bool, ContractError> {
        check_one_yocto()?;
        let caller = env::predecessor_account_id();
        let Some(mut namespace) = namespace::find(&caller) else {
            self.return_with_yocto(&caller, NearToken::ZERO)?;
            return Ok(false);
        };
        let keys = namespace.keys;
        if keys > 0 {
            if !force.unwrap_or(false) {
                return Err(NamespaceError::NotEmpty { account_id: caller, keys }.into());
            }
            // One yoctoNEAR is attached, which pays for nobody's execution.
            let needed = change_fee::of(&caller);
            if !needed.is_zero() {
                return Err(NamespaceError::LiveReaders { found: ONE_YOCTO, needed }.into());
            }
            for key in namespace::keys(&caller, 0, keys.into()) {
                namespace::check_unlocked(&caller, &key)?;
                self.for_tenant(|_| namespace::remove(&caller, &mut namespace, &key));
            }
        }
        self.for_tenant(|_| namespace::delete(&caller));
        self.return_with_yocto(&caller, namespace.deposit)?;
        Ok(true)
    }

    /// The balance of an account; `None` when it is not registered.
    pub fn storage_balance_of(&self, account_id: AccountId) -> Option<StorageBalance> {
        namespace::find(&account_id).as_ref().map(balance)
    }

    /// The bounds of a storage deposit: what registering costs, and no maximum.
    pub fn storage_balance_bounds(&self) -> StorageBalanceBounds {
        StorageBalanceBounds { min: namespace::cost(MAX_EMPTY_BYTES), max: None }
    }
}

impl Contract {
    /// Pays from the storage pot, and returns the yoctoNEAR that was attached to the call.
    fn return_with_yocto(
        &mut self,
        to: &AccountId,
        amount: NearToken,
    ) -> Result<(), ContractError> {
        self.funds.take_in(Pot::Storage, ONE_YOCTO)?;
        self.pay_out(Pot::Storage, to, amount.saturating_add(ONE_YOCTO))?;
        Ok(())
    }
}
