//! The gas meter for core WASI modules: NEAR's own instrumentation, on our engine.
//!
//! `prepare` applies near-vm-runner's `prepare_contract` at
//! [`NEAR_CONFIG_VERSION`](crate::NEAR_CONFIG_VERSION) to the guest. The module then counts its gas
//! and its stack itself, exactly as a NEAR node would for the same bytes. `deferred` then has it
//! look less often at whether its gas sufficed, which changes no amount. The host is called only
//! when what it gave the module has ended (`hooks`).
//!
//! # What is charged
//!
//! * The module: `contract_loading_base` + bytes × `contract_loading_bytes`, before it is
//!   instantiated, as for a contract.
//! * Operators, bulk operators and entering a function: as instrumented.
//! * A call of a host function: `base`.
//! * Bytes read from the guest's memory (output, log, keys, values, lists of buffers and
//!   subscriptions): `read_memory_base` + bytes × `read_memory_byte`.
//! * Bytes written to it (input, arguments, environment, context, events, values):
//!   `write_memory_base` + bytes × `write_memory_byte`.
//! * Bytes added to the log, in addition to reading them: `log_base` + bytes × `log_byte`.
//! * Random bytes, in addition to writing them: `sha256_base` + bytes × `sha256_byte`, which is
//!   what a contract would pay to derive them from its seed.
//! * `storage_read`: `storage_read_base` + key × `storage_read_key_byte` + value ×
//!   `storage_read_value_byte`, and NEAR's overhead for values above 4,000 bytes.
//! * `storage_write`: `storage_write_base` + key × `storage_write_key_byte` + value ×
//!   `storage_write_value_byte` + [`TRIE_NODES`] × `touching_trie_node`.
//! * `storage_remove`: `storage_remove_base` + key × `storage_remove_key_byte` + value ×
//!   `storage_remove_ret_value_byte` + [`TRIE_NODES`] × `touching_trie_node`.
//! * `http_fetch`, for which NEAR has no fee: `regular_op_cost` for each unit of fuel that the
//!   exchange costs under the other meter. In the same way the limit of a transform is the gas of
//!   [`TRANSFORM_FUEL`](outlayer_protocol::http::TRANSFORM_FUEL) operators.
//!
//! A transfer of no bytes costs nothing, and results of fixed size belong to the call. NEAR charges
//! a write for the value that it replaces; here nothing is charged, because a write does not look
//! at it.
//!
//! # What differs from a node
//!
//! A node gives every contract 64 MiB of memory, whatever it declares. Here a module has the memory
//! that it declares, so that it behaves alike under both meters. The gas is the same for every
//! program that does not ask how large its memory is and does not reach outside of it.

mod deferred;
pub(crate) mod fees;
mod hooks;
mod imports;
pub(crate) mod limits;
pub(crate) mod prepare;
mod receipt;

use outlayer_guest::Fault;
use outlayer_protocol::Status;

pub use deferred::Counts;
pub use fees::TRIE_NODES;
pub(crate) use hooks::add_to_linker;
pub use receipt::{CallFees, has_the_gas_of, trie_nodes};

/// The guest's `_start`, with the prefix that NEAR's preparation gives to what a guest exports.
pub(crate) const ENTRY: &str = "\0_start";
/// The export under which NEAR's preparation puts a module's start function.
pub(crate) const START_EXPORT: &str = "start";
/// The exported global that holds the gas that is left.
pub(crate) const GAS_EXPORT: &str = "remaining_gas";

/// What is compiled in place of a core module's `code` under the gas meter, to look at and to
/// measure with.
///
/// # Errors
/// The inner error is the verdict on a module that is invalid or out of NEAR's bounds. A [`Fault`]
/// is no verdict.
pub fn instrumented(code: &[u8], counts: Counts) -> Result<Result<Vec<u8>, Status>, Fault> {
    match prepare::core_module(code, counts) {
        Ok(module) => Ok(Ok(module)),
        Err(rejection) => rejection.into_verdict().map(Err),
    }
}
