//! Tests of the engine: rule by rule, against outcomes of a real node, and with random blocks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod chain;
mod conservation;
mod costs;
mod golden;
mod invalid_transactions;
mod scenario;
mod speed;
mod supply;
