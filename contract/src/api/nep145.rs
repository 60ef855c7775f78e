//! NEP-145: paying for a namespace's bytes.
//!
//! The two types are our own. Those of `near-contract-standards` come with near-sdk's old collections and its `Promise`, have
//! neither `Debug` nor equality, and its trait has no place for a typed error; a test holds ours against them.

use near_sdk::{AccountId, NearToken, env, near};

use crate::{
    Contract, ContractError, ContractExt, NamespaceError, Pot,
    namespace::{self, Account, MAX_ACCOUNT_BYTES},
};

/// NEP-145's balance of an account, yoctoNEAR.
#[near(serializers = [json])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageBalance {
    /// Paid in.
    pub total: NearToken,
    /// Of it, what no stored byte needs.
    pub available: NearToken,
}

impl From<&Account> for StorageBalance {
    fn from(account: &Account) -> Self {
        Self { total: account.deposit, available: account.available() }
    }
}

/// NEP-145's bounds, yoctoNEAR.
#[near(serializers = [json])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageBalanceBounds {
    /// What registering takes.
    pub min: NearToken,
    /// There is no maximum.
    pub max: Option<NearToken>,
}

const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);

fn check_one_yocto() -> Result<(), NamespaceError> {
    let found = env::attached_deposit();
    if found != ONE_YOCTO {
        return Err(NamespaceError::OneYocto { found });
    }
    Ok(())
}

#[near]
impl Contract {
    /// Registers an account (the caller, unless one is named) or adds to its deposit. With `registration_only`, what goes
    /// beyond the minimum goes back.
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
        let mut account = self.for_tenant(|_| namespace::open(&account_id));
        self.add_storage_deposit(&mut account, kept)?;
        namespace::save(&account_id, &account);
        let excess = attached.saturating_sub(kept);
        self.funds.take_in(Pot::Storage, excess)?;
        self.pay_out(Pot::Storage, &caller, excess)?;
        Ok((&account).into())
    }

    /// Pays out what no stored byte needs, or `amount` of it.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: not exactly one yoctoNEAR attached, not registered, more than is free.
    #[payable]
    #[handle_result]
    pub fn storage_withdraw(
        &mut self,
        amount: Option<NearToken>,
    ) -> Result<StorageBalance, ContractError> {
        check_one_yocto()?;
        let caller = env::predecessor_account_id();
        let mut account = namespace::load(&caller)?;
        let available = account.available();
        let amount = amount.unwrap_or(available);
        if amount > available {
            return Err(NamespaceError::Withdrawal { found: amount, available }.into());
        }
        account.deposit = account.deposit.saturating_sub(amount);
        namespace::save(&caller, &account);
        self.return_with_yocto(&caller, amount)?;
        Ok((&account).into())
    }

    /// Closes the caller's namespace and pays its whole deposit out; false when there is none. With `force`, its keys are
    /// removed first (as many as one call's gas allows).
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: not exactly one yoctoNEAR attached, keys left without `force`, a key that is held.
    #[payable]
    #[handle_result]
    pub fn storage_unregister(&mut self, force: Option<bool>) -> Result<bool, ContractError> {
        check_one_yocto()?;
        let caller = env::predecessor_account_id();
        let Some(mut account) = namespace::find(&caller) else {
            self.return_with_yocto(&caller, NearToken::ZERO)?;
            return Ok(false);
        };
        if account.keys > 0 {
            if !force.unwrap_or(false) {
                return Err(
                    NamespaceError::NotEmpty { account_id: caller, keys: account.keys }.into()
                );
            }
            for key in namespace::keys(&caller, 0, account.keys.into()) {
                namespace::check_free(&caller, &key)?;
                self.for_tenant(|_| namespace::remove(&caller, &mut account, &key));
            }
        }
        self.for_tenant(|_| namespace::delete(&caller));
        self.return_with_yocto(&caller, account.deposit)?;
        Ok(true)
    }

    /// The balance of an account; `None` when it is not registered.
    pub fn storage_balance_of(&self, account_id: AccountId) -> Option<StorageBalance> {
        namespace::find(&account_id).as_ref().map(Into::into)
    }

    /// What registering takes.
    pub fn storage_balance_bounds(&self) -> StorageBalanceBounds {
        StorageBalanceBounds { min: namespace::cost(MAX_ACCOUNT_BYTES), max: None }
    }
}

impl Contract {
    /// Pays from the storage pot, and returns the yoctoNEAR that was attached to ask for it.
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
