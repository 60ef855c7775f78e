//! The state of a chain: accounts, access keys, code, contract data and the runtime's own queues,
//! under the byte keys that nearcore uses (`near_primitives::trie_key::TrieKey`).
//!
//! Cloning is cheap. A clone is a snapshot, which shares everything that has not changed since.

mod root;
mod trie;

use borsh::{BorshDeserialize, BorshSerialize};
use near_crypto::{PublicKey, PublicKeyHandle};
use near_primitives::{
    account::{AccessKey, Account},
    hash::CryptoHash,
    receipt::ReceivedData,
    state_record::StateRecord,
    trie_key::{GlobalContractCodeIdentifier, TrieKey, trie_key_parsers},
    types::{AccountId, Nonce, NonceIndex},
};

pub use self::{root::PathNode, trie::Value};

/// A state, or a snapshot of one.
#[derive(Debug, Clone, Default)]
pub struct State {
    root: trie::Link,
}

impl State {
    /// A state without any key.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key, as bytes.
    pub fn get_raw(&self, key: &[u8]) -> Option<Value> {
        trie::lookup(&self.root, key, |_| ()).cloned()
    }

    /// The value of a key, and the trie nodes that a NEAR node reads to find the value or its
    /// absence.
    pub fn get_with_path(&self, key: &[u8]) -> (Option<Value>, Vec<PathNode>) {
        let mut path = Vec::new();
        let value = trie::lookup(&self.root, key, |node| path.push(root::path_node(node)));
        (value.cloned(), path)
    }

    /// Sets the value of a key.
    pub fn set_raw(&mut self, key: &[u8], value: impl Into<Value>) {
        self.root = trie::insert(&self.root, key, value.into());
    }

    /// Removes a key. Nothing happens if it has no value.
    pub fn remove_raw(&mut self, key: &[u8]) {
        self.root = trie::remove(&self.root, key);
    }

    /// All keys that start with `prefix`, in ascending order, with their values.
    pub fn iter_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = (Vec<u8>, Value)> + use<> {
        trie::Iter::new(&self.root, prefix)
    }

    /// The hash of the whole content, as nearcore computes a state root. The state root of a NEAR
    /// node differs, because such a node also keeps the state of its bandwidth scheduler there.
    pub fn root(&self) -> CryptoHash {
        root::root(&self.root)
    }

    /// The trie nodes that prove which keys start with `prefix` and what their values are. They are
    /// encoded as in nearcore, and the root comes first.
    pub fn proof(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        root::proof(&self.root, prefix)
    }

    /// The value of a key, decoded. `None` also if the bytes do not decode.
    pub fn get<T: BorshDeserialize>(&self, key: &TrieKey) -> Option<T> {
        T::try_from_slice(&self.get_raw(&key.to_vec())?).ok()
    }

    /// Encodes a value and sets it.
    pub fn set<T: BorshSerialize>(&mut self, key: &TrieKey, value: &T) {
        self.set_raw(&key.to_vec(), encode(value));
    }

    /// The record of an account. `None` if the account does not exist.
    pub fn account(&self, account_id: &AccountId) -> Option<Account> {
        self.get(&TrieKey::Account { account_id: account_id.clone() })
    }

    /// Creates an account, or replaces its record.
    pub fn set_account(&mut self, account_id: &AccountId, account: &Account) {
        self.set(&TrieKey::Account { account_id: account_id.clone() }, account);
    }

    /// An access key of an account. `None` if the account has no such key.
    pub fn access_key(&self, account_id: &AccountId, key: &PublicKey) -> Option<AccessKey> {
        self.get(&access_key_key(account_id, key))
    }

    /// One of the nonces of a gas key.
    pub fn gas_key_nonce(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
    ) -> Option<Nonce> {
        self.get(&TrieKey::gas_key_nonce(account_id.clone(), key, index))
    }

    /// Adds or replaces an access key.
    pub fn set_access_key(&mut self, account_id: &AccountId, key: &PublicKey, value: &AccessKey) {
        self.set(&access_key_key(account_id, key), value);
    }

    /// Removes an access key.
    pub fn remove_access_key(&mut self, account_id: &AccountId, key: &PublicKey) {
        self.remove_raw(&access_key_key(account_id, key).to_vec());
    }

    /// All access keys of an account, in the order of their bytes. The state has only the hash of a
    /// post-quantum key, so keys are given by their handles. The nonces of gas keys, which stand
    /// below their keys, are left out.
    pub fn access_keys(&self, account_id: &AccountId) -> Vec<(PublicKeyHandle, AccessKey)> {
        let prefix = trie_key_parsers::get_raw_prefix_for_access_keys(account_id);
        self.iter_prefix(&prefix)
            .filter_map(|(raw, value)| {
                let key = trie_key_parsers::parse_key_handle_from_access_key_key(&raw, account_id)
                    .ok()?;
                let nonce =
                    trie_key_parsers::parse_nonce_index_from_gas_key_key(&raw, account_id, &key);
                if nonce.ok()?.is_some() {
                    return None;
                }
                Some((key, AccessKey::try_from_slice(&value).ok()?))
            })
            .collect()
    }

    /// The whole state as records of a genesis: accounts, keys, code, data and waiting receipts.
    pub fn records(&self) -> Vec<StateRecord> {
        let raw = self.iter_prefix(&[]);
        raw.filter_map(|(key, value)| StateRecord::from_raw_key_value(&key, value.to_vec()))
            .collect()
    }

    /// The code that is deployed on the account itself, as opposed to a global contract that it
    /// uses.
    pub fn code(&self, account_id: &AccountId) -> Option<Value> {
        self.get_raw(&TrieKey::ContractCode { account_id: account_id.clone() }.to_vec())
    }

    /// Stores the code of a global contract under its hash.
    pub fn set_global_contract(&mut self, code: &[u8]) {
        let identifier = GlobalContractCodeIdentifier::CodeHash(CryptoHash::hash_bytes(code));
        self.set_raw(&TrieKey::GlobalContractCode { identifier }.to_vec(), code);
    }

    /// A value of a contract's storage. `key` is the key that the contract uses.
    pub fn contract_data(&self, account_id: &AccountId, key: &[u8]) -> Option<Value> {
        self.get_raw(&contract_data_key(account_id, key).to_vec())
    }

    /// All keys of a contract's storage that start with `prefix`, in ascending order, with their
    /// values.
    pub fn contract_data_iter(
        &self,
        account_id: &AccountId,
        prefix: &[u8],
    ) -> impl Iterator<Item = (Vec<u8>, Value)> + use<> {
        let raw = trie_key_parsers::get_raw_prefix_for_contract_data(account_id, prefix);
        let account_len = raw.len() - prefix.len();
        self.iter_prefix(&raw).map(move |(key, value)| (key[account_len..].to_vec(), value))
    }

    /// Puts a record of a genesis file or of `sandbox_patch_state` into the state. Postponed and
    /// delayed receipts are not supported and are skipped.
    pub fn apply_record(&mut self, record: StateRecord) {
        match record {
            StateRecord::Account { account_id, account } => self.set_account(&account_id, &account),
            StateRecord::Data { account_id, data_key, value } => {
                let key = contract_data_key(&account_id, &data_key);
                self.set_raw(&key.to_vec(), Vec::from(value));
            }
            StateRecord::Contract { account_id, code } => {
                self.set_raw(&TrieKey::ContractCode { account_id }.to_vec(), code);
            }
            StateRecord::AccessKey { account_id, public_key, access_key } => {
                self.set(&TrieKey::AccessKey { account_id, key_handle: public_key }, &access_key);
            }
            StateRecord::ReceivedData { account_id, data_id, data } => self.set(
                &TrieKey::ReceivedData { receiver_id: account_id, data_id },
                &ReceivedData { data },
            ),
            StateRecord::GasKeyNonce { account_id, public_key, index, nonce } => self
                .set(&TrieKey::GasKeyNonce { account_id, key_handle: public_key, index }, &nonce),
            StateRecord::PostponedReceipt(_) | StateRecord::DelayedReceipt(_) => {}
        }
    }
}

/// Encodes a value with Borsh. This cannot fail, because it writes to memory.
pub(crate) fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).unwrap_or_default()
}

/// The key under which an access key is stored.
pub(crate) fn access_key_key(account_id: &AccountId, key: &PublicKey) -> TrieKey {
    TrieKey::AccessKey { account_id: account_id.clone(), key_handle: key.into() }
}

/// The key under which a value of a contract's storage is stored.
pub(crate) fn contract_data_key(account_id: &AccountId, key: &[u8]) -> TrieKey {
    TrieKey::ContractData { account_id: account_id.clone(), key: key.to_vec() }
}

#[cfg(test)]
mod tests;
