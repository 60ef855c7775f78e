//! The fees of the pinned runtime configuration that the gas meter needs.

use std::sync::LazyLock;

use near_parameters::{ActionCosts, ExtCosts, RuntimeFeesConfig, vm::Config};
use near_primitives_core::config::INLINE_DISK_VALUE_THRESHOLD;
use outlayer_guest::{Work, fuel};

use crate::near_config::near_config;

/// A node charges a write or a removal for each node of its trie on the way to the key. A namespace
/// has no trie, so the number is fixed: about as many as there are on the way to a key of a small
/// contract, on a shard with a million accounts.
pub const TRIE_NODES: u64 = 10;

/// A fee with a fixed part and a part for each byte, units of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fee {
    base: u64,
    byte: u64,
}

impl Fee {
    /// The fee for this many bytes.
    pub(crate) fn of(self, bytes: u64) -> u64 {
        self.base.saturating_add(bytes.saturating_mul(self.byte))
    }
}

/// NEAR's fees, units of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) base: u64,
    /// An operator without bulk or growth.
    operator: u64,
    pub(crate) loading: Fee,
    read_memory: Fee,
    write_memory: Fee,
    sha256: Fee,
    log: Fee,
    storage_read: Fee,
    storage_write: Fee,
    storage_remove: Fee,
    storage_write_value_byte: u64,
    storage_remove_value_byte: u64,
    /// [`TRIE_NODES`] nodes.
    trie_nodes: u64,
    storage_read_value_byte: u64,
    large_read: Fee,
    /// A receipt to another account, and what each result that it waits for adds.
    promise: Fee,
    planned_call: Fee,
    planned_transfer: u64,
}

impl Fees {
    /// The fees of this engine.
    pub(crate) fn get() -> &'static Self {
        static FEES: LazyLock<Fees> =
            LazyLock::new(|| Fees::new(&near_config().wasm_config, &near_config().fees));
        &FEES
    }

    fn new(config: &Config, fees: &RuntimeFeesConfig) -> Self {
        let costs = &config.ext_costs;
        let gas = |cost: ExtCosts| cost.gas(costs).as_gas();
        let fee = |fixed: ExtCosts, each: ExtCosts| Fee { base: gas(fixed), byte: gas(each) };
        // To another account: nobody knows which one carries the plan out.
        let send = |cost: ActionCosts| fees.fee(cost).send_fee(false).gas.as_gas();
        use ExtCosts as Cost;
        Self {
            base: gas(Cost::base),
            operator: config.regular_op_cost.into(),
            loading: fee(Cost::contract_loading_base, Cost::contract_loading_bytes),
            read_memory: fee(Cost::read_memory_base, Cost::read_memory_byte),
            write_memory: fee(Cost::write_memory_base, Cost::write_memory_byte),
            sha256: fee(Cost::sha256_base, Cost::sha256_byte),
            log: fee(Cost::log_base, Cost::log_byte),
            storage_read: fee(Cost::storage_read_base, Cost::storage_read_key_byte),
            storage_write: fee(Cost::storage_write_base, Cost::storage_write_key_byte),
            storage_remove: fee(Cost::storage_remove_base, Cost::storage_remove_key_byte),
            storage_write_value_byte: gas(Cost::storage_write_value_byte),
            storage_remove_value_byte: gas(Cost::storage_remove_ret_value_byte),
            trie_nodes: gas(Cost::touching_trie_node).saturating_mul(TRIE_NODES),
            storage_read_value_byte: gas(Cost::storage_read_value_byte),
            large_read: fee(
                Cost::storage_large_read_overhead_base,
                Cost::storage_large_read_overhead_byte,
            ),
            promise: Fee {
                base: send(ActionCosts::new_action_receipt),
                byte: send(ActionCosts::new_data_receipt_base),
            },
            planned_call: Fee {
                base: send(ActionCosts::function_call_base),
                byte: send(ActionCosts::function_call_byte),
            },
            planned_transfer: send(ActionCosts::transfer),
        }
    }

    /// What `work` of a host function costs, as [`gas`](crate::gas) lists it.
    pub(crate) fn cost(&self, work: Work) -> u64 {
        match work {
            Work::Call => self.base,
            // Transferring no bytes costs nothing.
            Work::Read(0) | Work::Write(0) | Work::Random(0) => 0,
            Work::Read(bytes) => self.read_memory.of(bytes),
            Work::Write(bytes) => self.write_memory.of(bytes),
            Work::Random(bytes) => {
                self.write_memory.of(bytes).saturating_add(self.sha256.of(bytes))
            }
            Work::Log(bytes) => self.log.of(bytes),
            Work::StorageRead(key) => self.storage_read.of(key),
            Work::StorageWrite(key) => self.storage_write.of(key).saturating_add(self.trie_nodes),
            Work::StorageRemove(key) => self.storage_remove.of(key).saturating_add(self.trie_nodes),
            // NEAR has no snapshot: its fee for a read covers where the value comes from.
            Work::Fetch | Work::Fetched(_) => 0,
            Work::Found(bytes) => self.found(bytes),
            Work::Stored(bytes) => bytes.saturating_mul(self.storage_write_value_byte),
            // NEAR has no HTTP.
            work @ (Work::Exchange(_) | Work::Exchanged(_)) => self.operators(fuel::cost(work)),
            Work::Promise(dependencies) => self.promise.of(dependencies),
            Work::PlannedCall(bytes) => self.planned_call.of(bytes),
            Work::PlannedTransfer => self.planned_transfer,
            Work::Removed(bytes) => bytes.saturating_mul(self.storage_remove_value_byte),
        }
    }

    /// The gas of so many operators.
    pub(crate) fn operators(&self, count: u64) -> u64 {
        count.saturating_mul(self.operator)
    }

    /// The fee for a value that a storage read found.
    fn found(&self, bytes: u64) -> u64 {
        // NEAR's flat storage does not hold longer values.
        let large =
            if bytes > INLINE_DISK_VALUE_THRESHOLD as u64 { self.large_read.of(bytes) } else { 0 };
        bytes.saturating_mul(self.storage_read_value_byte).saturating_add(large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures that NEAR's documentation names.
    #[test]
    fn the_pinned_fees_are_those_of_protocol_88() {
        let fees = Fees::get();
        assert_eq!(fees.base, 264_768_111);
        assert_eq!(fees.loading.of(1_000), 35_445_963 + 1_000 * 1_089_295);
        assert_eq!(fees.read_memory.of(2), 2_609_863_200 + 2 * 3_801_333);
        assert_eq!(fees.trie_nodes, TRIE_NODES * 2_280_000_000);
        assert_eq!(fees.found(4_000), 4_000 * 5_611_004);
        assert_eq!(fees.found(4_001), 4_001 * 5_611_004 + 1 + 4_001);
        assert_eq!(fees.read_memory.of(u64::MAX), u64::MAX);
    }
}
