//! wasmtime's configuration.

use outlayer_protocol::Meter;
use wasmtime::{
    Config, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig, Strategy,
    WasmFeatures,
};

use super::ExecutorConfig;
use crate::prepare::{self, stack::NATIVE_STACK_BYTES};

/// What the host's own functions may use of the native stack, beyond the guest's share.
pub(crate) const HOST_STACK_BYTES: usize = 1 << 20;

/// The configuration for guests under `meter`: the engine counts fuel itself, gas is counted by the module.
pub(super) fn wasmtime_config(config: &ExecutorConfig, meter: Meter) -> Config {
    let mut wasmtime = Config::new();
    wasmtime
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(if config.optimize { OptLevel::Speed } else { OptLevel::None })
        .cranelift_nan_canonicalization(true)
        .parallel_compilation(config.parallel_compilation)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(prepare::FEATURES, true)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .generate_address_map(false);
    match meter {
        Meter::Fuel => {
            let mut cost = OperatorCost::new();
            cost.variable.memory_grow_per_page = 1;
            wasmtime
                .consume_fuel(true)
                .operator_cost(cost)
                .wasm_features(WasmFeatures::COMPONENT_MODEL, true)
                // The engine's own modules between components copy from one memory to another. A guest with two
                // memories would have been refused before.
                .wasm_features(WasmFeatures::MULTI_MEMORY, true);
        }
        Meter::Gas => {
            // The instrumentation computes with 128 bits; a guest that did would have been refused before.
            wasmtime.wasm_features(WasmFeatures::WIDE_ARITHMETIC, true).epoch_interruption(true);
        }
    }
    if let Some(places) = config.pool {
        let mut pool = PoolingAllocationConfig::new();
        // A component has a handful of modules, of which one or two have a memory.
        pool.total_component_instances(places)
            .total_core_instances(places.saturating_mul(16))
            .total_memories(places.saturating_mul(2))
            .total_stacks(places)
            .total_tables(places.saturating_mul(16))
            .max_memory_size(4 << 30)
            .table_elements(1_000_000)
            .max_tables_per_module(5)
            .max_core_instance_size(4 << 20);
        wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    wasmtime
}
