#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod call;
mod chain;
mod error;
mod node;
mod outlayer;
mod process;
mod program;
mod results;
#[cfg(feature = "unit")]
pub mod unit;
mod votes;
mod wasm;
mod worker;

pub use near_workspaces;
pub use outlayer_protocol as protocol;
pub use outlayer_wasm_build::{BuildError, WASM_CARGO};

pub use call::{Call, Called, Money, RequestMade, Sent};
pub use error::{Error, Result};
pub use node::NODE;
pub use outlayer::{DAPP_GAS, Deployment, MAX_GAS, Outlayer, Setup};
pub use program::{BIN_PATH, Program, VERSION};
pub use results::{burnt, events};
pub use votes::SALT;
pub use wasm::{build_contract, build_guest, contract as contract_wasm};
pub use worker::{Behaviour, Lie, TestWorker};
