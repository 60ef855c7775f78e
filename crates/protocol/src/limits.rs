//! What one execution may use: a metered budget and fixed bounds, each with a name that an outcome can carry.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// The unit in which computation is metered and billed.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// wasmtime's fuel: one unit an operator, bulk operators by length.
    Fuel,
    /// NEAR gas, exactly as a node of the pinned config version would burn it.
    Gas,
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fuel => "fuel",
            Self::Gas => "gas",
        })
    }
}

/// An amount of computation in one of the two meters. JSON: `{"fuel": 1000}` or `{"gas": 1000}`.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// Units of fuel.
    Fuel(u64),
    /// Units of NEAR gas.
    Gas(u64),
}

impl Compute {
    /// The meter that counts this amount.
    pub const fn meter(self) -> Meter {
        match self {
            Self::Fuel(_) => Meter::Fuel,
            Self::Gas(_) => Meter::Gas,
        }
    }

    /// The number of units.
    pub const fn amount(self) -> u64 {
        match self {
            Self::Fuel(amount) | Self::Gas(amount) => amount,
        }
    }

    /// `amount` units of `meter`.
    pub const fn new(meter: Meter, amount: u64) -> Self {
        match meter {
            Meter::Fuel => Self::Fuel(amount),
            Meter::Gas => Self::Gas(amount),
        }
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.meter())
    }
}

/// The most that one execution may use. Fields left out of JSON take [`ResourceLimits::default`].
///
/// The storage for `output_bytes`, `journal_bytes`, `storage_reads` and `storage_writes` is reserved from the
/// deposit, so a request that needs little should ask for little.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceLimits {
    /// Computation, in the meter in which the request is billed.
    pub compute: Compute,
    /// Linear memory in all, in bytes.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u32,
    /// Instances (a component may hold several).
    pub instances: u32,
    /// The guest's output, in bytes.
    pub output_bytes: u32,
    /// The guest's logs, in bytes.
    pub log_bytes: u32,
    /// Keys and values written, in bytes.
    pub journal_bytes: u32,
    /// Distinct storage keys read.
    pub storage_reads: u32,
    /// Distinct storage keys written or removed.
    pub storage_writes: u32,
    /// Calls from the guest into the host.
    pub host_calls: u64,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            compute: Compute::Fuel(100_000_000),
            memory_bytes: 64 << 20,
            table_elements: 10_000,
            instances: 16,
            output_bytes: 4 << 10,
            log_bytes: 64 << 10,
            journal_bytes: 4 << 10,
            storage_reads: 8,
            storage_writes: 4,
            host_calls: 1_000_000,
        }
    }
}

/// Names a bound, in `LimitExceeded` outcomes and in errors.
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Computation in the request's meter.
    Compute,
    /// Linear memory in all, bytes.
    MemoryBytes,
    /// Table elements in all.
    TableElements,
    /// Instances.
    Instances,
    /// Output, bytes.
    OutputBytes,
    /// Logs, bytes.
    LogBytes,
    /// Journal, bytes.
    JournalBytes,
    /// Distinct storage keys read.
    StorageReads,
    /// Distinct storage keys written or removed.
    StorageWrites,
    /// Calls into the host.
    HostCalls,
    /// One storage key, bytes.
    KeyBytes,
    /// One storage value, bytes.
    ValueBytes,
    /// Input, bytes.
    InputBytes,
    /// Arguments and environment together, bytes.
    ArgsEnvBytes,
    /// The module, bytes.
    ModuleBytes,
    /// Functions of a module.
    ModuleFunctions,
    /// The URL of a module, bytes.
    UrlBytes,
    /// Approvals asked for.
    Approvals,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compute => "compute",
            Self::MemoryBytes => "memory_bytes",
            Self::TableElements => "table_elements",
            Self::Instances => "instances",
            Self::OutputBytes => "output_bytes",
            Self::LogBytes => "log_bytes",
            Self::JournalBytes => "journal_bytes",
            Self::StorageReads => "storage_reads",
            Self::StorageWrites => "storage_writes",
            Self::HostCalls => "host_calls",
            Self::KeyBytes => "key_bytes",
            Self::ValueBytes => "value_bytes",
            Self::InputBytes => "input_bytes",
            Self::ArgsEnvBytes => "args_env_bytes",
            Self::ModuleBytes => "module_bytes",
            Self::ModuleFunctions => "module_functions",
            Self::UrlBytes => "url_bytes",
            Self::Approvals => "approvals",
        })
    }
}

/// A storage key has at most this many bytes. The reserve of a request is priced for keys of this length, so
/// it is small; NEAR's own bound on a trie key is 2,048.
pub const MAX_KEY_BYTES: u32 = 256;
/// A storage value has at most this many bytes.
pub const MAX_VALUE_BYTES: u32 = 64 << 10;
