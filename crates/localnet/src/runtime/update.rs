//! The state before a block, with the changes that the block has made so far
//! (`core/store/src/trie/update.rs` in nearcore).
//!
//! A read looks among the prospective changes first, then among the committed ones, then in the
//! state before the block. When a receipt fails, its prospective changes are rolled back.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};
use near_crypto::PublicKey;
use near_primitives::{
    account::{AccessKey, Account},
    trie_key::TrieKey,
    types::{
        AccountId, Nonce, NonceIndex, RawStateChange, RawStateChangesWithTrieKey, StateChangeCause,
    },
};
use outlayer_near_host::NodeCount;

use super::{
    error::RuntimeError,
    reads::{Recorded, SeenNodes},
};
use crate::state::{PathNode, State, Value, access_key_key, encode};

/// The committed changes of one key.
struct Committed {
    key: TrieKey,
    /// Every change, with its cause, in order.
    changes: Vec<RawStateChange>,
    /// The value after all of them. `None` if the key was removed.
    value: Option<Value>,
}

/// A value that a contract's access has found.
pub(super) enum Found {
    /// It was written in this block. Reading it touches no trie node.
    Pending(Value),
    /// It stands in the state before the block.
    Stored(Value),
}

impl Found {
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Pending(value) | Self::Stored(value) => value,
        }
    }
}

/// The state before a block and the block's changes, by their encoded keys.
pub(super) struct StateUpdate {
    base: State,
    committed: BTreeMap<Vec<u8>, Committed>,
    prospective: BTreeMap<Vec<u8>, (TrieKey, Option<Value>)>,
    seen: RefCell<SeenNodes>,
    recorded: RefCell<Recorded>,
}

impl StateUpdate {
    pub(super) fn new(base: State) -> Self {
        Self {
            base,
            committed: BTreeMap::new(),
            prospective: BTreeMap::new(),
            seen: RefCell::default(),
            recorded: RefCell::default(),
        }
    }

    /// What this block has changed a key to: `Some(None)` if it was removed, `None` if it is
    /// unchanged.
    fn pending(&self, key: &[u8]) -> Option<&Option<Value>> {
        self.prospective
            .get(key)
            .map(|(_, value)| value)
            .or_else(|| self.committed.get(key).map(|committed| &committed.value))
    }

    /// Reads a key of the state before the block, and records the nodes on its path.
    fn read_base(&self, key: &[u8]) -> (Option<Value>, Vec<PathNode>) {
        let (value, path) = self.base.get_with_path(key);
        let mut recorded = self.recorded.borrow_mut();
        path.iter().for_each(|node| recorded.node(*node));
        (value, path)
    }

    /// The size of the storage proof so far, in bytes.
    pub(super) fn recorded_size(&self) -> u64 {
        self.recorded.borrow().size()
    }

    pub(super) fn get_raw(&self, key: &TrieKey) -> Option<Value> {
        let raw = key.to_vec();
        if let Some(value) = self.pending(&raw) {
            return value.clone();
        }
        // Code reaches those who check the block in another way, so it is no part of the proof.
        if matches!(key, TrieKey::ContractCode { .. } | TrieKey::GlobalContractCode { .. }) {
            return self.base.get_raw(&raw);
        }
        let (value, _) = self.read_base(&raw);
        if let Some(value) = &value {
            self.recorded.borrow_mut().value(value);
        }
        value
    }

    /// Finds a value as a contract's read does, which uses flat storage and touches no trie node.
    pub(super) fn find(&self, key: &TrieKey) -> Option<Found> {
        let key = key.to_vec();
        match self.pending(&key) {
            Some(value) => value.clone().map(Found::Pending),
            None => self.read_base(&key).0.map(Found::Stored),
        }
    }

    /// Finds a value as a contract's write does, which goes through the trie node by node. The
    /// value's own node counts as well, because the caller gets the value.
    pub(super) fn find_for_write(&self, key: &TrieKey) -> (Option<Value>, NodeCount) {
        let key = key.to_vec();
        if let Some(value) = self.pending(&key) {
            return (value.clone(), NodeCount::default());
        }
        let (value, path) = self.read_base(&key);
        let mut count = NodeCount::default();
        let mut seen = self.seen.borrow_mut();
        for node in path {
            seen.visit(node.hash, &mut count);
        }
        if let Some(value) = &value {
            seen.visit(self.recorded.borrow_mut().value(value), &mut count);
        }
        (value, count)
    }

    /// Counts a stored value that a contract has read.
    pub(super) fn note_value_read(&self, value: &Value) -> NodeCount {
        let mut count = NodeCount::default();
        let hash = self.recorded.borrow_mut().value(value);
        self.seen.borrow_mut().visit(hash, &mut count);
        count
    }

    pub(super) fn get<T: BorshDeserialize>(
        &self,
        key: &TrieKey,
    ) -> Result<Option<T>, RuntimeError> {
        self.get_raw(key)
            .map(|bytes| {
                T::try_from_slice(&bytes).map_err(|error| {
                    let source = Arc::new(error);
                    RuntimeError::Undecodable { key: format!("{key:?}"), source }
                })
            })
            .transpose()
    }

    pub(super) fn contains(&self, key: &TrieKey) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn set_raw(&mut self, key: TrieKey, value: impl Into<Value>) {
        self.prospective.insert(key.to_vec(), (key, Some(value.into())));
    }

    pub(super) fn set<T: BorshSerialize>(&mut self, key: TrieKey, value: &T) {
        self.set_raw(key, encode(value));
    }

    pub(super) fn remove(&mut self, key: TrieKey) {
        if matches!(key, TrieKey::ContractData { .. }) {
            self.recorded.get_mut().removal();
        }
        self.prospective.insert(key.to_vec(), (key, None));
    }

    pub(super) fn account(&self, account_id: &AccountId) -> Result<Option<Account>, RuntimeError> {
        self.get(&TrieKey::Account { account_id: account_id.clone() })
    }

    pub(super) fn set_account(&mut self, account_id: &AccountId, account: &Account) {
        self.set(TrieKey::Account { account_id: account_id.clone() }, account);
    }

    pub(super) fn access_key(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
    ) -> Result<Option<AccessKey>, RuntimeError> {
        self.get(&access_key_key(account_id, key))
    }

    pub(super) fn set_access_key(
        &mut self,
        account_id: &AccountId,
        key: &PublicKey,
        value: &AccessKey,
    ) {
        self.set(access_key_key(account_id, key), value);
    }

    pub(super) fn gas_key_nonce(
        &self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
    ) -> Result<Option<Nonce>, RuntimeError> {
        self.get(&TrieKey::gas_key_nonce(account_id.clone(), key, index))
    }

    pub(super) fn set_gas_key_nonce(
        &mut self,
        account_id: &AccountId,
        key: &PublicKey,
        index: NonceIndex,
        nonce: Nonce,
    ) {
        self.set(TrieKey::gas_key_nonce(account_id.clone(), key, index), &nonce);
    }

    /// All keys that start with `prefix` and have a value, in ascending order.
    pub(super) fn keys_with_prefix(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys: BTreeSet<Vec<u8>> =
            self.base.iter_prefix(prefix).map(|(key, _)| key).collect();
        let start = prefix.to_vec();
        let committed = self
            .committed
            .range(start.clone()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, change)| (key, change.value.is_some()));
        let prospective = self
            .prospective
            .range(start..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (_, value))| (key, value.is_some()));
        for (key, present) in committed.chain(prospective) {
            if present {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        keys.into_iter().collect()
    }

    /// Makes the prospective changes a part of the block, for the reason `cause`.
    pub(super) fn commit(&mut self, cause: &StateChangeCause) {
        for (raw, (key, value)) in std::mem::take(&mut self.prospective) {
            let change =
                RawStateChange { cause: cause.clone(), data: value.as_deref().map(Vec::from) };
            let committed = self.committed.entry(raw).or_insert_with(|| Committed {
                key,
                changes: Vec::new(),
                value: None,
            });
            committed.changes.push(change);
            committed.value = value;
        }
    }

    /// Drops the prospective changes.
    pub(super) fn rollback(&mut self) {
        self.prospective.clear();
    }

    /// The state after the block, and the committed changes. Uncommitted changes are dropped.
    pub(super) fn finish(self) -> (State, Vec<RawStateChangesWithTrieKey>) {
        let mut state = self.base;
        let mut changes = Vec::with_capacity(self.committed.len());
        for (raw, committed) in self.committed {
            match committed.value {
                Some(value) => state.set_raw(&raw, value),
                None => state.remove_raw(&raw),
            }
            changes.push(RawStateChangesWithTrieKey {
                trie_key: committed.key,
                changes: committed.changes,
            });
        }
        (state, changes)
    }
}
