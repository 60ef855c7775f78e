//! wasmtime's configuration.

use std::num::NonZeroUsize;

use outlayer_guest::{
    Backtrace, fuel,
    prepare::{self, meter::NATIVE_STACK_BYTES},
};
use outlayer_protocol::Meter;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use super::clock;
use crate::{config::ExecutorConfig, error::EngineError};

/// What host functions may use of the native stack, in addition to the guest's share.
const HOST_STACK_BYTES: usize = 1 << 20;

/// The most instances that a request may have under the contract's default bounds. Only a component
/// has more than one.
const MOST_INSTANCES: u32 = 64;
/// The most tables that a valid module has, and one for stack metering.
const MOST_TABLES_OF_ONE: u32 = 101;
/// The most bytes that wasmtime keeps for an instance, beside its memory and tables. It is a bound
/// and reserves nothing. The bounds on a module keep an instance below a quarter of it.
const INSTANCE_BYTES: usize = 64 << 20;
/// How many bytes of its memory a place of the pools keeps between two executions.
const KEPT_BYTES: usize = 64 << 10;

/// The guests of a backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guests {
    /// Core modules, which count their fuel or their gas by themselves.
    Modules(Meter),
    /// Components, whose modules count their fuel together.
    Components,
    /// Components that contain others, whose fuel wasmtime counts.
    Compositions,
}

impl Guests {
    /// Whether wasmtime counts their fuel.
    fn are_counted(self) -> bool {
        self == Self::Compositions
    }

    fn are_components(self) -> bool {
        matches!(self, Self::Components | Self::Compositions)
    }
}

/// wasmtime's engine for such guests. It has no pools where the host does not give
/// the address space for them.
pub(super) fn engine(config: &ExecutorConfig, guests: Guests) -> Result<Engine, EngineError> {
    let engine = pooled(config, guests)?;
    if config.interruptible && !guests.are_counted() {
        clock::start(&engine);
    }
    Ok(engine)
}

fn pooled(config: &ExecutorConfig, guests: Guests) -> Result<Engine, EngineError> {
    let mut wasmtime = wasmtime_config(config, guests);
    let Some(places) = config.pool else {
        return Engine::new(&wasmtime).map_err(EngineError::new);
    };
    wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(places, guests)));
    Engine::new(&wasmtime).or_else(|error| {
        tracing::warn!(
            places,
            error = format!("{error:#}"),
            "each execution allocates its own memory, there are no pools"
        );
        Engine::new(&wasmtime_config(config, guests)).map_err(EngineError::new)
    })
}

fn wasmtime_config(config: &ExecutorConfig, guests: Guests) -> Config {
    let mut wasmtime = Config::new();
    wasmtime
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(if config.optimize { OptLevel::Speed } else { OptLevel::None })
        // Modules that count make their NaNs canonical by themselves. Inside of a composition
        // wasmtime would count the operators that do so.
        .cranelift_nan_canonicalization(guests.are_counted())
        .parallel_compilation(config.parallel_compilation)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(prepare::FEATURES, true)
        // The metering pass leaves no relaxed operator.
        .wasm_features(WasmFeatures::RELAXED_SIMD, false)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES + HOST_STACK_BYTES)
        // Functions are walked through where a guest traps, and nowhere else. Names, addresses and
        // lines are not kept.
        .wasm_backtrace_max_frames(NonZeroUsize::new(Backtrace::MOST))
        .native_unwind_info(false)
        .generate_address_map(false)
        // The metering passes say which of their branches are hardly ever taken. A guest's own
        // hints are gone by then.
        .wasm_branch_hinting(true);
    if guests.are_components() {
        wasmtime.wasm_features(WasmFeatures::COMPONENT_MODEL, true);
    }
    if guests == Guests::Components {
        // It tells where the counters are.
        wasmtime.coredump_on_trap(true);
    }
    if !guests.are_counted() {
        wasmtime.epoch_interruption(config.interruptible);
    } else {
        let mut cost = OperatorCost::new();
        // The pages are charged where it is known how many there are, in `limiter`.
        let units = |units: u64| u8::try_from(units).unwrap_or(u8::MAX);
        cost.MemoryGrow = units(fuel::MEMORY_GROW);
        cost.TableGrow = units(fuel::TABLE_GROW);
        cost.RefFunc = units(fuel::REF_FUNC);
        cost.MemoryCopy = units(fuel::BULK);
        cost.MemoryFill = units(fuel::BULK);
        cost.MemoryInit = units(fuel::BULK);
        cost.TableCopy = units(fuel::BULK);
        cost.TableFill = units(fuel::BULK);
        cost.TableInit = units(fuel::BULK);
        wasmtime
            .consume_fuel(true)
            .operator_cost(cost)
            // wasmtime's own modules between components copy from one memory to another. A module
            // of a component with two memories has been rejected before.
            .wasm_features(WasmFeatures::MULTI_MEMORY, true);
    }
    wasmtime
}

/// Room for this many executions at once, each place as large as the largest request may want: a
/// guest that runs without pools runs with them too, to the same end. The places are address space,
/// of which only what a guest uses becomes memory.
fn pool(places: u32, guests: Guests) -> PoolingAllocationConfig {
    // While an execution waits for an exchange, its transform may run.
    let places = places.saturating_mul(2);
    let mut pool = PoolingAllocationConfig::new();
    let instances = match guests {
        Guests::Modules(_) => places,
        // One more holds the counters of a component, and another reads them.
        Guests::Components => places.saturating_mul(MOST_INSTANCES + 2),
        Guests::Compositions => places.saturating_mul(MOST_INSTANCES),
    };
    let memories = match guests {
        Guests::Modules(Meter::Fuel) => places.saturating_mul(prepare::shape::MAX_MEMORIES),
        _ => instances,
    };
    let tables = match guests {
        Guests::Modules(Meter::Fuel) => places.saturating_mul(MOST_TABLES_OF_ONE),
        // NEAR's limit for a module.
        Guests::Modules(Meter::Gas) => places,
        Guests::Components | Guests::Compositions => places.saturating_mul(prepare::MAX_TABLES),
    };
    pool.total_component_instances(places)
        .total_core_instances(instances)
        .total_memories(memories)
        .max_memories_per_module(prepare::shape::MAX_MEMORIES)
        .total_tables(tables)
        .total_stacks(places)
        // A place cuts the maximum of a table or memory down to its own, and what the guest may
        // have follows from the maximum. So these are the largest possible.
        .max_memory_size(4 << 30)
        .table_elements(u32::MAX as usize)
        .max_tables_per_module(MOST_TABLES_OF_ONE)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES)
        // Up to this many bytes are overwritten with zeros, or with the module's data, when a place
        // is used again. Pages beyond are given back to the system, which costs several times as
        // much for a small guest.
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES);
    pool
}
