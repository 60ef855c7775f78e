//! The changes of a block in the making (`core/store/src/trie/update.rs` in nearcore).
//!
//! Reads see prospective changes first, then committed ones, then the state before the block. A receipt
//! that fails rolls the prospective ones back.

use super::types::RuntimeError;
use crate::state::{PathNode, State, Value, access_key_key, encode};
use borsh::{BorshDeserialize, BorshSerialize};
use near_crypto::PublicKey;
use near_primitives::account::{AccessKey, Account};
use near_primitives::hash::CryptoHash;
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{
    AccountId, RawStateChange, RawStateChangesWithTrieKey, StateChangeCause,
};
use outlayer_near_host::NodeCount;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

struct Committed {
    key: TrieKey,
    changes: Vec<RawStateChange>,
    value: Option<Value>,
}

/// Trie nodes and values that contracts have read in this block, by hash. A node of NEAR keeps the
/// same set (`AccountingState` in `runtime/runtime/src/ext.rs`).
#[derive(Debug, Default)]
struct SeenNodes(HashSet<CryptoHash>);

impl SeenNodes {
    fn visit(&mut self, hash: CryptoHash, count: &mut NodeCount) {
        if self.0.insert(hash) {
            count.first += 1;
        } else {
            count.again += 1;
        }
    }
}

/// What a node of NEAR records for those who check the block without having the state: each trie node
/// and value of the state before the block that was read (`core/store/src/trie/trie_recording.rs`).
#[derive(Debug, Default)]
struct Recorded {
    seen: HashSet<CryptoHash>,
    /// Bytes, with an allowance for each removal.
    size: u64,
}

impl Recorded {
    /// A removal may need nodes beside its path; so much is reckoned for them.
    const REMOVAL_SIZE: u64 = 2_000;

    fn node(&mut self, node: PathNode) {
        if self.seen.insert(node.hash) {
            self.size += node.size;
        }
    }

    fn value(&mut self, value: &Value) -> CryptoHash {
        let hash = near_primitives::hash::hash(value);
        self.node(PathNode { hash, size: super::amounts::len(value) });
        hash
    }
}

/// A value as a contract's access finds it.
pub(super) enum Found {
    /// Written in this block: reading it costs no trie node.
    Pending(Value),
    /// From the state before the block.
    Stored(Value),
}

impl Found {
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Pending(value) | Self::Stored(value) => value,
        }
    }
}

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

    fn pending(&self, key: &[u8]) -> Option<&Option<Value>> {
        self.prospective
            .get(key)
            .map(|(_, value)| value)
            .or_else(|| self.committed.get(key).map(|committed| &committed.value))
    }

    /// Reads the state before the block, recording the way.
    fn read_base(&self, key: &[u8]) -> (Option<Value>, Vec<PathNode>) {
        let (value, path) = self.base.get_with_path(key);
        let mut recorded = self.recorded.borrow_mut();
        path.iter().for_each(|node| recorded.node(*node));
        (value, path)
    }

    /// Bytes recorded so far.
    pub(super) fn recorded_size(&self) -> u64 {
        self.recorded.borrow().size
    }

    pub(super) fn get_raw(&self, key: &TrieKey) -> Option<Value> {
        let raw = key.to_vec();
        if let Some(value) = self.pending(&raw) {
            return value.clone();
        }
        // Code is handed out on another way.
        if matches!(key, TrieKey::ContractCode { .. } | TrieKey::GlobalContractCode { .. }) {
            return self.base.get_raw(&raw);
        }
        let (value, _) = self.read_base(&raw);
        if let Some(value) = &value {
            self.recorded.borrow_mut().value(value);
        }
        value
    }

    /// Finds a value as a read of a contract does: through flat storage, which touches no node.
    pub(super) fn find(&self, key: &TrieKey) -> Option<Found> {
        let key = key.to_vec();
        match self.pending(&key) {
            Some(value) => value.clone().map(Found::Pending),
            None => self.read_base(&key).0.map(Found::Stored),
        }
    }

    /// Finds a value as a write of a contract does: through the trie, node by node. The value's own
    /// node counts as well, since the caller gets the value.
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

    /// Notes that a contract has read a stored value.
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
                T::try_from_slice(&bytes)
                    .map_err(|err| RuntimeError::CorruptState(format!("{key:?}: {err}")))
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
            self.recorded.get_mut().size += Recorded::REMOVAL_SIZE;
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

    /// All keys that start with `prefix` and have a value, in order.
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

    /// Makes the prospective changes part of the block.
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

    /// The state after the block, and what changed. Anything uncommitted is lost.
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
