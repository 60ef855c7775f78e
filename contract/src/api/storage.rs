//! What an account does with its own namespace, and views of namespaces.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{
    Bytes,
    secrets::is_reserved_key,
    storage::{check_key, check_value},
};

use crate::{
    Contract, ContractError, ContractExt, NamespaceError, Pot, change_fee,
    namespace::{self, Namespace},
};

#[near]
impl Contract {
    /// Sets a key of the caller's namespace. What is attached is added to the caller's storage
    /// deposit. While requests of the caller are live that may read storage, their fees are taken
    /// from it first, because workers execute again after the change
    /// ([`get_change_fee`](Self::get_change_fee)). Keys that no guest may use, such as those of
    /// secrets, cost none.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: the key or value is out of bounds, the key is locked, too
    /// little is attached, or the deposit does not pay for the bytes.
    #[payable]
    #[handle_result]
    pub fn storage_set(&mut self, key: Bytes, value: Bytes) -> Result<(), ContractError> {
        self.set_all(&[(key, value)])
    }

    /// Sets several keys of the caller's namespace, all of them or none, for the same fees as a
    /// single one. What is attached beyond them is added to the caller's storage deposit.
    ///
    /// # Errors
    /// As for [`storage_set`](Self::storage_set), if any of the keys cannot be set.
    #[payable]
    #[handle_result]
    pub fn storage_set_many(&mut self, entries: Vec<(Bytes, Bytes)>) -> Result<(), ContractError> {
        self.set_all(&entries)
    }

    /// Removes a key of the caller's namespace, which frees its bytes. Returns whether it was
    /// there. It costs the same fees as [`storage_set`](Self::storage_set), and the rest of what is
    /// attached is added to the caller's storage deposit too.
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: the key is locked, the caller is not registered, or too little
    /// is attached.
    #[payable]
    #[handle_result]
    pub fn storage_remove(&mut self, key: Bytes) -> Result<bool, ContractError> {
        let caller = env::predecessor_account_id();
        check_key(&key).map_err(NamespaceError::from)?;
        namespace::check_unlocked(&caller, &key)?;
        let mut namespace = namespace::load(&caller)?;
        let added = self.charge_change_of(&caller, [&key])?;
        self.add_storage_deposit(&mut namespace, added)?;
        let keys = namespace.keys;
        self.for_tenant(|_| namespace::remove(&caller, &mut namespace, &key));
        namespace::save(&caller, &namespace);
        Ok(namespace.keys < keys)
    }

    /// Removes up to `limit` keys of the caller's namespace, the last of the list first. Returns
    /// how many are left, so that a namespace of any size can be emptied in several calls. It costs
    /// the same fees as [`storage_remove`](Self::storage_remove).
    ///
    /// # Errors
    /// [`ContractError::Namespace`]: one of the keys is locked, the caller is not registered, or
    /// too little is attached.
    #[payable]
    #[handle_result]
    pub fn storage_clear(&mut self, limit: u32) -> Result<u32, ContractError> {
        let caller = env::predecessor_account_id();
        let mut namespace = namespace::load(&caller)?;
        let added = self.charge_change(&caller)?;
        self.add_storage_deposit(&mut namespace, added)?;
        let left = namespace.keys.saturating_sub(limit);
        // From the end, no other key moves into the place of one that is removed.
        for key in namespace::keys(&caller, left.into(), limit.into()).iter().rev() {
            namespace::check_unlocked(&caller, key)?;
            self.for_tenant(|_| namespace::remove(&caller, &mut namespace, key));
        }
        namespace::save(&caller, &namespace);
        Ok(namespace.keys)
    }

    /// What must be attached to a change of an account's namespace now: the fees of the live
    /// requests that may read it.
    pub fn get_change_fee(&self, account_id: AccountId) -> NearToken {
        change_fee::of(&account_id)
    }

    /// The value of a key in an account's namespace.
    pub fn storage_get(&self, account_id: AccountId, key: Bytes) -> Option<Bytes> {
        namespace::get(&account_id, &key).map(Bytes)
    }

    /// The values of several keys as of one block.
    pub fn storage_get_many(&self, account_id: AccountId, keys: Vec<Bytes>) -> Vec<Option<Bytes>> {
        keys.iter().map(|key| namespace::get(&account_id, key).map(Bytes)).collect()
    }

    /// A page of an account's keys, in no particular order.
    pub fn storage_keys(&self, account_id: AccountId, from_index: u64, limit: u64) -> Vec<Bytes> {
        namespace::keys(&account_id, from_index, limit)
    }
}

impl Contract {
    /// Takes the fee for a change of these keys from what is attached, and gives the rest of it.
    /// Keys that no guest reads are changed for nothing.
    fn charge_change_of<'a>(
        &mut self,
        caller: &AccountId,
        keys: impl IntoIterator<Item = &'a Bytes>,
    ) -> Result<NearToken, ContractError> {
        if keys.into_iter().all(|key| is_reserved_key(key)) {
            return Ok(env::attached_deposit());
        }
        self.charge_change(caller)
    }

    fn set_all(&mut self, entries: &[(Bytes, Bytes)]) -> Result<(), ContractError> {
        let caller = env::predecessor_account_id();
        for (key, value) in entries {
            check_key(key).and_then(|()| check_value(value)).map_err(NamespaceError::from)?;
            namespace::check_unlocked(&caller, key)?;
        }
        let added = self.charge_change_of(&caller, entries.iter().map(|(key, _)| key))?;
        let mut namespace = self.for_tenant(|_| namespace::open(&caller));
        self.add_storage_deposit(&mut namespace, added)?;
        for (key, value) in entries {
            self.for_tenant(|_| namespace::set(&caller, &mut namespace, key, value));
        }
        namespace.check_paid(&caller)?;
        namespace::save(&caller, &namespace);
        Ok(())
    }

    /// Adds money that came in to a namespace's deposit. The caller saves the namespace.
    pub(crate) fn add_storage_deposit(
        &mut self,
        namespace: &mut Namespace,
        amount: NearToken,
    ) -> Result<(), ContractError> {
        self.funds.take_in(Pot::Storage, amount)?;
        // It is a part of the pot, which did not overflow.
        namespace.deposit = namespace.deposit.saturating_add(amount);
        Ok(())
    }
}
