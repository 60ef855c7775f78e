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
    /// Has `most` live requests where there are `count` and there were no others: copies of the
    /// first. Making so many would take minutes.
    pub(crate) fn repeat_requests(&mut self, count: u32, most: u32) {
        let record = |id: u32| [&b"R"[..], &u64::from(id).to_be_bytes()].concat();
        let entry = self.trie[&record(0)].clone();
        self.trie.extend((count..most).map(|id| (record(id), entry.clone())));
        // In the contract's own state the next request's id, two ids of 0, and two counts.
        let state = self.trie.get_mut(&b"STATE"[..]).unwrap();
        let numbers = |count: u32| {
            [&u64::from(count).to_le_bytes()[..], &[0; 8 + 8 + 4], &count.to_le_bytes()].concat()
        };
        let (found, wanted) = (numbers(count), numbers(most));
        let places = state.windows(found.len()).enumerate().filter(|(_, bytes)| *bytes == found);
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        let [place] = places[..] else { panic!("{places:?}") };
        state[place..place + wanted.len()].copy_from_slice(&wanted);
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
