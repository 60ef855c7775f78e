//! The chain around the contract: its storage and its promises, charged as a large network charges
//! them.

use std::collections::BTreeMap;

use near_primitives_core::{
    hash::{CryptoHash, YieldId, hash},
    types::{AccountId, Balance},
};
use near_vm_runner::logic::{ValuePtr, types::ReceiptIndex};
use outlayer_near_host::{Chain, Charges, NodeCount, Plain, ReceiptManager, VmResult, Yields};

/// Trie nodes on the path of a key: more than any that was seen on a network.
const PATH: NodeCount = NodeCount { first: 0, again: 30 };

/// A chain that lasts from call to call, so the receipts of all calls are there.
pub(crate) struct TestChain {
    trie: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) made: ReceiptManager,
}

impl Default for TestChain {
    fn default() -> Self {
        let data_id = |n: u64| hash(&n.to_le_bytes());
        Self { trie: BTreeMap::new(), made: ReceiptManager::new(data_id) }
    }
}

impl TestChain {
    /// Fills the index of live requests, which has `count` entries, up to `most`, with copies of
    /// its first entry. Making so many requests would take minutes.
    pub(crate) fn repeat_index(&mut self, count: u32, most: u32) {
        let slot = |position: u32| [&b"l"[..], &position.to_be_bytes()].concat();
        let entry = self.trie[&slot(0)].clone();
        self.trie.extend((count..most).map(|position| (slot(position), entry.clone())));
        // In the contract's own state, the number of live requests follows the next request's id.
        let state = self.trie.get_mut(&b"STATE"[..]).unwrap();
        let counts =
            |count: u32| [&u64::from(count).to_le_bytes()[..], &count.to_le_bytes()].concat();
        let places: Vec<_> =
            state.windows(12).enumerate().filter(|(_, bytes)| *bytes == counts(count)).collect();
        let [(place, _)] = places[..] else { panic!("{places:?}") };
        state[place..place + 12].copy_from_slice(&counts(most));
    }
}

impl Chain for TestChain {
    fn read(&self, key: &[u8]) -> VmResult<Option<Box<dyn ValuePtr + '_>>> {
        Ok(self.trie.get(key).map(|value| Box::new(Plain(value)) as Box<dyn ValuePtr>))
    }

    fn replace(
        &mut self,
        charges: &mut Charges<'_>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> VmResult<Option<Vec<u8>>> {
        let old = match value {
            Some(value) => self.trie.insert(key.to_vec(), value.to_vec()),
            None => self.trie.remove(key),
        };
        charges.old_value(old.as_ref())?;
        charges.nodes(PATH)?;
        Ok(old)
    }

    fn receipts(&mut self) -> VmResult<&mut ReceiptManager> {
        Ok(&mut self.made)
    }

    fn receiver(&self, receipt: ReceiptIndex) -> &AccountId {
        &self.made.get(receipt).unwrap().receiver_id
    }

    fn yields(&mut self) -> VmResult<&mut dyn Yields> {
        Ok(self)
    }

    fn validators(&self) -> VmResult<&BTreeMap<AccountId, Balance>> {
        unimplemented!("the contract does not ask for validators")
    }

    fn chain_id(&self) -> VmResult<&str> {
        unimplemented!("the contract does not ask for the chain's name")
    }

    fn universal_accounts(&self) -> VmResult<()> {
        unimplemented!("the contract does not use universal accounts")
    }
}

impl Yields for TestChain {
    fn begin(&mut self, _: &AccountId) -> CryptoHash {
        self.made.new_data_id()
    }

    fn resume(&mut self, _: CryptoHash) -> bool {
        true
    }

    fn begin_as(&mut self, _: &AccountId, _: YieldId) -> Option<CryptoHash> {
        unimplemented!("the contract does not choose ids of its yields")
    }

    fn find(&self, _: YieldId) -> Option<CryptoHash> {
        unimplemented!("the contract does not choose ids of its yields")
    }
}
