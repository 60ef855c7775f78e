//! Storage as near-vm-runner asks for it: values behind pointers, and what an access costs.

use near_vm_runner::logic::{StorageAccessTracker, ValuePtr};

use crate::vm_result::VmResult;

/// How many trie nodes an access reads, by what each of them costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCount {
    /// Nodes that are read for the first time in this block, from the database.
    pub first: u64,
    /// Nodes that are read again, from memory.
    pub again: u64,
}

impl NodeCount {
    /// Charges for the nodes.
    ///
    /// # Errors
    /// When the gas does not suffice.
    pub fn charge(self, tracker: &mut dyn StorageAccessTracker) -> VmResult<()> {
        tracker.trie_node_touched(self.first)?;
        tracker.cached_trie_node_access(self.again)
    }
}

/// What a write or a removal costs beyond its base fee and the bytes that it brings.
pub struct Charges<'a> {
    tracker: &'a mut dyn StorageAccessTracker,
    removal: bool,
}

impl<'a> Charges<'a> {
    pub(crate) fn of_write(tracker: &'a mut dyn StorageAccessTracker) -> Self {
        Self { tracker, removal: false }
    }

    pub(crate) fn of_removal(tracker: &'a mut dyn StorageAccessTracker) -> Self {
        Self { tracker, removal: true }
    }

    /// Charges for the bytes of the value that was there, if one was.
    ///
    /// # Errors
    /// When the gas does not suffice.
    pub fn old_value(&mut self, old: Option<impl AsRef<[u8]>>) -> VmResult<()> {
        let Some(old) = old else {
            return Ok(());
        };
        let bytes = old.as_ref().len() as u64;
        if self.removal {
            self.tracker.deref_removed_value_bytes(bytes)
        } else {
            self.tracker.deref_write_evicted_value_bytes(bytes)
        }
    }

    /// Charges for the trie nodes on the way to the key.
    ///
    /// # Errors
    /// When the gas does not suffice.
    pub fn nodes(&mut self, nodes: NodeCount) -> VmResult<()> {
        nodes.charge(self.tracker)
    }
}

/// A value at hand: reading it touches no trie node.
#[derive(Debug)]
pub struct Plain<T>(pub T);

impl<T: AsRef<[u8]>> ValuePtr for Plain<T> {
    fn len(&self) -> u32 {
        u32::try_from(self.0.as_ref().len()).unwrap_or(u32::MAX)
    }

    fn deref(&self, _: &mut dyn StorageAccessTracker) -> VmResult<Vec<u8>> {
        Ok(self.0.as_ref().to_vec())
    }
}
