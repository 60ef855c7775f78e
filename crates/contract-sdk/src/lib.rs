//! near-sdk, as the contract imports it under the name `near_sdk`: with another JSON.
//!
//! The code that `#[near]` generates for each method reads the arguments with
//! `::near_sdk::serde_json::from_slice` and writes the result with `::near_sdk::serde_json::to_vec`.
//! Here these paths lead to [`outlayer_json`], which does the same in much less Wasm.

pub use near_sdk::*;

/// What the code that near-sdk generates calls of `serde_json`.
pub mod serde_json {
    pub use outlayer_json::{from_slice, to_vec};
}
