//! The OutLayer contract: it takes requests, yields, lets registered workers answer, and settles.
//!
//! It is a thin shell over [`outlayer_protocol::machine`], which decides what may happen to a
//! request and what follows. The shell keeps state (`requests`, `namespace`, `locks`, `change_fee`,
//! `code`, `names`, `results`, `workers`), money (`funds`, `money`) and promises (`promises`), and
//! carries out what the machine decides (`effects`). The methods are in `api`, one file for each
//! concern. The prefixes of all entries of state are in `store`.
//!
//! Every entry is written when it changes (no collection caches), so `env::storage_usage` is exact
//! at any moment. An error is a panic: the receipt's changes are undone, and its deposit goes back.
//! Only `resolve_many` goes on after an error, that of an answer which has changed nothing.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(any(target_family = "wasm", test))]
mod allocator;
mod api;
mod bounds;
mod change_fee;
mod code;
mod effects;
mod errors;
mod funds;
mod gas;
mod live_ids;
mod locks;
mod migration;
mod money;
mod names;
mod namespace;
mod promises;
mod publication;
mod recent_code;
mod requests;
mod results;
mod roster;
mod secrets;
mod slots;
mod stake;
mod state;
mod store;
mod workers;

#[cfg(test)]
mod tests;

pub use api::nep145::StorageBalanceBounds;
pub use errors::{CodeError, ContractError, NameError, NamespaceError};
pub use funds::{Funds, MoneyError, Pot};
pub use locks::{Closed, Lock};
pub use state::{Contract, ContractExt, LAYOUT, Upgrade};
