//! The gas meter for core WASI modules: NEAR's own instrumentation, on our engine.
//!
//! `prepare` applies near-vm-runner's `prepare_contract` at [`NEAR_CONFIG_VERSION`](crate::NEAR_CONFIG_VERSION) to the guest. The
//! module then counts its gas and its stack itself, exactly as a NEAR node would for the same bytes, and
//! calls out only when one of them ends (`hooks`).
//!
//! # What is charged
//!
//! | what | gas |
//! |---|---|
//! | the module | `contract_loading_base` + bytes × `contract_loading_bytes`, before it is instantiated, as for a contract |
//! | operators, bulk operators, entering a function | as instrumented |
//! | a call of a host function | `base` |
//! | bytes read from the guest's memory (output, log, keys, values, lists of buffers and subscriptions) | `read_memory_base` + bytes × `read_memory_byte` |
//! | bytes written to it (input, arguments, environment, context, events, values) | `write_memory_base` + bytes × `write_memory_byte` |
//! | bytes added to the log, besides reading them | `log_base` + bytes × `log_byte` |
//! | random bytes, besides writing them | `sha256_base` + bytes × `sha256_byte`: what a contract would pay to derive them from its seed |
//! | `storage_read` | `storage_read_base` + key × `storage_read_key_byte` + value × `storage_read_value_byte`, and NEAR's overhead for values above 4,000 bytes |
//! | `storage_write` | `storage_write_base` + key × `storage_write_key_byte` + value × `storage_write_value_byte` + [`TRIE_NODES`] × `touching_trie_node` |
//! | `storage_remove` | `storage_remove_base` + key × `storage_remove_key_byte` + value × `storage_remove_ret_value_byte` + [`TRIE_NODES`] × `touching_trie_node` |
//!
//! A transfer of no bytes costs nothing, results of fixed size belong to the call. Where NEAR charges a write for the value it replaces, nothing
//! is charged here: a write of this interface does not look at it.
//!
//! # What differs from a node
//!
//! A node gives every contract 64 MiB of memory, whatever it declares; here a module has the memory it
//! declares, so that it behaves under both meters alike. The gas is the same for every program that does not
//! ask how large its memory is and does not reach outside of it.

pub(crate) mod fees;
mod hooks;
mod imports;
pub(crate) mod limits;
pub(crate) mod prepare;

pub(crate) use hooks::add_to_linker;

/// A node charges a write or a removal for each node of its trie on the way to the key. A namespace has no trie, so the
/// number is fixed: about what the way to a key of a small contract takes on a shard with a million accounts.
pub const TRIE_NODES: u64 = 10;

/// The prefix that NEAR's preparation gives to what the guest exports.
pub(crate) const ENTRY: &str = "\0_start";
/// The export under which it puts a module's start function.
pub(crate) const START_EXPORT: &str = "start";
/// The exported global with the gas that is left.
pub(crate) const GAS_EXPORT: &str = "remaining_gas";
