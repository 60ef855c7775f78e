//! The host side of near-vm-runner.
//!
//! near-vm-runner runs a contract and its host functions. The program around it implements its
//! trait [`External`](near_vm_runner::logic::External), which has more than 40 methods: storage,
//! facts about the chain, and one method for each action that a contract can add to a receipt. This
//! crate implements it once, as [`Host`], over the smaller trait [`Chain`]. Three chains implement
//! that:
//!
//! * the executor's, for `near` guests, which has the storage of one account and nothing else;
//! * localnet's, which has everything that a node has;
//! * the one of the contract's gas tests, which charges for storage as a large network does.
//!
//! [`Host`] does this for all of them:
//!
//! * It turns what the contract adds to receipts into [`Action`]s,
//!   and keeps the receipts of the call in a [`ReceiptManager`].
//! * It passes on what the chain refuses.
//! * It charges for the value that a write or a removal replaces. A chain says how many trie nodes
//!   the access touched ([`NodeCount`]), and [`Charges`] turns both into gas.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod chain;
mod code;
mod external;
mod receipt_manager;
mod storage;
mod vm_result;

pub use near_primitives::action::Action;

pub use chain::{Chain, Yields};
pub use code::Code;
pub use external::Host;
pub use receipt_manager::{NewReceipt, NewResume, ReceiptManager};
pub use storage::{Charges, NodeCount, Plain};
pub use vm_result::VmResult;

#[cfg(test)]
mod tests;
