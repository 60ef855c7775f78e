//! What a node's figure for a call has beside what the contract burned, so that the two can be
//! taken apart.

use near_parameters::{ActionCosts, ExtCosts, RuntimeConfigStore};
use outlayer_guest::NEAR_CONFIG_VERSION;

use super::TRIE_NODES;
use crate::near_config::near_config;

/// NEAR's fees under a protocol version, as far as they tell the parts of a call's gas apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFees {
    receipt: u64,
    call: u64,
    call_byte: u64,
    loading: u64,
    loading_byte: u64,
    storage_write: u64,
    storage_remove: u64,
}

impl CallFees {
    /// The fees of mainnet under this protocol version; for one that is newer than this build
    /// knows, those of the newest that it knows.
    pub fn of(protocol_version: u32) -> Self {
        let store = RuntimeConfigStore::new(None);
        let config = store.get_config(protocol_version);
        let action = |cost: ActionCosts| config.fees.fee(cost).exec_fee().gas.as_gas();
        let host = |cost: ExtCosts| cost.gas(&config.wasm_config.ext_costs).as_gas();
        Self {
            receipt: action(ActionCosts::new_action_receipt),
            call: action(ActionCosts::function_call_base),
            call_byte: action(ActionCosts::function_call_byte),
            loading: host(ExtCosts::contract_loading_base),
            loading_byte: host(ExtCosts::contract_loading_bytes),
            storage_write: host(ExtCosts::storage_write_base),
            storage_remove: host(ExtCosts::storage_remove_base),
        }
    }

    /// What a receipt that is one call burns before the contract is loaded.
    pub fn receipt(&self, method: &str, args: &[u8]) -> u64 {
        let bytes = (method.len() as u64).saturating_add(args.len() as u64);
        self.receipt.saturating_add(self.call).saturating_add(self.call_byte.saturating_mul(bytes))
    }

    /// What loading a contract of this many bytes burns.
    pub fn loading(&self, code_bytes: usize) -> u64 {
        self.loading.saturating_add(self.loading_byte.saturating_mul(code_bytes as u64))
    }

    /// How many writes or removals burned this much as their fixed part.
    pub fn storage_changes(&self, write_base: u64, remove_base: u64) -> u64 {
        let count = |gas: u64, each: u64| gas.checked_div(each).unwrap_or_default();
        count(write_base, self.storage_write)
            .saturating_add(count(remove_base, self.storage_remove))
    }
}

/// What this engine charges a `near` guest in place of the nodes of a trie, for so many writes and
/// removals.
pub fn trie_nodes(storage_changes: u64) -> u64 {
    let costs = &near_config().wasm_config.ext_costs;
    let node = ExtCosts::touching_trie_node.gas(costs).as_gas();
    node.saturating_mul(TRIE_NODES).saturating_mul(storage_changes)
}

/// Whether this engine's gas is that of a network under this protocol version: the same fees for
/// everything that a contract can do without making receipts.
pub fn has_the_gas_of(protocol_version: u32) -> bool {
    let store = RuntimeConfigStore::new(None);
    let [there, here] = [protocol_version, NEAR_CONFIG_VERSION]
        .map(|version| store.get_config(version).wasm_config.clone());
    there.ext_costs == here.ext_costs && there.regular_op_cost == here.regular_op_cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_call_are_nears() {
        let fees = CallFees::of(NEAR_CONFIG_VERSION);
        assert_eq!(fees.loading(1_000), 35_445_963 + 1_000 * 1_089_295);
        assert_eq!(fees.receipt("ab", b"c") - fees.receipt("a", b""), 2 * fees.call_byte);
        assert_eq!(fees.receipt("", b""), fees.receipt + fees.call);
        assert_eq!(fees.storage_changes(3 * fees.storage_write, fees.storage_remove), 4);
        assert_eq!(trie_nodes(2), 2 * TRIE_NODES * 2_280_000_000);
        assert!(has_the_gas_of(NEAR_CONFIG_VERSION));
    }
}
