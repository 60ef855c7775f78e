//! wasmtime's configuration.

use outlayer_protocol::Meter;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use super::ExecutorConfig;
use crate::{
    EngineError,
    prepare::{self, stack::NATIVE_STACK_BYTES},
};

/// What the host's own functions may use of the native stack, beyond the guest's share.
pub(crate) const HOST_STACK_BYTES: usize = 1 << 20;

/// The most instances that the contract's default bounds let a request have. Only a component has more than one.
const MOST_INSTANCES: u32 = 64;
/// Tables of an instance, of which the accounting of the stack has one.
const TABLES_EACH: u32 = 2;
/// The most tables that a valid module has.
const MOST_TABLES: u32 = 100;
/// What a place of the pools keeps of its memory between two executions, bytes.
const KEPT_BYTES: usize = 64 << 10;

/// The engine for guests under `meter`; without pools where the host does not give the address space for them.
pub(super) fn engine(config: &ExecutorConfig, meter: Meter) -> Result<Engine, EngineError> {
    let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
    let mut wasmtime = wasmtime_config(config, meter);
    let Some(places) = config.pool else {
        return Engine::new(&wasmtime).map_err(failed);
    };
    wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(places, meter)));
    Engine::new(&wasmtime).or_else(|error| {
        tracing::warn!(
            places,
            error = format!("{error:#}"),
            "each execution allocates its own memory, there are no pools"
        );
        Engine::new(&wasmtime_config(config, meter)).map_err(failed)
    })
}

/// The configuration for guests under `meter`: the engine counts fuel itself, gas is counted by the module.
fn wasmtime_config(config: &ExecutorConfig, meter: Meter) -> Config {
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
    wasmtime
}

/// Places for so many executions at once, each as large as the largest request may want: a guest that runs without pools runs with
/// them, to the same end. They are address space, of which only what a guest uses becomes memory.
fn pool(places: u32, meter: Meter) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let instances = match meter {
        Meter::Fuel => places.saturating_mul(MOST_INSTANCES),
        Meter::Gas => places,
    };
    let tables = match meter {
        Meter::Fuel => instances.saturating_mul(TABLES_EACH).max(MOST_TABLES),
        // NEAR's limit for a module.
        Meter::Gas => places,
    };
    pool.total_component_instances(places)
        .total_core_instances(instances)
        .total_memories(instances)
        .total_tables(tables)
        .total_stacks(places)
        // A place cuts a table's or a memory's maximum down to its own, and what the guest may have follows from the maximum. So
        // these are the largest that there are.
        .max_memory_size(4 << 30)
        .table_elements(u32::MAX as usize)
        .max_tables_per_module(MOST_TABLES)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        // Up to so many bytes are written over with zeros, or with the module's data, when a place is used again; beyond that
        // the pages are given back to the system, which costs several times as much for a small guest.
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES);
    pool
}
