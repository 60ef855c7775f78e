//! Tests of the engine: rule by rule, against outcomes of a real node, and with random blocks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod balance;
mod chain;
mod conservation;
mod costs;
mod golden;
mod lives;
mod refusals;
mod scenario;
mod speed;
