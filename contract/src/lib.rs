//! The OutLayer contract: takes requests, yields, has registered workers answer, and settles.
//!
//! It is a thin shell over [`outlayer_protocol::machine`], which says what may happen to a request and what
//! follows. The shell keeps state (`requests`, `namespace`, `code`, `workers`), money (`money`) and promises
//! (`promises`), and carries out what the machine decides (`effects`). The methods stand in `api`, one file a
//! concern; every entry of state has its prefix in `store`.
//!
//! Every entry is written when it changes (no collection caches), so `env::storage_usage` is exact at any
//! moment. An error is a panic: the receipt's changes are undone and its deposit goes back.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod api;
mod code;
mod effects;
mod errors;
mod gas;
mod holds;
mod migration;
mod money;
mod namespace;
mod promises;
mod requests;
mod slots;
mod stake;
mod state;
mod store;
mod workers;

#[cfg(test)]
mod tests;

pub use api::nep145::{StorageBalance, StorageBalanceBounds};
pub use code::CodeError;
pub use errors::ContractError;
pub use holds::Hold;
pub use money::{Funds, MoneyError, Pot};
pub use namespace::NamespaceError;
pub use state::{Contract, ContractExt, LAYOUT, Upgrade};
