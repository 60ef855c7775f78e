//! An account's own hand on its namespace.

use near_sdk::{AccountId, env, near};
use outlayer_protocol::{
    Bytes,
    storage::{check_key, check_value},
};

use crate::{Contract, ContractError, ContractExt, NamespaceError, Pot, namespace};

#[near]
impl Contract {
    /// Sets a key of the caller's namespace; what is attached is added to its storage deposit.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: a key or value out of bounds, a key that is held, bytes that are not paid for.
    #[payable]
    #[handle_result]
    pub fn storage_set(&mut self, key: Bytes, value: Bytes) -> Result<(), ContractError> {
        let caller = env::predecessor_account_id();
        check_key(&key).and_then(|()| check_value(&value)).map_err(NamespaceError::from)?;
        namespace::check_free(&caller, &key)?;
        let mut account = self.for_tenant(|_| namespace::open(&caller));
        self.add_storage_deposit(&mut account, env::attached_deposit())?;
        self.for_tenant(|_| namespace::set(&caller, &mut account, &key, &value));
        account.check_paid(&caller)?;
        namespace::save(&caller, &account);
        Ok(())
    }

    /// Removes a key of the caller's namespace, and says whether it was there. Its bytes are free again.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: a key that is held, an account that is not registered.
    #[handle_result]
    pub fn storage_remove(&mut self, key: Bytes) -> Result<bool, ContractError> {
        let caller = env::predecessor_account_id();
        check_key(&key).map_err(NamespaceError::from)?;
        namespace::check_free(&caller, &key)?;
        let mut account = namespace::load(&caller)?;
        let keys = account.keys;
        self.for_tenant(|_| namespace::remove(&caller, &mut account, &key));
        namespace::save(&caller, &account);
        Ok(account.keys < keys)
    }

    /// The value of a key in an account's namespace.
    pub fn storage_get(&self, account_id: AccountId, key: Bytes) -> Option<Bytes> {
        namespace::get(&account_id, &key).map(Bytes)
    }

    /// The values of several keys, in one view: asked for at a block, they are that block's.
    pub fn storage_get_many(&self, account_id: AccountId, keys: Vec<Bytes>) -> Vec<Option<Bytes>> {
        keys.iter().map(|key| namespace::get(&account_id, key).map(Bytes)).collect()
    }

    /// A page of an account's keys, in no particular order.
    pub fn storage_keys(&self, account_id: AccountId, from_index: u64, limit: u64) -> Vec<Bytes> {
        namespace::keys(&account_id, from_index, limit)
    }
}

impl Contract {
    /// Adds what came in to a namespace's deposit; the caller saves the record.
    pub(crate) fn add_storage_deposit(
        &mut self,
        account: &mut namespace::Account,
        amount: near_sdk::NearToken,
    ) -> Result<(), ContractError> {
        self.funds.take_in(Pot::Storage, amount)?;
        // A part of the pot, which did not overflow.
        account.deposit = account.deposit.saturating_add(amount);
        Ok(())
    }
}
