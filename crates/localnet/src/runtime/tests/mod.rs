//! Tests of the runtime: rule by rule, against the outcomes of a real node, and with random blocks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod chain;
mod conservation;
mod contracts;
mod costs;
mod delayed;
mod gas_keys;
mod golden;
mod invalid_transactions;
mod ledger;
mod scenario;
mod speed;
mod state_init;
mod supply;
mod universal;
mod yields;
