//! What one execution may use: a metered budget, and fixed bounds. Each has a name, which outcomes
//! and errors use.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_codec::{Decode, Encode};
use outlayer_json::{FromJson, ToJson};
use serde::{Deserialize, Serialize};

use crate::{HttpLimits, json, object::read_by_fields, response::SHORT_OUTPUT_BYTES};

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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Our own fuel: about one unit for each operator, and one more for each byte or element of
    /// bulk operators.
    Fuel,
    /// NEAR gas: exactly what a node of the pinned config version would burn.
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

/// An amount of computation in one of the two meters. JSON: `{"fuel": "1000"}` or `{"gas":
/// "1000"}`. The amounts are strings, because JavaScript has no integers above 2^53; numbers are
/// read as well.
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// Units of fuel.
    Fuel(
        #[serde(with = "json::u64_string")]
        #[cfg_attr(feature = "abi", schemars(with = "String"))]
        u64,
    ),
    /// Units of NEAR gas, as a node counts them.
    Gas(
        #[serde(with = "json::u64_string")]
        #[cfg_attr(feature = "abi", schemars(with = "String"))]
        u64,
    ),
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

    /// An amount of `amount` units in `meter`.
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

/// The most that one execution may use. A field that is missing in JSON has its value from
/// [`ResourceLimits::default`].
///
/// The deposit reserves storage for `output_bytes`, `journal_bytes`, `plan_bytes`, `storage_reads`
/// and `storage_writes`, and the fee has the gas of every key that may be read or written, so a
/// request should ask for what it needs. By default a guest may give 1 KiB of output, use no
/// storage (see [`ResourceLimits::with_storage`]) and plan nothing (see
/// [`ResourceLimits::with_plan`]).
#[cfg_attr(feature = "abi", derive(schemars::JsonSchema, borsh::BorshSchema))]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Encode,
    Decode,
    Serialize,
    ToJson,
)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceLimits {
    /// Computation, in the meter in which the request is billed.
    pub compute: Compute,
    /// All linear memories together, bytes.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u32,
    /// Module instances. A component may have several.
    pub instances: u32,
    /// The guest's output, bytes.
    pub output_bytes: u32,
    /// The guest's logs, bytes.
    pub log_bytes: u32,
    /// Keys and values that the guest writes, bytes.
    pub journal_bytes: u32,
    /// Distinct storage keys that the guest reads.
    pub storage_reads: u32,
    /// Distinct storage keys that the guest writes or removes.
    pub storage_writes: u32,
    /// Calls of the guest to the host.
    pub host_calls: u64,
    /// The code, bytes. Unlike the other limits this one is a declaration that is paid for in full,
    /// however long the code turns out to be: the contract does not see code that is at a URL, and
    /// a worker could lie about its length. Code that is longer ends as
    /// [`LimitExceeded`](crate::Outcome::LimitExceeded), and is neither compiled nor run.
    pub max_module_bytes: u32,
    /// The guest's [plan](crate::plan), bytes of its encoding. With 0, the default, a guest that
    /// plans anything ends as [`LimitExceeded`](crate::Outcome::LimitExceeded).
    pub plan_bytes: u32,
}

read_by_fields! {
    ResourceLimits = Self::default(),
    only: true,
    required: {},
    optional: {
        compute: Compute,
        memory_bytes: U64,
        table_elements: U32,
        instances: U32,
        output_bytes: U32,
        log_bytes: U32,
        journal_bytes: U32,
        storage_reads: U32,
        storage_writes: U32,
        host_calls: U64,
        max_module_bytes: U32,
        plan_bytes: U32,
    }
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            compute: Compute::Fuel(100_000_000),
            memory_bytes: 64 << 20,
            table_elements: 10_000,
            instances: 16,
            output_bytes: 1 << 10,
            log_bytes: 64 << 10,
            journal_bytes: 0,
            storage_reads: 0,
            storage_writes: 0,
            host_calls: 1_000_000,
            max_module_bytes: 1 << 20,
            plan_bytes: 0,
        }
    }
}

impl ResourceLimits {
    /// The most bytes of output, journal and plan together.
    pub fn data_bytes(&self) -> u64 {
        [self.output_bytes, self.journal_bytes, self.plan_bytes].map(u64::from).iter().sum()
    }

    /// Whether every response within these limits [is short](crate::ExecutionResponse::is_short).
    pub fn keep_answers_short(&self, http: HttpLimits) -> bool {
        let data = self.output_bytes.saturating_add(self.plan_bytes).saturating_add(http.bytes);
        data as usize <= SHORT_OUTPUT_BYTES && self.storage_reads == 0 && self.storage_writes == 0
    }

    /// These limits for a guest that uses storage: how many keys it may read, how many it may write
    /// or remove, and the bytes of keys and values that it may write.
    #[must_use]
    pub const fn with_storage(self, reads: u32, writes: u32, journal_bytes: u32) -> Self {
        Self { storage_reads: reads, storage_writes: writes, journal_bytes, ..self }
    }

    /// These limits for a guest that plans: the bytes that its [plan](crate::plan) may have.
    #[must_use]
    pub const fn with_plan(self, plan_bytes: u32) -> Self {
        Self { plan_bytes, ..self }
    }
}

/// The name of a limit, in `LimitExceeded` outcomes and in errors.
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
    Encode,
    Decode,
    Serialize,
    ToJson,
    FromJson,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Computation in the request's meter.
    Compute,
    /// All linear memories together, bytes.
    MemoryBytes,
    /// Elements of all tables together.
    TableElements,
    /// Module instances.
    Instances,
    /// The guest's output, bytes.
    OutputBytes,
    /// The guest's logs, bytes.
    LogBytes,
    /// Keys and values written, bytes.
    JournalBytes,
    /// Distinct storage keys read.
    StorageReads,
    /// Distinct storage keys written or removed.
    StorageWrites,
    /// Calls of the guest to the host.
    HostCalls,
    /// A single storage key, bytes.
    KeyBytes,
    /// A single storage value, bytes.
    ValueBytes,
    /// The request's input, bytes.
    InputBytes,
    /// Arguments and environment together, bytes.
    ArgsEnvBytes,
    /// The code, bytes: [`ResourceLimits::max_module_bytes`], or the engine's own bound.
    ModuleBytes,
    /// Functions of the module.
    ModuleFunctions,
    /// The URL of the code, bytes.
    UrlBytes,
    /// Approvals asked for.
    Approvals,
    /// Blocks for which the result is kept.
    KeepResultBlocks,
    /// Workers that execute the request besides those that must agree.
    Spares,
    /// The guest's plan, bytes.
    PlanBytes,
    /// HTTP exchanges.
    HttpExchanges,
    /// The transcript of the HTTP exchanges, bytes.
    HttpBytes,
    /// Time for the HTTP exchanges, milliseconds.
    HttpMs,
    /// Secrets.
    Secrets,
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
            Self::KeepResultBlocks => "keep_result_blocks",
            Self::Spares => "spares",
            Self::PlanBytes => "plan_bytes",
            Self::HttpExchanges => "http_exchanges",
            Self::HttpBytes => "http_bytes",
            Self::HttpMs => "http_ms",
            Self::Secrets => "secrets",
        })
    }
}

/// The longest storage key, bytes. It is short because a request's reserve is priced for keys of
/// this length. NEAR itself allows keys of 2,048 bytes.
pub const MAX_KEY_BYTES: u32 = 256;
/// The longest storage value, bytes.
pub const MAX_VALUE_BYTES: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_strings_in_json_and_numbers_are_read_too() {
        let most = Compute::Gas(u64::MAX);
        let json = serde_json::to_string(&most).unwrap();
        assert_eq!(json, r#"{"gas":"18446744073709551615"}"#);
        assert_eq!(serde_json::from_str::<Compute>(&json).unwrap(), most);
        let numbers = [
            (r#"{"fuel":5}"#, Compute::Fuel(5)),
            (r#"{"fuel":"5"}"#, Compute::Fuel(5)),
            (r#"{"gas":9007199254740993}"#, Compute::Gas((1 << 53) + 1)),
        ];
        for (json, expected) in numbers {
            assert_eq!(serde_json::from_str::<Compute>(json).unwrap(), expected);
        }
        for json in [r#"{"fuel":-1}"#, r#"{"fuel":1.5}"#, r#"{"fuel":"1e3"}"#, r#"{"fuel":""}"#] {
            let error = serde_json::from_str::<Compute>(json).unwrap_err().to_string();
            assert!(error.contains("decimal"), "{json}: {error}");
        }
    }
}
